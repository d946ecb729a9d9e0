"""Moves of the local search, compiled: change one task's option and replay only what it touches.

Each resource keeps its jobs sorted by (arrival, task, stage). Changing one task's option removes
and inserts its jobs; only jobs whose start can change are recomputed, in order of arrival: a
changed finish can touch only jobs that arrive before the later of its old and new value. A
rejected move is undone from a log.

A task that is with a resource when that goes down, or arrives while it is down, costs as much as
its drop. Here it keeps its place all the same, where in truth it would be gone; once it is dropped
costs are exact.

A drop that is forbidden has infinite cost. Such tasks are counted apart from the sum of the finite
costs, so that fewer of them are better whatever anything costs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mecopt.offloading.fifo import occupy
from mecopt.offloading.heap import pop, push

#: Stage of a slot whose task does not run, or has fewer stages.
ABSENT = -1


@njit(cache=True, inline="always")
def _find(jobs, lo, n, arrival, stage_of, t, s):
    """Position of the first job of a resource that is not before (t, s)."""
    a, b = lo, lo + n
    while a < b:
        mid = (a + b) >> 1
        other = jobs[mid]
        if arrival[other] < t or (arrival[other] == t and stage_of[other] < s):
            a = mid + 1
        else:
            b = mid
    return a


@njit(cache=True, inline="always")
def _insert(jobs, length, lo, r, arrival, stage_of, slot):
    """Put a slot in its place in the queue of resource r."""
    n = length[r]
    at = _find(jobs, lo, n, arrival, stage_of, arrival[slot], stage_of[slot])
    for q in range(lo + n, at, -1):
        jobs[q] = jobs[q - 1]
    jobs[at] = slot
    length[r] = n + 1


@njit(cache=True, inline="always")
def _remove(jobs, length, lo, r, arrival, stage_of, slot):
    """Take a slot out of the queue of resource r; returns the position it had."""
    n = length[r]
    at = _find(jobs, lo, n, arrival, stage_of, arrival[slot], stage_of[slot])
    for q in range(at, lo + n - 1):
        jobs[q] = jobs[q + 1]
    length[r] = n - 1
    return at


@njit(cache=True, inline="always")
def _note(log, n, kind, a, b, c):
    """Append to the undo log."""
    log[n, 0], log[n, 1], log[n, 2], log[n, 3] = kind, a, b, c
    return n + 1


@njit(cache=True, inline="always")
def _mark(dirty, heap_t, heap_s, size, arrival, slot, until):
    """Ask for a job to be recomputed, and those behind it that arrive before `until`."""
    if dirty[slot] < 0:
        size = push(heap_t, heap_s, size, arrival[slot], slot)
    dirty[slot] = max(dirty[slot], until)
    return size


@njit(cache=True, inline="always")
def _unit_free(jobs, lo, at, c, a, start, finish, longest, top):
    """When a unit is free for the job at a position that arrives at time a.

    The free times of c units are the c largest finishes of the jobs before (`top` keeps those
    after a, as the heap of `mecopt.offloading.fifo`); FIFO starts never decrease, so the walk back
    ends where even the longest service is over.
    """
    for i in range(c):
        top[i] = a
    q = at - 1
    while q >= lo and start[jobs[q]] + longest > a:
        if finish[jobs[q]] > top[0]:
            occupy(top, 0, c, finish[jobs[q]])
        q -= 1
    return top[0]


@njit(cache=True, inline="always")
def _reprice(delta, forbidden, old, new):
    """Changes so far, and one task more: of the finite costs, and of how many are infinite."""
    if old < np.inf:
        delta -= old
    else:
        forbidden -= 1
    if new < np.inf:
        delta += new
    else:
        forbidden += 1
    return delta, forbidden


@njit(cache=True, inline="always")
def _lost(down_ptr, down_ns, r, arrival, finish):
    """Whether resource r goes down or is down from an arrival until before a finish."""
    a, b = down_ptr[r], down_ptr[r + 1]
    while a < b:  # the first interval that ends after the arrival
        mid = (a + b) >> 1
        if down_ns[mid, 1] > arrival:
            b = mid
        else:
            a = mid + 1
    return a < down_ptr[r + 1] and (down_ns[a, 0] < finish or down_ns[a, 0] <= arrival)


@njit(cache=True, inline="always")
def _cost(static, state, task, end):
    """Cost of a task in ns whose last stage finishes at `end`."""
    (
        release, deadline, drop_cost, weight, fixed, stage_ptr, resource, service, task_of_slot,
        first_slot, list_ptr, capacity, longest, down_ptr, down_ns,
    ) = static  # fmt: skip
    arrival, finish, option = state[2], state[4], state[6]
    if end - release[task] > deadline[task]:
        return drop_cost[task]
    o = option[task]
    if len(down_ns) > 0:
        for s in range(stage_ptr[o], stage_ptr[o + 1]):
            slot = first_slot[task] + s - stage_ptr[o]
            if _lost(down_ptr, down_ns, resource[s], arrival[slot], finish[slot]):
                return drop_cost[task]
    return weight[task] * (end - release[task]) + fixed[o]


_REMOVED, _INSERTED, _TIMES, _ARRIVAL, _COST, _STAGE, _OPTION = 0, 1, 2, 3, 4, 5, 6


@njit(cache=True)
def change(static, state, k, new):
    """Give task k option `new` (global, -1 drops it) and propagate.

    Returns (log size, change of the sum of finite costs in ns, change of the number of infinite
    ones); the first change is infinite when the log is full, and the caller must undo.
    """
    (
        release, deadline, drop_cost, weight, fixed, stage_ptr, resource, service, task_of_slot,
        first_slot, list_ptr, capacity, longest, down_ptr, down_ns,
    ) = static  # fmt: skip
    (
        jobs, length, arrival, start, finish, stage_of, option, cost, dirty, moved,
        heap_t, heap_s, log, saved, top,
    ) = state  # fmt: skip
    delta = 0.0
    forbidden = 0
    size = 0
    base = first_slot[k]
    old = option[k]
    n_log = _note(log, 0, _OPTION, k, old, 0)
    n_log = _note(log, n_log, _COST, k, 0, 0)
    saved[0] = cost[k]
    n_saved = 1
    option[k] = new
    if old >= 0:
        for slot in range(base, base + stage_ptr[old + 1] - stage_ptr[old]):
            r = resource[stage_of[slot]]
            lo = list_ptr[r]
            if list_ptr[r + 1] > lo:
                at = _remove(jobs, length, lo, r, arrival, stage_of, slot)
                n_log = _note(log, n_log, _REMOVED, slot, 0, 0)
                until = max(finish[slot], dirty[slot])  # what it was to pass on
                if at < lo + length[r] and arrival[jobs[at]] < until:
                    size = _mark(dirty, heap_t, heap_s, size, arrival, jobs[at], until)
            n_log = _note(log, n_log, _STAGE, slot, stage_of[slot], 0)
            n_log = _note(log, n_log, _TIMES, slot, start[slot], finish[slot])
            n_log = _note(log, n_log, _ARRIVAL, slot, arrival[slot], 0)
            stage_of[slot] = ABSENT
    if new < 0:
        delta, forbidden = _reprice(delta, forbidden, cost[k], drop_cost[k])
        cost[k] = drop_cost[k]
    else:
        for i in range(stage_ptr[new + 1] - stage_ptr[new]):
            slot = base + i
            n_log = _note(log, n_log, _STAGE, slot, stage_of[slot], 0)
            n_log = _note(log, n_log, _TIMES, slot, start[slot], finish[slot])
            n_log = _note(log, n_log, _ARRIVAL, slot, arrival[slot], 0)
            stage_of[slot] = stage_ptr[new] + i
            finish[slot] = -1  # not in the system yet
        arrival[base] = release[k]
        r = resource[stage_of[base]]
        if list_ptr[r + 1] > list_ptr[r]:
            _insert(jobs, length, list_ptr[r], r, arrival, stage_of, base)
            n_log = _note(log, n_log, _INSERTED, base, 0, 0)
        moved[base] = 1
        size = _mark(dirty, heap_t, heap_s, size, arrival, base, 0)
    while size > 0:
        slot = heap_s[0]
        size = pop(heap_t, heap_s, size)
        until = dirty[slot]
        dirty[slot] = -1
        s = stage_of[slot]
        if s == ABSENT or (finish[slot] < 0 and moved[slot] == 0):
            continue
        if n_log + 16 > len(log) or size + 8 > len(heap_t):
            for i in range(size):
                dirty[heap_s[i]] = -1
                moved[heap_s[i]] = 0
            return n_log, np.inf, 0
        r = resource[s]
        a = arrival[slot]
        begin = a
        lo = list_ptr[r]
        limited = list_ptr[r + 1] > lo
        at = lo
        if limited:
            at = _find(jobs, lo, length[r], arrival, stage_of, a, s)
            if capacity[r] > 1:
                begin = _unit_free(jobs, lo, at, capacity[r], a, start, finish, longest[r], top)
            elif at > lo:
                begin = max(a, finish[jobs[at - 1]])
        end = begin + service[s]
        was = finish[slot]
        shifted = moved[slot] == 1 or end != was
        moved[slot] = 0
        if end != was or begin != start[slot]:
            n_log = _note(log, n_log, _TIMES, slot, start[slot], was)
            start[slot] = begin
            finish[slot] = end
        if shifted:
            until = max(until, max(was, end))
        onward = limited and at + 1 < lo + length[r] and (shifted or capacity[r] > 1)
        if onward and arrival[jobs[at + 1]] < until:
            size = _mark(dirty, heap_t, heap_s, size, arrival, jobs[at + 1], until)
        task = task_of_slot[slot]
        last = stage_ptr[option[task] + 1] - 1
        if end == was:
            # It may have reached in time, or not, a resource that goes down.
            ended = finish[slot + last - s]
            if not shifted or ended < 0 or down_ptr[r] == down_ptr[r + 1]:
                continue
        if s == last or end == was:
            if task != k:
                n_log = _note(log, n_log, _COST, task, n_saved, 0)
                saved[n_saved] = cost[task]
                n_saved += 1
            now = _cost(static, state, task, finish[slot + last - s])
            delta, forbidden = _reprice(delta, forbidden, cost[task], now)
            cost[task] = now
            continue
        nxt = slot + 1
        r = resource[stage_of[nxt]]
        lo = list_ptr[r]
        limited = list_ptr[r + 1] > lo
        if limited and (finish[nxt] >= 0 or moved[nxt] == 1):  # leave the old place in the queue
            at = _remove(jobs, length, lo, r, arrival, stage_of, nxt)
            n_log = _note(log, n_log, _REMOVED, nxt, 0, 0)
            until = max(finish[nxt], dirty[nxt])  # what it was to pass on
            if at < lo + length[r] and arrival[jobs[at]] < until:
                size = _mark(dirty, heap_t, heap_s, size, arrival, jobs[at], until)
        n_log = _note(log, n_log, _ARRIVAL, nxt, arrival[nxt], 0)
        arrival[nxt] = end
        if limited:
            _insert(jobs, length, lo, r, arrival, stage_of, nxt)
            n_log = _note(log, n_log, _INSERTED, nxt, 0, 0)
        moved[nxt] = 1
        size = push(heap_t, heap_s, size, end, nxt)
        dirty[nxt] = max(dirty[nxt], 0)
    return n_log, delta, forbidden


@njit(cache=True)
def undo(static, state, n_log):
    """Take the last `change` back."""
    resource, list_ptr = static[6], static[10]
    (
        jobs, length, arrival, start, finish, stage_of, option, cost, dirty, moved,
        heap_t, heap_s, log, saved, top,
    ) = state  # fmt: skip
    for i in range(n_log - 1, -1, -1):
        kind, a, b = log[i, 0], log[i, 1], log[i, 2]
        if kind == _REMOVED:
            r = resource[stage_of[a]]
            _insert(jobs, length, list_ptr[r], r, arrival, stage_of, a)
        elif kind == _INSERTED:
            r = resource[stage_of[a]]
            _remove(jobs, length, list_ptr[r], r, arrival, stage_of, a)
        elif kind == _TIMES:
            start[a] = b
            finish[a] = log[i, 3]
        elif kind == _ARRIVAL:
            arrival[a] = b
        elif kind == _COST:
            cost[a] = saved[b]
        elif kind == _STAGE:
            stage_of[a] = b
        else:
            option[a] = b


@njit(cache=True, nogil=True)
def assign(static, state, goal, stop):
    """Give tasks the options of `goal` (K,), until ``stop[0]`` is set.

    A change that needs more log than there is is left out.
    """
    option = state[6]
    for k in range(len(goal)):
        if goal[k] == option[k]:
            continue
        if stop[0] != 0:
            return
        n_log, delta, _ = change(static, state, k, goal[k])
        if delta == np.inf:
            undo(static, state, n_log)


@njit(cache=True, nogil=True)
def anneal(
    static, state, candidate_ptr, candidate, movable, hot, cold, moves, seed, best, total, many,
    least_step, stop,
):  # fmt: skip
    """Metropolis moves of one task at a time, temperature falling from `hot` to `cold` (ns).

    `candidate[candidate_ptr[k]:candidate_ptr[k + 1]]` are the options of task k worth trying
    (-1 drops it); `movable` lists tasks with more than one. A move never adds forbidden drops, of
    which there are `many`; a move that takes one away is always kept. `best` (K,) is overwritten
    with the best option vector seen, which is better by `least_step` ns or has fewer forbidden
    drops. Another thread ends the annealing by setting ``stop[0]``. Returns (best total, its
    forbidden drops, last total, its forbidden drops).
    """
    np.random.seed(seed)  # noqa: NPY002 (compiled code has its own generator, seeded here)
    option = state[6]
    least, fewest = total, many
    if len(movable) == 0:
        return least, fewest, total, many
    cooling = (cold / hot) ** (1.0 / max(moves, 1))
    temperature = hot
    for _ in range(moves):
        if stop[0] != 0:
            break
        temperature *= cooling
        k = movable[int(np.random.random() * len(movable))]  # noqa: NPY002
        lo = candidate_ptr[k]
        new = candidate[lo + int(np.random.random() * (candidate_ptr[k + 1] - lo))]  # noqa: NPY002
        if new == option[k]:
            continue
        n_log, delta, more = change(static, state, k, new)
        worse = more > 0 or (
            more == 0 and delta > 0 and np.random.random() >= np.exp(-delta / temperature)  # noqa: NPY002
        )
        if worse or delta == np.inf:
            undo(static, state, n_log)
            continue
        total += delta
        many += more
        if many < fewest or (many == fewest and total < least - least_step):
            least, fewest = total, many
            for i in movable:
                best[i] = option[i]
    return least, fewest, total, many
