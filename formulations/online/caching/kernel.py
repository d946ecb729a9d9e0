"""Compiled tables of one pair alone at one server: [values], what its best rule uses, and luck.

A state is the age of thoughts 0, ..., K of a pair that is resident, and K + 1 for one that is not.
Beliefs are tabulated at `Alone.points`, and a table between two of them is read linearly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.online.caching.system import System

#: Numbers of requests less probable than this are taken to cost nothing from then on.
LEAST = 1e-12


class Alone(NamedTuple):
    """Every pair at every server, q = n P + p, as its own small problem."""

    law: NDArray[np.float64]  # (Q, 2, C)
    flip: float
    points: NDArray[np.float64]  # (G,) tabulated probabilities of a burst, the first belief too
    most: NDArray[np.int64]  # (Q,) requests that energy allows in a slot; -1 without the memory
    switching: NDArray[np.float64]  # (Q,)
    serve: NDArray[np.float64]  # (Q,) per request
    accuracy: NDArray[np.float64]  # (Q, K + 1) per request
    thoughts: NDArray[np.int64]  # (Q,)
    vanish: NDArray[np.int64]  # (Q,)
    top: NDArray[np.int64]  # (Q,) kappa_max


class Paid(NamedTuple):
    """What a pair pays in each slot, prices included; (Q, T) each."""

    hold: NDArray[np.float64]  # for being resident
    each: NDArray[np.float64]  # for a request served, accuracy aside
    cloud: NDArray[np.float64]  # for a request that is not


#: Belief in a burst before the first slot.
FIRST_BELIEF = 0.5


def alone_of(system: System, points: int) -> Alone:
    """The pairs of a system, with so many beliefs tabulated (and the first one)."""
    x, flip = system.instance, system.flip
    n = x.n_servers
    least = min(flip, 1 - flip)
    grid = np.unique(np.append(np.linspace(least, 1 - least, points), FIRST_BELIEF))
    if len(grid) == 1:  # phases are drawn anew each slot; reading between two needs two
        grid = np.append(grid, 1.0)
    fits = x.memory_mb <= x.capacity_mb[:, None]
    many = system.law.shape[2]
    most = np.where(
        x.energy_10j > 0, x.energy_budget_10j[:, None] // np.maximum(x.energy_10j, 1), many
    )

    def tile(values: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(np.concatenate([values] * n))

    return Alone(
        law=system.law,
        flip=flip,
        points=grid,
        most=np.where(fits, most, -1).ravel(),
        switching=tile(x.switch_cost),
        serve=tile(x.serve_cost),
        accuracy=tile(x.accuracy_cost),
        thoughts=tile(x.thoughts),
        vanish=tile(x.vanish),
        top=tile(x.kappa_max),
    )


@njit(cache=True, nogil=True, inline="always")
def chance(law, q, belief, r):
    """Probability of r requests; 0 for numbers that are taken to cost nothing."""
    if r >= law.shape[2]:
        return 0.0
    p = (1.0 - belief) * law[q, 0, r] + belief * law[q, 1, r]
    return p if p >= LEAST else 0.0


@njit(cache=True, nogil=True, inline="always")
def believed(law, q, flip, belief, r):
    """Belief in a burst in the next slot, after r requests in this one (of some probability)."""
    burst = belief * law[q, 1, r]
    burst /= burst + (1.0 - belief) * law[q, 0, r]
    return burst * (1.0 - flip) + (1.0 - burst) * flip


@njit(cache=True, nogil=True)
def followed(alone, q, belief, r):
    """`believed`, also where the law does not know such numbers: they come in bursts."""
    if r < alone.law.shape[2] and max(alone.law[q, 0, r], alone.law[q, 1, r]) > 0.0:
        return believed(alone.law, q, alone.flip, belief, r)
    return 1.0 - alone.flip


@njit(cache=True, nogil=True, inline="always")
def between(points, belief):
    """The tabulated belief below, and the share of the one above."""
    g = min(max(np.searchsorted(points, belief) - 1, 0), len(points) - 2)
    share = (belief - points[g]) / (points[g + 1] - points[g])
    return g, min(max(share, 0.0), 1.0)


@njit(cache=True, nogil=True)
def read(points, later, belief, out):
    """Values of all states at a belief, from a table (G, S)."""
    g, share = between(points, belief)
    low, high = later[g], later[g + 1]
    for s in range(len(out)):
        out[s] = (1.0 - share) * low[s] + share * high[s]


@njit(cache=True, nogil=True, error_model="numpy")
def serve(best, which, after, x, weight, accuracy, gain, top):
    """best[k] = min(best[k], weight + x accuracy[k'] + after[k']), k' = clip(k + gain); which x."""
    low, high = 0, top + 1
    if gain < 0:
        low = min(-gain, top + 1)
        floor = weight + x * accuracy[0] + after[0]
        for k in range(low):
            better = floor < best[k]
            best[k] = floor if better else best[k]
            which[k] = x if better else which[k]
    elif gain > 0:
        high = max(top + 1 - gain, 0)
        roof = weight + x * accuracy[top] + after[top]
        for k in range(high, top + 1):
            better = roof < best[k]
            best[k] = roof if better else best[k]
            which[k] = x if better else which[k]
    n = high - low
    if n > 0:
        out, of, acc, nxt = (
            best[low:high],
            which[low:high],
            accuracy[low + gain :],
            after[low + gain :],
        )
        for k in range(n):
            value = weight + x * acc[k] + nxt[k]
            better = value < out[k]
            out[k] = value if better else out[k]
            of[k] = x if better else of[k]


@njit(cache=True, nogil=True, error_model="numpy")
def decide(alone, paid, q, t, r, after, row, which):
    """row[s] = least cost of slot t with r requests and of what follows; which requests served.

    `after` (S,) are values of the states afterwards; which[s] is -1 where the pair is not resident.
    """
    top, off = alone.top[q], len(row) - 1
    accuracy = alone.accuracy[q]
    thoughts, vanish, cloud = alone.thoughts[q], alone.vanish[q], paid.cloud[q, t]
    for k in range(top + 1):
        row[k] = np.inf
        which[k] = -1.0
    for x in range(min(r, alone.most[q]) + 1):
        weight = paid.hold[q, t] + x * paid.each[q, t] + (r - x) * cloud
        serve(row, which, after, x, weight, accuracy, thoughts * x - vanish, top)
    leave = r * cloud + after[off]
    enter = row[0] + alone.switching[q]
    row[off] = min(leave, enter)
    which[off] = which[0] if enter < leave else -1.0
    for k in range(top + 1):
        if leave <= row[k]:
            row[k] = leave
            which[k] = -1.0


@njit(cache=True, nogil=True, error_model="numpy")
def expected(alone, paid, q, t, later, belief, after, row, which, out, choice):
    """out[s] = expected least cost of slot t and what follows at a belief.

    `later` (G, S) is the table of the next slot; choice (C, S) gets what is served, unless empty.
    """
    out[:] = 0.0
    for r in range(alone.law.shape[2]):
        p = chance(alone.law, q, belief, r)
        if p == 0.0:
            continue
        read(alone.points, later, believed(alone.law, q, alone.flip, belief, r), after)
        decide(alone, paid, q, t, r, after, row, which)
        for s in range(len(out)):
            out[s] += p * row[s]
        if len(choice):
            for s in range(len(out)):
                choice[r, s] = np.int16(which[s])


@njit(cache=True, nogil=True, error_model="numpy")
def solve_pair(alone, paid, q, table, choice):
    """Fill table (T + 1, G, S) with [values], and choice (T, G, C, S) unless its C is 0."""
    slots, states = paid.hold.shape[1], table.shape[2]
    after, row, which = np.empty(states), np.empty(states), np.empty(states)
    # Ages beyond the pair's own are never reached; they must be numbers all the same.
    row[:], which[:] = 0.0, -1.0
    table[slots] = 0.0
    for t in range(slots - 1, -1, -1):
        for g in range(len(alone.points)):
            at, out = choice[t, g], table[t, g]
            expected(alone, paid, q, t, table[t + 1], alone.points[g], after, row, which, out, at)


@njit(cache=True, nogil=True, error_model="numpy")
def use_pair(alone, q, choice, first, resident, served, clouded):
    """Probability of residency (T,), requests served and not (T,), expected under `choice`.

    Beliefs go to the tabulated one below or above by chance, as the tables read them; `first` is
    the one at which the episode begins.
    """
    slots, points, requests, states = choice.shape
    off = states - 1
    now, then = np.zeros((points, states)), np.zeros((points, states))
    now[first, off] = 1.0
    for t in range(slots):
        then[:] = 0.0
        for g in range(points):
            for r in range(requests):
                p = chance(alone.law, q, alone.points[g], r)
                if p == 0.0:
                    continue
                belief = believed(alone.law, q, alone.flip, alone.points[g], r)
                to, share = between(alone.points, belief)
                for s in range(states):
                    mass = p * now[g, s]
                    if mass == 0.0:
                        continue
                    x, k = choice[t, g, r, s], off
                    if x >= 0:
                        k = (0 if s == off else s) + alone.thoughts[q] * x - alone.vanish[q]
                        k = min(max(k, 0), alone.top[q])
                        resident[t] += mass
                        served[t] += mass * x
                    clouded[t] += mass * (r - max(x, 0))
                    then[to, k] += (1.0 - share) * mass
                    then[to + 1, k] += share * mass
        now, then = then, now


@njit(cache=True, nogil=True, error_model="numpy")
def luck_of_pair(alone, paid, q, table, requests, out):
    """[luck] of every slot and state (T, S) when these requests (T,) come."""
    slots, states = out.shape
    after, row, which = np.empty(states), np.empty(states), np.empty(states)
    row[:], which[:] = 0.0, -1.0
    mean, found = np.zeros(states), np.zeros(states)
    nothing = np.empty((0, states), dtype=np.int16)
    belief = FIRST_BELIEF
    for t in range(slots):
        expected(alone, paid, q, t, table[t + 1], belief, after, row, which, mean, nothing)
        r = requests[t]
        # What cannot come costs nothing in the expectation, so it must cost nothing here.
        found[:] = 0.0
        p = chance(alone.law, q, belief, r)
        belief = followed(alone, q, belief, r)
        if p > 0.0:
            read(alone.points, table[t + 1], belief, after)
            decide(alone, paid, q, t, r, after, row, which)
            found[:] = row
        out[t] = found - mean


@njit(cache=True, nogil=True, error_model="numpy")
def worths(alone, later, requests, belief, future):
    """Follow the beliefs (Q,) and say what ages (Q, K + 1) are worth in the slots to come.

    `later` (Q, G, S) are the tables of the next slot.
    """
    off = later.shape[2] - 1
    values = np.empty(off + 1)
    for q in range(len(belief)):
        belief[q] = followed(alone, q, belief[q], requests[q])
        read(alone.points, later[q], belief[q], values)
        for k in range(off):
            future[q, k] = values[off] - values[k]


@njit(cache=True, nogil=True, error_model="numpy")
def price_lucky(blocks, q, weight, luck, table, off):
    """Least cost less luck of a pair's plans, each choice at its `weight`, in a known world.

    As `formulations.caching.pairs.price_pair`, with `luck` (T, S) taken off every state that a slot
    is entered in. Fills table (T + 1, K + 1) and off (T + 1), from which plans are read.
    """
    slots, away = blocks.n_slots, luck.shape[1] - 1
    top, thoughts, vanish = blocks.kappa_max[q], blocks.thoughts[q], blocks.vanish[q]
    accuracy = blocks.accuracy[q]
    which = np.empty(top + 1)
    table[slots, : top + 1] = 0.0
    off[slots] = 0.0
    for t in range(slots - 1, -1, -1):
        first = blocks.first[q * slots + t]
        count = blocks.first[q * slots + t + 1] - first
        row = table[t]
        row[: top + 1] = np.inf
        for x in range(count - 1):
            w = weight[first + 1 + x]
            serve(row, which, table[t + 1], x, w, accuracy, thoughts * x - vanish, top)
        leave = weight[first] + off[t + 1]
        off[t] = min(leave, row[0] + blocks.switching[q]) - luck[t, away]
        for k in range(top + 1):
            row[k] = min(row[k], leave) - luck[t, k]
    return off[0]
