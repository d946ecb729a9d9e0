"""Local search from GOA's decision: move one query, or exchange two, while the objective falls.

A decision that is not accurate enough is charged more than any two decisions differ by, and as much
again for every missing gain of the least accurate move, so that the search repairs it first and
keeps it then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from mecopt.accuracy_delay.assignment import replay
from mecopt.accuracy_delay.costs import Costs, costs_of
from mecopt.accuracy_delay.instance import LOCAL, IntArray, QuerySnapshot
from mecopt.accuracy_delay.loads import adding, exchanging, loads, put, removing, take
from mecopt.accuracy_delay.policies.greedy import decide
from mecopt.checks import check_seed

#: Pairs of users that are tried between two looks at the clock.
_PAIRS_AT_A_TIME = 5_000_000
#: A move must win more than this, ns.
_LEAST = 1e-3


@njit(cache=True)
def _gain_of(costs, i, j):
    return costs.gain[i, j] if j >= 0 else 0.0


@njit(cache=True)
def _charge(missing, widest, least):
    """Charge for missing accuracy (10^-9), ns; none when nothing is missing."""
    return widest * (1.0 + missing / least) if missing > 0.0 else 0.0


@njit(cache=True)
def _charged(missing, change, widest, least):
    """Change of the charge when accuracy changes."""
    return _charge(missing - change, widest, least) - _charge(missing, widest, least)


@njit(cache=True)
def _move(costs, i, j, choice, n, a, t):
    """Change of the objective, ns, when user i goes to j."""
    at = choice[i]
    change = 0.0
    if at >= 0:
        change += costs.worth[i] - removing(costs, i, at, n, a, t)
    else:
        change -= costs.local[i]
    if j >= 0:
        change += adding(costs, i, j, n, a, t) - costs.worth[i]
    else:
        change += costs.local[i]
    return change


@njit(cache=True)
def _swap(costs, i, k, choice, n, a, t):
    """Change of the objective, ns, when i and k exchange places (i at a server)."""
    at, to = choice[i], choice[k]
    change = exchanging(costs, i, k, at, n, a, t)
    if to >= 0:
        return change + exchanging(costs, k, i, to, n, a, t)
    return change + costs.worth[i] - costs.worth[k] + costs.local[i] - costs.local[k]


@njit(cache=True)
def descend(costs, choice, missing, widest, least, i, quiet, steps):
    """Take the first improving move or exchange of one user after another.

    Goes on from user `i`, of whom `quiet` before had none, for so many users or until nobody has
    one; returns missing accuracy, the next user and `quiet`.

    `choice` is changed in place; `missing` is the accuracy it lacks, in units of 10^-9 (negative
    when there is more than asked); `widest` and `least` are those of `_charge`.
    """
    n, a, t = loads(costs, choice)
    users, servers = costs.linear.shape
    for _ in range(steps):
        if quiet >= users:
            break
        found = False
        for j in range(LOCAL, servers):
            if j == choice[i]:
                continue
            if j >= 0 and (n[j] >= costs.room[j] or costs.linear[i, j] == np.inf):
                continue
            change = _move(costs, i, j, choice, n, a, t)
            gain = _gain_of(costs, i, j) - _gain_of(costs, i, choice[i])
            if change + _charged(missing, gain, widest, least) < -_LEAST:
                if choice[i] >= 0:
                    take(costs, i, choice[i], n, a, t)
                if j >= 0:
                    put(costs, i, j, n, a, t)
                choice[i] = j
                missing -= gain
                found = True
        if choice[i] >= 0:
            for k in range(users):
                to, at = choice[k], choice[i]
                if to == at or costs.linear[k, at] == np.inf:
                    continue
                if to >= 0 and costs.linear[i, to] == np.inf:
                    continue
                change = _swap(costs, i, k, choice, n, a, t)
                gain = _gain_of(costs, i, to) - _gain_of(costs, i, at)
                gain += _gain_of(costs, k, at) - _gain_of(costs, k, to)
                if change + _charged(missing, gain, widest, least) < -_LEAST:
                    take(costs, i, at, n, a, t)
                    put(costs, k, at, n, a, t)
                    if to >= 0:
                        take(costs, k, to, n, a, t)
                        put(costs, i, to, n, a, t)
                    choice[i], choice[k] = to, at
                    missing -= gain
                    found = True
                    if choice[i] < 0:
                        break
        quiet = 0 if found else quiet + 1
        i = (i + 1) % users
    return missing, i, quiet


@njit(cache=True)
def _shake(costs, choice, users, places):
    """Send users to places (-1 is the device) that they reach and that have room."""
    n, _, _ = loads(costs, choice)
    for k in range(len(users)):
        i, j = users[k], places[k]
        if j == choice[i]:
            continue
        if j >= 0 and (n[j] >= costs.room[j] or costs.linear[i, j] == np.inf):
            continue
        if choice[i] >= 0:
            n[choice[i]] -= 1
        if j >= 0:
            n[j] += 1
        choice[i] = j


class Search:
    """Iterated local search on one snapshot.

    Parameters
    ----------
    instance : QuerySnapshot
    choice : (N,) int64
        Where it starts.
    seed : int
        Of the shakes.
    """

    def __init__(self, instance: QuerySnapshot, choice: IntArray, seed: int = 0) -> None:
        self.instance = instance
        self._costs: Costs = costs_of(instance)
        gain = np.abs(self._costs.gain)
        self._least = float(gain[gain > 0].min()) if (gain > 0).any() else 1.0
        self._widest = _widest(self._costs)
        self.choice = choice.copy()
        self._key = self._value(choice)
        self._rng = np.random.default_rng(seed)

    def _value(self, choice: IntArray) -> tuple[int, int]:
        """Missing accuracy, then cost units: what the search makes least, in that order."""
        found = replay(self.instance, choice)
        missing = self.instance.accuracy_needed_units - found.accuracy_units
        return max(0, missing), found.units

    def hold(self, choice: IntArray) -> bool:
        """Keep a decision as it is when it is better than what is held."""
        key = self._value(choice)
        if key < self._key:
            self.choice, self._key = choice.copy(), key
            return True
        return False

    def offer(self, choice: IntArray, until: float = np.inf) -> bool:
        """Descend from a decision until there is no better one near it or `time.perf_counter()`
        is `until`, and keep what is better than what is held.
        """
        trial = choice.copy()
        found = replay(self.instance, trial)
        missing = float(self.instance.accuracy_needed_units - found.accuracy_units)
        users, i, quiet = self.instance.n_users, 0, 0
        steps = max(1, _PAIRS_AT_A_TIME // users)
        while quiet < users and time.perf_counter() < until:
            missing, i, quiet = descend(
                self._costs, trial, missing, self._widest, self._least, i, quiet, steps
            )
        return self.hold(choice) | self.hold(trial)

    def shake(self, rounds: int, until: float = np.inf) -> None:
        """Shake what is held and descend again, `rounds` times or until a moment."""
        n, m = self.instance.n_users, self.instance.n_servers
        for _ in range(rounds):
            moved = int(self._rng.integers(2, 6))
            users = self._rng.integers(n, size=moved)
            places = self._rng.integers(-1, m, size=moved)
            trial = self.choice.copy()
            _shake(self._costs, trial, users, places)
            self.offer(trial, until)


def _widest(costs: Costs) -> float:
    """More than any two decisions differ by, ns."""
    linear = np.where(np.isfinite(costs.linear), costs.linear, 0.0).max(axis=1).sum()
    users = len(costs.local)
    root = float(costs.root.max(axis=1).sum()) / 2.0**10
    apart = users * (float(costs.queue.max()) + linear) + root**2
    return float(1.0 + costs.local.sum() + costs.worth.sum() + apart)


@dataclass
class GoaLocalSearch:
    """GOA's decision, improved by moves and exchanges of queries until none helps.

    Then it is shaken and improved again `rounds` times, and the best is kept. Thirty rounds close
    what a single descent leaves open on small snapshots (`benchmarks.accuracy_delay.goa`).
    """

    name: str = "goa-local-search"
    rounds: int = 30
    seed: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def reset(self, instance: QuerySnapshot) -> None:
        """Nothing to prepare."""

    def act(self, instance: QuerySnapshot) -> IntArray:
        first = decide(instance)
        search = Search(instance, first, self.seed)
        search.offer(first)
        search.shake(self.rounds)
        return search.choice
