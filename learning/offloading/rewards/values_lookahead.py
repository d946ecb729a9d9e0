"""Rollout over values: one step of policy improvement over `own-values`.

Every option is played against sampled futures as `mecopt.offloading.policies.lookahead` plays it,
but tasks of the futures are served by the rule `own-values`, whose tables know what an option
leaves behind for its user, and the queues at the end of the horizon have their value. So a short
horizon suffices: what users do to each other at the servers is played, the rest is in the tables.
`ValuesRollout` has the same costs to learn from, with fewer futures and coarser tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from learning.offloading.rewards import own_values
from learning.offloading.rewards.long import RolloutValue
from learning.offloading.rewards.user_values import parameters_of
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies import guide
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.scenarios.futures import generated_futures


@dataclass
class ValuesLookahead(Lookahead):
    """Look-ahead by rollout with `own-values` as base policy, and values at the end.

    Only for COMLLM episodes; parameters are those of `Lookahead` and

    accuracy : own_values.Accuracy
        Of the tables.
    """

    samples: int | None = 200
    horizon_s: float | None = 0.2
    name: str = "values-lookahead"
    accuracy: own_values.Accuracy = own_values.RULE

    def reset(self, instance: OffloadingInstance) -> None:
        """Solve for the instance's servers, and draw futures."""
        parameters_of(instance)  # refuses what is no COMLLM episode before anything is drawn
        super().reset(instance)

    def _guide_for(
        self, instance: OffloadingInstance, companions: list[OffloadingInstance]
    ) -> guide.Guide:
        parameters = parameters_of(instance)
        values, price = own_values.solve(parameters, instance.meta["seed"], self.accuracy)
        cells = (values.grid.uplink, values.grid.device)
        slot_ns = round(parameters.slot_s * 1e9)
        return guide.guide([instance, *companions], values.tables, cells, slot_ns, price)


@dataclass
class ValuesRollout(RolloutValue):
    """Costs of `ValuesLookahead` as a reward; of instances that have no tables, of `Lookahead`.

    A label may be noisier than a decision, because a network averages over like states: so there
    are fewer futures, and coarser tables.

    Parameters
    ----------
    samples, horizon_s, seed, futures
        See `RolloutValue`.
    accuracy : own_values.Accuracy
        Of the tables.
    """

    samples: int | None = 30
    horizon_s: float | None = 0.2
    name: str = "values-lookahead"
    accuracy: own_values.Accuracy = own_values.LABEL

    def _rule(self, instance: OffloadingInstance) -> Lookahead:
        if instance.meta.get("scenario") != "comllm":
            return RolloutValue(seed=self.seed, futures=self.futures)._rule(instance)
        return ValuesLookahead(
            self.samples,
            self.horizon_s,
            self.futures or generated_futures(self.seed),
            accuracy=self.accuracy,
        )
