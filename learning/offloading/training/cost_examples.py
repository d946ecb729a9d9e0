"""Labelled states of any instances as option rows: what networks and option prompts learn from.

A state is a row per option (`learning.offloading.states.option_features`), so the same collection
serves COMLLM's episodes and instances of any other kind.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from learning.offloading.rewards.rewards import Reward, check_costs, slot_ns
from learning.offloading.states.decision_states import visit
from learning.offloading.states.option_features import Reader
from mecopt import files
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.protocol import Policy

#: Costs are in tenths of a task's scale (slots, in COMLLM).
TENTHS = 10.0


@dataclass(frozen=True, eq=False)
class Examples:
    """B labelled states; A = most options of any of them and the drop, which comes last.

    Parameters
    ----------
    options : (B, A, columns) float32
        Rows; those of options that do not exist are zeros.
    load : (B, 3) float32
        What is known of the arrivals.
    label : (B, A) float32
        Cost of each option with its consequences, in tenths of the task's scale; infinite where
        absent.
    """

    options: NDArray[np.float32]
    load: NDArray[np.float32]
    label: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.options)

    def __getitem__(self, index: slice | NDArray[np.int64]) -> Examples:
        return Examples(self.options[index], self.load[index], self.label[index])


def collect(
    instances: Iterable[OffloadingInstance],
    reward: Reward,
    behaviour: str | Policy,
    *,
    per_instance: int | None = None,
    seed: int = 0,
) -> Examples:
    """States on a behaviour's trajectories, labelled by the costs of a reward.

    Parameters
    ----------
    instances : iterable of OffloadingInstance
    reward : Reward
    behaviour : str or Policy
    per_instance : int, optional
        States drawn from each trajectory; all of them unless given.
    seed : int
        Of that draw, and of a named behaviour.

    Raises
    ------
    ValueError
        No instances, or a reward that cannot be learned from; it names the instance and the task.
    """
    parts: list[Examples] = []
    current: OffloadingInstance | None = None
    for observation in visit(instances, behaviour, per_instance=per_instance, seed=seed):
        if observation.instance is not current:
            current = observation.instance
            reader, slot = Reader(current, behind=True), slot_ns(current)
            reward.reset(current)
        cost = reward.cost_slots(observation)
        try:
            check_costs(cost[None], reward.name)
        except ValueError as error:
            task = current.task_names[observation.task]
            raise ValueError(f"{current!r}: {task!r} is no example: {error}") from None
        tenths = cost * (slot * TENTHS / reader.scale.cost_ns[observation.task])
        rows = reader.options(observation)
        parts.append(Examples(rows[None], reader.load[None], tenths[None].astype(np.float32)))
    return joined(parts)


def write(examples: Examples, path: Path) -> None:
    """Keep examples in one file, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, options=examples.options, load=examples.load, label=examples.label)
    files.write_bytes(path, buffer.getvalue())


def read(path: Path) -> Examples:
    """Read the examples that `write` kept.

    Raises
    ------
    ValueError
        If the file is damaged, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Examples(kept["options"], kept["load"], kept["label"])
    except (AttributeError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise ValueError(f"{path}: no labelled option rows ({error})") from None


def joined(parts: Sequence[Examples]) -> Examples:
    """One after the other; options that only others have are absent, before the drop.

    Raises
    ------
    ValueError
        If there is nothing to join.
    """
    if not parts:
        raise ValueError("instances: there is none, and so nothing to learn from")
    widest = max(p.label.shape[1] for p in parts)
    n = sum(map(len, parts))
    options = np.zeros((n, widest, parts[0].options.shape[2]), dtype=np.float32)
    label = np.full((n, widest), np.inf, dtype=np.float32)
    at = 0
    for p in parts:
        rows, width = slice(at, at + len(p)), p.label.shape[1] - 1
        options[rows, :width], options[rows, -1] = p.options[:, :-1], p.options[:, -1]
        label[rows, :width], label[rows, -1] = p.label[:, :-1], p.label[:, -1]
        at += len(p)
    return Examples(options, np.concatenate([p.load for p in parts]), label)
