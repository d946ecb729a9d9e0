"""DQN (Mnih et al., Nature 518, 2015) by stable-baselines3, over option rows.

    >>> from pathlib import Path
    >>> from learning.offloading.training import dqn
    >>> folder = dqn.train(dqn.Settings(), Path("run"), seed=0)  # doctest: +SKIP

Q(s, a) = -(believed cost of a + learned rest), in slots, by the network of
`learning.offloading.policies.networks.EquivariantNet`: it acts on any number of servers.
Environment, reward and segments: `learning.offloading.training.reinforcement`.

**Masks.** stable-baselines3's DQN knows no action masks. The observation says which rows exist, so
the network scores absent ones far below everything, and neither the greedy choice nor the maximum
in the target ever is one; random exploration draws among the rows that exist. No absent option is
taken or learned from, in training or after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork

from learning.offloading.states.option_features import PRESENT
from learning.offloading.training import environment, reinforcement
from learning.offloading.training.reinforcement import REWARD_SHIFT_SLOTS, Scores
from learning.runs.settings import at_least, share


@dataclass(frozen=True)
class Settings(reinforcement.Settings):
    """Settings of `reinforcement`, and DQN's own.

    Parameters
    ----------
    memory : int
        Transitions kept for replay.
    warmup : int
        Decisions before the first update.
    updates_per_step : float
        Gradient steps per decision.
    target_every : int
        Decisions between copies to the target network.
    explore_from, explore_to : float
        Share of random decisions at the start and from half of the training on.

    Raises
    ------
    ValueError
        As there, a number out of range, or fewer than one gradient step for the decisions made side
        by side.
    """

    memory: int = 50_000
    warmup: int = 1000
    updates_per_step: float = 0.25
    target_every: int = 2000
    explore_from: float = 0.2
    explore_to: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, memory=1, warmup=0, target_every=1)
        share(self, "explore_from", "explore_to")
        if round(self.updates_per_step * self.environments) < 1:
            raise ValueError(
                f"updates_per_step = {self.updates_per_step} gives no update for "
                f"environments = {self.environments}"
            )


class _RowPolicy(DQNPolicy):
    def __init__(self, *args: Any, hidden: int, **kwargs: Any) -> None:
        self._hidden = hidden
        super().__init__(*args, net_arch=[], **kwargs)

    def make_q_net(self) -> QNetwork:
        """Called twice: online and target network."""
        network = super().make_q_net()
        network.q_net = Scores(self._hidden).to(self.device)  # type: ignore[assignment]
        return network


class _MaskedDQN(stable_baselines3.DQN):
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Epsilon-greedy among the rows that exist."""
        if deterministic or float(torch.rand(())) >= self.exploration_rate:
            return self.policy.predict(observation, state, episode_start, deterministic)
        present = environment.split(observation)[0][..., PRESENT] > 0
        draw = torch.rand(present.shape).numpy()
        return np.where(present, draw, -1.0).argmax(axis=-1), state

    def _sample_action(self, *_: Any, **__: Any) -> tuple[Any, Any]:
        """The same from the first decision on: the untrained network is no random policy."""
        action, _ = self.predict(self._last_obs)
        return action, action


class _Learner(reinforcement.Learner):
    kind = "dqn"

    def __init__(self, settings: Settings, seed: int) -> None:
        self._settings = settings
        self.model = _MaskedDQN(
            _RowPolicy,
            reinforcement.environments(settings),
            learning_rate=settings.learning_rate,
            buffer_size=settings.memory,
            learning_starts=settings.warmup,
            batch_size=settings.batch,
            gamma=settings.gamma,
            train_freq=1,
            gradient_steps=round(settings.updates_per_step * settings.environments),
            target_update_interval=settings.target_every,
            policy_kwargs={"hidden": settings.hidden},
            seed=seed,
            device="cpu",
        )
        self.net = self.model.q_net.q_net.net

    def prepare(self, share: float) -> None:
        self._begun, s = self.model.num_timesteps, self._settings
        rate = s.explore_from + min(1.0, 2 * share) * (s.explore_to - s.explore_from)
        self.model.exploration_schedule = lambda _: rate
        self.model.exploration_rate = rate

    def figures(self) -> dict[str, float]:
        memory = self._memory
        made = (self.model.num_timesteps - self._begun) // memory.n_envs  # the last may be shorter
        last = np.arange(memory.pos - min(made, memory.buffer_size), memory.pos)
        reward = memory.rewards[last % memory.buffer_size]
        loss = self.model.logger.name_to_value.get("train/loss", 0.0)
        return {"loss": float(loss), "reward": float(reward.mean()) - REWARD_SHIFT_SLOTS}

    def state(self) -> dict[str, Any]:
        memory = self._memory
        used = memory.buffer_size if memory.full else memory.pos
        arrays = {
            name: getattr(memory, name)[:used]
            for name in ("observations", "next_observations", "actions", "rewards", "dones")
        }
        place = {"pos": memory.pos, "full": memory.full, "calls": self.model._n_calls}
        return super().state() | {"memory": arrays, "place": place}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        memory, place = self._memory, state["place"]
        for name, array in state["memory"].items():
            getattr(memory, name)[: len(array)] = array
        memory.pos, memory.full = place["pos"], place["full"]
        self.model._n_calls = place["calls"]

    @property
    def _memory(self) -> ReplayBuffer:
        assert self.model.replay_buffer is not None
        return self.model.replay_buffer


#: Train into a run folder; the other arguments of `reinforcement.train`.
train = partial(reinforcement.train, _Learner)
