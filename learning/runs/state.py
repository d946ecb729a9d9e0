"""State of a trainer of our own in one safetensors file: tensors, and around them plain JSON.

Reading such a file runs nothing that is written in it, whoever wrote it; a pickle would. The tree
of mappings, lists, tuples, numbers and text is JSON in the file's metadata and names the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mecopt import files

FORMAT = files.Format("mecopt.training-state", version=1)
#: What a mapping, a tuple, a tensor and an array are called in the tree.
_DICT, _TUPLE, _TENSOR, _ARRAY = "dict", "tuple", "tensor", "array"


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Keep a state, whole or not at all.

    Raises
    ------
    TypeError
        If there is something in it that is no tensor, array, mapping, list, tuple, number or text.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps({**FORMAT.head, "state": _packed(state, tensors)})
    files.write_bytes(path, save(tensors, metadata={FORMAT.schema: tree}))


def read(path: Path) -> dict[str, Any]:
    """The state that `write` kept.

    Raises
    ------
    ValueError
        If the file is damaged, or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {})[FORMAT.schema])
            if said["version"] != FORMAT.version:
                raise ValueError(f"version {said['version']}, expected {FORMAT.version}")
            state = _unpacked(said["state"], file)
        if not isinstance(state, dict):
            raise ValueError("no mapping")
    except (SafetensorError, AttributeError, LookupError, RecursionError, TypeError,
            ValueError) as error:  # fmt: skip
        raise ValueError(
            f"{path}: no state of a training ({error}); delete it to train from the beginning"
        ) from None
    return state


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON of a value; its tensors are added to those of the file."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_packed(inner, tensors) for inner in value]
    if isinstance(value, tuple):
        return {_TUPLE: [_packed(inner, tensors) for inner in value]}
    if isinstance(value, Mapping):  # keys of an optimiser are numbers, which JSON has not
        return {_DICT: [[key, _packed(inner, tensors)] for key, inner in value.items()]}
    if isinstance(value, Tensor | np.ndarray):
        kind = _TENSOR if isinstance(value, Tensor) else _ARRAY
        name = str(len(tensors))
        # A copy of its own: the file refuses tensors that share memory.
        tensors[name] = torch.as_tensor(value).detach().clone(memory_format=torch.contiguous_format)
        return {kind: name}
    raise TypeError(f"state: {type(value).__name__} cannot be kept")


def _unpacked(value: Any, file: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(inner, file) for inner in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == _DICT:
        return {key: _unpacked(inner, file) for key, inner in content}
    if kind == _TUPLE:
        return tuple(_unpacked(inner, file) for inner in content)
    tensor: Tensor = file.get_tensor(content)
    return tensor.numpy() if kind == _ARRAY else tensor
