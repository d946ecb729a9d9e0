"""Instances made of the parts of others: the same tasks at other times, or some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import IntArray

_OF_TASKS = ("owner", "release_ns", "deadline_ns", "drop_cost_ns", "latency_weight")
_OF_OPTIONS = ("option_label", "fixed_cost_ns")
_OF_STAGES = ("stage_resource", "service_ns", "believed_ns")
_LEVELS = (
    ("option_ptr", _OF_OPTIONS),
    ("stage_ptr", _OF_STAGES),
    ("pred_ptr", ("pred",)),
)


class Moved(NamedTuple):
    """Tasks of an instance, and when each is released instead.

    Attributes
    ----------
    instance : OffloadingInstance
    tasks : (n,) int
        In any order; one may come several times.
    release_ns : (n,) int64
    """

    instance: OffloadingInstance
    tasks: ArrayLike
    release_ns: ArrayLike


def rearranged(parts: Sequence[Moved]) -> OffloadingInstance:
    """Tasks of instances over the same resources, released at other times.

    Every task keeps its options, deadline and costs; owners are known by their names.

    Parameters
    ----------
    parts : sequence of Moved

    Returns
    -------
    OffloadingInstance
        Over the resources of the first part, tasks in order of (release, owner), without meta data.

    Raises
    ------
    ValueError
        If there is no task, or a release is negative.
    """
    first = parts[0].instance
    labels = tuple(dict.fromkeys(name for part in parts for name in part.instance.labels))
    owners = tuple(dict.fromkeys(name for part in parts for name in part.instance.owner_names))
    found = [_taken(part, labels, owners) for part in parts]
    whole = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
    order = np.lexsort((whole["owner"], whole["release_ns"]))
    ends = {name: np.concatenate([[0], np.cumsum(whole[name])]) for name, _ in _LEVELS}
    arrays: dict[str, Any] = {name: whole[name][order] for name in _OF_TASKS}
    chosen = order
    for pointer, names in _LEVELS:
        arrays[pointer] = np.concatenate([[0], np.cumsum(whole[pointer][chosen])])
        chosen = _members(ends[pointer], chosen)
        arrays |= {name: whole[name][chosen] for name in names}
    # A predecessor is kept as its distance to its stage.
    stage = np.repeat(np.arange(len(arrays["service_ns"])), np.diff(arrays["pred_ptr"]))
    arrays["pred"] = arrays["pred"] + stage
    changed: dict[str, Any] = {
        "labels": labels,
        "owner_names": owners,
        "task_names": (),
        "meta": {},
    }
    return replace(first, **changed, **arrays)


def _taken(
    part: Moved, labels: tuple[str, ...], owners: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """Arrays of the chosen tasks, pointers as counts and predecessors as distances."""
    x = part.instance
    chosen = np.asarray(part.tasks, dtype=np.int64)
    out = {name: getattr(x, name)[chosen] for name in _OF_TASKS}
    out["owner"] = _numbers(x.owner_names, owners)[out["owner"]]
    out["release_ns"] = np.asarray(part.release_ns, dtype=np.int64)
    distance = x.pred - np.repeat(np.arange(len(x.service_ns)), np.diff(x.pred_ptr))
    label = _numbers(x.labels, labels)[x.option_label]
    changed: dict[str, NDArray[Any]] = {"pred": distance, "option_label": label}
    for pointer, names in _LEVELS:
        pointers = getattr(x, pointer)
        out[pointer] = np.diff(pointers)[chosen]
        chosen = _members(pointers, chosen)
        out |= {name: changed.get(name, getattr(x, name))[chosen] for name in names}
    return out


def _numbers(names: tuple[str, ...], among: tuple[str, ...]) -> NDArray[np.int64]:
    """Where each name stands in another list."""
    place = {name: i for i, name in enumerate(among)}
    return np.array([place[name] for name in names], dtype=np.int64)


def _members(pointers: IntArray | NDArray[np.int32], chosen: IntArray) -> NDArray[np.int64]:
    """Numbers ``pointers[i]:pointers[i + 1]`` of every chosen i, one after the other."""
    count = np.diff(pointers)[chosen].astype(np.int64)
    before = np.cumsum(count) - count
    return np.arange(count.sum()) + np.repeat(pointers[chosen].astype(np.int64) - before, count)
