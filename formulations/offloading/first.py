"""What is known of an instance before any search: a bound, and schedules that take no search."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.units import INFINITE_NS

#: Seconds that a first schedule of at most so many tasks may take even without time.
_LEAST_S, _FEW_TASKS = 0.1, 1000


@dataclass(frozen=True, eq=False)
class Alone:
    """Tasks as they would be alone in the network.

    Parameters
    ----------
    cost_ns : (K,) float64
        Least cost of each task; infinite where it must not be dropped and cannot be on time.
    option : (K,) int64
        Its cheapest option (local index), on time if any is.
    dropped : (K,) bool
        Whether a drop costs less than that option.
    """

    cost_ns: NDArray[np.float64]
    option: NDArray[np.int64]
    dropped: NDArray[np.bool_]

    @property
    def bound_ns(self) -> float:
        """A lower bound on the cost of every schedule, less the rounding of its own sum.

        It is the Lagrangian value under prices of zero, or less.
        """
        total = float(self.cost_ns.sum())
        return total - 1e-12 * float(np.abs(self.cost_ns).sum()) if total < np.inf else total


def longest_paths_ns(x: OffloadingInstance) -> NDArray[np.int64]:
    """(O,) time from release to completion of each option when nothing waits, ns."""
    if x.is_chain:
        return np.asarray(np.add.reduceat(x.service_ns, x.stage_ptr[:-1]), dtype=np.int64)
    child = np.repeat(np.arange(len(x.service_ns)), np.diff(x.pred_ptr))
    finish = x.service_ns.copy()
    while True:  # as often as the longest chain has stages
        start = np.zeros_like(finish)
        np.maximum.at(start, child, finish[x.pred])
        after = start + x.service_ns
        if np.array_equal(after, finish):
            break
        finish = after
    return np.asarray(np.maximum.reduceat(finish, x.stage_ptr[:-1]), dtype=np.int64)


def alone(x: OffloadingInstance) -> Alone:
    """Work out what every task costs without the others; failures are left out."""
    latency = longest_paths_ns(x)
    task = x.task_of_option
    run = x.latency_weight[task] * latency + x.fixed_cost_ns
    on_time = latency <= x.deadline_ns[task]
    drop = np.where(x.drop_cost_ns < INFINITE_NS, x.drop_cost_ns.astype(float), np.inf)
    first = x.option_ptr[:-1]
    order = np.lexsort((run, ~on_time, task))  # by task; on time first, then the cheapest
    best = order[first]
    # Terms that cancel leave more rounding than their sum shows.
    spare = 1e-15 * np.abs(x.fixed_cost_ns[best])
    cost = np.where(on_time[best], run[best] - spare, np.inf)
    return Alone(np.minimum(cost, drop), best - first, drop < cost)


def unsearched(x: OffloadingInstance, known: Alone) -> list[NDArray[np.int64]]:
    """Choices (K,) at hand: everybody as if alone; only those run that must not be dropped."""
    forbidden = x.drop_cost_ns >= INFINITE_NS
    return [
        np.where(known.dropped, -1, known.option),
        np.where(forbidden, known.option, -1),
    ]


def greedy(
    x: OffloadingInstance, rest: NDArray[np.int64], seconds_left: float, share: float = 0.3
) -> NDArray[np.int64]:
    """The one-step oracle that may drop, in a share of the time, and `rest` from then on."""
    least = _LEAST_S if x.n_tasks <= _FEW_TASKS else 0.0
    until = time.perf_counter() + max(least, share * seconds_left)
    system, policy = OnlineSystem(x), OneStepOracleDrop()
    policy.reset(x)
    choice = rest.copy()
    for k in range(x.n_tasks):
        if time.perf_counter() >= until:
            break
        system.advance(k)
        choice[k] = policy.act(system.observe(k))
        system.commit(k, int(choice[k]))
    return choice
