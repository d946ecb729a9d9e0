"""The best online rule of a tiny caching system, by dynamic programming over all that can be known.

    [best]  C_t(h, s) = sum over requests r of min over joint decisions of
                        P(h, r) cost(s, r, decisions) + C_(t+1)((h, r), s')

with h all requests so far and s what is resident, with its ages; C_T = 0. P(h, r) is summed over
the phases that may lie behind, so beliefs and tables play no part. Every rule that cannot see the
future is one of those minimised over: C_0 is V* of `formulations.online.caching` exactly, where
laws leave nothing out. This is for tests and for teaching.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.online.caching.kernel import FIRST_BELIEF
from formulations.online.caching.system import System
from mecopt.caching.coupling import Backhaul

#: Requests and decisions of whole episodes that are worked through, at most.
LARGEST = 100_000_000


def best_cost(system: System) -> float:
    """Least expected cost of an episode over every online rule.

    Raises
    ------
    ValueError
        If there are more than `LARGEST` episodes and decisions.
    """
    x, law = system.instance, system.law
    rows, _, many = law.shape
    slot = (many * (many + 1) / 2 + many) ** rows  # per row: r + 2 choices with r requests
    if slot**x.n_slots > LARGEST:
        raise ValueError(f"system: {slot**x.n_slots:.3g} episodes, at most {LARGEST} are tried")
    link = x.coupling if isinstance(x.coupling, Backhaul) else None
    return float(
        _expected(
            0,
            np.tile([1 - FIRST_BELIEF, FIRST_BELIEF], (rows, 1)),
            np.full(rows, -1),
            law,
            system.flip,
            x.pairs,
            x.capacity_mb,
            x.energy_budget_10j,
            np.zeros(x.n_pairs, dtype=np.int64) if link is None else link.tokens,
            np.zeros(x.n_slots, dtype=np.int64) if link is None else link.capacity,
            0.0 if link is None else link.overflow_cost,
        )
    )


def worlds(system: System) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """Every world of a tiny system: its probability, and its requests (N, P, T)."""
    x, law, f = system.instance, system.law, system.flip
    rows, _, many = law.shape
    change = np.array([[1 - f, f], [f, 1 - f]])
    chance = {}
    for path in product(range(many), repeat=x.n_slots):
        weight = np.tile([1 - FIRST_BELIEF, FIRST_BELIEF], (rows, 1))
        for r in path:
            weight = (weight * law[:, :, r]) @ change
        chance[path] = weight.sum(axis=1)
    for paths in product(chance, repeat=rows):
        p = np.prod([chance[path][q] for q, path in enumerate(paths)])
        yield float(p), np.array(paths).reshape(x.requests.shape)


@njit(cache=True)
def _expected(t, weight, state, law, flip, pairs, capacity, budget, tokens, link, overflow):
    """C_t times the probability of what happened: `weight` (Q, 2) by phase, ages (-1 off)."""
    if t == len(link):
        return 0.0
    rows, many = len(state), law.shape[2]
    n_pairs = len(pairs.memory)
    total = 0.0
    requests, choice = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    after, entered = np.empty((rows, 2)), np.empty(rows, np.int64)
    for code in range(many**rows):
        p, options, left = 1.0, 1, code
        for q in range(rows):
            r = left % many
            left //= many
            requests[q] = r
            options *= r + 2
            lull, burst = weight[q, 0] * law[q, 0, r], weight[q, 1] * law[q, 1, r]
            p *= lull + burst
            after[q, 0] = (1 - flip) * lull + flip * burst
            after[q, 1] = (1 - flip) * burst + flip * lull
        if p == 0.0:
            continue
        best = np.inf
        for decision in range(options):
            left = decision
            for q in range(rows):
                choice[q] = left % (requests[q] + 2) - 1
                left //= requests[q] + 2
            cost = _cost(state, requests, choice, pairs, capacity, budget, entered)
            if cost == np.inf:
                continue
            used = 0
            for q in range(rows):
                used += tokens[q % n_pairs] * (requests[q] - max(choice[q], 0))
            cost += overflow * max(0, used - link[t])
            later = _expected(
                t + 1,
                after,
                entered.copy(),
                law,
                flip,
                pairs,
                capacity,
                budget,
                tokens,
                link,
                overflow,
            )
            best = min(best, p * cost + later)
        total += best
    return total


@njit(cache=True)
def _cost(state, requests, choice, pairs, capacity, budget, entered):
    """Cost of a slot, infinite where decisions do not fit; fills the states `entered`."""
    n_pairs = len(pairs.memory)
    total, memory, energy = 0.0, 0, 0
    for q in range(len(state)):
        p = q % n_pairs
        if p == 0:
            memory, energy = 0, 0
        x = choice[q]
        total += (requests[q] - max(x, 0)) * pairs.cloud[p]
        entered[q] = -1
        if x < 0:
            continue
        memory += pairs.memory[p]
        energy += x * pairs.energy[p]
        if memory > capacity[q // n_pairs] or energy > budget[q // n_pairs]:
            return np.inf
        age = max(state[q], 0) + pairs.thoughts[p] * x - pairs.vanish[p]
        entered[q] = min(max(age, 0), pairs.kappa_max[p])
        total += x * (pairs.serve[p] + pairs.accuracy[p, entered[q]])
        if state[q] < 0:
            total += pairs.switch[p]
    return total
