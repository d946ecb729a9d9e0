"""What the trainings of agents share: episodes, segments, progress, the kept policy.

Episodes are those of training seeds, half with the failure rates of links as printed, half with one
rate on every link, drawn from 0 to `most_link_failure`: one policy serves a sweep. A training is
cut into segments. Each begins with freshly seeded episodes and generators (and, for learners that
have one, an empty replay memory) and ends with its state kept, so that an interrupted training
ends where it would have ended anyway.

The budget is the number of decisions, the same for every learner. Of the actors that progress was
measured of, the one with most tasks on time on tuning episodes is kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning import seeds
from learning.collaboration.agent import make_prior
from learning.collaboration.networks import Scores, Told
from learning.collaboration.player import Arrays, Player
from learning.collaboration.policy import LearnedPolicy
from learning.collaboration.process.play import HOP_REWARD
from learning.collaboration.process.simulator import Simulator
from learning.collaboration.shape import Shape
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, one_of, positive, share
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.instance import OffloadingInstance

#: Tuning episodes on which progress is measured.
_TUNING_SEEDS = range(seeds.PARTS["tune"][0], seeds.PARTS["tune"][0] + 8)
#: Training seeds that a training may draw from, one range for each seed of a training.
_RANGE = 10_000


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training, besides its seed.

    Parameters
    ----------
    preset : str
        Of `mecopt.collaboration.scenarios.ledrl`.
    episodes : int
        Different ones that are played, again and again.
    most_link_failure : float
        Greatest failure rate of links in training, 1/s.
    decisions : int
        In all.
    segment : int
        Decisions between two states kept.
    report : int
        Decisions between two rows of progress.
    environments : int
        Episodes played side by side.
    learning_rate, gamma
        As printed; the discount is per slot.
    shape : Shape
        Of the actor.
    prior : str
        ``"none"``, ``"rule"`` or ``"language"``.
    drop_hopeless, hop_reward
        See `learning.collaboration.process.simulator.Simulator`.

    Raises
    ------
    ValueError
        Names the field and the value that cannot be used.
    """

    preset: str = "paper"
    episodes: int = 96
    most_link_failure: float = 0.25
    decisions: int = 200_000
    segment: int = 100_000
    report: int = 20_000
    environments: int = 64
    view: str = "local"
    hidden: int = 64  # P
    learning_rate: float = 4e-4  # P
    gamma: float = 0.99  # P
    prior: str = "none"
    memory: bool = False
    alignment: str = "attention"
    embedding: int = 8  # P
    dropout: float = 0.1  # P
    drop_hopeless: bool = True
    hop_reward: float = HOP_REWARD

    def __post_init__(self) -> None:
        at_least(self, episodes=1, most_link_failure=0, decisions=1, segment=1)
        at_least(self, report=1, environments=1)
        one_of(self, preset=tuple(ledrl.PRESETS), prior=("none", "rule", "language"))
        positive(self, "learning_rate")
        share(self, "gamma")
        if not abs(self.hop_reward) < float("inf"):
            raise ValueError(f"hop_reward = {self.hop_reward!r} must be finite")
        _ = self.shape

    @property
    def shape(self) -> Shape:
        """Of the actor."""
        return Shape(
            self.view, self.hidden, self.prior != "none", self.memory, self.alignment,
            self.embedding, self.dropout,
        )  # fmt: skip


def episodes(settings: Settings, seed: int) -> list[OffloadingInstance]:
    """Training episodes."""
    first = seeds.FIRST_TRAINING + _RANGE * seed
    seeds.check([first, first + settings.episodes - 1], "train")
    rng = np.random.default_rng([13, seed])
    changes: list[dict[str, Any]] = []
    for i in range(settings.episodes):
        rate = float(rng.uniform(0, settings.most_link_failure))
        changes.append({"link_failure_per_s": (rate, rate)} if i % 2 else {})
    return [ledrl.generate(settings.preset, first + i, **c) for i, c in enumerate(changes)]


@lru_cache(maxsize=4)
def _tuning(preset: str) -> tuple[OffloadingInstance, ...]:
    return tuple(ledrl.generate(preset, s) for s in _TUNING_SEEDS)


def told_by(arrays: Arrays) -> Told:
    """What networks read, of arrays."""
    return Told({name: torch.from_numpy(a) for name, a in arrays.items()})


@torch.inference_mode()
def success_rate(net: Scores, player: Player) -> float:
    """Share of tasks on time by greedy decisions, over one episode at each place."""
    net.eval()
    player.simulator.reset()
    left = np.ones(len(player.simulator.mask), dtype=np.bool_)
    tasks = on_time = 0
    while left.any():
        action = net(told_by(player.look())).argmax(dim=1).numpy()
        _, over = player.step(action)
        for e in np.flatnonzero(over & left):
            tasks += player.simulator.finished[e, 0]
            on_time += player.simulator.finished[e, 1]
        left &= ~over
    return float(on_time / tasks)


def player_of(
    settings: Settings,
    instances: list[OffloadingInstance],
    places: int,
    rng: np.random.Generator | None = None,
) -> Player:
    """Episodes side by side: drawn by a generator, or in turn."""

    def drawn(n: int) -> NDArray[np.int64]:
        assert rng is not None
        return rng.integers(len(instances), size=n)

    simulator = Simulator(
        instances,
        places=places,
        view=settings.view,
        drop_hopeless=settings.drop_hopeless,
        hop_reward=settings.hop_reward,
        order=None if rng is None else drawn,
    )
    return Player(simulator, settings.shape, make_prior(settings.prior, evaluator=settings.memory))


#: Decisions of a segment so far, and figures.
Progress = tuple[int, dict[str, float]]


@dataclass
class Learner(ABC):
    """An algorithm; `train` runs it.

    Attributes
    ----------
    settings : Settings
    seed : int
    actor : Scores
        Its greedy decisions are the policy.
    """

    settings: Any
    seed: int
    actor: Scores = field(init=False)
    kind: ClassVar[str]

    @abstractmethod
    def segment(self, player: Player, decisions: int, done: float) -> Iterator[Progress]:
        """Learn from so many decisions, a share `done` of the training over.

        Every `report` decisions, and at the end, the decisions so far and the figures since the
        last time are given.
        """

    @abstractmethod
    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """All that the next segment depends on."""

    def begin(self, optimiser: torch.optim.Optimizer, done: float) -> None:
        """Set the learning rate, which falls linearly to a twentieth."""
        for group in optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * max(0.05, 1.0 - done)


class Figures:
    """Rewards and losses since the last report."""

    def __init__(self, report: int, decisions: int) -> None:
        self._report, self._decisions, self._next = report, decisions, report
        self.rewards: list[float] = []
        self.losses: list[float] = []

    def due(self, so_far: int) -> Iterator[Progress]:
        """What to give after so many decisions of the segment, if anything."""
        at = min(so_far, self._decisions)
        if at < min(self._next, self._decisions):
            return
        self._next = at - at % self._report + self._report
        yield at, {"reward": float(np.mean(self.rewards)), "loss": float(np.mean(self.losses or 0))}
        self.rewards, self.losses = [], []


def train(
    make: type[Learner],
    settings: Settings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train in segments, or take an interrupted training up; returns the run folder.

    Rows of progress hold ``loss``, ``reward`` (a decision, with exploration), and ``success_rate``,
    the share of tasks on time on tuning seeds by greedy decisions.

    Parameters
    ----------
    make : type
        The learner's class, made of settings and seed.
    settings : Settings
        Of that learner.
    out, seed, resume, on_progress
        See `learning.recipes`.

    Raises
    ------
    ValueError
        See `TrainingRun.open` and `TrainingRun.record`.
    """
    torch.set_num_threads(1)
    run = TrainingRun.open(out, make.kind, settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    torch.manual_seed(seed)
    learner, step = make(settings, seed), 0
    tuning = list(_tuning(settings.preset))
    measured = player_of(settings, tuning, len(tuning))
    drawn = episodes(settings, seed)
    best, chosen = -1.0, _weights(learner.actor)
    if kept := run.load_state():
        step, best, chosen = (kept[name] for name in ("step", "best", "chosen"))
        for name, part in learner.parts().items():
            part.load_state_dict(kept["parts"][name])
    with run.watch([learner.actor], lambda: step):
        while step < settings.decisions:
            rng = np.random.default_rng([seed, step])
            torch.manual_seed(int(rng.integers(2**31)))
            player = player_of(settings, drawn, settings.environments, rng)
            count = min(settings.segment, settings.decisions - step)
            for so_far, figures in learner.segment(player, count, step / settings.decisions):
                row = figures | {"success_rate": success_rate(learner.actor, measured)}
                if row["success_rate"] > best:
                    best, chosen = row["success_rate"], _weights(learner.actor)
                run.record(step + so_far, **row)
                if on_progress is not None:
                    on_progress(step + so_far, settings.decisions, row)
            step += count
            parts = {name: part.state_dict() for name, part in learner.parts().items()}
            run.save_state(step, {"parts": parts, "best": best, "chosen": chosen})
    learner.actor.load_state_dict(chosen)
    about = {"seed": seed, "settings": asdict(settings)}
    policy = LearnedPolicy(
        net=learner.actor, kind=make.kind, prior=settings.prior,
        drop_hopeless=settings.drop_hopeless, about=about,
    )  # fmt: skip
    policy.save(run.checkpoint)
    return run.finish({"decisions": step, "tuning_success_rate": best})


def _weights(net: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights."""
    return {name: w.clone() for name, w in net.state_dict().items()}
