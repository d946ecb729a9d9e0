"""Local search where options are graphs: every trial is a full replay, compiled.

A move changes the option of one task. `GraphSearch.descend` takes the first of a task's candidates
that makes the total less, task after task, until no task has one; `kick` changes a few tasks of a
window at random first and keeps the outcome only when it is better in the end.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.offloading.search import Candidates, Score
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.kernel import replay_lindley
from mecopt.offloading.status import ON_TIME
from mecopt.offloading.units import INFINITE_NS

#: Tasks of a window that a kick changes.
_KICKED = 3
#: Totals that differ by less than this share of what is added up are equal but for rounding.
_NOISE = 1e-13


@njit(cache=True, nogil=True)
def score_choice(arrays, service, terms, choice, work):
    """Forbidden drops of a choice, the sum of other costs (ns), and of their absolute values."""
    deadline, drop, weight, fixed = terms
    arrival, start, finish, completion, status = work
    replay_lindley(arrays, service, choice, arrival, start, finish, completion, status)
    forbidden, total, size = 0, 0.0, 0.0
    for k in range(len(choice)):
        cost = drop[k]
        if status[k] == ON_TIME:
            latency = completion[k] - arrays.release[k]
            if latency <= deadline[k]:
                cost = weight[k] * latency + fixed[arrays.option_ptr[k] + choice[k]]
        if cost == np.inf:
            forbidden += 1
        else:
            total += cost
            size += abs(cost)
    return forbidden, total, size


@njit(cache=True, nogil=True)
def descend(arrays, service, terms, choice, tasks, ptr, option, forbidden, total, stop, work):
    """First improvement over the candidates of some tasks, until there is none.

    Parameters
    ----------
    choice : (K,) int64, read and written
    tasks : (n,) int64
        In the order in which they are tried.
    ptr, option : arrays
        Of `Candidates`: global options, -1 for the drop.
    forbidden, total : int, float
        Score of `choice`.
    stop : (1,) int64
        Anything but zero ends it.

    Returns
    -------
    forbidden, total
        Score of what `choice` is now.
    """
    without = 0  # tasks in a row without a better candidate
    i = 0
    while without < len(tasks):
        k = tasks[i % len(tasks)]
        i += 1
        without += 1
        for j in range(ptr[k], ptr[k + 1]):
            if stop[0] != 0:
                return forbidden, total
            before = choice[k]
            choice[k] = option[j] - arrays.option_ptr[k] if option[j] >= 0 else -1
            if choice[k] == before:
                continue
            f, t, size = score_choice(arrays, service, terms, choice, work)
            if f < forbidden or (f == forbidden and t < total - _NOISE * size):
                forbidden, total = f, t
                without = 0
            else:
                choice[k] = before
    return forbidden, total


class GraphSearch:
    """Local search on an instance whose stages are never cancelled.

    Parameters
    ----------
    instance : OffloadingInstance
    stop : (1,) int64
        Anything but zero ends what is going on (see `formulations.offloading.clock`).
    """

    def __init__(self, instance: OffloadingInstance, stop: NDArray[np.int64]) -> None:
        x = instance
        self._x, self._stop = x, stop
        forbidden = x.drop_cost_ns >= INFINITE_NS
        drop = np.where(forbidden, np.inf, x.drop_cost_ns.astype(float))
        self._terms = (x.deadline_ns, drop, x.latency_weight, x.fixed_cost_ns.astype(float))
        slots = int(x.arrays.slot_ptr[-1])
        self._work = (
            *(np.empty(slots, dtype=np.int64) for _ in range(3)),
            np.empty(x.n_tasks, dtype=np.int64),
            np.empty(x.n_tasks, dtype=np.int8),
        )

    def score(self, choice: NDArray[np.int64]) -> Score:
        """Score of a choice (local option indices), in ns."""
        forbidden, total, _ = score_choice(
            self._x.arrays, self._x.service_ns, self._terms, choice, self._work
        )
        return Score(forbidden, total)

    def descend(
        self, choice: NDArray[np.int64], tasks: NDArray[np.int64], candidates: Candidates
    ) -> NDArray[np.int64]:
        """A choice that no candidate of the tasks makes better, or as far as time allows."""
        best = choice.copy()
        score = self.score(best)
        descend(
            self._x.arrays, self._x.service_ns, self._terms, best, tasks,
            candidates.ptr, candidates.option, score.forbidden, score.total, self._stop, self._work,
        )  # fmt: skip
        return best

    def kick(
        self,
        choice: NDArray[np.int64],
        window: NDArray[np.int64],
        candidates: Candidates,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Change a few tasks of a window at random and descend over it."""
        trial = choice.copy()
        for k in rng.choice(window, min(_KICKED, len(window)), replace=False):
            o = int(rng.choice(candidates.option[candidates.ptr[k] : candidates.ptr[k + 1]]))
            trial[k] = o - self._x.option_ptr[k] if o >= 0 else -1
        return self.descend(trial, rng.permutation(window), candidates)
