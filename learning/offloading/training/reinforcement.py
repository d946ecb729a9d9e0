"""What DQN and PPO share: environments, networks over flat observations, training in segments.

Both train on `learning.offloading.training.environment` with ``single_user=True``: an episode
follows one user, other users are served by the one-step oracle that may drop. The reward is minus
the added cost in slots, plus a constant (`REWARD_SHIFT_SLOTS`) that centres it; decisions cannot
change how many tasks come, so the constant changes no ranking of policies and only spares the value
function an offset.

A training is cut into segments. Each begins with freshly seeded environments and generators and
ends with its state kept, so that an interrupted training that is taken up again does exactly what
it would have done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor, nn

from learning import seeds
from learning.offloading.policies.networks import (
    SCALE,
    EquivariantNet,
    NetworkPolicy,
    encoder,
    perceptron,
    pooled,
)
from learning.offloading.states.option_features import PRESENT
from learning.offloading.training import environment
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, not_empty, positive
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

#: Added to every reward; about the mean cost of a task in the presets.
REWARD_SHIFT_SLOTS = 4.0
#: Value of an absent option: never the largest, and finite.
_ABSENT = -1e6
#: Tuning instances per preset on which progress is measured.
_TUNING_SEEDS = range(seeds.PARTS["tune"][0], seeds.PARTS["tune"][0] + 2)


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training, besides its seed.

    Parameters
    ----------
    presets : tuple of str
    servers : tuple of int
        Numbers of servers in training, drawn with equal chance.
    steps : int
        Decisions in all.
    segment : int
        Decisions between two states kept (a multiple of `environments`).
    environments : int
        Episodes played side by side.
    hidden : int
        Width of the network.
    learning_rate : float
        At the start; it falls linearly to a twentieth.
    gamma : float
        Discount per decision of a user.
    batch : int

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    presets: tuple[str, ...] = ("paper", "busy", "large")
    servers: tuple[int, ...] = (3, 6)
    steps: int = 60_000
    segment: int = 6_000
    environments: int = 8
    hidden: int = 32
    learning_rate: float = 1e-3
    gamma: float = 0.9
    batch: int = 128

    def __post_init__(self) -> None:
        not_empty(self, "presets", "servers")
        at_least(self, steps=1, segment=1, environments=1, hidden=1, batch=1)
        positive(self, "learning_rate")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma = {self.gamma} must be in [0, 1)")
        if self.segment % self.environments:
            raise ValueError(
                f"segment = {self.segment} must be a multiple of environments = {self.environments}"
            )


class CentredReward(gymnasium.RewardWrapper):
    """Adds the constant `REWARD_SHIFT_SLOTS` to every reward."""

    def reward(self, reward: Any) -> float:
        """The reward of a decision with the constant added."""
        return float(reward) + REWARD_SHIFT_SLOTS


def environments(settings: Settings) -> DummyVecEnv:
    """The training environments."""

    def make() -> gymnasium.Env:
        env = environment.make(
            settings.presets,
            settings.servers,
            single_user=True,
            max_options=1 + max(settings.servers),
        )
        return CentredReward(env)

    return DummyVecEnv([make] * settings.environments)


class Scores(nn.Module):
    """Minus the total costs of `EquivariantNet` in slots, from flat observations (B, n).

    The believed cost is part of the score by construction, so an untrained network is close to the
    one-step oracle. Absent options score `_ABSENT`.
    """

    def __init__(self, hidden: int, temperature_slots: float = 1.0) -> None:
        super().__init__()
        self.net = EquivariantNet(hidden)
        self.temperature_slots = temperature_slots

    def forward(self, observation: Tensor) -> Tensor:
        """Flat observations (B, n) to scores (B, max_options + 1)."""
        options, load = environment.split(observation)
        total = self.net(options, load) / self.temperature_slots
        return (-total).masked_fill(options[..., PRESENT] == 0, _ABSENT)


class Value(nn.Module):
    """Value of a state (B, 1) from its flat observation: pooled rows, in units of reward."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.encode = encoder(hidden)
        self.value = perceptron(2 * hidden, hidden, 1)

    def forward(self, observation: Tensor) -> Tensor:
        """Flat observations (B, n) to values (B, 1)."""
        options, load = environment.split(observation)
        rows = torch.cat([options, load[:, None].expand(-1, options.shape[1], -1)], dim=-1)  # type: ignore[attr-defined]
        return SCALE * self.value(pooled(self.encode(rows), options))


class Learner(ABC):
    """An algorithm of stable-baselines3 and the network that it trains, as `train` needs them.

    Attributes
    ----------
    kind : str
        Kind of the checkpoint.
    model : BaseAlgorithm
    net : EquivariantNet
    """

    kind: ClassVar[str]
    model: BaseAlgorithm
    net: EquivariantNet

    @abstractmethod
    def __init__(self, settings: Any, seed: int) -> None: ...

    def prepare(self, share: float) -> None:  # noqa: B027 - a hook
        """Set what changes over training besides the learning rate; `share` of it is done."""

    @abstractmethod
    def figures(self) -> dict[str, float]:
        """``loss`` and ``reward`` (mean per decision, slots) of the last segment."""

    def state(self) -> dict[str, Any]:
        """Everything that the next segment depends on."""
        policy = self.model.policy
        return {
            "policy": policy.state_dict(),
            "optimiser": policy.optimizer.state_dict(),
            "num_timesteps": self.model.num_timesteps,
            "n_updates": self.model._n_updates,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up such a state."""
        self.model.policy.load_state_dict(state["policy"])
        self.model.policy.optimizer.load_state_dict(state["optimiser"])
        self.model.num_timesteps, self.model._n_updates = (
            state["num_timesteps"],
            state["n_updates"],
        )


def train(
    make: type[Learner],
    settings: Any,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train in segments, or take an interrupted training up; returns the run folder.

    Rows of progress hold ``loss`` and ``reward`` (slots per decision, with exploration) of the last
    segment, and ``cost_slots``, the mean cost of the greedy policy on tuning seeds.

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
    run = TrainingRun.open(out, make.kind, settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    torch.set_num_threads(1)  # sums in one order, however many cores there are
    learner = make(settings, seed)
    model, step = learner.model, 0
    policy = NetworkPolicy(learner.net, learner.kind, {"seed": seed, "settings": asdict(settings)})
    if kept := run.load_state():
        step = kept["step"]
        learner.restore(kept["learner"])
    with run.watch([learner.net], lambda: model.num_timesteps):
        while step < settings.steps:
            _segment(learner, settings, seed, step)
            step = model.num_timesteps
            row = learner.figures() | {"cost_slots": tuning_cost_slots(policy, settings.presets)}
            learner.net.train()
            run.record(step, **row)
            run.save_state(step, {"learner": learner.state()})
            if on_progress is not None:
                on_progress(step, settings.steps, row)
    policy.save(run.checkpoint)
    return run.finish({"decisions": step, **run.rows[-1]})


def _segment(learner: Learner, settings: Settings, seed: int, step: int) -> None:
    """Learn from the decisions of one segment, from freshly seeded environments on."""
    model, share = learner.model, step / settings.steps
    rate = settings.learning_rate * max(0.05, 1.0 - share)
    model.lr_schedule = lambda _: rate  # type: ignore[assignment,misc]
    learner.prepare(share)
    segment_seed = int(np.random.SeedSequence([seed, step]).generate_state(1)[0] % 2**31)
    set_random_seed(segment_seed)
    model.action_space.seed(segment_seed)
    assert model.env is not None
    model.env.seed(segment_seed)
    model._last_obs = None  # what makes stable-baselines3 reset the environments
    model.learn(min(settings.segment, settings.steps - step), reset_num_timesteps=False)


def tuning_cost_slots(policy: NetworkPolicy, presets: tuple[str, ...]) -> float:
    """Mean over presets of the mean cost per task on tuning seeds, slots."""
    costs = [
        rollout(comllm.generate(preset, s), policy).mean_cost_s / comllm.PRESETS[preset].slot_s
        for preset in presets
        for s in _TUNING_SEEDS
    ]
    return float(np.mean(costs))
