"""Schedules for coupled servers: pairs are settled one after another under prices that follow.

Where requests may be served next door, a good schedule is first of all a choice of servers for each
pair, and windows rarely change it once memory is full. A dive takes pairs in some order. Each gets
its best plan over *all* servers at the prices of the bound, within the memory, energy and requests
that are left; then it is settled (its pair blocks have this plan alone), and a short ascent moves
the prices for the others. Some pairs may keep the plans they have: diving with the rest is then a
large move from a known schedule.

The prices of a dive bound only schedules with the settled plans: they guide, and prove nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from formulations.ascent import ascend
from formulations.caching.blocks import Blocks, FloatArray, IntArray
from formulations.caching.oracle import LinkOracle, RestrictedOracle
from formulations.caching.search import Search
from formulations.caching.windows import Guide, anneal, state_of, total_cost

#: Temperatures of a pair's own annealing, in mean costs of a place, and moves at each.
_HEATS, _MOVES = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03), 400
#: Evaluations of the ascent between two pairs, and its first step, in the usual ones.
_EVALUATIONS, _STEP = 40, 0.15
#: Fewest and most pairs settled anew by a move from a known schedule.
_FREED = (3, 5)


class Dive:
    """Settles pairs, from the prices of a bound.

    Parameters
    ----------
    links : LinkOracle
    prices : (choices + coupling rows,) float64
        Of the bound; left alone.
    rng : Generator
    """

    def __init__(self, links: LinkOracle, prices: FloatArray, rng: np.random.Generator) -> None:
        b = self.blocks = links.blocks
        self.oracle = RestrictedOracle(b, links.pricer, links.coupling)
        self.prices = prices.copy()
        self.rng = rng
        self.worth = max(float(b.cost[b.first[:-1]].mean()), 1e-9)
        places = len(b.requests)
        self.state = state_of(b, np.zeros(places, np.int64), np.zeros((places, 3), np.int64))

    def keep(self, pairs: Iterable[int], picked: IntArray, flow: IntArray) -> None:
        """Settle pairs with the plans of a schedule."""
        for p in pairs:
            at = _places(self.blocks, p)
            self._settle(at, picked[at], flow[at])

    def settle(self, pairs: Iterable[int], deadline: float) -> None:
        """Settle pairs in this order, prices following before each."""
        for p in pairs:
            self._follow(deadline)
            self._settle(_places(self.blocks, p), *self._plan(p))

    def schedule(self) -> tuple[IntArray, IntArray]:
        """Choices (Q T,) and flows (Q T, 3) of what is settled; all else is off."""
        return self.state.picked.copy(), self.state.flow.copy()

    def _follow(self, deadline: float) -> None:
        oracle = self.oracle
        rise = ascend(
            oracle,
            self.prices,
            iterations=_EVALUATIONS,
            step=_STEP * oracle.step,
            lower=oracle.lower,
            upper=oracle.upper,
            deadline=deadline,
        )
        self.prices = rise.prices

    def _plan(self, p: int) -> tuple[IntArray, IntArray]:
        """A cheap plan of a pair over all servers, within what is left."""
        b = self.blocks
        alone = _alone(b, p, self.prices)
        births = self.prices[b.n_choices :][_places(b, p)]
        guide = Guide(np.zeros(alone.n_choices), births)
        nothing = np.zeros(len(alone.requests), dtype=np.int64)
        state = state_of(alone, nothing, np.zeros((len(nothing), 3), dtype=np.int64))
        state = state._replace(
            memory_left=self.state.memory_left.copy(), energy_left=self.state.energy_left.copy()
        )
        best, flow = state.picked.copy(), state.flow.copy()
        top, kept = np.inf, (best.copy(), flow.copy())
        for heat in _HEATS:
            now = heat * self.worth
            anneal(alone, state, guide, _MOVES, now, 0.7 * now, b.n_slots, self.rng, best, flow)
            cost = float(total_cost(alone, state._replace(picked=best, flow=flow)))
            if cost < top:
                top, kept = cost, (best.copy(), flow.copy())
        return kept

    def _settle(self, at: IntArray, picked: IntArray, flow: IntArray) -> None:
        """Leave a pair the choices of one plan."""
        b, state = self.blocks, self.state
        state.picked[at], state.flow[at] = picked, flow
        self.state = state_of(b, state.picked, state.flow)
        number = np.diff(b.first)[at]
        every = np.repeat(b.first[:-1][at] - np.cumsum(number) + number, number)
        every += np.arange(len(every))
        taken = np.isin(every, b.first[:-1][at] + picked)
        self.oracle.ban(every[~taken], self.prices)


def resettle(
    search: Search, links: LinkOracle, prices: FloatArray, deadline: float, target: float
) -> None:
    """Better the schedule of a search by diving anew with a few pairs at a time.

    Each dive is polished by the windows of a search of its own. Stops at `deadline`
    (`time.perf_counter`) or once the objective is `target`.
    """
    blocks, rng = links.blocks, search.rng
    polish = len(blocks.requests) / 2000.0
    while time.perf_counter() < deadline and search.objective > target:
        order = rng.permutation(blocks.n_pairs)
        freed = min(int(rng.integers(_FREED[0], _FREED[1] + 1)), blocks.n_pairs)
        dive = Dive(links, prices, rng)
        dive.keep(order[freed:], search.picked, search.flow)
        dive.settle(order[:freed].tolist(), deadline)
        other = Search(blocks, *dive.schedule(), int(rng.integers(2**31)))
        other.guide = search.guide
        other.run(polish, deadline, target, heat=0.5, widest=blocks.n_slots)
        search.offer(other.picked, other.flow)
        search.moves += other.moves


def _places(blocks: Blocks, p: int) -> IntArray:
    """Places q T + t of a pair, over servers and slots."""
    servers = np.arange(blocks.n_servers)[:, None] * blocks.n_pairs + p
    return (servers * blocks.n_slots + np.arange(blocks.n_slots)).ravel()


def _alone(blocks: Blocks, p: int, prices: FloatArray) -> Blocks:
    """One pair on all servers, its choices at their prices."""
    b = blocks
    at = _places(b, p)
    own = np.arange(b.n_servers) * b.n_pairs + p
    number = np.diff(b.first)[at]
    first = np.concatenate([[0], np.cumsum(number)]).astype(np.int64)
    choices = np.repeat(b.first[:-1][at] - first[:-1], number) + np.arange(first[-1])
    names = ("accuracy", "switching", "thoughts", "vanish", "kappa_max", "memory", "energy",
             "tokens", "hop")  # fmt: skip
    per_pair: dict[str, Any] = {name: np.ascontiguousarray(getattr(b, name)[own]) for name in names}
    return b._replace(
        n_pairs=1,
        first=first,
        cost=b.cost[choices] + prices[choices],
        requests=b.requests[at],
        **per_pair,
    )
