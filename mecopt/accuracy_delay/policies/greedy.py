"""GOA: greedy offloading by weighted gap, evaluated incrementally (arXiv 2602.07958, algorithm 1).

All queries start on the device. A round looks at every user that is still there and every server
with room, and commits the pair with the largest weighted gap

    u_i kappa - (increase of the total delay);

it ends when no gap is positive. Written out, that is O(N^3 M^2): N rounds, N M pairs, and a total
delay of N M terms for each. Here the increase of a pair is worked out from its server's load, and
only servers whose load or best user changed are looked at again, so that a round costs O(N) for
each of these. Ties go to the lowest user, then the lowest server, as in the written loop.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from mecopt.accuracy_delay.assignment import replay
from mecopt.accuracy_delay.costs import Costs, costs_of
from mecopt.accuracy_delay.instance import LOCAL, IntArray, QuerySnapshot
from mecopt.accuracy_delay.loads import adding, put

#: Bisections of kappa when an accuracy is asked for.
_BISECTIONS = 30


@njit(cache=True)
def _best_user(costs, j, choice, n, a, t):
    """User with the largest weighted gap at server j, and the gap (-inf when there is none)."""
    best, gap = -1, -np.inf
    if n[j] >= costs.room[j]:
        return best, gap
    for i in range(len(choice)):
        if choice[i] < 0 and costs.linear[i, j] < np.inf:
            here = costs.worth[i] + costs.local[i] - adding(costs, i, j, n, a, t)
            if here > gap:
                best, gap = i, here
    return best, gap


@njit(cache=True)
def goa(costs):
    """Decision (N,) of GOA."""
    users, servers = costs.linear.shape
    choice = np.full(users, LOCAL, dtype=np.int64)
    n = np.zeros(servers, dtype=np.int64)
    a, t = np.zeros(servers), np.zeros(servers)
    best = np.full(servers, -1, dtype=np.int64)
    gap = np.full(servers, -np.inf)
    for j in range(servers):
        best[j], gap[j] = _best_user(costs, j, choice, n, a, t)
    for _ in range(users):
        at = -1
        for j in range(servers):
            if gap[j] <= 0.0:
                continue
            if at < 0 or gap[j] > gap[at] or (gap[j] == gap[at] and best[j] < best[at]):
                at = j
        if at < 0:
            break
        i = best[at]
        choice[i] = at
        put(costs, i, at, n, a, t)
        for j in range(servers):
            if j == at or best[j] == i:
                best[j], gap[j] = _best_user(costs, j, choice, n, a, t)
    return choice


def decide(instance: QuerySnapshot, until: float = math.inf) -> IntArray:
    """GOA's decision; with an accuracy to reach, at the least kappa at which it reaches it.

    The published rule has no accuracy to keep: its users sweep kappa. Where a snapshot asks for
    one, kappa is doubled until GOA's decision reaches it and then bisected; a decision that never
    reaches it is returned as it is. The search for kappa ends when `time.perf_counter()` is
    `until`.
    """
    chosen: IntArray = goa(costs_of(instance))
    if replay(instance, chosen).is_feasible:
        return chosen
    low, high, found = instance.kappa_s, max(instance.kappa_s, 0.1), None
    while found is None and high < 1e4 and time.perf_counter() < until:
        low, high = high, 2.0 * high
        found = _reaching(instance, high)
    if found is None:
        return chosen
    for _ in range(_BISECTIONS):
        if time.perf_counter() >= until:
            break
        middle = math.sqrt(low * high)
        better = _reaching(instance, middle)
        if better is None:
            low = middle
        else:
            high, found = middle, better
    return found


def _reaching(instance: QuerySnapshot, kappa_s: float) -> IntArray | None:
    """GOA's decision at a kappa, if it is accurate enough."""
    costs: Costs = costs_of(replace(instance, kappa_s=kappa_s))
    chosen: IntArray = goa(costs)
    return chosen if replay(instance, chosen).is_feasible else None


@dataclass
class Goa:
    """GOA (arXiv 2602.07958): commit the pair with the best weighted gap while one is positive."""

    name: str = "goa"

    def reset(self, instance: QuerySnapshot) -> None:
        """Nothing to prepare."""

    def act(self, instance: QuerySnapshot) -> IntArray:
        return decide(instance)


@dataclass
class DelayGreedy:
    """GOA with kappa 0: queries leave the device only where that shortens the total delay."""

    name: str = "delay-greedy"

    def reset(self, instance: QuerySnapshot) -> None:
        """Nothing to prepare."""

    def act(self, instance: QuerySnapshot) -> IntArray:
        chosen: IntArray = goa(costs_of(replace(instance, kappa_s=0.0)))
        return chosen
