"""The actor and critic of `learning.caching.network` in the form that stable-baselines3 trains."""

from __future__ import annotations

from typing import Any

import gymnasium
import torch
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from learning.caching.network import Agent


class PairPolicy(ActorCriticPolicy):
    """`Agent` in the form stable-baselines3's PPO trains."""

    def __init__(self, *args: Any, agent: dict[str, Any], **kwargs: Any) -> None:
        self.agent_arguments = agent
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        self.agent = Agent(**self.agent_arguments)
        self.action_dist = DiagGaussianDistribution(self._n_actions())
        self.optimizer = self.optimizer_class(
            self.agent.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )

    def _n_actions(self) -> int:
        space = self.action_space
        assert isinstance(space, gymnasium.spaces.Box)
        return int(torch.tensor(space.shape).prod())

    def _inputs(self, obs: Any) -> Tensor:
        return self.agent.inputs(obs["pairs"], obs.get("fast"))

    def _distribution(self, inputs: Tensor) -> DiagGaussianDistribution:
        mean = self.agent.mean_action(inputs)
        noise = self.agent.noise.log().expand_as(mean).flatten(-2)
        return self.action_dist.proba_distribution(mean.flatten(-2), noise)

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Action, value and log-probability."""
        inputs = self._inputs(obs)
        distribution = self._distribution(inputs)
        action = distribution.get_actions(deterministic=deterministic)
        shaped = action.reshape((-1, *self.action_space.shape))
        return shaped, self.agent.value(inputs, obs["to_come"]), distribution.log_prob(action)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Value, log-probability and entropy of actions taken before."""
        inputs = self._inputs(obs)
        distribution = self._distribution(inputs)
        log_prob = distribution.log_prob(actions.flatten(-2) if actions.dim() > 2 else actions)
        return self.agent.value(inputs, obs["to_come"]), log_prob, distribution.entropy()

    def get_distribution(self, obs: Any) -> DiagGaussianDistribution:
        """Distribution over the actions for observations."""
        return self._distribution(self._inputs(obs))

    def predict_values(self, obs: Any) -> Tensor:
        """Values of observations, without an action."""
        return self.agent.value(self._inputs(obs), obs["to_come"])
