"""Compiled rollouts of simplified queues: what each option of a task does to those who follow.

Queues here serve in order of decision, and only some resources count; the others never make
anybody wait. Rollouts need not be exact: any figure of the future makes a valid penalty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Tables(NamedTuple):
    """Tasks as rollouts read them, times and costs in s. Options are chains of stages."""

    release: NDArray[np.float64]  # (K,)
    deadline: NDArray[np.float64]  # (K,)
    drop: NDArray[np.float64]  # (K,)
    option_ptr: NDArray[np.int64]  # (K + 1,)
    stage_ptr: NDArray[np.int64]  # (O + 1,)
    resource: NDArray[np.int64]  # (S,) number among those that count, -1 for the others
    service: NDArray[np.float64]  # (S,) as it really is
    believed: NDArray[np.float64]  # (S,) as expected at the release
    own: NDArray[np.float64]  # (O,) expected cost when nothing waits


@njit(cache=True)
def _first_free(free, lo, hi):
    best = lo
    for i in range(lo + 1, hi):
        if free[i] < free[best]:
            best = i
    return best


@njit(cache=True)
def _serve(tables, free_ptr, free, k):
    """The least expected cost of a task, its wait included; its work is added to the queues."""
    least, chosen = tables.drop[k], -1
    for o in range(tables.option_ptr[k], tables.option_ptr[k + 1]):
        cost, t = tables.own[o], tables.release[k]
        for s in range(tables.stage_ptr[o], tables.stage_ptr[o + 1]):
            r = tables.resource[s]
            if r >= 0:
                begin = free[_first_free(free, free_ptr[r], free_ptr[r + 1])]
                if begin > t:
                    cost += begin - t
                    t = begin
            t += tables.believed[s]
        if t - tables.release[k] <= tables.deadline[k] + 1e-9 and cost < least:
            least, chosen = cost, o
    if chosen >= 0:
        add(free, free_ptr, tables.release[k], chosen, tables, tables.service)
    return least


@njit(cache=True)
def add(free, free_ptr, release, option, tables, service):
    """Let an option take its place in the queues, with given service times of all stages."""
    t = release
    for s in range(tables.stage_ptr[option], tables.stage_ptr[option + 1]):
        r = tables.resource[s]
        if r >= 0:
            unit = _first_free(free, free_ptr[r], free_ptr[r + 1])
            t = max(t, free[unit])
            free[unit] = t + service[s]
        t += service[s]


@njit(cache=True)
def _follow(tables, free_ptr, free, first, last, until):
    """Cost of tasks first..last-1 that are released by some time, served one after another."""
    total = 0.0
    for k in range(first, last):
        if tables.release[k] > until:
            break
        total += _serve(tables, free_ptr, free, k)
    return total


@njit(cache=True)
def crowding(world, redrawn, futures, task_ptr, weight, free_ptr, horizon, out):
    """z of every option: what it costs those who follow, less the mean of that over futures.

    Parameters
    ----------
    world : Tables
    redrawn : (M, S) float64
        Service times of the world's stages, drawn anew given what is known at the release.
    futures : Tables
        M worlds one after another, tasks ``task_ptr[m]:task_ptr[m + 1]`` are the m-th.
    task_ptr : (M + 1,) int64
    weight : (M,) float64
        Of the worlds in the mean.
    free_ptr : (R + 1,) int64
        Units of the resources that count.
    horizon : float
        Tasks released within so many seconds are followed.
    out : (O,) float64, written
    """
    count = len(task_ptr) - 1
    state, free = np.zeros(free_ptr[-1]), np.empty(free_ptr[-1])
    nxt = task_ptr[:-1].copy()
    base = np.empty(count)
    known = 0  # tasks before it have been released by now, and are known
    for k in range(len(world.release)):
        now = world.release[k]
        until = now + horizon
        while known < len(world.release) and world.release[known] <= now:
            known += 1
        for m in range(count):
            while nxt[m] < task_ptr[m + 1] and futures.release[nxt[m]] <= now:
                nxt[m] += 1
            free[:] = state
            base[m] = _follow(world, free_ptr, free, k + 1, known, until)
            base[m] += _follow(futures, free_ptr, free, nxt[m], task_ptr[m + 1], until)
        free[:] = state
        real = _follow(world, free_ptr, free, k + 1, len(world.release), until)
        for o in range(world.option_ptr[k], world.option_ptr[k + 1]):
            counts = False
            for s in range(world.stage_ptr[o], world.stage_ptr[o + 1]):
                counts = counts or world.resource[s] >= 0
            if not counts:
                out[o] = 0.0
                continue
            free[:] = state
            add(free, free_ptr, now, o, world, world.service)
            z = _follow(world, free_ptr, free, k + 1, len(world.release), until) - real
            for m in range(count):
                free[:] = state
                add(free, free_ptr, now, o, world, redrawn[m])
                after = _follow(world, free_ptr, free, k + 1, known, until)
                after += _follow(futures, free_ptr, free, nxt[m], task_ptr[m + 1], until)
                z -= weight[m] * (after - base[m])
            out[o] = z
        _serve(world, free_ptr, state, k)
