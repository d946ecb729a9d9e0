"""Greedy teachers: a reward as a policy that takes the option it likes best.

Training on a reward of single decisions ends close to its greedy teacher, so the teacher is the
limit of what that reward can teach, and a row of the table for the price of no training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning.offloading.rewards.lacs import Lacs
from learning.offloading.rewards.long import DualPriced, HindsightPriced, RolloutValue
from learning.offloading.rewards.rewards import Reward
from learning.offloading.rewards.server_aware import ServerAware
from learning.offloading.rewards.user_values import UserValues
from learning.offloading.rewards.values_lookahead import ValuesRollout
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation


@dataclass
class GreedyTeacher:
    """Takes the option of least cost; drops rather than be late when both cost the same.

    Parameters
    ----------
    reward : Reward
    name : str, optional
        That of the reward with ``greedy-`` before it unless given.
    """

    reward: Reward
    name: str = ""

    def __post_init__(self) -> None:
        self.name = self.name or f"greedy-{self.reward.name}"

    def reset(self, instance: OffloadingInstance) -> None:
        """Prepare the reward for an instance."""
        self.reward.reset(instance)

    def act(self, observation: Observation) -> int:
        """Option of least cost, -1 for the drop."""
        cost = self.reward.cost_slots(observation)
        best = int(np.argmin(cost))
        # The drop is the last entry: argmin alone would prefer an equally dear late option.
        return -1 if cost[best] >= cost[-1] and np.isfinite(cost[-1]) else best


@dataclass
class Remembered:
    """A reward that keeps its last answer, for a teacher and a collection that ask about one state.

    Parameters
    ----------
    reward : Reward
    """

    reward: Reward
    _instance: OffloadingInstance | None = field(default=None, repr=False)
    _last: tuple[Observation, NDArray[np.float64]] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name of the reward."""
        return self.reward.name

    def reset(self, instance: OffloadingInstance) -> None:
        """Prepare the reward, once for an instance."""
        if instance is not self._instance:
            self.reward.reset(instance)
            self._instance = instance

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) costs of the reward, worked out once for an observation."""
        if self._last is None or self._last[0] is not observation:
            self._last = observation, self.reward.cost_slots(observation)
        return self._last[1].copy()


#: Rewards by name (`mecopt train grpo --set reward=NAME`, tables); a reward is
#: made from the seed of whatever it samples.
REWARDS: dict[str, Callable[[int], Reward]] = {
    # Sampled tasks two slots apart.
    "lacs": lambda seed: Lacs(seed=seed),
    "lacs-lambda0": lambda seed: Lacs(weight=0.0, seed=seed, name="lacs-lambda0"),
    # The mean of sampled tasks, each alone 1.5 slots after the decision (tuned).
    "lacs-mean": lambda seed: Lacs(
        average=True,
        delay_slots=1.5,
        spacing_slots=0.0,
        queued=False,
        seed=seed,
        name="lacs-mean",
    ),
    "rollout": lambda seed: RolloutValue(seed=seed),
    "user-values": lambda seed: UserValues(),
    # The mean of the two.
    "server-aware": lambda seed: ServerAware(seed=seed),
    # Sampled futures served by values of the episode's own servers.
    "values-lookahead": lambda seed: ValuesRollout(seed=seed),
    # Mean dual prices of tuning instances, and, for training only, the instance's own.
    "priced": lambda seed: DualPriced(),
    "hindsight-priced": lambda seed: HindsightPriced(),
}


def make_reward(name: str, *, seed: int = 0) -> Reward:
    """A reward by its name in `REWARDS`.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in REWARDS:
        raise ValueError(f"reward: unknown {name!r}, one of {', '.join(REWARDS)}")
    return REWARDS[name](seed)
