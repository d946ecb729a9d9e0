"""Longer rewards: what a decision costs everybody, by rollout or by the prices of resources.

LACS looks at a few tasks of the same user. `RolloutValue` plays sampled futures of all users to a
horizon (`mecopt.offloading.policies.lookahead`). `UserValues` adds the value of the queues that an
option leaves to its user, solved to the end without sampling
(`learning.offloading.rewards.user_values`). `DualPriced` charges the seconds an option takes at
dual prices: means per resource kind, or, on training instances only, the prices of that very
instance over time and resource, which know its future (`HindsightPriced`). In the Lagrangian of the
plan decomposition the priced cost of an option is its reduced cost, so an option that an optimal
schedule uses is among the cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning.offloading.rewards.rewards import own_cost_slots, slot_ns
from learning.offloading.states.option_features import scale_of
from mecopt.offloading import projection
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies import tuned
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.policies.priced import Priced, one_owner_per_task
from mecopt.offloading.prices import Prices
from mecopt.offloading.scenarios.futures import Futures, generated_futures
from mecopt.offloading.status import NEVER

#: Tasks of a sampled future that are played, at most, where nothing is tuned.
_PLAYED = 50


@dataclass
class RolloutValue:
    """Cost of everybody over sampled futures (`mecopt.offloading.policies.lookahead.Lookahead`).

    Only differences between options mean anything there, so the best option is given the least
    one-step cost of the state, and the others that plus what they cost more: an answer that names
    no option stays the worst.

    Parameters
    ----------
    samples : int, optional
        Futures per state; with `horizon_s`, the tuned numbers of the preset unless given.
    horizon_s : float, optional
    seed : int
        Of the futures.
    futures : callable, optional
        (instance, samples) -> sampled futures; its generator's unless given. Instances without one:
        `learning.offloading.rewards.companions.futures_of`.
    """

    samples: int | None = None
    horizon_s: float | None = None
    seed: int = 0
    name: str = "rollout"
    futures: Futures | None = None

    def reset(self, instance: OffloadingInstance) -> None:
        """Draw the futures of an instance."""
        self._slot_ns = slot_ns(instance)
        self._lookahead = self._rule(instance)
        self._lookahead.reset(instance)

    def _rule(self, instance: OffloadingInstance) -> Lookahead:
        """The look-ahead whose costs are those of the reward."""
        horizon_s = self.horizon_s
        if horizon_s is None and tuned.setting_of(instance.meta) is None:
            horizon_s = _horizon_s(instance)
        futures = self.futures or generated_futures(self.seed)
        return Lookahead(self.samples, horizon_s, futures=futures)

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) least one-step cost + value lost against the best option, slots."""
        own = own_cost_slots(observation, self._slot_ns)
        if not np.isfinite(own).any():  # every option is down, and the drop forbidden
            return own
        value = np.where(np.isfinite(own), self._lookahead.candidate_costs(observation), np.inf)
        return own.min() + (value - value.min()) * 1e9 / self._slot_ns


def _horizon_s(instance: OffloadingInstance) -> float:
    """How far futures without tuned numbers are played, s: a usual time, or 50 tasks if sooner."""
    usual_s = float(np.median(scale_of(instance).time_ns)) * 1e-9
    span_s = float(instance.release_ns[-1] - instance.release_ns[0]) * 1e-9
    return min(usual_s, max(_PLAYED * span_s / instance.n_tasks, 1e-9)) if span_s else usual_s


@dataclass
class DualPriced:
    """Cost + mean dual price x seconds of service, prices by resource kind.

    Parameters
    ----------
    price : mapping from kind to float, optional
        s per s; the mean duals of tuning instances of the instance's preset
        (`mecopt.offloading.policies.tuned.DUALS`) unless given.
    """

    price: dict[str, float] | None = None
    name: str = "priced"

    def __post_init__(self) -> None:
        self._rule = Priced(self.price, source=tuned.dual_numbers)

    def reset(self, instance: OffloadingInstance) -> None:
        """Look the prices of the instance's resources up."""
        self._slot_ns = slot_ns(instance)
        self._rule.reset(instance)

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) priced cost of each option in slots; the drop takes no service."""
        own = own_cost_slots(observation, self._slot_ns)
        score = self._rule.score_s(observation) * 1e9 / self._slot_ns
        own[:-1] = np.where(np.isfinite(own[:-1]), score, np.inf)
        return own


def instance_prices(instance: OffloadingInstance, time_limit_s: float = 3.0) -> Prices:
    """Dual prices over time of every resource, uplinks and devices included, s per s.

    One owner per task, because plan decomposition prices only what several owners share.
    """
    from formulations.offloading.decomposition import solve_plans

    prices = solve_plans(one_owner_per_task(instance), gap=1e-3, time_limit=time_limit_s).prices
    assert prices is not None
    return prices


@dataclass
class HindsightPriced:
    """Cost + the instance's own dual prices over the time an option is believed to be served.

    For training only: the prices of an instance know its future.

    Parameters
    ----------
    time_limit_s : float
        Wall seconds for the prices of one instance.
    """

    time_limit_s: float = 3.0
    name: str = "hindsight-priced"
    _known: dict[str, Prices] = field(default_factory=dict, repr=False)

    def reset(self, instance: OffloadingInstance) -> None:
        """Solve for the prices of the instance, once."""
        self._slot_ns = slot_ns(instance)
        key = instance.content_hash
        if key not in self._known:
            self._known[key] = instance_prices(instance, self.time_limit_s)
        prices = self._known[key]
        self._edge_s, self._paid_s = [], []
        for r in range(instance.n_resources):
            value = prices.value[prices.row_ptr[r] : prices.row_ptr[r + 1]]
            self._edge_s.append(np.arange(len(value) + 1) * prices.bucket_ns * 1e-9)
            paid = np.concatenate([[0.0], np.cumsum(value)]) * prices.bucket_ns * 1e-9
            self._paid_s.append(paid)
        widest = int(np.diff(instance.arrays.free_ptr).max(initial=1))
        self._units = np.empty(widest, dtype=np.int64)
        self._ends = np.empty(int(np.diff(instance.stage_ptr).max()), dtype=np.int64)

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) cost + price of the believed service of each option, slots; the drop is free."""
        cost = own_cost_slots(observation, self._slot_ns)
        x = observation.instance
        for i, o in enumerate(x.options_of(observation.task)):
            if np.isfinite(cost[i]):
                cost[i] += self._charge_s(observation, o) * 1e9 / self._slot_ns
        return cost

    def _charge_s(self, observation: Observation, option: int) -> float:
        """Integral of the prices over the believed service of each stage, s."""
        x, o = observation.instance, observation
        end = projection.estimate(
            x.arrays,
            x.believed_ns,
            option,
            o.now_ns,
            o.free_ns,
            o.entries,
            o.up,
            self._units,
            self._ends,
        )
        assert end < NEVER
        total = 0.0
        for i, s in enumerate(range(x.stage_ptr[option], x.stage_ptr[option + 1])):
            r = x.stage_resource[s]
            span = np.array([self._ends[i] - x.believed_ns[s], self._ends[i]]) * 1e-9
            total += float(np.diff(np.interp(span, self._edge_s[r], self._paid_s[r]))[0])
        return total
