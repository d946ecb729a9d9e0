"""MASAC: a soft actor and two central critics of values, for choices (arXiv 1910.07207).

One actor and one pair of critics for all agents; critics see all nodes. The decisions of an episode
are one sequence, each of another agent, as in `learning.collaboration.training.mappo`. No
maintained library has soft actors over choices that are masked.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from learning.collaboration.networks import Scores
from learning.collaboration.player import Player
from learning.collaboration.training import base
from learning.collaboration.training.base import Figures, Progress, told_by
from learning.collaboration.training.replay import Replay
from learning.collaboration.training.vdn import follow
from learning.runs.settings import at_least, positive
from learning.runs.settings import share as in_unit


@dataclass(frozen=True)
class Settings(base.Settings):
    """Settings of `base`, and of the soft actor.

    Parameters
    ----------
    room, every, batch, follow
        As in `learning.collaboration.training.vdn`; a batch is of decisions.
    entropy_share : float
        The temperature is learned so that the entropy of choices is this share of the greatest.
    temperature : float
        At the start.

    Raises
    ------
    ValueError
        As there, or a number out of range.
    """

    room: int = 1000
    every: int = 8
    batch: int = 1024
    follow: float = 0.01
    entropy_share: float = 0.2
    temperature: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, room=2, every=1, batch=1)
        positive(self, "follow", "temperature")
        in_unit(self, "follow", "entropy_share")


class Temperature(nn.Module):
    """The weight of entropy, learned on a logarithmic scale."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(float(np.log(start))))


class Masac(base.Learner):
    """See the module's text."""

    kind = "masac"

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(settings, seed)
        self.actor = Scores(settings.shape)
        self.critics = nn.ModuleList([Scores(settings.shape, central=True) for _ in range(2)])
        self.slow = copy.deepcopy(self.critics)
        self.temperature = Temperature(settings.temperature)
        self.networks = nn.ModuleList([self.actor, self.critics, self.temperature])
        self.optimiser = torch.optim.Adam(self.networks.parameters(), fused=True)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Networks and optimiser."""
        return {"networks": self.networks, "slow": self.slow, "optimiser": self.optimiser}

    def segment(self, player: Player, decisions: int, done: float) -> Iterator[Progress]:
        """Play, and learn from what is remembered every few decisions."""
        s = self.settings
        figures = Figures(s.report, decisions)
        rng = np.random.default_rng([self.seed, 2, int(1e6 * done)])
        memory = Replay(s.room)
        for i in range(-(-decisions // s.environments)):
            self.begin(self.optimiser, done + i * s.environments / s.decisions)
            told = player.look(central=True)
            with torch.no_grad():
                log = self.actor.eval()(told_by(told)).log_softmax(dim=1)
                noise = torch.empty_like(log).exponential_().log_()
                action = (log - noise).argmax(dim=1).numpy()
            slot = player.simulator.slot
            gain, over = player.step(action)
            passed = np.maximum(player.simulator.slot - slot, 0)
            discount = np.where(over, 0.0, s.gamma**passed).astype(np.float32)
            memory.add(told, action=action, reward=gain.astype(np.float32), discount=discount)
            figures.rewards.append(float(gain.mean()))
            if memory.count > 2 + s.batch // s.environments and i % s.every == 0:
                figures.losses.append(self._update(memory, rng))
            yield from figures.due((i + 1) * s.environments)

    def _update(self, memory: Replay, rng: np.random.Generator) -> float:
        s = self.settings
        time, place = memory.drawn(rng, s.batch, 1)
        told, ahead = (told_by(memory.at(t, place)) for t in (time, time + 1))
        action, reward, discount = (
            torch.from_numpy(memory[name][time, place]) for name in ("action", "reward", "discount")
        )
        alpha = self.temperature.log.exp().detach()
        self.networks.train()
        with torch.no_grad():
            log = self.actor(ahead).log_softmax(dim=1)
            least = torch.minimum(*(critic(ahead) for critic in self.slow))
            soft = (log.exp() * (least - alpha * log)).masked_fill(~ahead["mask"], 0.0).sum(dim=1)
            target = reward + discount * soft
        values = [critic(told) for critic in self.critics]
        error = sum(
            (value.gather(1, action[:, None])[:, 0] - target).square().mean() for value in values
        )
        log = self.actor(told).log_softmax(dim=1)
        chance, mask = log.exp(), ~told["mask"]
        least = torch.minimum(*values).detach()
        gain = (chance * (least - alpha * log)).masked_fill(mask, 0.0).sum(dim=1).mean()
        entropy = -(chance * log).masked_fill(mask, 0.0).sum(dim=1)
        wanted = s.entropy_share * told["mask"].sum(dim=1).float().log()
        heat = (self.temperature.log * (entropy - wanted).detach()).mean()
        loss = error - gain + heat
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), 10.0)
        self.optimiser.step()
        follow(self.slow, self.critics, s.follow)
        return float(loss.detach())


#: Train into a run folder; the other arguments of `base.train`.
train = partial(base.train, Masac)
