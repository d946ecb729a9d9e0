"""An instance and its sampled futures as the compiled rollouts read them, and their working memory.

Only stages with several predecessors (joins) need a count of what they wait for, and only tasks
with several last stages (sinks) need a count of what is left; chains pay for neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.arrays import Arrays
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.projection import entries_for
from mecopt.offloading.units import INFINITE_NS, UNLIMITED

#: Least cost in ns that stands for a forbidden drop: sums of doubles stay exact at this size.
_FORBIDDEN_NS = 1e15


class World(NamedTuple):
    """An instance and its sampled futures in one numbering, the instance first."""

    arrays: Arrays
    believed: NDArray[np.int64]  # (S,)
    option_of_stage: NDArray[np.int32]  # (S,)
    join: NDArray[np.int32]  # (S,) number of the join, -1 for other stages
    joins: NDArray[np.int32]  # (J,) their stages
    join_ptr: NDArray[np.int32]  # (O + 1,) joins of each option
    sinks: NDArray[np.int32]  # (O,) last stages per option
    simple: NDArray[np.bool_]  # (O,) chains in listed order
    deadline: NDArray[np.int64]  # (K,)
    drop: NDArray[np.float64]  # (K,) ns
    weight: NDArray[np.float64]  # (K,)
    fixed: NDArray[np.float64]  # (O,) ns


def combine(instances: Sequence[OffloadingInstance]) -> World:
    """Lay instances over the same resources out in one numbering.

    Stage, option, task and slot numbers of the first instance stay as they are.
    """
    first = instances[0]
    parts = [x.arrays for x in instances]

    def joined(name: str, offset: str | None = None, pointer: bool = False) -> NDArray:
        out, base = [], 0
        for p in parts:
            array = getattr(p, name)
            out.append((array[:-1] if pointer else array) + base)
            if pointer:
                base += int(array[-1])
            elif offset is not None:
                base += len(getattr(p, offset))
        if pointer:
            out.append(np.array([base]))
        return np.concatenate(out).astype(getattr(parts[0], name).dtype)

    resource = joined("resource")
    uses = np.bincount(resource, minlength=first.n_resources)
    units = np.where(
        first.capacity == UNLIMITED, 0, np.minimum(first.capacity, np.maximum(uses, 1))
    )
    arrays = Arrays(
        free_ptr=np.concatenate([[0], np.cumsum(units)]).astype(np.int32),
        down_ptr=np.zeros(first.n_resources + 1, dtype=np.int32),
        down_ns=np.empty((0, 2), dtype=np.int64),
        release=joined("release"),
        option_ptr=joined("option_ptr", pointer=True),
        stage_ptr=joined("stage_ptr", pointer=True),
        resource=resource,
        n_pred=joined("n_pred"),
        pred_ptr=joined("pred_ptr", pointer=True),
        pred=joined("pred", "resource"),
        succ_ptr=joined("succ_ptr", pointer=True),
        succ=joined("succ", "resource"),
        task_of_stage=joined("task_of_stage", "release"),
        slot_ptr=joined("slot_ptr", pointer=True),
    )
    n_stages, n_options = len(resource), len(arrays.stage_ptr) - 1
    option_of_stage = np.repeat(np.arange(n_options), np.diff(arrays.stage_ptr)).astype(np.int32)
    joins = np.flatnonzero(arrays.n_pred > 1).astype(np.int32)
    join = np.full(n_stages, -1, dtype=np.int32)
    join[joins] = np.arange(len(joins))
    is_sink = np.diff(arrays.succ_ptr) == 0
    position = np.arange(n_stages) - arrays.stage_ptr[option_of_stage]
    linked = arrays.n_pred == (position > 0)
    follower = np.flatnonzero(linked & (position > 0))
    linked[follower] = arrays.pred[arrays.pred_ptr[follower]] == follower - 1
    drop = np.concatenate([x.drop_cost_ns for x in instances])
    return World(
        arrays=arrays,
        believed=np.concatenate([x.believed_ns for x in instances]),
        option_of_stage=option_of_stage,
        join=join,
        joins=joins,
        join_ptr=np.searchsorted(joins, arrays.stage_ptr).astype(np.int32),
        sinks=np.bincount(option_of_stage, is_sink, n_options).astype(np.int32),
        simple=np.bincount(option_of_stage, ~linked, n_options) == 0,
        deadline=np.concatenate([x.deadline_ns for x in instances]),
        drop=np.where(drop < INFINITE_NS, drop, forbidden_ns(instances)).astype(np.float64),
        weight=np.concatenate([x.latency_weight for x in instances]),
        fixed=np.concatenate([x.fixed_cost_ns for x in instances]).astype(np.float64),
    )


def forbidden_ns(instances: Sequence[OffloadingInstance]) -> float:
    """Cost in ns that stands for a forbidden drop: more than all else in two instances together."""
    most = 0.0
    for x in instances:
        span = np.add.reduceat(x.believed_ns, x.stage_ptr[:-1]).astype(np.float64)
        longest = np.maximum.reduceat(span, x.option_ptr[:-1])
        fixed = np.maximum.reduceat(np.abs(x.fixed_cost_ns), x.option_ptr[:-1])
        latency = np.minimum(x.deadline_ns, 2.0 * longest.sum() + float(x.release_ns[-1]))
        drop = np.where(x.drop_cost_ns < INFINITE_NS, x.drop_cost_ns, 0)
        most = max(most, float(np.maximum(drop, x.latency_weight * latency + fixed).sum()))
    return max(_FORBIDDEN_NS, 4.0 * most)


class Scratch(NamedTuple):
    """Working memory of a rollout: committed state, the run's copy, and the projection's copy."""

    free: NDArray[np.int64]  # (3, units)
    heap_t: NDArray[np.int64]  # (3, room)
    heap_s: NDArray[np.int32]  # (3, room)
    join_left: NDArray[np.int32]  # (3, J)
    join_ready: NDArray[np.int64]  # (3, J)
    live: NDArray[np.int64]  # (room,) options whose joins are in use
    sinks_left: NDArray[np.int32]  # (2, K)
    latest: NDArray[np.int64]  # (2, K)
    slot_waiting: NDArray[np.int32]  # (slots,)
    slot_ready: NDArray[np.int64]  # (slots,)
    entries: tuple[NDArray[np.int64], ...]
    units: NDArray[np.int64]
    ends: NDArray[np.int64]


def scratch(world: World, room: int) -> Scratch:
    """Working memory for at most `room` committed stages at once."""
    a = world.arrays
    n_tasks, n_resources = len(a.release), len(a.free_ptr) - 1
    units, joins, slots = int(a.free_ptr[-1]), len(world.joins), int(a.slot_ptr[-1])
    return Scratch(
        free=np.zeros((3, units), dtype=np.int64),
        heap_t=np.empty((3, room), dtype=np.int64),
        heap_s=np.empty((3, room), dtype=np.int32),
        join_left=np.zeros((3, joins), dtype=np.int32),
        join_ready=np.zeros((3, joins), dtype=np.int64),
        live=np.empty(room, dtype=np.int64),
        sinks_left=np.zeros((2, n_tasks), dtype=np.int32),
        latest=np.zeros((2, n_tasks), dtype=np.int64),
        slot_waiting=np.zeros(slots, dtype=np.int32),
        slot_ready=np.zeros(slots, dtype=np.int64),
        entries=entries_for(n_resources, room),
        units=np.empty(int(np.diff(a.free_ptr).max(initial=1)), dtype=np.int64),
        ends=np.empty(int(np.diff(a.stage_ptr).max()), dtype=np.int64),
    )
