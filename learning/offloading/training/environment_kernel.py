"""Many episodes of offloading in step, compiled: the core of the vectorised environment.

Each place holds the realised world of one episode up to now, as
`mecopt.offloading.observation.OnlineSystem` does for one instance, and is always at a decision. The
kernels are those of the core (`mecopt.offloading.projection`), and a state is described by those of
the single environment, so rows, masks and rewards are equal to the last bit; only the way from one
decision to the next is written here once more, without Python in it.

A reward is the change of what the decided tasks cost when only they are carried out. The single
environment replays the episode for it; here the realised world is copied and run to its end, which
is the same schedule and takes only as long as there is work left.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from learning.offloading.states.option_features import PRESENT, describe
from mecopt.offloading import events, projection
from mecopt.offloading.arrays import Arrays
from mecopt.offloading.status import DROPPED as LOST
from mecopt.offloading.status import NEVER, ON_TIME
from mecopt.offloading.units import DROPPED, INFINITE_NS


@njit(cache=True)
def _instance(episodes, e):
    """Arrays of an episode, and what of its prices and columns the kernels ask for."""
    a, b = episodes.start[e], episodes.start[e + 1]
    f = episodes.arrays
    arrays = Arrays(
        f.free_ptr[a[0] : b[0]],
        f.down_ptr[a[1] : b[1]],
        f.down_ns[a[2] : b[2]],
        f.release[a[3] : b[3]],
        f.option_ptr[a[4] : b[4]],
        f.stage_ptr[a[5] : b[5]],
        f.resource[a[6] : b[6]],
        f.n_pred[a[7] : b[7]],
        f.pred_ptr[a[8] : b[8]],
        f.pred[a[9] : b[9]],
        f.succ_ptr[a[10] : b[10]],
        f.succ[a[11] : b[11]],
        f.task_of_stage[a[12] : b[12]],
        f.slot_ptr[a[13] : b[13]],
    )
    tasks, stages, options = slice(a[3], b[3]), slice(a[6], b[6]), slice(a[14], b[14])
    prices = (
        episodes.deadline[tasks],
        episodes.drop[tasks],
        episodes.weight[tasks],
        episodes.fixed[options],
    )
    times = episodes.believed[stages], episodes.service[stages]
    return arrays, times, prices, episodes.column[a[15] : b[15]]


@njit(cache=True)
def _process(arrays, service, choice, until, world, p, events_needed):
    """Run the world of a place up to a time."""
    slots = arrays.slot_ptr[-1]
    if events_needed:
        # Failures can cancel queued work: what is committed is replayed.
        world.completion[p, :] = NEVER
        events.replay_events(
            arrays,
            service,
            choice,
            until,
            world.arrival[p, :slots],
            world.begun[p, :slots],
            world.finish[p, :slots],
            world.completion[p, : len(choice)],
            world.status[p, : len(choice)],
        )
        return
    state = (
        world.free[p],
        world.epoch[p],
        world.heap_t[p],
        world.heap_s[p],
        world.size[p],
        world.waiting[p],
        world.ready[p],
    )
    stages = world.arrival[p], world.begun[p], world.finish[p], world.lost[p]
    projection.advance(
        arrays, service, choice, until, state, stages, world.status[p], world.completion[p]
    )


@njit(cache=True)
def _commit(arrays, service, places, world, p, task, choice, events_needed):
    """Carry out a decision."""
    places.choice[p, task] = choice
    if choice < 0:
        world.status[p, task] = LOST
        return
    world.status[p, task] = ON_TIME
    places.active[p, places.n_active[p]] = task
    places.n_active[p] += 1
    if events_needed:
        return
    chosen = places.choice[p, : len(arrays.release)]
    world.size[p, 0] = projection.enter(
        arrays,
        chosen,
        task,
        world.heap_t[p],
        world.heap_s[p],
        world.size[p, 0],
        world.waiting[p],
        world.ready[p],
    )
    _process(arrays, service, chosen, arrays.release[task], world, p, False)


@njit(cache=True)
def _observe(arrays, believed, places, world, p, task, now, up, scratch):
    """Write the believed completion of every option to `scratch.completion`; returns free times."""
    chosen = places.choice[p, : len(arrays.release)]
    active = places.active[p, : places.n_active[p]]
    stages = world.arrival[p], world.begun[p], world.finish[p], world.lost[p]
    units = scratch.free[: arrays.free_ptr[-1]]
    room = units, scratch.heap_t, scratch.heap_s
    size = projection.believe(
        arrays, believed, chosen, active, now, stages, *room, scratch.waiting, scratch.ready
    )
    free = units.copy()
    projection.project(
        arrays, believed, chosen, *room, size, scratch.waiting, scratch.ready, scratch.entries
    )
    projection.estimate_all(
        arrays,
        believed,
        task,
        now,
        free,
        scratch.entries,
        up,
        scratch.units,
        scratch.ends,
        scratch.completion,
    )
    return free


@njit(cache=True)
def _up(arrays, now):
    """(R,) whether each resource is up."""
    up = np.ones(len(arrays.free_ptr) - 1, dtype=np.bool_)
    if len(arrays.down_ns) > 0:
        for r in range(len(up)):
            for i in range(arrays.down_ptr[r], arrays.down_ptr[r + 1]):
                if arrays.down_ns[i, 0] <= now < arrays.down_ns[i, 1]:
                    up[r] = False
    return up


@njit(cache=True)
def _oracle(completion, now, deadline, drop, weight, fixed):
    """The choice of the one-step oracle that may drop, in the numbers that it uses."""
    drop_s = np.inf if drop >= INFINITE_NS else drop * 1e-9
    best, least = 0, np.inf
    for i in range(len(completion)):
        latency = completion[i] - now
        cost = drop_s
        if latency <= deadline:
            cost = np.inf
            if completion[i] < NEVER:
                cost = weight * (latency * 1e-9)
            cost += fixed[i] * 1e-9
        if i == 0 or cost < least:
            best, least = i, cost
    return DROPPED if completion[best] - now > deadline or least > drop_s else best


@njit(cache=True)
def cost_of_first(n, arrays, choice, completion, status, deadline, drop, weight, fixed):
    """Cost in ns of tasks 0..n-1, as `mecopt.offloading.schedule.judge` prices them."""
    total = 0.0
    for k in range(n):
        latency = completion[k] - arrays.release[k]
        if status[k] == ON_TIME and latency <= deadline[k]:
            total += weight[k] * latency + fixed[arrays.option_ptr[k] + choice[k]]
        else:
            total += drop[k]
    return total


@njit(cache=True)
def _decided_cost(n, arrays, service, prices, places, world, p, events_needed, ahead):
    """Cost in ns of the first n tasks when only they are carried out."""
    tasks, slots = len(arrays.release), arrays.slot_ptr[-1]
    chosen = places.choice[p, :tasks]
    for k in range(tasks):
        ahead.completion[0, k] = world.completion[p, k]
        ahead.status[0, k] = world.status[p, k]
    if not events_needed:
        size = ahead.size[0, 0] = world.size[p, 0]
        for i in range(size):
            ahead.heap_t[0, i], ahead.heap_s[0, i] = world.heap_t[p, i], world.heap_s[p, i]
        for i in range(arrays.free_ptr[-1]):
            ahead.free[0, i] = world.free[p, i]
        for r in range(len(arrays.down_ptr) - 1):
            ahead.epoch[0, r] = world.epoch[p, r]
        for i in range(slots):
            ahead.waiting[0, i], ahead.ready[0, i] = world.waiting[p, i], world.ready[p, i]
    _process(arrays, service, chosen, NEVER, ahead, 0, events_needed)
    return cost_of_first(n, arrays, chosen, ahead.completion[0], ahead.status[0], *prices)


@njit(cache=True)
def _next(episodes, places, world, scratch, p, observation, mask):
    """Go on to the next task that is asked about and describe it; the task, K at the end."""
    e, user = places.episode[p], places.user[p]
    arrays, (believed, service), prices, column = _instance(episodes, e)
    deadline, drop, weight, fixed = prices
    events_needed, first = episodes.needs_events[e], episodes.start[e, 3]
    n_tasks, n_load = len(arrays.release), episodes.load.shape[1]
    chosen = places.choice[p, :n_tasks]
    while True:
        places.task[p] += 1
        k = places.task[p]
        if k >= n_tasks:
            return
        now = arrays.release[k]
        _process(arrays, service, chosen, now, world, p, events_needed)
        places.n_active[p] = projection.still_active(
            places.active[p],
            places.n_active[p],
            now,
            world.status[p],
            world.completion[p],
            world.lost[p],
        )
        up = _up(arrays, now)
        free = _observe(arrays, believed, places, world, p, k, now, up, scratch)
        o, n = arrays.option_ptr[k], arrays.option_ptr[k + 1] - arrays.option_ptr[k]
        completion = scratch.completion[:n]
        if user < 0 or episodes.owner[first + k] == user:
            break
        choice = _oracle(completion, now, deadline[k], drop[k], weight[k], fixed[o : o + n])
        _commit(arrays, service, places, world, p, k, choice, events_needed)
    places.first[p] = np.argmin(completion)
    if user >= 0:
        cost = _decided_cost(
            k, arrays, service, prices, places, world, p, events_needed, scratch.ahead
        )
        places.cost[p] = cost * 1e-9 / episodes.slot_s[e]
    rows = scratch.rows[: n + 1]
    rows[:] = 0.0
    describe(
        arrays,
        believed,
        completion,
        free,
        scratch.entries,
        k,
        now,
        deadline[k],
        drop[k],
        weight[k],
        episodes.time_scale[first + k],
        episodes.cost_scale[first + k],
        fixed,
        column,
        scratch.backlog,
        scratch.units,
        rows,
    )
    # Assignments to slices take longer than loops here.
    for i in range(n_load):
        observation[i] = episodes.load[e, i]
    columns, width = rows.shape[1], len(mask)
    for i in range(width):
        row = n if i == width - 1 else i
        there = row < n or i == width - 1
        mask[i] = there and rows[row, PRESENT] > 0
        for c in range(columns):
            observation[n_load + i * columns + c] = rows[row, c] if there else 0.0


@njit(cache=True)
def begin(episodes, places, world, scratch, p, observation, mask):
    """Begin the coming episode at a place and go to its first decision."""
    e = places.coming[p]
    places.episode[p], places.user[p] = e, places.coming_user[p]
    places.task[p], places.cost[p], places.n_active[p] = -1, 0.0, 0
    places.choice[p, :] = DROPPED
    world.free[p, :] = 0
    down_ptr = episodes.arrays.down_ptr[episodes.start[e, 1] : episodes.start[e + 1, 1]]
    world.epoch[p, : len(down_ptr) - 1] = down_ptr[:-1]
    world.size[p, 0] = 0
    world.waiting[p, :], world.ready[p, :] = 0, 0
    world.arrival[p, :], world.begun[p, :], world.finish[p, :] = NEVER, NEVER, NEVER
    world.lost[p, :], world.completion[p, :], world.status[p, :] = 0, 0, 0
    places.invalid[p] = 0
    _next(episodes, places, world, scratch, p, observation, mask)


@njit(cache=True)
def step_all(episodes, places, world, scratch, actions, observations, masks, rewards):
    """Carry out one decision of every place; where an episode ends the coming one begins."""
    for p in range(len(actions)):
        e, k = places.episode[p], places.task[p]
        arrays, (_, service), prices, _ = _instance(episodes, e)
        events_needed = episodes.needs_events[e]
        width = masks.shape[1]
        choice = actions[p]
        if not masks[p, choice]:
            places.invalid[p] += 1
            choice = DROPPED if prices[1][k] < INFINITE_NS else places.first[p]
        elif choice == width - 1:
            choice = DROPPED
        _commit(arrays, service, places, world, p, k, choice, events_needed)
        cost = _decided_cost(
            k + 1, arrays, service, prices, places, world, p, events_needed, scratch.ahead
        )
        slots = cost * 1e-9 / episodes.slot_s[e]
        rewards[p] = places.cost[p] - slots
        places.cost[p] = slots
        _next(episodes, places, world, scratch, p, observations[p], masks[p])
        n_tasks = len(arrays.release)
        places.over[p] = places.task[p] >= n_tasks
        if places.over[p]:
            cost = _decided_cost(
                n_tasks, arrays, service, prices, places, world, p, events_needed, scratch.ahead
            )
            places.ended_cost[p] = cost * 1e-9 / episodes.slot_s[e]
            places.ended[p, 0], places.ended[p, 1] = n_tasks, places.invalid[p]
            begin(episodes, places, world, scratch, p, observations[p], masks[p])
