"""The priced rule: latency plus shadow prices of the seconds an option takes.

Score of an option = believed cost (w_d x latency + fixed cost, or the drop cost when late) + sum
over its stages of price[kind] x believed service seconds. The least score wins; the task is
dropped when even that is above `drop_threshold_s`. A price says what a second of a resource costs
the tasks that come later, which the one-step oracle ignores.

Prices are tuned on tuning seeds (`mecopt.offloading.policies.tuned`) or averaged from the duals of
plan decompositions of tuning instances (`priced_by_duals`). Never take duals of the test instance
itself: they know its future.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies import tuned
from mecopt.offloading.prices import Prices
from mecopt.offloading.status import NEVER


def cheapest_or_drop(
    score: NDArray[np.float64], observation: Observation, threshold_s: float
) -> int:
    """Option with the least score, the first of equals; -1 when it is late or above the threshold.

    A task that must not be dropped always runs.
    """
    best = int(np.argmin(score))
    end = observation.completion_ns[best]
    deadline = observation.instance.deadline_ns[observation.task]
    hopeless = end >= NEVER or end - observation.now_ns > deadline
    may_drop = np.isfinite(observation.drop_cost_s)
    return -1 if may_drop and (hopeless or score[best] > threshold_s) else best


@dataclass
class Priced:
    """Least latency + price x seconds, prices per resource kind.

    Parameters
    ----------
    price : mapping from kind to float, optional
        Cost in s of one second of service, for ``"uplink"``, ``"device"``, ``"server"``, ...;
        kinds left out are free. Without it, prices and threshold come from `source`.
    drop_threshold_s : float
        Drop when the least score is above this.
    source : callable
        From the instance's preset or trace (None without) to prices and threshold; the tuned
        numbers unless given.
    seen_seeds : mapping
        First and last seed of the episodes that the prices come from, under ``"tune"``.

    Raises
    ------
    ValueError
        If a price is not finite, or the threshold is not a number.
    """

    price: Mapping[str, float] | None = None
    drop_threshold_s: float = np.inf
    source: Callable[[str | None], tuned.PricedNumbers] = tuned.priced_numbers
    name: str = "priced"
    seen_seeds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    _rate: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)
    _threshold_s: float = field(default=np.inf, repr=False)

    def __post_init__(self) -> None:
        for kind, value in (self.price or {}).items():
            if not np.isfinite(value):
                raise ValueError(f"price[{kind!r}] = {value} must be finite")
        if np.isnan(self.drop_threshold_s):
            raise ValueError(f"drop_threshold_s = {self.drop_threshold_s} must be a number")

    def reset(self, instance: OffloadingInstance) -> None:
        price, self._threshold_s = self.price, self.drop_threshold_s
        if price is None:
            price, self._threshold_s = self.source(tuned.setting_of(instance.meta))
        self._rate = np.array([price.get(kind, 0.0) for kind in instance.resource_kinds])

    def act(self, observation: Observation) -> int:
        return cheapest_or_drop(self.score_s(observation), observation, self._threshold_s)

    def score_s(self, observation: Observation) -> NDArray[np.float64]:
        """(n,) believed cost plus priced seconds of each option, s."""
        x, options = observation.instance, observation.instance.options_of(observation.task)
        first, last = x.stage_ptr[options.start], x.stage_ptr[options.stop]
        priced = self._rate[x.stage_resource[first:last]] * x.believed_ns[first:last] * 1e-9
        edges = x.stage_ptr[options.start : options.stop] - first
        return observation.cost_s + np.add.reduceat(priced, edges)


class Solved(NamedTuple):
    """A tuning instance and the prices of its plan decomposition."""

    instance: OffloadingInstance
    prices: Prices


def one_owner_per_task(instance: OffloadingInstance) -> OffloadingInstance:
    """The same tasks, each with an owner of its own: nothing changes but how plans are split.

    Plan decomposition prices only what several owners share, so a user's own uplink has no dual.
    Solve this instance instead to read one.
    """
    n = instance.n_tasks
    names = tuple(f"task {k} of {instance.owner_names[u]}" for k, u in enumerate(instance.owner))
    return replace(instance, owner_names=names, owner=np.arange(n, dtype=np.int32))


def mean_price_by_kind(solved: Iterable[Solved]) -> dict[str, float]:
    """Dual prices averaged over time, resources of a kind and tuning instances, s per s."""
    rows: dict[str, list[float]] = {}
    for instance, prices in solved:
        kinds = np.array(instance.resource_kinds)
        mean = prices.mean_by_resource()
        for kind in sorted(set(kinds.tolist())):
            rows.setdefault(kind, []).append(float(mean[kinds == kind].mean()))
    return {kind: float(np.mean(values)) for kind, values in rows.items()}


def priced_by_duals(
    solved: Iterable[Solved], *, scale: float = 1.0, drop_threshold_s: float = np.inf
) -> Priced:
    """The priced rule with `scale` times the mean duals of tuning instances.

    Parameters
    ----------
    solved : iterable of Solved
        Tuning instances (never the test instance) with the prices of
        ``formulations.offloading.decomposition.solve_plans(instance).prices``.
    scale : float
        Multiplies every price.
    drop_threshold_s : float
        Drop when the least score is above this.
    """
    price = {kind: scale * value for kind, value in mean_price_by_kind(solved).items()}
    return Priced(price, drop_threshold_s, name="priced-duals")
