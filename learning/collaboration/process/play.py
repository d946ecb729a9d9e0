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


#: Where an episode stands: which one of the batch it is and which follows, how many were begun at
#: this place; the task that is decided, the node it is at, its hops, the way so far, the believed
#: arrival there; the time, how many arrivals are to come and tasks whose end is not known; tasks on
#: time less others, of those whose end is settled and of all committed; whether the last step
#: ended an episode, its tasks and how many were on time; bytes and cycles released so far, rewards
#: before the first decision, what a hop after the first brings.
HERE = np.dtype(
    [(name, "i8") for name in ("episode", "coming", "begun", "task", "node", "hop", "way", "at")]
    + [(name, "i8") for name in ("now", "arrivals", "open", "settled", "value")]
    + [(name, "i8") for name in ("over", "tasks", "on_time")]
    + [(name, "f8") for name in ("bytes", "cycles", "carried", "hop_reward")]
)
#: A task that was committed: option (-1 for dropped), what becomes of it, when that is known; and
#: room for the list of those whose end is not known.
KEPT = np.dtype([("option", "i8"), ("result", "i8"), ("known", "i8"), ("open", "i8")])


class State(NamedTuple):
    """E episodes as they stand; U units, N nodes, K tasks, C candidates at most."""

    here: NDArray[np.void]  # (E,) HERE
    kept: NDArray[np.void]  # (E, K) KEPT
    free: NDArray[np.int64]  # (E, U)
    epoch: NDArray[np.int64]  # (E, N)
    heap_t: NDArray[np.int64]  # (E, K + 1) arrivals to come
    heap_s: NDArray[np.int64]
    seen: NDArray[np.int64]  # (E, N) tasks released at each node
    up: NDArray[np.bool_]  # (E, N)
    work: NDArray[np.float64]  # (E, N) `work_left`
    chance: NDArray[np.float64]  # (E, options)
    head: NDArray[np.int64]  # (E, R) and so on: arrivals to come by resource, as `enqueue` has them
    tail: NDArray[np.int64]
    link: NDArray[np.int64]
    at: NDArray[np.int64]
    done: NDArray[np.int64]
    counts: NDArray[np.int64]  # (E, N, C, 4) ends known so far, by who sent the task and where


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
    p = state.here[e].coming
    state.here[e].episode = p
    state.here[e].begun += 1
    state.here[e].task = b.episode[p].first - 1
    state.here[e].now = 0
    state.free[e, :] = 0
    for v in range(state.epoch.shape[1]):
        state.epoch[e, v] = b.down_ptr[p, v]
    state.here[e].arrivals = 0
    state.here[e].settled = 0
    state.here[e].value = 0
    state.seen[e, :] = 0
    state.here[e].bytes = 0.0
    state.here[e].cycles = 0.0
    state.here[e].open = 0
    state.counts[e] = 0
    state.here[e].carried = _next(b, state, scratch, seen, e, drop_hopeless)


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
        reward[e] = state.here[e].carried + _carry_out(b, state, scratch, seen, e, c)
        state.here[e].carried = 0.0
        state.here[e].over = 0
        if state.here[e].node < 0:
            reward[e] += _next(b, state, scratch, seen, e, drop_hopeless)
        elif _look(b, state, scratch, seen, e) == 1:
            reward[e] += _forced(b, state, scratch, seen, e)
            reward[e] += _next(b, state, scratch, seen, e, drop_hopeless)
        if state.here[e].node < 0:
            _finish(b, state, e)
            begin(b, state, scratch, seen, e, drop_hopeless)


@njit(cache=True)
def _finish(b, state, e):
    p = state.here[e].episode
    state.here[e].over = 1
    tasks = b.episode[p].last - b.episode[p].first
    state.here[e].tasks = tasks
    state.here[e].on_time = (state.here[e].value + tasks) // 2


@njit(cache=True)
def _carry_out(b, state, scratch, seen, e, c):
    """Keep or send; a kept task is committed and leaves no place behind."""
    here = state.here[e]
    p, k, node, hop = here.episode, here.task, here.node, here.hop
    way = here.way | (c << (BITS * hop))
    if c > 0:
        here.node = b.beside[p, node, c - 1]
        here.hop = hop + 1
        here.way = way
        here.at = seen.arrival[e, c]
        return here.hop_reward if hop > 0 else 0.0
    for o in range(b.task[k].option, b.task[k + 1].option):
        if b.option[o].way == way:
            break
    state.here[e].node = -1
    before = state.here[e].value
    _commit(b, state, e, o)
    _value(b, state, scratch, e)
    return float(state.here[e].value - before)


@njit(cache=True)
def _forced(b, state, scratch, seen, e):
    """Carry out decisions without a choice until there is one or the task is committed."""
    reward = 0.0
    while True:
        c = 0
        while not seen.mask[e, c]:
            c += 1
        reward += _carry_out(b, state, scratch, seen, e, c)
        if state.here[e].node < 0 or _look(b, state, scratch, seen, e) > 1:
            return reward


@njit(cache=True)
def _next(b, state, scratch, seen, e, drop_hopeless):
    """Go on to the next task with something to decide; its node is -1 when there is none."""
    reward = 0.0
    p = state.here[e].episode
    while state.here[e].node < 0 or state.here[e].task < b.episode[p].first:
        state.here[e].task += 1
        k = state.here[e].task
        if k == b.episode[p].last:
            state.here[e].node = -1
            return reward
        first = k == b.episode[p].first
        if first or b.task[k].release > state.here[e].now:
            state.here[e].now = b.task[k].release
            _advance(b, state, e, state.here[e].now)
            _settle(b, state, e)
            _learn(b, state, e)
        entries = _project(b, state, scratch, e)
        now, free, up = state.here[e].now, state.free[e], state.up[e]
        best = chances(b, p, k, now, free, entries, up, scratch.units, state.chance[e])
        state.seen[e, b.task[k].origin] += 1
        state.here[e].bytes += b.task[k].bytes
        state.here[e].cycles += b.task[k].cycles
        if drop_hopeless and best <= 0.0:
            state.kept[e, k - b.episode[p].first].option = -1
            state.kept[e, k - b.episode[p].first].result = _DROPPED
            state.here[e].settled -= 1
            state.here[e].value -= 1
            state.here[e].node = -1
            reward -= 1.0
            continue
        work_left(b, p, now, free, entries, scratch.units, state.work[e])
        state.here[e].node = b.task[k].origin
        state.here[e].hop = 0
        state.here[e].way = 0
        state.here[e].at = now
        if _look(b, state, scratch, seen, e) == 1:
            reward += _forced(b, state, scratch, seen, e)
    return reward


@njit(cache=True)
def _look(b, state, scratch, seen, e):
    """Write what the agent at the present place is told; returns how many candidates it has."""
    here = state.here[e]
    p, k = here.episode, here.task
    entries = (state.head[e], state.tail[e], state.link[e], state.at[e], state.done[e])
    return describe(
        b, p, k, (here.node, here.hop, here.way, here.at), here.now, state.free[e],
        entries, state.up[e], state.chance[e], state.seen[e], state.work[e], scratch.units,
        seen.rows[e], seen.mask[e], seen.arrival[e],
    )  # fmt: skip


@njit(cache=True)
def _advance(b, state, e, until):
    """Process all arrivals up to and including a time in the realised world."""
    heap_t, heap_s = state.heap_t[e], state.heap_s[e]
    size = state.here[e].arrivals
    while size > 0 and heap_t[0] <= until:
        t, s = heap_t[0], heap_s[0]
        size = pop(heap_t, heap_s, size)
        size = _arrive(b, state, e, t, s, heap_t, heap_s, size)
    state.here[e].arrivals = size


@njit(cache=True)
def _arrive(b, state, e, t, s, heap_t, heap_s, size):
    """A stage reaches its resource; returns the new size of the heap."""
    p = state.here[e].episode
    r, takes = b.stage[s].resource, b.stage[s].takes
    if r >= b.episode[p].nodes:
        end = step(state.free[e], b.free_ptr[p, r], b.free_ptr[p, r + 1], t, takes)
        return push(heap_t, heap_s, size, end, s + 1)
    _, end, lost = serve(
        b.free_ptr[p], b.down_ptr[p], b.down_ns, state.free[e], state.epoch[e], t, r, takes
    )
    k, o = b.stage[s].task, b.stage[s].option
    i = k - b.episode[p].first
    state.kept[e, i].known = min(end, lost)
    state.kept[e, i].result = _result(b, k, o, end, lost)
    state.here[e].settled += 1 if state.kept[e, i].result == _SUCCESS else -1
    return size


@njit(cache=True)
def _result(b, k, o, end, lost):
    """What becomes of a task whose execution ends, or is lost, then."""
    if lost < NEVER:
        return _LOST
    if b.option[o].extra > 0 and end + b.option[o].extra - b.task[k].release > b.task[k].deadline:
        return _DAMAGED
    return _SUCCESS if end - b.task[k].release <= b.task[k].deadline else _LATE


@njit(cache=True)
def _commit(b, state, e, o):
    """Carry out a decision: the first stage arrives now."""
    k = b.stage[b.option[o].stage].task
    i = k - b.episode[state.here[e].episode].first
    state.kept[e, i].option = o - b.task[k].option
    state.kept[e, i].known = NEVER
    state.kept[e, state.here[e].open].open = i
    state.here[e].open += 1
    heap_t, heap_s = state.heap_t[e], state.heap_s[e]
    here = state.here[e]
    here.arrivals = push(heap_t, heap_s, here.arrivals, here.now, b.option[o].stage)
    _advance(b, state, e, state.here[e].now)
    if state.kept[e, i].known <= state.here[e].now:
        _learn(b, state, e)  # lost at once: its node is down


@njit(cache=True)
def _copy(state, scratch, e):
    """Units and arrivals to come of an episode, to run ahead."""
    # Loops: slices that are assigned take numba seconds to compile.
    for i in range(len(scratch.free)):
        scratch.free[i] = state.free[e, i]
    for i in range(len(scratch.epoch)):
        scratch.epoch[i] = state.epoch[e, i]
    for i in range(state.here[e].arrivals):
        scratch.heap_t[i] = state.heap_t[e, i]
        scratch.heap_s[i] = state.heap_s[e, i]


@njit(cache=True)
def _value(b, state, scratch, e):
    """What all committed tasks come to if nothing else is: run what is on its way to its end."""
    p = state.here[e].episode
    size = state.here[e].arrivals
    total = state.here[e].settled
    if size > 0:
        _copy(state, scratch, e)
    while size > 0:
        t, s = scratch.heap_t[0], scratch.heap_s[0]
        size = pop(scratch.heap_t, scratch.heap_s, size)
        r, takes = b.stage[s].resource, b.stage[s].takes
        if r >= b.episode[p].nodes:
            end = step(scratch.free, b.free_ptr[p, r], b.free_ptr[p, r + 1], t, takes)
            size = push(scratch.heap_t, scratch.heap_s, size, end, s + 1)
            continue
        _, end, lost = serve(
            b.free_ptr[p], b.down_ptr[p], b.down_ns, scratch.free, scratch.epoch, t, r, takes
        )
        result = _result(b, b.stage[s].task, b.stage[s].option, end, lost)
        total += 1 if result == _SUCCESS else -1
    state.here[e].value = total


@njit(cache=True)
def _settle(b, state, e):
    """Empty the nodes that have gone down by now, and note which are up."""
    p, now = state.here[e].episode, state.here[e].now
    for r in range(b.episode[p].nodes):
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
    p = state.here[e].episode
    entries = (state.head[e], state.tail[e], state.link[e], state.at[e], state.done[e])
    entries[0][:] = -1
    size, n = state.here[e].arrivals, 0
    if size > 0:
        _copy(state, scratch, e)
    while size > 0:
        t, s = scratch.heap_t[0], scratch.heap_s[0]
        size = pop(scratch.heap_t, scratch.heap_s, size)
        r = b.stage[s].resource
        end = step(scratch.free, b.free_ptr[p, r], b.free_ptr[p, r + 1], t, b.stage[s].takes)
        enqueue(entries, n, r, t, end)
        n += 1
        if r >= b.episode[p].nodes:
            size = push(scratch.heap_t, scratch.heap_s, size, end, s + 1)
    return entries


@njit(cache=True)
def _learn(b, state, e):
    """Count the ends of tasks that are known by now, for every agent that sent the task on."""
    p, now = state.here[e].episode, state.here[e].now
    left = 0
    for j in range(state.here[e].open):
        i = state.kept[e, j].open
        if state.kept[e, i].known > now:
            state.kept[e, left].open = i
            left += 1
            continue
        k = b.episode[p].first + i
        count(b, p, k, state.kept[e, i].option, state.kept[e, i].result, state.counts[e])
    state.here[e].open = left


@njit(cache=True)
def count(b, p, k, choice, result, counts):
    """Add the end of a task to the counts (N, C, 4) of all who decided on its way."""
    way = b.option[b.task[k].option + choice].way
    node = b.task[k].origin
    while True:
        c = way & 255
        counts[node, c, result] += 1
        if c == 0:
            return
        node = b.beside[p, node, c - 1]
        way >>= BITS
