"""Schedules: simulated annealing over windows, guided by the prices of the bound."""

from __future__ import annotations

import time

import numpy as np

from formulations.caching.blocks import Blocks, IntArray
from formulations.caching.coupling import share_births
from formulations.caching.windows import Guide, anneal, state_of, total_cost

#: Moves between two looks at the clock.
_CHUNK = 2000


def fits(blocks: Blocks, picked: IntArray, flow: IntArray) -> bool:
    """Whether choices (Q T,) and flows (Q T, 3) keep to memory, energy and requests."""
    state = state_of(blocks, picked, flow)
    served = np.array_equal(flow.sum(axis=1), np.maximum(picked - 1, 0))
    left = min(part.min(initial=0) for part in (state.memory_left, state.energy_left, state.free))
    return served and bool(left >= 0) and bool((flow >= 0).all())


class Search:
    """The best schedule of some servers, and ways to better it.

    Parameters
    ----------
    blocks : Blocks
    picked : (Q T,) int64
        Choices of a feasible schedule.
    flow : (Q T, 3) int64
        Requests served for the server before, the own, and the next.
    seed : int
    """

    def __init__(self, blocks: Blocks, picked: IntArray, flow: IntArray, seed: int) -> None:
        self.blocks = blocks
        self.picked, self.flow = picked.copy(), flow.copy()
        self.objective = float(total_cost(blocks, state_of(blocks, picked, flow)))
        self.guide = Guide(np.zeros(blocks.n_choices), np.zeros(len(picked)))
        self.moves = 0
        self.rng = np.random.default_rng(seed)
        worth = max(float(blocks.cost[blocks.first[:-1]].mean()), 1e-9)
        #: Temperatures at which a schedule is loosened, and at which it is frozen.
        self.hot, self.cold = worth, 0.003 * worth

    def offer(self, picked: IntArray, flow: IntArray) -> None:
        """Take a feasible schedule over if it is better."""
        cost = float(total_cost(self.blocks, state_of(self.blocks, picked, flow)))
        if cost < self.objective:
            self.picked, self.flow, self.objective = picked.copy(), flow.copy(), cost

    def offer_slots(self, picked: IntArray) -> None:
        """Take over what slot blocks choose, cut down to the requests there are, if better."""
        cut = picked.copy()
        flow = np.empty((len(picked), 3), dtype=np.int64)
        share_births(self.blocks, cut, flow)
        self.offer(cut, flow)

    def run(
        self,
        seconds: float,
        deadline: float,
        target: float,
        *,
        heat: float = 1.0,
        widest: int = 30,
    ) -> None:
        """Anneal from `heat` times the hot temperature to the cold one in some seconds.

        Windows have up to `widest` slots. It is over at `deadline` (`time.perf_counter`) if that is
        sooner, cold by then, and stops early once the objective is `target`.
        """
        state = state_of(self.blocks, self.picked, self.flow)
        best, best_flow = state.picked.copy(), state.flow.copy()
        begin = time.perf_counter()
        seconds = min(seconds, deadline - begin)
        hot = max(heat * self.hot, self.cold)
        done, chunk = float(seconds <= 0), max(50, _CHUNK * 25 // max(self.blocks.n_pairs, 25))
        while done < 1.0 and self.objective > target:
            now = hot * (self.cold / hot) ** done
            # Temperatures move little within a chunk.
            anneal(
                self.blocks, state, self.guide, chunk, now, 0.999 * now, widest, self.rng,
                best, best_flow,
            )  # fmt: skip
            self.moves += chunk
            self.offer(best, best_flow)
            done = (time.perf_counter() - begin) / seconds
