"""Local search over the true FIFO system: annealing with incremental replay.

`Search` takes chains and moves with `formulations.offloading.moves`; other instances use `descend`,
which replays every candidate in full.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.clock import never
from formulations.offloading.moves import ABSENT, anneal, assign
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.units import INFINITE_NS, UNLIMITED

#: Totals that differ by less than this share of what is added up are equal but for rounding.
_NOISE = 1e-13


class Score(NamedTuple):
    """Value of a choice while searching: forbidden drops first, then the sum of other costs."""

    forbidden: int
    total: float


def score_of(cost: NDArray[np.float64]) -> Score:
    """Score of the costs of all tasks (K,), infinite where a drop is forbidden."""
    finite = np.isfinite(cost)
    return Score(int(len(cost) - finite.sum()), float(cost[finite].sum()))


class Search:
    """A current choice, its exact cost, and moves on it.

    Parameters
    ----------
    instance : OffloadingInstance
        Chains. Where resources go down, the scores of choices that lose tasks are too high, or off
        by what lost tasks do to others (`formulations.offloading.moves`).
    stop : (1,) int64, optional
        Anything but zero ends what is going on (see `formulations.offloading.clock`).

    Raises
    ------
    ValueError
        If the instance is of another kind.
    """

    def __init__(self, instance: OffloadingInstance, stop: NDArray[np.int64] | None = None) -> None:
        x, a = instance, instance.arrays
        if not x.is_chain:
            raise ValueError("Search: only chains; use descend")
        self.instance = x
        self._stop = never() if stop is None else stop
        slots = int(a.slot_ptr[-1])
        forbidden = x.drop_cost_ns >= INFINITE_NS
        uses = np.bincount(x.stage_resource, minlength=x.n_resources)
        uses[x.capacity == UNLIMITED] = 0
        longest = np.zeros(x.n_resources, dtype=np.int64)
        np.maximum.at(longest, x.stage_resource, x.service_ns)
        self._drop = np.where(forbidden, np.inf, x.drop_cost_ns.astype(float))
        self._static = (
            x.release_ns, x.deadline_ns, self._drop, x.latency_weight,
            x.fixed_cost_ns.astype(float), x.stage_ptr, x.stage_resource, x.service_ns,
            np.repeat(np.arange(x.n_tasks), np.diff(a.slot_ptr)), a.slot_ptr,
            np.concatenate([[0], np.cumsum(uses)]).astype(np.int64), x.capacity, longest,
            a.down_ptr, a.down_ns,
        )  # fmt: skip
        widest = int(x.capacity[x.capacity != UNLIMITED].max(initial=1))
        room = 16 * slots + 4096
        self._state = (
            np.empty(int(uses.sum()), dtype=np.int64),
            np.zeros(x.n_resources, dtype=np.int64),
            np.zeros(slots, dtype=np.int64),
            np.zeros(slots, dtype=np.int64),
            np.zeros(slots, dtype=np.int64),
            np.full(slots, ABSENT, dtype=np.int64),
            np.full(x.n_tasks, -1, dtype=np.int64),
            self._drop.copy(),
            np.full(slots, -1, dtype=np.int64),
            np.zeros(slots, dtype=np.uint8),
            np.empty(room, dtype=np.int64),
            np.empty(room, dtype=np.int64),
            np.empty((room, 4), dtype=np.int64),
            np.empty(room),
            np.empty(widest, dtype=np.int64),
        )
        self.score = score_of(self._drop)

    def set(self, choice: NDArray[np.int64]) -> None:
        """Make `choice` (local option indices, -1 dropped) current, as far as time allows."""
        goal = np.where(choice >= 0, self.instance.option_ptr[:-1] + choice, -1)
        assign(self._static, self._state, goal.astype(np.int64), self._stop)
        self.score = score_of(self._state[7])

    @property
    def choice(self) -> NDArray[np.int64]:
        """Current choice as local option indices."""
        return self.local(self._state[6])

    @property
    def times(self) -> tuple[NDArray[np.int64], ...]:
        """(slots,) arrival, start and finish in ns; slots of absent stages hold old numbers."""
        return self._state[2:5]

    def local(self, option: NDArray[np.int64]) -> NDArray[np.int64]:
        """Local option indices of a vector of global ones."""
        return np.where(option >= 0, option - self.instance.option_ptr[:-1], -1).astype(np.int64)

    def anneal(
        self,
        candidates: Candidates,
        *,
        hot_ns: float,
        cold_ns: float,
        moves: int,
        seed: int,
    ) -> tuple[Score, NDArray[np.int64]]:
        """Run `anneal`; returns the best score and its choice; the state moves on."""
        best = self._state[6].copy()
        cost = self._state[7]
        noise = _NOISE * float(np.abs(cost[np.isfinite(cost)]).sum())
        least, fewest, total, forbidden = anneal(
            self._static, self._state, candidates.ptr, candidates.option, candidates.movable,
            hot_ns, cold_ns, moves, seed, best, self.score.total, self.score.forbidden,
            noise, self._stop,
        )  # fmt: skip
        self.score = Score(forbidden, total)
        return Score(fewest, least), self.local(best)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Options worth trying per task: ``option[ptr[k]:ptr[k + 1]]``, global, -1 for a drop."""

    ptr: NDArray[np.int64]
    option: NDArray[np.int64]
    movable: NDArray[np.int64]


def candidates(instance: OffloadingInstance) -> Candidates:
    """All options and the drop of every task."""
    x = instance
    task = np.concatenate([x.task_of_option, np.arange(x.n_tasks)])
    option = np.concatenate([np.arange(x.n_options), np.full(x.n_tasks, -1)])
    order = np.argsort(task, kind="stable")
    count = np.bincount(task, minlength=x.n_tasks)
    ptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return Candidates(ptr, option[order].astype(np.int64), np.flatnonzero(count > 1))


def descend(
    instance: OffloadingInstance,
    choice: NDArray[np.int64],
    *,
    rounds: int,
    seed: int,
    until: float = np.inf,
) -> NDArray[np.int64]:
    """First-improvement search by full replays, for instances `Search` does not take.

    It ends when `time.perf_counter()` passes `until`.
    """
    rng = np.random.default_rng(seed)
    best = choice.copy()
    least = score_of(replay(instance, best).cost_s)
    count = np.diff(instance.option_ptr)
    for _ in range(rounds):
        better = False
        for k in rng.permutation(instance.n_tasks):
            for c in range(-1, count[k]):
                if c == best[k]:
                    continue
                if time.perf_counter() >= until:
                    return best
                trial = best.copy()
                trial[k] = c
                value = score_of(replay(instance, trial).cost_s)
                if value < least:
                    best, least, better = trial, value, True
        if not better:
            break
    return best
