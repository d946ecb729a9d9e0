"""Compiled rollouts of sampled futures: what each option of a task does to everybody's cost.

`play` commits one option of the released task to the believed state, then lets the tasks of one
sampled future arrive; each of them is served by the one-step oracle that may drop, which projects
the committed work to its end and takes the cheapest option (`mecopt.offloading.projection` has the
same projection for one decision). Work that no decision can change any more (last stages in
service) costs the same under every option and is left out of the sum.

Only stages with several predecessors (joins) need a count of what they wait for, and only tasks
with several last stages (sinks) need a count of what is left; chains pay for neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mecopt.offloading.arrays import Arrays
from mecopt.offloading.fifo import enqueue, free_for, step
from mecopt.offloading.heap import pop, push
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.projection import believe, entries_for, estimate
from mecopt.offloading.status import NEVER
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
        sinks_left=np.zeros((2, n_tasks), dtype=np.int32),
        latest=np.zeros((2, n_tasks), dtype=np.int64),
        slot_waiting=np.zeros(slots, dtype=np.int32),
        slot_ready=np.zeros(slots, dtype=np.int64),
        entries=entries_for(n_resources, room),
        units=np.empty(int(np.diff(a.free_ptr).max(initial=1)), dtype=np.int64),
        ends=np.empty(int(np.diff(a.stage_ptr).max()), dtype=np.int64),
    )


@njit(cache=True)
def committed(world, memory, choice, active, now, times):
    """Write the believed committed state at `now` to row 0 of the scratch; returns heap size."""
    arrays = world.arrays
    option_ptr, stage_ptr, succ_ptr = arrays.option_ptr, arrays.stage_ptr, arrays.succ_ptr
    slot_ptr = arrays.slot_ptr
    join, believed = world.join, world.believed
    join_left, join_ready = memory.join_left, memory.join_ready
    sinks_left, latest = memory.sinks_left, memory.latest
    waiting, ready = memory.slot_waiting, memory.slot_ready
    start, finish = times[1], times[2]
    size = believe(
        arrays,
        believed,
        choice,
        active,
        now,
        times,
        memory.free[0],
        memory.heap_t[0],
        memory.heap_s[0],
        waiting,
        ready,
    )
    for k in active:
        o = option_ptr[k] + choice[k]
        base = slot_ptr[k] - stage_ptr[o]
        sinks_left[0, k] = 0
        latest[0, k] = 0
        for s in range(stage_ptr[o], stage_ptr[o + 1]):
            slot = base + s
            if join[s] >= 0:
                join_left[0, join[s]] = waiting[slot]
                join_ready[0, join[s]] = ready[slot]
            if succ_ptr[s] == succ_ptr[s + 1]:
                if start[slot] > now:
                    sinks_left[0, k] += 1
                else:
                    end = finish[slot]
                    if end > now:
                        end = max(now, start[slot] + believed[s])
                    latest[0, k] = max(latest[0, k], end)
    return size


# The phases of `play` are compiled into it, and without reference counts (`_nrt=False`): they only
# borrow arrays and make none, and counting who holds an array would cost more than the work itself
# (measured: three times as long). A phase never calls for anything that allocates.
@njit(cache=True, inline="always")
def _copy(memory, source, target, size):
    """Copy units, heap and joins of one row of the working memory to another."""
    free, heap_t, heap_s, left, ready = memory[:5]
    for i in range(free.shape[1]):
        free[target, i] = free[source, i]
    for i in range(size):
        heap_t[target, i] = heap_t[source, i]
        heap_s[target, i] = heap_s[source, i]
    for j in range(left.shape[1]):
        left[target, j] = left[source, j]
        ready[target, j] = ready[source, j]


@njit(cache=True, inline="always")
def _commit(world, memory, size, k, option, now):
    """Let the first stages of an option of task k arrive now; returns the new heap size."""
    stage_ptr, n_pred, join = world.arrays.stage_ptr, world.arrays.n_pred, world.join
    memory.sinks_left[1, k] = world.sinks[option]
    memory.latest[1, k] = 0
    for s in range(stage_ptr[option], stage_ptr[option + 1]):
        if n_pred[s] == 0:
            size = push(memory.heap_t[1], memory.heap_s[1], size, now, s)
        elif join[s] >= 0:
            memory.join_left[1, join[s]] = n_pred[s]
            memory.join_ready[1, join[s]] = 0
    return size


@njit(cache=True, inline="always")
def _follow(world, memory, row, size, s, end):
    """Let the stages after s arrive, s having finished at `end`; returns the new heap size."""
    succ_ptr, succ, join = world.arrays.succ_ptr, world.arrays.succ, world.join
    left, ready = memory.join_left[row], memory.join_ready[row]
    for i in range(succ_ptr[s], succ_ptr[s + 1]):
        begin = end
        j = join[succ[i]]
        if j >= 0:
            left[j] -= 1
            ready[j] = max(ready[j], end)
            if left[j] > 0:
                continue
            begin = ready[j]
        size = push(memory.heap_t[row], memory.heap_s[row], size, begin, succ[i])
    return size


@njit(cache=True, inline="always")
def _settle(world, memory, s, end, total):
    """`total` with the cost (ns) of the task of stage s, if s was the last stage it waited for."""
    k = world.arrays.task_of_stage[s]
    sinks_left, latest = memory.sinks_left[1], memory.latest[1]
    sinks_left[k] -= 1
    latest[k] = max(latest[k], end)
    if sinks_left[k] == 0:
        latency = latest[k] - world.arrays.release[k]
        if latency <= world.deadline[k]:
            total += world.weight[k] * latency + world.fixed[world.option_of_stage[s]]
        else:
            total += world.drop[k]
    return total


@njit(cache=True, inline="always")
def _serve(world, memory, size, until, total):
    """Serve every arrival up to a moment, that moment included.

    Returns the new heap size, and `total` with the costs (ns) of the tasks that finished.
    """
    free_ptr, resource = world.arrays.free_ptr, world.arrays.resource
    succ_ptr = world.arrays.succ_ptr
    free, heap_t, heap_s = memory.free[1], memory.heap_t[1], memory.heap_s[1]
    while size > 0 and heap_t[0] <= until:
        t, s = heap_t[0], heap_s[0]
        size = pop(heap_t, heap_s, size)
        r = resource[s]
        end = step(free, free_ptr[r], free_ptr[r + 1], t, world.believed[s])
        if succ_ptr[s] == succ_ptr[s + 1]:
            total = _settle(world, memory, s, end, total)
        size = _follow(world, memory, 1, size, s, end)
    return size, total


@njit(cache=True, inline="always")
def _project(world, memory, size):
    """Run a copy of the committed work to its end, and list arrivals and finishes by resource."""
    free_ptr, resource = world.arrays.free_ptr, world.arrays.resource
    free, heap_t, heap_s = memory.free[2], memory.heap_t[2], memory.heap_s[2]
    head = memory.entries[0]
    _copy(memory, 1, 2, size)
    for r in range(len(head)):
        head[r] = -1
    n = 0
    while size > 0:
        t, s = heap_t[0], heap_s[0]
        size = pop(heap_t, heap_s, size)
        r = resource[s]
        lo, hi = free_ptr[r], free_ptr[r + 1]
        end = step(free, lo, hi, t, world.believed[s])
        if hi > lo:
            enqueue(memory.entries, n, r, t, end)
            n += 1
        size = _follow(world, memory, 2, size, s, end)


@njit(cache=True, inline="always")
def _chain_end(world, memory, up, option, now):
    """What `estimate` says of a chain in listed order."""
    free_ptr, stage_ptr = world.arrays.free_ptr, world.arrays.stage_ptr
    end = now
    for s in range(stage_ptr[option], stage_ptr[option + 1]):
        r = world.arrays.resource[s]
        if not up[r]:
            end = NEVER
            break
        lo, hi = free_ptr[r], free_ptr[r + 1]
        free_at = free_for(memory.free[1], lo, hi, r, end, memory.entries, memory.units)
        end = max(end, free_at) + world.believed[s]
    return end


@njit(cache=True, inline="always")
def _cheapest(world, memory, up, k, now):
    """The one-step oracle that may drop: the cheapest option on time, ties to the first; or -1."""
    arrays, believed, entries = world.arrays, world.believed, memory.entries
    free, units, ends = memory.free[1], memory.units, memory.ends
    best, chosen = world.drop[k], -1
    for option in range(arrays.option_ptr[k], arrays.option_ptr[k + 1]):
        if world.simple[option]:
            end = _chain_end(world, memory, up, option, now)
        else:
            end = estimate(arrays, believed, option, now, free, entries, up, units, ends)
        if end < NEVER and end - now <= world.deadline[k]:  # without a deadline never is not late
            cost = world.weight[k] * (end - now) + world.fixed[option]
            if cost < best or (cost == best and chosen < 0):
                best, chosen = cost, option
    return chosen


@njit(cache=True, _nrt=False)
def play(world, memory, size, active, up, task, option, now, first, last):
    """Cost in ns of one option of `task` (-1 drops it) and of future tasks first..last-1.

    Counts the task, the future tasks and the committed tasks whose completion is still open.
    """
    _copy(memory, 0, 1, size)
    for k in active:
        memory.sinks_left[1, k] = memory.sinks_left[0, k]
        memory.latest[1, k] = memory.latest[0, k]
    total = 0.0
    k, t = task, now  # the task decided, and when
    ahead = first
    while True:
        if option < 0:
            total += world.drop[k]
        else:
            size = _commit(world, memory, size, k, option, t)
        until = world.arrays.release[ahead] if ahead < last else NEVER
        size, total = _serve(world, memory, size, until, total)
        if ahead >= last:
            return total
        k, t = ahead, until
        ahead += 1
        _project(world, memory, size)
        option = _cheapest(world, memory, up, k, t)


@njit(cache=True)
def candidate_costs(world, memory, choice, active, up, times, task, now, first, last, out):
    """Mean cost in s over the futures of every option of a task, and of dropping it (last entry).

    Parameters
    ----------
    world : World
    memory : Scratch
    choice : (K,) int64
        Decisions so far.
    active : (n,) int64
        Committed tasks that are not over.
    up : (R,) bool
    times : tuple of arrays
        What has been observed of the active tasks (`Observation.times`).
    task, now : int
    first, last : (J,) int64
        Tasks ``first[j]:last[j]`` are those of future j within the horizon.
    out : (n options + 1,) float64, written
        Equal futures for every entry; only differences mean anything.
    """
    option_ptr = world.arrays.option_ptr
    size = committed(world, memory, choice, active, now, times)
    base = option_ptr[task]
    n_options = option_ptr[task + 1] - base
    for i in range(n_options + 1):
        option = -1 if i == n_options else base + i
        total = 0.0
        for j in range(len(first)):
            total += play(world, memory, size, active, up, task, option, now, first[j], last[j])
        out[i] = total * 1e-9 / len(first)
