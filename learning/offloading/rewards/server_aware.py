"""Costs that know a user's own queues to the end, and what others suffer at the servers.

User values (`learning.offloading.rewards.user_values`) have no noise and no horizon, but take it
that servers never make anybody wait; a rollout of sampled futures
(`mecopt.offloading.policies.lookahead`) plays everybody, but only for a while, over few futures.
As a policy their mean is as good as the better of the two, or better: with fast servers both mean
the same and noise is halved, with slow ones the rollout says what an option takes from the others
(docs/learning.md has the figures). User values are those of COMLLM's users; for any other instance
the rollout is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning.offloading.rewards import user_values
from learning.offloading.rewards.long import RolloutValue
from learning.offloading.states import decision_states as states
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.scenarios.futures import Futures


@dataclass
class ServerAware:
    """Mean of the costs of user values and of a rollout; the rollout alone without user values.

    Both count what follows a decision, and only differences between options mean anything in
    either, so each is taken from its own least cost.

    Parameters
    ----------
    seed : int
        Of the futures.
    futures : callable, optional
        See `RolloutValue`.
    """

    seed: int = 0
    futures: Futures | None = None
    name: str = "server-aware"
    _grid: user_values.Grid | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._rollout = RolloutValue(seed=self.seed, futures=self.futures)

    def reset(self, instance: OffloadingInstance) -> None:
        """Draw the instance's futures, and solve for its parameters where it is COMLLM's."""
        self._rollout.reset(instance)
        self._grid = None
        if instance.meta.get("scenario") == "comllm":
            self._grid = user_values.solve(user_values.parameters_of(instance))

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) cost of each option with its consequences, slots, the drop last."""
        cost = self._rollout.cost_slots(observation)
        there = np.isfinite(cost)
        if self._grid is None or not there.any():
            return cost
        alone = user_values.cost_vectors(states.of(observation), self._grid)[0]
        least = cost[there].min()
        cost[there] += alone[there] - alone[there].min() - least
        cost[there] = least + cost[there] / 2
        return cost
