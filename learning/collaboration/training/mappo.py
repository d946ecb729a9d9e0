"""MAPPO: PPO with one actor for all agents and a central critic; with a prior and memory, LeDRL.

Yu et al., arXiv 2103.01955. The decisions of an episode are one sequence, each of another agent;
what one brings (`learning.collaboration.process.play`) is the team's. The discount counts slots,
not decisions, and the critic sees all nodes, which the actor does not. That is why this is not
sb3-contrib's PPO: there the discount is per step, and actor and critic read the same observation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning.collaboration.networks import Scores, Told, Value
from learning.collaboration.player import Arrays, Player
from learning.collaboration.training import base
from learning.collaboration.training.base import Figures, Progress, told_by
from learning.runs.settings import at_least, positive
from learning.runs.settings import share as in_unit


@dataclass(frozen=True)
class Settings(base.Settings):
    """Settings of `base`, and PPO's own.

    Parameters
    ----------
    horizon : int
        Decisions of an environment between updates.
    epochs, batch : int
        Passes over them, in parts of so many decisions.
    gae_lambda : float
        Per decision.
    clip, entropy, value_weight, gradient_norm : float

    Raises
    ------
    ValueError
        As there, or a number out of range.
    """

    horizon: int = 128
    epochs: int = 4
    batch: int = 512
    gae_lambda: float = 0.8
    clip: float = 0.2
    entropy: float = 0.005
    value_weight: float = 0.5
    gradient_norm: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, horizon=1, epochs=1, batch=2, entropy=0, value_weight=0)
        positive(self, "clip", "gradient_norm")
        in_unit(self, "gae_lambda")
        if self.horizon * self.environments < 2:
            raise ValueError(f"horizon = {self.horizon}: one decision an update is too few")


#: Settings by the names of `mecopt train`.
RECIPES = {
    "mappo": Settings(),
    "ledrl": Settings(prior="language", memory=True),
}


@dataclass
class _Rollout:
    """Decisions in a row, (T, E, ...)."""

    told: Arrays
    action: NDArray[np.int64]
    log_prob: NDArray[np.float32]
    reward: NDArray[np.float32]
    discount: NDArray[np.float32]  # to the next decision; 0 at the end of an episode


class Mappo(base.Learner):
    """See the module's text."""

    kind = "mappo"

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(settings, seed)
        self.actor = Scores(settings.shape)
        self.critic = Value(settings.shape)
        self.networks = nn.ModuleList([self.actor, self.critic])
        self.optimiser = torch.optim.Adam(self.networks.parameters(), eps=1e-5, fused=True)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Networks and optimiser."""
        return {"networks": self.networks, "optimiser": self.optimiser}

    def segment(self, player: Player, decisions: int, done: float) -> Iterator[Progress]:
        """Updates of `horizon` decisions of each environment."""
        s = self.settings
        figures, so_far = Figures(s.report, decisions), 0
        while so_far < decisions:
            self.begin(self.optimiser, done + so_far / s.decisions)
            steps = min(s.horizon, -(-(decisions - so_far) // s.environments))
            rollout = self._collect(player, steps)
            figures.rewards.append(float(rollout.reward.mean()))
            figures.losses.append(self._update(rollout, player))
            so_far += steps * s.environments
            yield from figures.due(so_far)

    @torch.no_grad()
    def _collect(self, player: Player, steps: int) -> _Rollout:
        self.networks.eval()
        gamma = self.settings.gamma
        told, action, log_prob, reward, discount = [], [], [], [], []
        for _ in range(steps):
            told.append(player.look(central=True))
            log = self.actor(told_by(told[-1])).log_softmax(dim=1)
            noise = torch.empty_like(log).exponential_().log_()
            chosen = (log - noise).argmax(dim=1)
            action.append(chosen.numpy())
            log_prob.append(log.gather(1, chosen[:, None])[:, 0].numpy())
            before = player.simulator.slot
            gain, over = player.step(action[-1])
            reward.append(gain.astype(np.float32))
            passed = player.simulator.slot - before
            discount.append(np.where(over, 0.0, gamma ** np.maximum(passed, 0)).astype(np.float32))
        return _Rollout(
            {name: np.stack([x[name] for x in told]) for name in told[0]},
            np.stack(action), np.stack(log_prob), np.stack(reward), np.stack(discount),
        )  # fmt: skip

    @torch.no_grad()
    def _values(self, told: Arrays) -> NDArray[np.float32]:
        shape = told["mask"].shape[:-1]
        flat = {name: a.reshape(-1, *a.shape[len(shape) :]) for name, a in told.items()}
        value: NDArray[np.float32] = self.critic(told_by(flat)).numpy().reshape(shape)
        return value

    def _update(self, rollout: _Rollout, player: Player) -> float:
        s = self.settings
        value = self._values(rollout.told)
        after = self._values(player.look(central=True))
        advantage = np.zeros_like(value)
        last = np.zeros_like(after)
        for t in reversed(range(len(value))):
            ahead = after if t == len(value) - 1 else value[t + 1]
            delta = rollout.reward[t] + rollout.discount[t] * ahead - value[t]
            last = delta + rollout.discount[t] * s.gae_lambda * last
            advantage[t] = last
        flat = {name: a.reshape(-1, *a.shape[2:]) for name, a in rollout.told.items()}
        told = told_by(flat)
        rest = [
            torch.from_numpy(x.reshape(-1))
            for x in (rollout.action, rollout.log_prob, advantage, advantage + value)
        ]
        self.networks.train()
        losses = []
        for _ in range(s.epochs):
            for pick in torch.randperm(len(rest[0])).split(s.batch):
                part = Told({name: x[pick] for name, x in told.items()})
                losses.append(self._step(part, *(x[pick] for x in rest)))
        return float(np.mean(losses))

    def _step(
        self,
        told: Told,
        action: torch.Tensor,
        log_prob: torch.Tensor,
        advantage: torch.Tensor,
        target: torch.Tensor,
    ) -> float:
        s = self.settings
        log = self.actor(told).log_softmax(dim=1)
        own = log.gather(1, action[:, None])[:, 0]
        ratio = (own - log_prob).exp()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        gain = torch.minimum(
            ratio * advantage, ratio.clamp(1 - s.clip, 1 + s.clip) * advantage
        ).mean()
        entropy = -(log.exp() * log.clamp(min=-50.0)).sum(dim=1).mean()
        error = (self.critic(told) - target).square().mean()
        loss = -gain - s.entropy * entropy + s.value_weight * error
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), s.gradient_norm)
        self.optimiser.step()
        return float(loss.detach())


#: Train into a run folder; the other arguments of `base.train`.
train = partial(base.train, Mappo)
