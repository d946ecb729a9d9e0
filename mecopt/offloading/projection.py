"""Compiled view of an online decision: what is committed, and what an option would cost.

A *committed state* is what a policy may know at time t: when each server unit is believed to be
free of work in service, and which stages still have to arrive where. `project` runs it forward
(believed times, no failures, nothing new) and lists, per resource, every committed stage with its
arrival and finish. `estimate` then prices one option of a new task: on each resource the new stage
waits for the FIFO finish of the committed stages that reach it no later; delay inflicted on others
is ignored.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mecopt.offloading.fifo import enqueue, free_for, occupy, serve, step
from mecopt.offloading.heap import pop, push
from mecopt.offloading.status import DROPPED, FAILED, NEVER


def entries_for(n_resources: int, room: int) -> tuple[NDArray[np.int64], ...]:
    """Empty lists of committed stages by resource, for `project`, with room for so many in all."""
    ends = (np.full(n_resources, -1, dtype=np.int64) for _ in range(2))
    return (*ends, *(np.empty(room, dtype=np.int64) for _ in range(3)))


@njit(cache=True)
def advance(arrays, service, choice, until, state, slots, status, completion):
    """Process all arrivals up to and including time `until` in the realised world."""
    free, epoch, heap_t, heap_s, size_box, waiting, ready = state
    arrival, start, finish, lost = slots
    size = size_box[0]
    while size > 0 and heap_t[0] <= until:
        t, s = heap_t[0], heap_s[0]
        size = pop(heap_t, heap_s, size)
        task = arrays.task_of_stage[s]
        o = arrays.option_ptr[task] + choice[task]
        base = arrays.slot_ptr[task] - arrays.stage_ptr[o]
        r = arrays.resource[s]
        begin, end, lost_at = serve(
            arrays.free_ptr, arrays.down_ptr, arrays.down_ns, free, epoch, t, r, service[s]
        )
        arrival[base + s] = t
        start[base + s] = begin
        finish[base + s] = end
        if lost_at < NEVER:
            status[task] = FAILED
            lost[task] = lost_at
            continue
        completion[task] = max(completion[task], end)
        for i in range(arrays.succ_ptr[s], arrays.succ_ptr[s + 1]):
            nxt = arrays.succ[i]
            waiting[base + nxt] -= 1
            ready[base + nxt] = max(ready[base + nxt], end)
            if waiting[base + nxt] == 0:
                size = push(heap_t, heap_s, size, ready[base + nxt], nxt)
    size_box[0] = size


@njit(cache=True)
def enter(arrays, choice, task, heap_t, heap_s, size, waiting, ready):
    """Push the source stages of a decided task; returns the new heap size."""
    o = arrays.option_ptr[task] + choice[task]
    base = arrays.slot_ptr[task] - arrays.stage_ptr[o]
    for s in range(arrays.stage_ptr[o], arrays.stage_ptr[o + 1]):
        waiting[base + s] = arrays.n_pred[s]
        ready[base + s] = 0
        if arrays.n_pred[s] == 0:
            size = push(heap_t, heap_s, size, arrays.release[task], s)
    return size


@njit(cache=True)
def believe(arrays, believed, choice, active, now, slots, free, heap_t, heap_s, waiting, ready):
    """Committed state at time `now` from what has been observed of the active tasks.

    A stage in service is believed to end at max(now, start + believed service); a queued one keeps
    its place; later stages follow their predecessors. Returns the heap size.
    """
    arrival, start, finish, lost = slots
    free[:] = 0
    size = 0
    for task in active:
        o = arrays.option_ptr[task] + choice[task]
        base = arrays.slot_ptr[task] - arrays.stage_ptr[o]
        first, last = arrays.stage_ptr[o], arrays.stage_ptr[o + 1]
        for s in range(first, last):
            waiting[base + s] = arrays.n_pred[s]
            ready[base + s] = 0
        for s in range(first, last):
            slot = base + s
            if start[slot] > now:
                continue
            end = finish[slot]
            if end > now:
                r = arrays.resource[s]
                end = max(now, start[slot] + believed[s])
                if arrays.free_ptr[r + 1] > arrays.free_ptr[r]:
                    occupy(free, arrays.free_ptr[r], arrays.free_ptr[r + 1], end)
            for i in range(arrays.succ_ptr[s], arrays.succ_ptr[s + 1]):
                nxt = base + arrays.succ[i]
                waiting[nxt] -= 1
                ready[nxt] = max(ready[nxt], end)
        for s in range(first, last):
            slot = base + s
            if start[slot] <= now or waiting[slot] > 0:
                continue
            if arrays.n_pred[s] == 0:
                size = push(heap_t, heap_s, size, arrays.release[task], s)
            elif arrival[slot] <= now:  # it waits in a queue and keeps its place
                size = push(heap_t, heap_s, size, arrival[slot], s)
            else:
                size = push(heap_t, heap_s, size, ready[slot], s)
    return size


@njit(cache=True)
def project(arrays, believed, choice, free, heap_t, heap_s, size, waiting, ready, entries):
    """Run the committed stages to the end; returns the number of entries written.

    `entries` are the lists of `mecopt.offloading.fifo.enqueue`. The arguments `free`, heap,
    `waiting` and `ready` are consumed.
    """
    entries[0][:] = -1
    n = 0
    while size > 0:
        t, s = heap_t[0], heap_s[0]
        size = pop(heap_t, heap_s, size)
        task = arrays.task_of_stage[s]
        o = arrays.option_ptr[task] + choice[task]
        base = arrays.slot_ptr[task] - arrays.stage_ptr[o]
        r = arrays.resource[s]
        lo, hi = arrays.free_ptr[r], arrays.free_ptr[r + 1]
        end = step(free, lo, hi, t, believed[s])
        if hi > lo:
            enqueue(entries, n, r, t, end)
            n += 1
        for i in range(arrays.succ_ptr[s], arrays.succ_ptr[s + 1]):
            nxt = base + arrays.succ[i]
            waiting[nxt] -= 1
            ready[nxt] = max(ready[nxt], end)
            if waiting[nxt] == 0:
                size = push(heap_t, heap_s, size, ready[nxt], arrays.succ[i])
    return n


@njit(cache=True)
def wait_free(free_ptr, r, t, free, entries, scratch):
    """When the resource is free for a stage that arrives at time t (FIFO)."""
    return free_for(free, free_ptr[r], free_ptr[r + 1], r, t, entries, scratch)


@njit(cache=True)
def estimate(arrays, believed, option, now, free, entries, up, scratch, ends):
    """Believed completion of a new task under one option; `NEVER` if a resource is down.

    `ends` is scratch for the finish of each stage. Stages of the task that share a resource with
    one server wait for each other in listed order.
    """
    first, last = arrays.stage_ptr[option], arrays.stage_ptr[option + 1]
    left = last - first
    for i in range(left):
        ends[i] = -1
    completion = now
    while left > 0:
        for s in range(first, last):
            if ends[s - first] >= 0:
                continue
            t = now
            known = True
            for i in range(arrays.pred_ptr[s], arrays.pred_ptr[s + 1]):
                end = ends[arrays.pred[i] - first]
                known = known and end >= 0
                t = max(t, end)
            if not known:
                continue
            r = arrays.resource[s]
            if not up[r]:
                return NEVER
            begin = max(t, wait_free(arrays.free_ptr, r, t, free, entries, scratch))
            if arrays.free_ptr[r + 1] - arrays.free_ptr[r] == 1:
                for p in range(first, last):
                    if ends[p - first] > begin and arrays.resource[p] == r:
                        begin = ends[p - first]
            ends[s - first] = begin + believed[s]
            completion = max(completion, ends[s - first])
            left -= 1
    return completion


@njit(cache=True)
def estimate_all(arrays, believed, task, now, free, entries, up, scratch, ends, out):
    """Believed completion of every option of a task, written to `out`."""
    for o in range(arrays.option_ptr[task], arrays.option_ptr[task + 1]):
        out[o - arrays.option_ptr[task]] = estimate(
            arrays, believed, o, now, free, entries, up, scratch, ends
        )


@njit(cache=True)
def backlogs(arrays, now, free, entries, scratch, out):
    """Wait at the back of every queue in s, all committed work included, written to `out`."""
    free_ptr = arrays.free_ptr
    for r in range(len(out)):
        when = now
        if free_ptr[r + 1] > free_ptr[r]:
            when = wait_free(free_ptr, r, NEVER, free, entries, scratch)
        out[r] = max(0, when - now) * 1e-9


@njit(cache=True)
def still_active(active, n, now, status, completion, lost):
    """Drop tasks that are over by `now` from the list; returns its new length."""
    keep = 0
    for i in range(n):
        k = active[i]
        over = status[k] == DROPPED
        over = over or (status[k] == FAILED and lost[k] <= now)
        over = over or (status[k] != FAILED and completion[k] <= now)
        if not over:
            active[keep] = k
            keep += 1
    return keep
