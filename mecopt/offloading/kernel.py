"""Compiled replay of a complete decision.

Arrays in, arrays out; times are integer nanoseconds. Stages are processed in the order
(arrival, task, stage). Without cancellations a stage's start is known when it arrives
(`mecopt.offloading.fifo`), so only the arrivals of later stages need a heap. DAG options with down
intervals can cancel queued siblings; those instances use `mecopt.offloading.events`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mecopt.offloading.fifo import serve, step
from mecopt.offloading.heap import pop, push
from mecopt.offloading.status import DROPPED, FAILED, NEVER, ON_TIME


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
        if down_ptr[r] == down_ptr[r + 1]:  # the common case, without a call: it never fails
            takes = service[s]
            end = step(free, free_ptr[r], free_ptr[r + 1], t, takes)
            begin = end - takes
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
