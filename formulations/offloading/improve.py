"""Schedules from prices: plans made real, then annealed window by window.

A plan under good prices, replayed in the true FIFO system, is already close to the bound; what is
left is local in time. `Improver` keeps an incumbent, takes plans from the ascent, and reheats
windows of consecutive tasks, keeping a window's outcome only when the total falls.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.clock import never
from formulations.offloading.graph_search import GraphSearch
from formulations.offloading.search import (
    Candidates,
    Search,
    candidates,
    descend,
    score_of,
)
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.status import ON_TIME
from mecopt.offloading.units import INFINITE_NS

#: Annealing takes the time after this many moves.
_MOVES_AT_A_TIME = 100_000
#: Up to so many tasks a search by full replays is quick.
_FEW = 50
#: Costs are uneven when their mean is this many times their median or more.
_UNEVEN = 10.0


class Improver:
    """An incumbent choice and the ways to make it better.

    Choices with fewer forbidden drops are better, whatever they cost; of equally many, those whose
    other costs are less.

    Parameters
    ----------
    instance : OffloadingInstance
    seed : int
    stop : (1,) int64, optional
        Anything but zero ends annealing (see `formulations.offloading.clock`).
    """

    def __init__(
        self, instance: OffloadingInstance, seed: int, stop: NDArray[np.int64] | None = None
    ) -> None:
        self.instance = instance
        self.choice = np.full(instance.n_tasks, -1, dtype=np.int64)
        self._cost = replay(instance, self.choice).cost_s
        self._score = score_of(self._cost)
        self._rng = np.random.default_rng(seed)
        self._stop = never() if stop is None else stop
        self._search = Search(instance, self._stop) if instance.is_chain else None
        self._graphs = None
        if self._search is None and not instance.needs_events:
            self._graphs = GraphSearch(instance, self._stop)
        self._candidates = candidates(instance)

    @property
    def objective(self) -> float:
        """Sum of costs of the incumbent, s; infinite while it has a forbidden drop."""
        return float(self._cost.sum())

    @property
    def size(self) -> float:
        """Sum of what the tasks of the incumbent cost in absolute value, s: rounding's measure."""
        return float(np.abs(self._cost).sum())

    @property
    def can_move(self) -> bool:
        """Whether any task has more than one alternative to try."""
        return len(self._candidates.movable) > 0

    def offer(self, choice: NDArray[np.int64]) -> bool:
        """Replay a choice (local option indices); keep it when it is better."""
        cost = replay(self.instance, choice).cost_s
        score = score_of(cost)
        if score < self._score:
            self.choice, self._cost, self._score = choice.copy(), cost, score
            return True
        return False

    def consider(self, candidates: Candidates) -> None:
        """Try only these from now on."""
        self._candidates = candidates

    def settle(self, moves_per_task: int, until: float) -> None:
        """A cool pass over all tasks from the incumbent, or as much as `until` leaves time for."""
        if self._graphs is not None:
            movable = self._rng.permutation(self._candidates.movable)
            self.offer(self._graphs.descend(self.choice, movable, self._candidates))
            return
        if self._search is None:
            if time.perf_counter() < until:
                seed = int(self._rng.integers(2**31))
                self.offer(descend(self.instance, self.choice, rounds=20, seed=seed, until=until))
            return
        self._anneal(self._candidates, 0.01, moves_per_task * self.instance.n_tasks, until)
        if len(self.instance.down_ns) and self.instance.n_tasks <= _FEW:
            # Losing work on purpose, which annealing does not weigh rightly.
            seed = int(self._rng.integers(2**31))
            self.offer(descend(self.instance, self.choice, rounds=20, seed=seed, until=until))

    def windows(self, until: float, target: float = -np.inf) -> None:
        """Reheat windows until `time.perf_counter()` passes `until` or the objective `target`."""
        movable = self._candidates.movable
        if self._graphs is not None:
            while time.perf_counter() < until and self.objective > target and len(movable):
                self._kick(movable)
            return
        if self._search is None:
            self.settle(0, until)
            return
        while time.perf_counter() < until and self.objective > target and len(movable):
            size = int(self._rng.integers(8, 40))
            first = int(self._rng.integers(0, max(1, len(movable) - size + 1)))
            window = Candidates(
                self._candidates.ptr, self._candidates.option, movable[first : first + size]
            )
            self._anneal(window, float(self._rng.choice([0.1, 0.3])), 200 * size, until)

    def _kick(self, movable: NDArray[np.int64]) -> None:
        """Change a window of consecutive tasks at random, mend it, and keep it when better."""
        assert self._graphs is not None
        size = int(self._rng.integers(4, 17))
        first = int(self._rng.integers(0, max(1, len(movable) - size + 1)))
        window = movable[first : first + size]
        self.offer(self._graphs.kick(self.choice, window, self._candidates, self._rng))

    def _typical_s(self, where: Candidates) -> float:
        """What a task costs: their mean, or one drawn from a window of uneven costs.

        A temperature that suits the dearest task melts the others, so each gets its turn.
        """
        cost = np.abs(self._cost[np.isfinite(self._cost)])
        if not len(cost):
            return 0.0
        mean = float(cost.mean())
        if mean < _UNEVEN * float(np.median(cost)):
            return mean
        drawn = np.abs(self._cost[self._rng.choice(where.movable)])
        return float(drawn) if 0.0 < drawn < np.inf else mean

    @property
    def _served(self) -> NDArray[np.int64]:
        """The incumbent without the tasks that it loses or finishes late, where they may drop."""
        if not len(self.instance.down_ns):
            return self.choice
        status = replay(self.instance, self.choice).status
        may = self.instance.drop_cost_ns < INFINITE_NS
        return np.where(may & (status != ON_TIME), -1, self.choice)

    def _anneal(self, where: Candidates, heat: float, moves: int, until: float) -> None:
        """Anneal from the incumbent; `heat` is the first temperature per typical task cost."""
        search = self._search
        assert search is not None
        search.set(self._served)
        hot = heat * self._typical_s(where) * 1e9
        hot = hot if hot > 0 else 1.0
        parts = -(-moves // _MOVES_AT_A_TIME)
        cooling = (1 / 300) ** (1 / parts)
        least, best = search.score, None
        for i in range(parts):
            if time.perf_counter() > until or self._stop[0]:
                break
            found, choice = search.anneal(
                where,
                hot_ns=hot * cooling**i,
                cold_ns=hot * cooling ** (i + 1),
                moves=moves // parts,
                seed=int(self._rng.integers(2**31)),
            )
            if found < least:
                least, best = found, choice
        if best is not None:
            self.offer(best)
