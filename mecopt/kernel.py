"""Compiled FIFO kernels: replay of a complete decision, and the events form for cancellations.

Arrays in, arrays out; times are integer nanoseconds. Stages are processed in the order
(arrival, task, stage). Without cancellations a stage's start is known when it arrives (Lindley's
recursion over ``capacity`` free times), so only the arrivals of later stages need a heap. DAG
options with down intervals can cancel queued siblings; those instances use `replay_events`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mecopt.offloading import OffloadingInstance

ON_TIME, LATE, DROPPED, FAILED = 0, 1, 2, 3
NEVER = 2**62


class Arrays(NamedTuple):
    """What the kernels read of an instance, with successors and slots worked out.

    Slots number the stages a task can have at once: task k owns
    ``slot_ptr[k]:slot_ptr[k + 1]``; stage s of its chosen option o sits at
    ``slot_ptr[k] + s - stage_ptr[o]``.
    """

    free_ptr: NDArray[np.int32]  # (R + 1,) units per resource; none when unlimited
    down_ptr: NDArray[np.int32]
    down_ns: NDArray[np.int64]
    release: NDArray[np.int64]
    option_ptr: NDArray[np.int32]
    stage_ptr: NDArray[np.int32]
    resource: NDArray[np.int32]
    n_pred: NDArray[np.int32]
    pred_ptr: NDArray[np.int32]
    pred: NDArray[np.int32]
    succ_ptr: NDArray[np.int32]
    succ: NDArray[np.int32]
    task_of_stage: NDArray[np.int32]
    slot_ptr: NDArray[np.int32]


def kernel_arrays(instance: OffloadingInstance) -> Arrays:
    """Derive the kernel's arrays from an instance."""
    from mecopt.offloading import UNLIMITED

    n_stages = len(instance.service_ns)
    child = np.repeat(np.arange(n_stages), np.diff(instance.pred_ptr))
    order = np.argsort(instance.pred, kind="stable")
    succ_count = np.bincount(instance.pred, minlength=n_stages)
    uses = np.bincount(instance.stage_resource, minlength=instance.n_resources)
    units = np.where(
        instance.capacity == UNLIMITED, 0, np.minimum(instance.capacity, np.maximum(uses, 1))
    )
    stages = np.diff(instance.stage_ptr)
    width = np.zeros(instance.n_tasks, dtype=np.int64)
    np.maximum.at(width, instance.task_of_option, stages)

    def ptr(counts: NDArray[np.int64]) -> NDArray[np.int32]:
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    return Arrays(
        free_ptr=ptr(units),
        down_ptr=instance.down_ptr,
        down_ns=instance.down_ns,
        release=instance.release_ns,
        option_ptr=instance.option_ptr,
        stage_ptr=instance.stage_ptr,
        resource=instance.stage_resource,
        n_pred=np.diff(instance.pred_ptr).astype(np.int32),
        pred_ptr=instance.pred_ptr,
        pred=instance.pred,
        succ_ptr=ptr(succ_count),
        succ=child[order].astype(np.int32),
        task_of_stage=instance.task_of_option[instance.option_of_stage].astype(np.int32),
        slot_ptr=ptr(width),
    )


# ------------------------------------------------------------------------------ heap of arrivals
@njit(cache=True, inline="always")
def push(heap_t, heap_s, size, t, s):
    """Insert the arrival of stage s at time t; returns the new size."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if heap_t[parent] < t or (heap_t[parent] == t and heap_s[parent] < s):
            break
        heap_t[i] = heap_t[parent]
        heap_s[i] = heap_s[parent]
        i = parent
    heap_t[i] = t
    heap_s[i] = s
    return size + 1


@njit(cache=True, inline="always")
def pop(heap_t, heap_s, size):
    """Remove the root (the caller has read it); returns the new size."""
    size -= 1
    t = heap_t[size]
    s = heap_s[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            heap_t[right] < heap_t[child]
            or (heap_t[right] == heap_t[child] and heap_s[right] < heap_s[child])
        ):
            child = right
        if t < heap_t[child] or (t == heap_t[child] and s <= heap_s[child]):
            break
        heap_t[i] = heap_t[child]
        heap_s[i] = heap_s[child]
        i = child
    heap_t[i] = t
    heap_s[i] = s
    return size


@njit(cache=True, inline="always")
def occupy(free, lo, hi, finish):
    """Give the unit that is free first (the root of a min-heap) a new free time."""
    n = hi - lo
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and free[lo + child + 1] < free[lo + child]:
            child += 1
        if finish <= free[lo + child]:
            break
        free[lo + i] = free[lo + child]
        i = child
    free[lo + i] = finish


@njit(cache=True)
def serve(free_ptr, down_ptr, down_ns, free, epoch, t, r, service):
    """A stage with `service` ns arrives at resource r at time t: (start, finish, lost_at).

    `lost_at` is NEVER if it succeeds; a stage lost before it starts has start = NEVER.
    """
    lo, hi = free_ptr[r], free_ptr[r + 1]
    down = NEVER
    if down_ptr[r] < down_ptr[r + 1]:
        e = epoch[r]
        while e < down_ptr[r + 1] and t >= down_ns[e, 1]:
            e += 1
            for i in range(lo, hi):  # whatever was queued or in service is gone
                free[i] = 0
        epoch[r] = e
        if e < down_ptr[r + 1]:
            down = down_ns[e, 0]
            if t >= down:
                return NEVER, NEVER, t
    start = t
    if hi > lo and free[lo] > t:
        start = free[lo]
    finish = start + service
    if hi > lo:
        occupy(free, lo, hi, finish)
    if finish > down:
        if start >= down:
            start = NEVER
        return start, NEVER, down
    return start, finish, NEVER


@njit(cache=True)
def replay_lindley(arrays, service, choice, arrival, start, finish, completion, status):
    """Replay a complete decision without cancellations.

    Parameters
    ----------
    arrays : Arrays
    service : (S,) int64
        Service times to use (realised or believed), ns.
    choice : (K,) int64
        Option index of each task within its options, or -1.
    arrival, start, finish : (slots,) int64, written
        Times of the chosen stages, ns; `NEVER` where the stage never got there.
    completion : (K,) int64, written
        Completion time, ns; `NEVER` for dropped and failed tasks.
    status : (K,) int8, written
        0 finished, 2 dropped, 3 failed (lateness is judged by the caller).
    """
    # Unpacked once: attribute access on the tuple inside the loop costs reference counting.
    free_ptr, down_ptr, down_ns, release, option_ptr, stage_ptr, resource = arrays[:7]
    n_pred, pred_ptr, pred, succ_ptr, succ, task_of_stage, slot_ptr = arrays[7:]
    n_tasks = len(release)
    free = np.zeros(free_ptr[-1], dtype=np.int64)
    epoch = down_ptr[:-1].copy()
    heap_t = np.empty(len(arrival) + 1, dtype=np.int64)
    heap_s = np.empty(len(arrival) + 1, dtype=np.int32)
    waiting = np.empty(len(arrival), dtype=np.int32)
    arrival[:] = NEVER
    start[:] = NEVER
    finish[:] = NEVER
    size = 0
    k = 0
    while k < n_tasks or size > 0:
        # An arrival due at the instant of a release comes first: its task has a smaller index.
        if k < n_tasks and (
            size == 0
            or release[k] < heap_t[0]
            or (release[k] == heap_t[0] and task_of_stage[heap_s[0]] > k)
        ):
            t = release[k]
            c = choice[k]
            k += 1
            if c < 0:
                status[k - 1] = DROPPED
                completion[k - 1] = NEVER
                continue
            status[k - 1] = ON_TIME
            completion[k - 1] = 0
            o = option_ptr[k - 1] + c
            base = slot_ptr[k - 1] - stage_ptr[o]
            s = -1  # the first source is next; only the others have to wait in the heap
            for i in range(stage_ptr[o], stage_ptr[o + 1]):
                if n_pred[i] > 1:
                    waiting[base + i] = n_pred[i]
                elif n_pred[i] == 0:
                    if s < 0:
                        s = i
                    else:
                        size = push(heap_t, heap_s, size, t, i)
        else:
            t = heap_t[0]
            s = heap_s[0]
            size = pop(heap_t, heap_s, size)
        task = task_of_stage[s]
        o = option_ptr[task] + choice[task]
        base = slot_ptr[task] - stage_ptr[o]
        r = resource[s]
        lost_at = NEVER
        if free_ptr[r + 1] - free_ptr[r] == 1 and down_ptr[r] == down_ptr[r + 1]:
            begin = max(t, free[free_ptr[r]])  # the common case: one server that never fails
            end = begin + service[s]
            free[free_ptr[r]] = end
        else:
            begin, end, lost_at = serve(free_ptr, down_ptr, down_ns, free, epoch, t, r, service[s])
        arrival[base + s] = t
        start[base + s] = begin
        finish[base + s] = end
        if lost_at < NEVER:
            status[task] = FAILED
            completion[task] = NEVER
            continue
        if end > completion[task]:
            completion[task] = end
        for i in range(succ_ptr[s], succ_ptr[s + 1]):
            nxt = succ[i]
            ready = end
            if n_pred[nxt] > 1:
                waiting[base + nxt] -= 1
                if waiting[base + nxt] > 0:
                    continue
                for j in range(pred_ptr[nxt], pred_ptr[nxt + 1]):
                    ready = max(ready, finish[base + pred[j]])
            size = push(heap_t, heap_s, size, ready, nxt)


# ------------------------------------------------------------------------------ event form
_COMPLETION, _DOWN, _REPAIR, _ARRIVAL, _RELEASE = 0, 1, 2, 3, 4
_IDLE, _QUEUED, _SERVICE, _DONE, _GONE = 0, 1, 2, 3, 4
_SHIFT = 2**40


@njit(cache=True)
def replay_events(arrays, service, choice, until, arrival, start, finish, completion, status):
    """Replay with explicit queues: the same contract as `replay_lindley`, with cancellations.

    Events at equal times: completions, down starts, repairs, arrivals, releases. When a task
    fails, its queued stages leave their queues; its running stages finish. Nothing later than
    `until` (ns) is processed.
    """
    n_tasks, n_resources = len(arrays.release), len(arrays.free_ptr) - 1
    n_slots = len(arrival)
    room = n_tasks + 2 * n_slots + 2 * len(arrays.down_ns) + 1
    heap_t = np.empty(room, dtype=np.int64)
    heap_s = np.empty(room, dtype=np.int64)
    stage_at = np.full(n_slots, -1, dtype=np.int64)
    waiting = np.zeros(n_slots, dtype=np.int32)
    state = np.zeros(n_slots, dtype=np.int8)
    link = np.full(n_slots, -1, dtype=np.int64)
    head = np.full(n_resources, -1, dtype=np.int64)
    tail = np.full(n_resources, -1, dtype=np.int64)
    busy = np.zeros(n_resources, dtype=np.int64)
    up = np.ones(n_resources, dtype=np.bool_)
    unfinished = np.zeros(n_tasks, dtype=np.int32)
    arrival[:] = NEVER
    start[:] = NEVER
    finish[:] = NEVER
    completion[:] = NEVER
    size = 0
    for k in range(n_tasks):
        size = push(heap_t, heap_s, size, arrays.release[k], _RELEASE * _SHIFT + k)
    for r in range(n_resources):
        for e in range(arrays.down_ptr[r], arrays.down_ptr[r + 1]):
            size = push(heap_t, heap_s, size, arrays.down_ns[e, 0], _DOWN * _SHIFT + r)
            size = push(heap_t, heap_s, size, arrays.down_ns[e, 1], _REPAIR * _SHIFT + r)
    while size > 0 and heap_t[0] <= until:
        t = heap_t[0]
        kind = heap_s[0] // _SHIFT
        item = heap_s[0] % _SHIFT
        size = pop(heap_t, heap_s, size)
        r = -1  # resource to dispatch afterwards
        if kind == _RELEASE:
            if choice[item] < 0:
                status[item] = DROPPED
                continue
            status[item] = ON_TIME
            o = arrays.option_ptr[item] + choice[item]
            base = arrays.slot_ptr[item] - arrays.stage_ptr[o]
            unfinished[item] = arrays.stage_ptr[o + 1] - arrays.stage_ptr[o]
            for s in range(arrays.stage_ptr[o], arrays.stage_ptr[o + 1]):
                stage_at[base + s] = s
                waiting[base + s] = arrays.n_pred[s]
                if arrays.n_pred[s] == 0:
                    size = push(heap_t, heap_s, size, t, _ARRIVAL * _SHIFT + s)
        elif kind == _REPAIR:
            up[item] = True
        elif kind == _DOWN:
            up[item] = False
            busy[item] = 0
            head[item] = -1
            for slot in range(n_slots):
                s = stage_at[slot]
                here = s >= 0 and arrays.resource[s] == item
                if here and (state[slot] == _QUEUED or state[slot] == _SERVICE):
                    state[slot] = _GONE
                    _fail(arrays, arrays.task_of_stage[s], status, state)
        else:
            task = arrays.task_of_stage[item]
            o = arrays.option_ptr[task] + choice[task]
            base = arrays.slot_ptr[task] - arrays.stage_ptr[o]
            slot = base + item
            if kind == _COMPLETION:
                if state[slot] != _SERVICE or start[slot] + service[item] != t:
                    continue
                state[slot] = _DONE
                finish[slot] = t
                r = arrays.resource[item]
                busy[r] -= 1
                unfinished[task] -= 1
                if unfinished[task] == 0:
                    completion[task] = t
                for i in range(arrays.succ_ptr[item], arrays.succ_ptr[item + 1]):
                    nxt = arrays.succ[i]
                    waiting[base + nxt] -= 1
                    if waiting[base + nxt] == 0 and status[task] != FAILED:
                        size = push(heap_t, heap_s, size, t, _ARRIVAL * _SHIFT + nxt)
            elif status[task] != FAILED:
                r = arrays.resource[item]
                arrival[slot] = t
                if not up[r]:
                    state[slot] = _GONE
                    _fail(arrays, task, status, state)
                    continue
                state[slot] = _QUEUED
                link[slot] = -1
                if head[r] < 0:
                    head[r] = slot
                else:
                    link[tail[r]] = slot
                tail[r] = slot
        if r < 0:
            continue
        units = arrays.free_ptr[r + 1] - arrays.free_ptr[r]
        while head[r] >= 0 and (units == 0 or busy[r] < units):
            slot = head[r]
            head[r] = link[slot]
            if state[slot] != _QUEUED:
                continue
            state[slot] = _SERVICE
            start[slot] = t
            busy[r] += 1
            s = stage_at[slot]
            size = push(heap_t, heap_s, size, t + service[s], _COMPLETION * _SHIFT + s)


@njit(cache=True)
def _fail(arrays, task, status, state):
    """Mark a task failed and cancel its stages that have not started."""
    status[task] = FAILED
    for slot in range(arrays.slot_ptr[task], arrays.slot_ptr[task + 1]):
        if state[slot] == _IDLE or state[slot] == _QUEUED:
            state[slot] = _GONE
