"""Maskable PPO (Schulman et al., arXiv 1707.06347; Huang and Ontanon, arXiv 2006.14171).

    >>> from pathlib import Path
    >>> from learning.offloading.training import ppo
    >>> folder = ppo.train(ppo.Settings(), Path("run"), seed=0)  # doctest: +SKIP

By sb3-contrib, over option rows: logits are -(believed cost + learned rest) / temperature by the
network of `learning.offloading.policies.networks.EquivariantNet`, so the policy acts on any number
of servers; absent options are masked in training and after it. Environment, reward and segments:
`learning.offloading.training.reinforcement`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import sb3_contrib
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule

from learning.offloading.training import reinforcement
from learning.offloading.training.reinforcement import REWARD_SHIFT_SLOTS, Scores, Value
from learning.runs.settings import at_least, positive, share


@dataclass(frozen=True)
class Settings(reinforcement.Settings):
    """Settings of `reinforcement`, and PPO's own.

    Parameters
    ----------
    environments, steps, segment, batch, gamma
        As there; a segment is a multiple of `environments` x `horizon`.
    horizon : int
        Decisions per environment between updates.
    epochs : int
        Passes over them.
    gae_lambda : float
        Of generalised advantage estimation.
    temperature_slots : float
        Options this close in cost are nearly as likely at the start.
    entropy : float
        Weight of the entropy bonus.

    Raises
    ------
    ValueError
        As there, a number out of range, or a segment that is no whole number of updates.
    """

    servers: tuple[int, ...] = (6,)
    steps: int = 204_800
    segment: int = 20_480
    environments: int = 16
    batch: int = 512
    horizon: int = 128
    epochs: int = 5
    gae_lambda: float = 0.9
    temperature_slots: float = 0.5
    entropy: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, batch=2, horizon=1, epochs=1, entropy=0)  # advantages need two to compare
        positive(self, "temperature_slots")
        share(self, "gae_lambda")
        update = self.environments * self.horizon
        if self.segment % update:
            raise ValueError(
                f"segment = {self.segment} must be a multiple of environments x horizon = {update}"
            )
        if update < 2:
            raise ValueError(f"environments x horizon = {update} must be >= 2")


class _RowPolicy(MaskableActorCriticPolicy):
    def __init__(self, *args: Any, hidden: int, temperature_slots: float, **kwargs: Any) -> None:
        self._hidden, self._temperature = hidden, temperature_slots
        # Without layers in between both heads read the flat observation.
        super().__init__(*args, net_arch=[], ortho_init=False, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.action_net = Scores(self._hidden, self._temperature)
        self.value_net = Value(self._hidden)
        self.optimizer = self.optimizer_class(
            self.parameters(), lr=lr_schedule(1.0), **self.optimizer_kwargs
        )


class _Learner(reinforcement.Learner):
    kind = "ppo"

    def __init__(self, settings: Settings, seed: int) -> None:
        self.model = sb3_contrib.MaskablePPO(
            _RowPolicy,
            reinforcement.environments(settings),
            learning_rate=settings.learning_rate,
            n_steps=settings.horizon,
            batch_size=settings.batch,
            n_epochs=settings.epochs,
            gamma=settings.gamma,
            gae_lambda=settings.gae_lambda,
            ent_coef=settings.entropy,
            vf_coef=0.01,  # squared slots against normalised advantages
            policy_kwargs={
                "hidden": settings.hidden,
                "temperature_slots": settings.temperature_slots,
            },
            seed=seed,
            device="cpu",
        )
        self.net = self.model.policy.action_net.net

    def figures(self) -> dict[str, float]:
        logged = self.model.logger.name_to_value
        reward = float(self.model.rollout_buffer.rewards.mean()) - REWARD_SHIFT_SLOTS
        return {"loss": float(logged.get("train/loss", 0.0)), "reward": reward}


#: Train into a run folder; the other arguments of `reinforcement.train`.
train = partial(reinforcement.train, _Learner)
