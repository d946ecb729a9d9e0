"""The FIFO rule, compiled once: a stage starts when it has arrived and a unit is free.

A resource with c units serves its stages in order of (arrival, task, stage). The units of all
resources lie in one array `free`; ``free[lo:hi]`` is a binary min-heap of the times at which the
units of one resource are free. A stage that arrives at time t starts at ``max(t, free[lo])``
(Lindley's recursion), its finish replaces the root, and ``lo == hi`` means that nobody ever waits.

Four kernels follow this rule, and each step of theirs is one of the functions below:

* the replay of a decision (`mecopt.offloading.kernel`) takes `step`, and `serve` where a resource
  can fail;
* the believed world of an online decision (`mecopt.offloading.projection`) takes the same two, and
  `free_for` for a stage that is only asked about;
* the sampled futures of the look-ahead rule (`mecopt.offloading.policies.rollouts`) take `step`
  and `free_for`;
* the moves of the local search (`formulations.offloading.moves`) take `occupy`.

The kernels stay apart because they remember different things. The replay knows all decisions
and keeps one heap of arrivals; the online world must stop at a release and go on later; the futures
are copied thousands of times a second, so they keep counters only for stages that join several
others. A move changes one task in the middle of a finished schedule and may be taken back, so the
search keeps a sorted list of jobs per resource instead of the heap: the free times of c units are
the c largest finishes of the jobs before, and the search collects them with `occupy` from the few
jobs that can still matter. `mecopt.offloading.events`, which cancels the siblings of a failed
stage, must be able to take a stage out of a queue and therefore keeps its queues in full.
``tests/offloading/test_one_fifo_rule.py`` holds them all to the same schedules.
"""

from __future__ import annotations

from numba import njit

from mecopt.offloading.status import NEVER


@njit(cache=True, inline="always")
def occupy(free, lo, hi, finish):
    """Give the unit that is free first, the root of the heap ``free[lo:hi]``, a new free time."""
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


@njit(cache=True, inline="always")
def step(free, lo, hi, t, service):
    """Finish of a stage that arrives at time t; it starts `service` earlier."""
    if hi - lo == 1:  # the common case first
        end = max(t, free[lo]) + service
        free[lo] = end
    elif hi == lo:
        end = t + service
    else:
        end = max(t, free[lo]) + service
        occupy(free, lo, hi, end)
    return end


@njit(cache=True)
def serve(free_ptr, down_ptr, down_ns, free, epoch, t, r, service):
    """A stage arrives at resource r, which may fail, at time t: (start, finish, lost_at).

    `lost_at` is `NEVER` if the stage succeeds; a stage lost before it starts has start = `NEVER`.
    ``epoch[r]`` is the resource's next down interval, moved on here.
    """
    lo, hi = free_ptr[r], free_ptr[r + 1]
    e = epoch[r]
    while e < down_ptr[r + 1] and t >= down_ns[e, 1]:
        e += 1
        for i in range(lo, hi):  # whatever was queued or in service is gone
            free[i] = 0
    epoch[r] = e
    down = down_ns[e, 0] if e < down_ptr[r + 1] else NEVER
    if t >= down:
        return NEVER, NEVER, t
    finish = step(free, lo, hi, t, service)
    start = finish - service
    if finish > down:
        if start >= down:
            start = NEVER
        return start, NEVER, down
    return start, finish, NEVER


@njit(cache=True, inline="always")
def enqueue(entries, n, r, t, end):
    """Add the n-th known arrival, at resource r at time t with its finish, to the lists.

    `entries` = (head (R,), tail (R,), link, arrival, finish): a linked list per resource, in order
    of arrival.
    """
    head, tail, link, at, done = entries
    link[n] = -1
    at[n] = t
    done[n] = end
    if head[r] < 0:
        head[r] = n
    else:
        link[tail[r]] = n
    tail[r] = n


@njit(cache=True, inline="always")
def free_for(free, lo, hi, r, t, entries, scratch):
    """When a unit is free for a stage that would arrive at r at time t, behind known arrivals.

    `free` holds the units as they are before the first of `entries`, the lists of `enqueue`.
    Nothing is changed but `scratch`, which has room for the units of one resource.
    """
    head, _, link, at, done = entries
    e = head[r]
    when = t
    if hi - lo == 1:
        when = free[lo]
        while e >= 0 and at[e] <= t:
            when = done[e]
            e = link[e]
    elif hi > lo:
        for i in range(hi - lo):
            scratch[i] = free[lo + i]
        while e >= 0 and at[e] <= t:
            occupy(scratch, 0, hi - lo, done[e])
            e = link[e]
        when = scratch[0]
    return when
