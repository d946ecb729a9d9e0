"""Schedules from prices: plans made real, then annealed window by window.

A plan under good prices, replayed in the true FIFO system, is already close to the bound; what is
left is local in time. `Improver` keeps an incumbent, takes plans from the ascent, and reheats
windows of consecutive tasks, keeping a window's outcome only when the total falls.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.search import Candidates, Search, candidates, descend
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay

#: Annealing looks at the clock after this many moves.
_MOVES_AT_A_TIME = 100_000


class Improver:
    """An incumbent choice and the ways to make it better.

    Parameters
    ----------
    instance : OffloadingInstance
    seed : int
    """

    def __init__(self, instance: OffloadingInstance, seed: int) -> None:
        self.instance = instance
        self.choice = np.full(instance.n_tasks, -1, dtype=np.int64)
        self.objective, self._score = self._evaluate(self.choice)
        self._rng = np.random.default_rng(seed)
        plain = instance.is_chain and not len(instance.down_ns)
        self._search = Search(instance) if plain else None
        self._candidates = candidates(instance)

    @property
    def can_move(self) -> bool:
        """Whether any task has more than one alternative to try."""
        return len(self._candidates.movable) > 0

    def offer(self, choice: NDArray[np.int64]) -> bool:
        """Replay a choice (local option indices); keep it when it is better."""
        objective, score = self._evaluate(choice)
        if score < self._score:
            self.choice, self.objective, self._score = choice.copy(), objective, score
            return True
        return False

    def _evaluate(self, choice: NDArray[np.int64]) -> tuple[float, float]:
        """Objective, and a finite score that counts forbidden drops as 10^6 s each."""
        cost = replay(self.instance, choice).cost_s
        return float(cost.sum()), float(np.minimum(cost, 1e6).sum())

    def settle(self, moves_per_task: int, until: float) -> None:
        """A cool pass over all tasks from the incumbent, or as much as `until` leaves time for."""
        if self._search is None:
            if time.perf_counter() < until:
                seed = int(self._rng.integers(2**31))
                self.offer(descend(self.instance, self.choice, rounds=20, seed=seed))
            return
        self._anneal(self._candidates, 0.01, moves_per_task * self.instance.n_tasks, until)

    def windows(self, until: float, target: float = -np.inf) -> None:
        """Reheat windows until `time.perf_counter()` passes `until` or the objective `target`."""
        if self._search is None:
            self.settle(0, until)
            return
        movable = self._candidates.movable
        while time.perf_counter() < until and self.objective > target and len(movable):
            size = int(self._rng.integers(8, 40))
            first = int(self._rng.integers(0, max(1, len(movable) - size + 1)))
            window = Candidates(
                self._candidates.ptr, self._candidates.option, movable[first : first + size]
            )
            self._anneal(window, float(self._rng.choice([0.1, 0.3])), 200 * size)

    def _anneal(self, where: Candidates, heat: float, moves: int, until: float = np.inf) -> None:
        """Anneal from the incumbent; `heat` is the first temperature per mean task cost."""
        search = self._search
        assert search is not None
        search.set(self.choice)
        mean = float(np.minimum(np.abs(replay(self.instance, self.choice).cost_s), 1e6).mean())
        hot = max(heat * mean * 1e9, 1.0)
        parts = -(-moves // _MOVES_AT_A_TIME)
        cooling = (1 / 300) ** (1 / parts)
        least, best = search.total, None
        for i in range(parts):
            if time.perf_counter() > until:
                break
            found, choice = search.anneal(
                where,
                hot_ns=hot * cooling**i,
                cold_ns=hot * cooling ** (i + 1),
                moves=moves // parts,
                seed=int(self._rng.integers(2**31)),
            )
            if found < least - 0.5:
                least, best = found, choice
        if best is not None:
            self.offer(best)
