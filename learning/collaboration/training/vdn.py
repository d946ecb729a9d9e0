"""VDN: the value of a slot is the sum of what its decisions are worth (arXiv 1706.05296).

All agents share one network of values. What the team gains in a slot is told to the sum of the
values of the slot's decisions; the next slot's is the sum of its greatest values, by a slowly
following copy of the network, chosen by the network itself. No maintained library has it for agents
of which different ones decide in every slot.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning.collaboration.networks import Scores
from learning.collaboration.player import Player
from learning.collaboration.training import base
from learning.collaboration.training.base import Figures, Progress, told_by
from learning.collaboration.training.replay import Replay
from learning.runs.settings import at_least, positive
from learning.runs.settings import share as in_unit

#: Decisions of two slots in a row, at most; what is beyond is left out.
_WINDOW = 48


@dataclass(frozen=True)
class Settings(base.Settings):
    """Settings of `base`, and of learning by differences in time.

    Parameters
    ----------
    room : int
        Decisions of each environment that are remembered.
    every : int
        Decisions of each environment between updates.
    batch : int
        Slots of an update.
    follow : float
        Share by which the copy follows at each update.
    explore, last_explore : float
        Share of decisions at random, at the start and from half of the training on.

    Raises
    ------
    ValueError
        As there, or a number out of range.
    """

    room: int = 1000
    every: int = 8
    batch: int = 128
    follow: float = 0.01
    explore: float = 1.0
    last_explore: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, room=2 * _WINDOW, every=1, batch=1)
        positive(self, "follow")
        in_unit(self, "follow", "explore", "last_explore")


class Vdn(base.Learner):
    """See the module's text."""

    kind = "vdn"

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(settings, seed)
        self.actor = Scores(settings.shape)
        self.slow = copy.deepcopy(self.actor)
        self.optimiser = torch.optim.Adam(self.actor.parameters(), fused=True)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Networks and optimiser."""
        return {"actor": self.actor, "slow": self.slow, "optimiser": self.optimiser}

    def segment(self, player: Player, decisions: int, done: float) -> Iterator[Progress]:
        """Play, and learn from what is remembered every few decisions."""
        s = self.settings
        figures = Figures(s.report, decisions)
        rng = np.random.default_rng([self.seed, 1, int(1e6 * done)])
        memory = Replay(s.room)
        places = s.environments
        group_of = np.zeros(places, dtype=np.int64)
        slot = player.simulator.slot
        for i in range(-(-decisions // places)):
            share = done + i * places / s.decisions
            self.begin(self.optimiser, share)
            explore = max(s.last_explore, s.explore + (s.last_explore - s.explore) * 2 * share)
            told = player.look()
            with torch.no_grad():
                best = self.actor.eval()(told_by(told)).argmax(dim=1).numpy()
            draw = (rng.random(told["mask"].shape) * told["mask"]).argmax(axis=1)
            action = np.where(rng.random(places) < explore, draw, best)
            gain, over = player.step(action)
            memory.add(
                told, action=action, reward=gain.astype(np.float32), over=over, group=group_of,
                slot=slot,
            )  # fmt: skip
            after = player.simulator.slot
            group_of = group_of + (over | (after != slot))
            slot = after
            figures.rewards.append(float(gain.mean()))
            if memory.count > 2 * _WINDOW and i % s.every == 0:
                figures.losses.append(self._update(memory, rng))
            yield from figures.due((i + 1) * places)

    def _update(self, memory: Replay, rng: np.random.Generator) -> float:
        s = self.settings
        at, place = memory.drawn(rng, s.batch, 2 * _WINDOW)
        time, place = _slots(memory, at, place)
        group = memory["group"][time % s.room, place]
        here = group == group[:, :1]
        following = group == group[:, :1] + 1
        over = (memory["over"][time % s.room, place] & here).any(axis=1)
        following &= ~over[:, None]
        self.actor.train()
        rows, who = np.nonzero(here)[0], (time[here], place[here])
        value = self.actor(told_by(memory.at(*who)))
        action = torch.from_numpy(memory["action"][who[0] % s.room, who[1]])
        own = value.gather(1, action[:, None])[:, 0]
        total = torch.zeros(s.batch).index_add(0, torch.from_numpy(rows), own)
        target = torch.from_numpy((memory["reward"][time % s.room, place] * here).sum(axis=1))
        if following.any():
            with torch.no_grad():
                rows, who = np.nonzero(following)[0], (time[following], place[following])
                told = told_by(memory.at(*who))
                best = self.actor.eval()(told).argmax(dim=1, keepdim=True)
                ahead = self.slow.eval()(told).gather(1, best)[:, 0]
                joint = torch.zeros(s.batch).index_add(0, torch.from_numpy(rows), ahead)
            slot = memory["slot"][time % s.room, place]
            passed = np.where(following, slot - slot[:, :1], 0).max(axis=1)
            target = target + torch.from_numpy(s.gamma**passed).float() * joint
        loss = nn.functional.smooth_l1_loss(total, target.float())
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.actor.parameters(), 10.0)
        self.optimiser.step()
        follow(self.slow, self.actor, s.follow)
        return float(loss.detach())


def _slots(
    memory: Replay, time: NDArray[np.int64], place: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows (n, W) that begin with the first decision of the slot after each drawn one."""
    window = np.arange(_WINDOW)
    places = place[:, None].repeat(_WINDOW, axis=1)
    group = memory["group"][(time[:, None] + window) % memory.room, places]
    begin = time + (group != group[:, :1]).argmax(axis=1)
    return begin[:, None] + window, places


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, share: float) -> None:
    """Let a copy of a network follow it by a share of the way."""
    for old, new in zip(slow.parameters(), fast.parameters(), strict=True):
        old.lerp_(new, share)


#: Train into a run folder; the other arguments of `base.train`.
train = partial(base.train, Vdn)
