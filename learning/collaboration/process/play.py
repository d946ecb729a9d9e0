"""The process compiled: many episodes side by side, each at a decision of one of its agents.

What is kept of an episode is the realised world up to now, as `mecopt.offloading.projection` keeps
it, and no more: units as they are after all arrivals so far, and the arrivals still to come. In
this family believed times are the true ones until a node goes down, so the believed world is the
same state with the units of a node that went down emptied (`_settle`), run forward without failures
(`_project`). ``tests/collaboration/learned/test_process.py`` holds it to what a policy sees in
`mecopt.rollout`.

What a decision brings is the change of what all committed tasks will come to: 1 for each on time,
-1 for each failed or late, and -0.3 for each hop after a task's first. The sum over an episode is
that of its replay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.collaboration.process.batch import BITS
from learning.collaboration.process.rows import chances, describe, work_left
from mecopt.offloading.fifo import enqueue, serve, step
from mecopt.offloading.heap import pop, push
from mecopt.offloading.status import NEVER

#: What a decision of a hop after the first brings (N).
HOP_REWARD = -0.3
#: What became of a task, as agents come to know it: on time, late, damaged, lost with a node.
OUTCOMES = ("on time", "late", "damaged", "lost")
_SUCCESS, _LATE, _DAMAGED, _LOST = range(4)
_DROPPED = 4


class State(NamedTuple):
    """E episodes as they stand; U units, N nodes, K tasks, C candidates at most."""

    episode: NDArray[np.int64]  # (E,) of the batch
    coming: NDArray[np.int64]  # (E,) the episode after that
    begun: NDArray[np.int64]  # (E,) episodes begun so far
    task: NDArray[np.int64]  # (E,) that is decided
    place: NDArray[np.int64]  # (E, 4) node, hop, way so far, believed arrival there
    now: NDArray[np.int64]  # (E,)
    free: NDArray[np.int64]  # (E, U)
    epoch: NDArray[np.int64]  # (E, N)
    heap_t: NDArray[np.int64]  # (E, K + 1) arrivals to come
    heap_s: NDArray[np.int64]
    size: NDArray[np.int64]  # (E,) of the heap
    settled: NDArray[np.int64]  # (E,) tasks on time less others, of those whose end is settled
    value: NDArray[np.int64]  # (E,) the same of all tasks committed
    option: NDArray[np.int64]  # (E, K) what was committed, -1 for dropped
    result: NDArray[np.int8]  # (E, K) what becomes of a task
    known: NDArray[np.int64]  # (E, K) when that is known
    seen: NDArray[np.int64]  # (E, N) tasks released at each node
    size_sum: NDArray[np.float64]  # (E, 2) bytes and cycles of tasks released so far
    up: NDArray[np.bool_]  # (E, N)
    work: NDArray[np.float64]  # (E, N) `work_left`
    chance: NDArray[np.float64]  # (E, options)
    head: NDArray[np.int64]  # (E, R) and so on: arrivals to come by resource, as `enqueue` has them
    tail: NDArray[np.int64]
    link: NDArray[np.int64]
    at: NDArray[np.int64]
    done: NDArray[np.int64]
    open_task: NDArray[np.int64]  # (E, K + 1) tasks whose end was not known at the last look
    open_size: NDArray[np.int64]  # (E,)
    counts: NDArray[np.int64]  # (E, N, C, 4) ends known so far, by who sent the task and where
    carried: NDArray[np.float64]  # (E,) rewards before the first decision of an episode
    hop_reward: NDArray[np.float64]  # (1,)
    over: NDArray[np.bool_]  # (E,) whether the last step ended an episode
    finished: NDArray[np.int64]  # (E, 2) tasks of the episode that ended, and how many on time


class Scratch(NamedTuple):
    """Room for one episode at a time."""

    free: NDArray[np.int64]
    epoch: NDArray[np.int64]
    heap_t: NDArray[np.int64]
    heap_s: NDArray[np.int64]
    units: NDArray[np.int64]


class Seen(NamedTuple):
    """What is told of the present decisions."""

    rows: NDArray[np.float32]  # (E, C, F)
    mask: NDArray[np.bool_]  # (E, C)
    arrival: NDArray[np.int64]  # (E, C)


@njit(cache=True)
def begin(b, state, scratch, seen, e, drop_hopeless):
    """Start the coming episode at place e and go to its first decision."""
    p = state.coming[e]
    state.episode[e] = p
    state.begun[e] += 1
    state.task[e] = b.task_ptr[p] - 1
    state.now[e] = 0
    state.free[e, :] = 0
    for v in range(state.epoch.shape[1]):
        state.epoch[e, v] = b.down_ptr[p, v]
    state.size[e] = 0
    state.settled[e] = 0
    state.value[e] = 0
    state.seen[e, :] = 0
    state.size_sum[e, :] = 0.0
    state.open_size[e] = 0
    state.counts[e] = 0
    state.carried[e] = _next(b, state, scratch, seen, e, drop_hopeless)


@njit(cache=True)
def step_all(b, state, scratch, seen, action, reward, invalid, drop_hopeless):
    """Carry out one decision of every episode and go to the next; an ended one is followed at once.

    A candidate that is not allowed counts as invalid, and the allowed one listed first is taken.
    """
    for e in range(len(action)):
        c = action[e]
        if c < 0 or c >= seen.mask.shape[1] or not seen.mask[e, c]:
            invalid[e] += 1
            c = 0
            while not seen.mask[e, c]:
                c += 1
        reward[e] = state.carried[e] + _carry_out(b, state, scratch, seen, e, c)
        state.carried[e] = 0.0
        state.over[e] = False
        if state.place[e, 0] < 0:
            reward[e] += _next(b, state, scratch, seen, e, drop_hopeless)
        elif _look(b, state, scratch, seen, e) == 1:
            reward[e] += _forced(b, state, scratch, seen, e)
            reward[e] += _next(b, state, scratch, seen, e, drop_hopeless)
        if state.place[e, 0] < 0:
            _finish(b, state, e)
            begin(b, state, scratch, seen, e, drop_hopeless)


@njit(cache=True)
def _finish(b, state, e):
    p = state.episode[e]
    state.over[e] = True
    tasks = b.task_ptr[p + 1] - b.task_ptr[p]
    state.finished[e, 0] = tasks
    state.finished[e, 1] = (state.value[e] + tasks) // 2


@njit(cache=True)
def _carry_out(b, state, scratch, seen, e, c):
    """Keep or send; a kept task is committed and leaves no place behind."""
    p, k = state.episode[e], state.task[e]
    node, hop, way, _ = state.place[e]
    way |= c << (BITS * hop)
    if c > 0:
        state.place[e, 0] = b.beside[p, node, c - 1]
        state.place[e, 1] = hop + 1
        state.place[e, 2] = way
        state.place[e, 3] = seen.arrival[e, c]
        return state.hop_reward[0] if hop > 0 else 0.0
    for o in range(b.option_ptr[k], b.option_ptr[k + 1]):
        if b.way[o] == way:
            break
    state.place[e, 0] = -1
    before = state.value[e]
    _commit(b, state, e, o)
    _value(b, state, scratch, e)
    return float(state.value[e] - before)


@njit(cache=True)
def _forced(b, state, scratch, seen, e):
    """Carry out decisions without a choice until there is one or the task is committed."""
    reward = 0.0
    while True:
        c = 0
        while not seen.mask[e, c]:
            c += 1
        reward += _carry_out(b, state, scratch, seen, e, c)
        if state.place[e, 0] < 0 or _look(b, state, scratch, seen, e) > 1:
            return reward


@njit(cache=True)
def _next(b, state, scratch, seen, e, drop_hopeless):
    """Go on to the next task with something to decide; its node is -1 when there is none."""
    reward = 0.0
    p = state.episode[e]
    while state.place[e, 0] < 0 or state.task[e] < b.task_ptr[p]:
        state.task[e] += 1
        k = state.task[e]
        if k == b.task_ptr[p + 1]:
            state.place[e, 0] = -1
            return reward
        first = k == b.task_ptr[p]
        if first or b.release[k] > state.now[e]:
            state.now[e] = b.release[k]
            _advance(b, state, e, state.now[e])
            _settle(b, state, e)
            _learn(b, state, e)
        entries = _project(b, state, scratch, e)
        now, free, up = state.now[e], state.free[e], state.up[e]
        best = chances(b, p, k, now, free, entries, up, scratch.units, state.chance[e])
        state.seen[e, b.origin[k]] += 1
        state.size_sum[e, 0] += b.size[k]
        state.size_sum[e, 1] += b.cycles[k]
        if drop_hopeless and best <= 0.0:
            state.option[e, k - b.task_ptr[p]] = -1
            state.result[e, k - b.task_ptr[p]] = _DROPPED
            state.settled[e] -= 1
            state.value[e] -= 1
            state.place[e, 0] = -1
            reward -= 1.0
            continue
        work_left(b, p, now, free, entries, scratch.units, state.work[e])
        state.place[e, 0] = b.origin[k]
        state.place[e, 1] = 0
        state.place[e, 2] = 0
        state.place[e, 3] = now
        if _look(b, state, scratch, seen, e) == 1:
            reward += _forced(b, state, scratch, seen, e)
    return reward


@njit(cache=True)
def _look(b, state, scratch, seen, e):
    """Write what the agent at the present place is told; returns how many candidates it has."""
    p, k = state.episode[e], state.task[e]
    node, hop, way, at = state.place[e]
    entries = (state.head[e], state.tail[e], state.link[e], state.at[e], state.done[e])
    return describe(
        b, p, k, (node, hop, way, at), state.now[e], state.free[e], entries, state.up[e],
        state.chance[e], state.seen[e], state.work[e], scratch.units,
        seen.rows[e], seen.mask[e], seen.arrival[e],
    )  # fmt: skip


@njit(cache=True)
def _advance(b, state, e, until):
    """Process all arrivals up to and including a time in the realised world."""
    heap_t, heap_s = state.heap_t[e], state.heap_s[e]
    size = state.size[e]
    while size > 0 and heap_t[0] <= until:
        t, s = heap_t[0], heap_s[0]
        size = pop(heap_t, heap_s, size)
        size = _arrive(b, state, e, t, s, heap_t, heap_s, size)
    state.size[e] = size


@njit(cache=True)
def _arrive(b, state, e, t, s, heap_t, heap_s, size):
    """A stage reaches its resource; returns the new size of the heap."""
    p = state.episode[e]
    r, takes = b.resource[s], b.takes[s]
    if r >= b.n_nodes[p]:
        end = step(state.free[e], b.free_ptr[p, r], b.free_ptr[p, r + 1], t, takes)
        return push(heap_t, heap_s, size, end, s + 1)
    _, end, lost = serve(
        b.free_ptr[p], b.down_ptr[p], b.down_ns, state.free[e], state.epoch[e], t, r, takes
    )
    k, o = b.task_of_stage[s], b.option_of_stage[s]
    i = k - b.task_ptr[p]
    state.known[e, i] = min(end, lost)
    state.result[e, i] = _result(b, k, o, end, lost)
    state.settled[e] += 1 if state.result[e, i] == _SUCCESS else -1
    return size


@njit(cache=True)
def _result(b, k, o, end, lost):
    """What becomes of a task whose execution ends, or is lost, then."""
    if lost < NEVER:
        return _LOST
    if b.extra[o] > 0 and end + b.extra[o] - b.release[k] > b.deadline[k]:
        return _DAMAGED
    return _SUCCESS if end - b.release[k] <= b.deadline[k] else _LATE


@njit(cache=True)
def _commit(b, state, e, o):
    """Carry out a decision: the first stage arrives now."""
    k = b.task_of_stage[b.stage_ptr[o]]
    i = k - b.task_ptr[state.episode[e]]
    state.option[e, i] = o - b.option_ptr[k]
    state.known[e, i] = NEVER
    state.open_task[e, state.open_size[e]] = i
    state.open_size[e] += 1
    heap_t, heap_s = state.heap_t[e], state.heap_s[e]
    state.size[e] = push(heap_t, heap_s, state.size[e], state.now[e], b.stage_ptr[o])
    _advance(b, state, e, state.now[e])
    if state.known[e, i] <= state.now[e]:
        _learn(b, state, e)  # lost at once: its node is down


@njit(cache=True)
def _copy(state, scratch, e):
    """Units and arrivals to come of an episode, to run ahead."""
    # Loops: slices that are assigned take numba seconds to compile.
    for i in range(len(scratch.free)):
        scratch.free[i] = state.free[e, i]
    for i in range(len(scratch.epoch)):
        scratch.epoch[i] = state.epoch[e, i]
    for i in range(state.size[e]):
        scratch.heap_t[i] = state.heap_t[e, i]
        scratch.heap_s[i] = state.heap_s[e, i]


@njit(cache=True)
def _value(b, state, scratch, e):
    """What all committed tasks come to if nothing else is: run what is on its way to its end."""
    p = state.episode[e]
    size = state.size[e]
    total = state.settled[e]
    if size > 0:
        _copy(state, scratch, e)
    while size > 0:
        t, s = scratch.heap_t[0], scratch.heap_s[0]
        size = pop(scratch.heap_t, scratch.heap_s, size)
        r, takes = b.resource[s], b.takes[s]
        if r >= b.n_nodes[p]:
            end = step(scratch.free, b.free_ptr[p, r], b.free_ptr[p, r + 1], t, takes)
            size = push(scratch.heap_t, scratch.heap_s, size, end, s + 1)
            continue
        _, end, lost = serve(
            b.free_ptr[p], b.down_ptr[p], b.down_ns, scratch.free, scratch.epoch, t, r, takes
        )
        result = _result(b, b.task_of_stage[s], b.option_of_stage[s], end, lost)
        total += 1 if result == _SUCCESS else -1
    state.value[e] = total


@njit(cache=True)
def _settle(b, state, e):
    """Empty the nodes that have gone down by now, and note which are up."""
    p, now = state.episode[e], state.now[e]
    for r in range(b.n_nodes[p]):
        i, last = state.epoch[e, r], b.down_ptr[p, r + 1]
        while i < last and now >= b.down_ns[i, 0]:
            for u in range(b.free_ptr[p, r], b.free_ptr[p, r + 1]):
                state.free[e, u] = 0
            if now < b.down_ns[i, 1]:
                break
            i += 1
        state.epoch[e, r] = i
        state.up[e, r] = not (i < last and b.down_ns[i, 0] <= now)


@njit(cache=True)
def _project(b, state, scratch, e):
    """Arrivals to come by resource, with nothing failing: `mecopt.offloading.fifo.enqueue`."""
    p = state.episode[e]
    entries = (state.head[e], state.tail[e], state.link[e], state.at[e], state.done[e])
    entries[0][:] = -1
    size, n = state.size[e], 0
    if size > 0:
        _copy(state, scratch, e)
    while size > 0:
        t, s = scratch.heap_t[0], scratch.heap_s[0]
        size = pop(scratch.heap_t, scratch.heap_s, size)
        r = b.resource[s]
        end = step(scratch.free, b.free_ptr[p, r], b.free_ptr[p, r + 1], t, b.takes[s])
        enqueue(entries, n, r, t, end)
        n += 1
        if r >= b.n_nodes[p]:
            size = push(scratch.heap_t, scratch.heap_s, size, end, s + 1)
    return entries


@njit(cache=True)
def _learn(b, state, e):
    """Count the ends of tasks that are known by now, for every agent that sent the task on."""
    p, now = state.episode[e], state.now[e]
    left = 0
    for j in range(state.open_size[e]):
        i = state.open_task[e, j]
        if state.known[e, i] > now:
            state.open_task[e, left] = i
            left += 1
            continue
        k = b.task_ptr[p] + i
        count(b, p, k, state.option[e, i], state.result[e, i], state.counts[e])
    state.open_size[e] = left


@njit(cache=True)
def count(b, p, k, choice, result, counts):
    """Add the end of a task to the counts (N, C, 4) of all who decided on its way."""
    way = b.way[b.option_ptr[k] + choice]
    node = b.origin[k]
    while True:
        c = way & 255
        counts[node, c, result] += 1
        if c == 0:
            return
        node = b.beside[p, node, c - 1]
        way >>= BITS
