"""The priced rule: latency plus shadow prices of the seconds an option takes.

Score of an option = w_d x believed latency + fixed cost + sum over stages of
price[kind] x believed service seconds; the task is dropped when the best score exceeds
``drop_threshold_s``. Prices are per resource kind (numbers tuned on tuning seeds) or per resource
and time (read from the duals of the plan decomposition, `PricedByDuals`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mecopt.kernel import NEVER
from mecopt.observation import Observation
from mecopt.offloading import OffloadingInstance


def dearest(score: NDArray[np.float64], observation: Observation, threshold_s: float) -> int:
    """Option with the least score, or -1 when even that is above the threshold."""
    best = int(np.argmin(score))
    late = observation.completion_ns[best] - observation.now_ns
    hopeless = late > observation.instance.deadline_ns[observation.task]
    can_drop = np.isfinite(observation.drop_cost_s)
    return -1 if can_drop and (hopeless or score[best] > threshold_s) else best


@dataclass
class Priced:
    """Argmin of latency + price x seconds, per resource kind.

    Parameters
    ----------
    price : mapping from kind to float
        Cost in s of one second of service, for ``"uplink"``, ``"device"``, ``"server"``, ...;
        kinds left out are free.
    drop_threshold_s : float
        Drop when the best score is above this.
    """

    price: Mapping[str, float] = field(default_factory=dict)
    drop_threshold_s: float = np.inf
    name: str = "priced"
    _rate: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)

    def reset(self, instance: OffloadingInstance) -> None:
        self._rate = np.array([self.price.get(kind, 0.0) for kind in instance.resource_kinds])

    def act(self, observation: Observation) -> int:
        x, options = observation.instance, observation.instance.options_of(observation.task)
        first, last = x.stage_ptr[options.start], x.stage_ptr[options.stop]
        priced = self._rate[x.stage_resource[first:last]] * x.believed_ns[first:last] * 1e-9
        edges = x.stage_ptr[options.start : options.stop] - first
        score = observation.cost_s + np.add.reduceat(priced, edges)
        return dearest(score, observation, self.drop_threshold_s)


def mean_price_by_kind(
    instance: OffloadingInstance, price_by_resource: NDArray[np.float64]
) -> dict[str, float]:
    """Average prices of resources (cost per second of service) over each kind."""
    kinds = np.array(instance.resource_kinds)
    return {k: float(price_by_resource[kinds == k].mean()) for k in sorted(set(kinds.tolist()))}


__all__ = ["NEVER", "Priced", "mean_price_by_kind"]
