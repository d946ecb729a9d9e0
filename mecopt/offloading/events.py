"""The event form of the replay: siblings of a failed stage are cancelled."""

from __future__ import annotations

import numpy as np
from numba import njit

from mecopt.offloading.heap import pop, push
from mecopt.offloading.status import DROPPED, FAILED, NEVER, ON_TIME

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
