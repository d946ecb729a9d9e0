"""Checkpoints of every family: which module reads which kind, and folders that come with mecopt.

A policy's factory and name stand in ``learning/FAMILY/zoo.py``. Nothing here imports torch before a
policy is asked for, and what a policy needs to decide is the ``learning`` extra alone, whatever
trained it.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from learning import seeds
from mecopt import checkpoints, extras

#: Agents of failing nodes decide offloading instances, too.
_AGENTS = {
    **dict.fromkeys(("mappo", "vdn", "masac"), "learning.collaboration.policy"),
    "onnx": "learning.collaboration.runner",
}
#: Kinds that decide without torch.
_LEAN = ("onnx", "auctioneer")
#: Family -> kind of checkpoint -> module with ``load(folder) -> policy``.
KINDS = {
    "offloading": {
        "language": "learning.offloading.policies.language",
        "tool-calls": "learning.offloading.policies.tool_calls",
        "pretrained": "learning.offloading.policies.pretrained",
        # Trained with stable-baselines3 or without, they decide as networks of our own.
        "dqn": "learning.offloading.policies.networks",
        "ppo": "learning.offloading.policies.networks",
        "equivariant": "learning.offloading.policies.networks",
        "mlp": "learning.offloading.policies.networks",
        **_AGENTS,
    },
    "collaboration": {**_AGENTS, "strategist": "learning.collaboration.strategists"},
    "caching": {"t2drl": "learning.caching.policy"},
    "task_graphs": {"planner": "learning.task_graphs.planner"},
    "market": {"auctioneer": "learning.market.policy"},
}


def shipped(family: str, *place: str) -> Path | None:
    """Folder of a checkpoint that comes with the package; None when there is none."""
    folder = Path(str(resources.files("learning"))).joinpath(family, "checkpoints", *place)
    return folder if (folder / checkpoints.MARKER).is_file() else None


def load(family: str, name: str, folder: str | os.PathLike[str]) -> Any:
    """A trained policy, ready to act; torch computes on one thread from here on.

    Parameters
    ----------
    family : str
        Key of `KINDS`.
    name : str
        What the policy is called; equal names share a policy.
    folder : path
        A checkpoint or a training folder.

    Raises
    ------
    ValueError
        If there is no such checkpoint, it is damaged or of an unknown kind, or a package that it
        needs is not installed.
    """
    found = checkpoints.find(folder)
    marker = found / checkpoints.MARKER
    return _open(family, name, str(found), marker.stat().st_mtime_ns)


def trained(family: str, name: str, folder: str | os.PathLike[str] | None = None) -> Any:
    """A trained policy under its name: the shipped checkpoint, or that of a folder (`load`).

    Raises
    ------
    ValueError
        If none is shipped, or the folder holds no checkpoint that can be loaded.
    """
    found = shipped(family, name) if folder is None else folder
    if found is None:
        raise ValueError(
            f"policy: no checkpoint of {name!r} is shipped; train one with `mecopt train "
            f"{name} --out FOLDER` and give --checkpoint {name}=FOLDER"
        )
    policy = load(family, name, found)
    policy.name = name
    return policy


@lru_cache(maxsize=32)
def _open(family: str, name: str, folder: str, changed_ns: int) -> Any:
    """Load a checkpoint once per process and name (until its marker changes)."""
    marker = Path(folder) / checkpoints.MARKER
    kinds = KINDS[family]
    try:
        said = json.loads(marker.read_text(encoding="utf-8"))
        kind = said["kind"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{marker}: does not say which kind of policy it is ({error})") from None
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"{marker}: kind is {kind!r}, one of {', '.join(kinds)}")
    policy = _read(kinds[kind], kind, name, folder)
    policy.seen_seeds = _seen(said.get("seeds", seeds.SEEN), marker)
    return policy


def _seen(said: Any, marker: Path) -> dict[str, tuple[int, int]]:
    """Seeds that a policy was tuned and trained on, of which `mecopt bench` warns."""
    try:
        return {part: (int(said[part][0]), int(said[part][1])) for part in said}
    except (TypeError, ValueError, LookupError):
        raise ValueError(f"{marker}: seeds = {said!r}, expected first and last of parts") from None


def _read(module: str, kind: str, name: str, folder: str) -> Any:
    if kind in _LEAN:
        return import_module(module).load(Path(folder))
    with extras.needed(f"policy: {name!r}", "learning"):
        import torch
        from safetensors import SafetensorError

        torch.set_num_threads(1)  # decisions are timed on one thread
        try:
            return import_module(module).load(Path(folder))
        except (SafetensorError, RuntimeError, KeyError, OSError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"checkpoint: {folder} cannot be loaded ({reason})") from None
