"""Schedules for coupled servers: pairs are settled one after another, each on all servers at once.

Where requests may be served next door, a good schedule is first of all a choice of servers for each
pair, and windows rarely change it once memory is full. A dive takes pairs in some order. Each gets
a cheap plan over *all* servers at the prices of the bound, within the memory, energy and requests
that are left, by an annealing of its own. Some pairs may keep the plans they have: diving with the
rest is then a large move from a known schedule, which windows polish.

Letting prices follow after each pair (an ascent with the settled pairs fixed) was tried: it cost
more time than it was worth.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from formulations.caching.blocks import Blocks, FloatArray, IntArray
from formulations.caching.search import Search
from formulations.caching.windows import Guide, anneal, state_of, total_cost

#: Temperatures of a pair's own annealing, in mean costs of a place, and moves at each.
_HEATS, _MOVES = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03), 400
#: Seconds of polishing after a move, per place, and the temperature it begins at.
_POLISH, _HEAT = 2e-4, 0.5
#: Mean of what a dive may be worse and still be gone on from, in shares of the cost, at first.
_SLACK = 4e-3
#: Fewest and most pairs settled anew by a move from a known schedule.
_FREED = (3, 5)


class Dive:
    """Settles pairs at the prices of a bound.

    Parameters
    ----------
    blocks : Blocks
        With forwarding.
    guide : Guide
        Prices of choices and of requests taken from a cell.
    rng : Generator
    """

    def __init__(self, blocks: Blocks, guide: Guide, rng: np.random.Generator) -> None:
        b = self.blocks = blocks
        self.guide, self.rng = guide, rng
        self.worth = max(float(b.cost[b.first[:-1]].mean()), 1e-9)
        places = len(b.requests)
        self.state = state_of(b, np.zeros(places, np.int64), np.zeros((places, 3), np.int64))

    def keep(self, pairs: Iterable[int], picked: IntArray, flow: IntArray) -> None:
        """Settle pairs with the plans of a schedule."""
        for p in pairs:
            at = _places(self.blocks, p)
            self._settle(at, picked[at], flow[at])

    def settle(self, pairs: Iterable[int]) -> None:
        """Settle pairs in this order."""
        for p in pairs:
            self._settle(_places(self.blocks, p), *self._plan(p))

    def schedule(self) -> tuple[IntArray, IntArray]:
        """Choices (Q T,) and flows (Q T, 3) of what is settled; all else is off."""
        return self.state.picked.copy(), self.state.flow.copy()

    def _plan(self, p: int) -> tuple[IntArray, IntArray]:
        """A cheap plan of a pair over all servers, within what is left."""
        b = self.blocks
        alone = _alone(b, p, self.guide.choice)
        guide = Guide(np.zeros(alone.n_choices), self.guide.birth[_places(b, p)])
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


def resettle(search: Search, deadline: float, target: float) -> None:
    """Better the schedule of a search by diving anew with a few pairs at a time.

    Each dive is polished by the windows of a search of its own, and the next starts from what it
    found unless that is worse by more than chance allows, less and less as time goes by. Stops at
    `deadline` (`time.perf_counter`) or once the objective is `target`.
    """
    blocks, rng = search.blocks, search.rng
    polish = len(blocks.requests) * _POLISH
    picked, flow, objective = search.picked, search.flow, search.objective
    begin = time.perf_counter()
    while (now := time.perf_counter()) < deadline and search.objective > target:
        left = (deadline - now) / (deadline - begin)
        order = rng.permutation(blocks.n_pairs)
        freed = min(int(rng.integers(_FREED[0], _FREED[1] + 1)), blocks.n_pairs)
        dive = Dive(blocks, search.guide, rng)
        dive.keep(order[freed:], picked, flow)
        dive.settle(order[:freed].tolist())
        other = Search(blocks, *dive.schedule(), int(rng.integers(2**31)))
        other.guide = search.guide
        other.run(polish, deadline, target, heat=_HEAT, widest=blocks.n_slots)
        if other.objective < objective + _SLACK * left * objective * rng.exponential():
            picked, flow, objective = other.picked, other.flow, other.objective
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
