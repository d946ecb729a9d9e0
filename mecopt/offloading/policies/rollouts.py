"""Compiled rollouts of sampled futures: what each option of a task does to everybody's cost.

`play` commits one option of the released task to the believed state, then lets the tasks of one
sampled future arrive; each of them is served by the one-step oracle that may drop, which projects
the committed work to its end and takes the cheapest option (`mecopt.offloading.projection` has the
same projection for one decision). With a `Guide` an option also costs what it leaves behind, and
the queues at the end of the horizon have a value. Work that no decision can change any more (last
stages in service) costs the same under every option and is left out of the sum.
"""

from __future__ import annotations

from numba import njit

from mecopt.offloading.fifo import enqueue, free_for, step
from mecopt.offloading.heap import pop, push
from mecopt.offloading.policies.guide import at_the_end, left_behind
from mecopt.offloading.projection import believe, estimate
from mecopt.offloading.status import NEVER


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
def _copy(world, memory, source, target, size, n_live):
    """Copy units, heap and the joins in use of one row of the working memory to another."""
    free, heap_t, heap_s, left, ready, live = memory[:6]
    for i in range(free.shape[1]):
        free[target, i] = free[source, i]
    for i in range(size):
        heap_t[target, i] = heap_t[source, i]
        heap_s[target, i] = heap_s[source, i]
    for i in range(n_live):
        for j in range(world.join_ptr[live[i]], world.join_ptr[live[i] + 1]):
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
def _project(world, memory, size, n_live):
    """Run a copy of the committed work to its end, and list arrivals and finishes by resource."""
    free_ptr, resource = world.arrays.free_ptr, world.arrays.resource
    free, heap_t, heap_s = memory.free[2], memory.heap_t[2], memory.heap_s[2]
    head = memory.entries[0]
    _copy(world, memory, 1, 2, size, n_live)
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
def _cheapest(world, memory, guide, up, k, now):
    """The cheapest option on time, ties to the first; -1 where dropping costs less."""
    arrays, believed, entries = world.arrays, world.believed, memory.entries
    free, units, ends = memory.free[1], memory.units, memory.ends
    is_guided = guide.tables.shape[0] > 0
    best, chosen = world.drop[k], -1
    if is_guided:
        best += left_behind(guide, world, free, k, -1, now)
    for option in range(arrays.option_ptr[k], arrays.option_ptr[k + 1]):
        if world.simple[option]:
            end = _chain_end(world, memory, up, option, now)
        else:
            end = estimate(arrays, believed, option, now, free, entries, up, units, ends)
        if end < NEVER and end - now <= world.deadline[k]:  # without a deadline never is not late
            cost = world.weight[k] * (end - now) + world.fixed[option]
            if is_guided:
                cost += left_behind(guide, world, free, k, option, now)
            if cost < best or (cost == best and chosen < 0):
                best, chosen = cost, option
    return chosen


@njit(cache=True, _nrt=False)
def play(world, memory, guide, size, choice, active, up, task, option, now, first, last, close):
    """Cost in ns of one option of `task` (-1 drops it) and of future tasks first..last-1.

    Counts the task, the future tasks and the committed tasks whose completion is still open, and
    the value of the queues at `close` where there is a guide.
    """
    n_live = 0
    for k in active:
        memory.live[n_live] = world.arrays.option_ptr[k] + choice[k]
        n_live += 1
    _copy(world, memory, 0, 1, size, n_live)
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
            memory.live[n_live] = option
            n_live += 1
        until = world.arrays.release[ahead] if ahead < last else NEVER
        size, total = _serve(world, memory, size, until, total)
        if ahead >= last:
            if guide.tables.shape[0] > 0:
                total += at_the_end(guide, memory.free[1], close)
            return total
        k, t = ahead, until
        ahead += 1
        _project(world, memory, size, n_live)
        option = _cheapest(world, memory, guide, up, k, t)


@njit(cache=True)
def candidate_costs(
    world, memory, guide, choice, active, up, times, task, now, options, first, last, close, out
):
    """Mean cost in s over the futures of some options of a task.

    Parameters
    ----------
    world : World
    memory : Scratch
    guide : Guide
    choice : (K,) int64
        Decisions so far.
    active : (n,) int64
        Committed tasks that are not over.
    up : (R,) bool
    times : tuple of arrays
        What has been observed of the active tasks (`Observation.times`).
    task, now : int
    options : (n,) int64
        Options of the task, by number among its own; -1 drops it.
    first, last : (J,) int64
        Tasks ``first[j]:last[j]`` are those of future j within the horizon.
    close : int
        End of the horizon, ns: where a guide values what is left.
    out : (n,) float64, written
        Equal futures for every entry; only differences mean anything.
    """
    size = committed(world, memory, choice, active, now, times)
    base = world.arrays.option_ptr[task]
    for i in range(len(options)):
        option = -1 if options[i] < 0 else base + options[i]
        total = 0.0
        for j in range(len(first)):
            total += play(
                world, memory, guide, size, choice, active, up, task, option, now,
                first[j], last[j], close,
            )  # fmt: skip
        out[i] = total * 1e-9 / len(first)
