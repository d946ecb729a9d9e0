"""Many episodes of offloading in step, compiled: gymnasium's interface of vectorised environments.

    >>> import gymnasium, learning.offloading.training.environment
    >>> envs = gymnasium.make_vec("mecopt/Offloading-v0", num_envs=64)
    >>> observations, infos = envs.reset(seed=0)
    >>> step = envs.step(envs.action_space.sample())

Observations, actions and rewards are those of `learning.offloading.training.environment`, to the
last bit. All places take their step in one compiled call. An environment whose episode ended is at
the first decision of its next one already (gymnasium's mode *same step*); ``infos`` then say of the
ended one how many ``tasks`` it had, its ``cost_slots`` (`Schedule.objective` in slots) and how many
``invalid`` actions were counted. The last observation of an episode is all zeros, as in the single
environment, and is not repeated there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from learning.offloading.states.option_features import CEILING, Load
from learning.offloading.training import environment_kernel as kernel
from learning.offloading.training.environment import (
    DEFAULT_MAX_OPTIONS,
    LOAD_CEILING,
    ComllmSampler,
    Sampler,
    check_instance,
    observation_size,
    sampler_of,
    whole_actions,
)
from learning.offloading.training.environment_places import Game
from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance

#: Episodes drawn for an environment, to be played again and again, unless said otherwise.
EPISODES = 32


class OffloadingVectorEnv(VectorEnv):
    """`num_envs` episodes side by side.

    Parameters
    ----------
    num_envs : int
    instances : callable, sequence of OffloadingInstance, or OffloadingInstance
        As of `OffloadingEnv`. Of a function, `episodes` instances are drawn at the first reset and
        at every reset with a seed, and played in random order.
    episodes : int
    max_options, single_user, load
        As of `OffloadingEnv`; other users are served by the one-step oracle that may drop.

    Raises
    ------
    ValueError
        As `OffloadingEnv` does, or a number below 1.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        num_envs: int,
        instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance,
        *,
        episodes: int = EPISODES,
        max_options: int = DEFAULT_MAX_OPTIONS,
        single_user: bool = False,
        load: Load | None = None,
    ) -> None:
        for name, value in (("num_envs", num_envs), ("episodes", episodes)):
            checks.whole(name, value, 1)
        if max_options < 1:
            raise ValueError(f"max_options = {max_options} must be >= 1")
        self.num_envs, self.max_options = num_envs, max_options
        self._single_user, self._load = single_user, load
        self._draw = sampler_of(instances)
        self._listed: list[OffloadingInstance] | None = None
        if isinstance(instances, OffloadingInstance):
            self._listed = [instances]
        elif not callable(instances):
            self._listed = list(instances)
        self._episodes = episodes if self._listed is None else len(self._listed)
        size = observation_size(max_options)
        self.single_observation_space = gymnasium.spaces.Box(
            -CEILING, LOAD_CEILING, (size,), np.float32
        )
        self.single_action_space = gymnasium.spaces.Discrete(max_options + 1)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._observations = np.zeros((num_envs, size), dtype=np.float32)
        self._masks = np.zeros((num_envs, max_options + 1), dtype=np.bool_)
        self._rewards = np.zeros(num_envs)
        self._game: Game | None = None

    # ------------------------------------------------------------------ gymnasium's interface
    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode everywhere (`options` is not read; of a list of seeds, the first)."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        if self._game is None or (seed is not None and self._listed is None):
            drawn = self._listed
            if drawn is None:
                drawn = [self._draw(self.np_random) for _ in range(self._episodes)]
            for x in drawn:
                check_instance(x, self.max_options)
            self._game = Game(drawn, self.num_envs, self._load, LOAD_CEILING)
        game = self._game
        game.places.coming[:], game.places.coming_user[:] = self._order(self.num_envs)
        for p in range(self.num_envs):
            kernel.begin(*game, p, self._observations[p], self._masks[p])
        game.places.coming[:], game.places.coming_user[:] = self._order(self.num_envs)
        return self._observations.copy(), {}

    def step(
        self, actions: NDArray[np.integer]
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict
    ]:
        """Carry out one decision of every environment.

        Raises
        ------
        RuntimeError
            Before the first reset.
        ValueError
            If there is not one whole number for each environment, or one is no action.
        """
        game = self._playing()
        chosen = whole_actions(actions, (self.num_envs,), self.max_options)
        kernel.step_all(*game, chosen, self._observations, self._masks, self._rewards)
        places = game.places
        over = places.over.copy()
        infos: dict[str, Any] = {}
        if over.any():
            coming = self._order(int(over.sum()))
            places.coming[over], places.coming_user[over] = coming
            tasks, invalid = np.where(over[:, None], places.ended, 0).T
            cost = np.where(over, places.ended_cost, 0.0)
            for name, value in (("tasks", tasks), ("cost_slots", cost), ("invalid", invalid)):
                infos |= {name: value, f"_{name}": over}
        nothing = np.zeros(self.num_envs, dtype=np.bool_)
        return self._observations.copy(), self._rewards.copy(), over, nothing, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """(num_envs, max_options + 1) rows that may be taken now."""
        return self._masks.copy()

    # ------------------------------------------------------------------ what is played
    @property
    def instances(self) -> list[OffloadingInstance]:
        """(num_envs,) instances that are played."""
        game = self._playing()
        return [game.instances[e] for e in game.places.episode]

    @property
    def users(self) -> NDArray[np.int64]:
        """(num_envs,) owners that are followed, -1 where everybody is."""
        return self._playing().places.user.copy()

    @property
    def tasks(self) -> NDArray[np.int64]:
        """(num_envs,) tasks that are decided now."""
        return self._playing().places.task.copy()

    def _playing(self) -> Game:
        if self._game is None:
            raise RuntimeError("call reset() first")
        return self._game

    def _order(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which n episodes come next, and whom they follow."""
        game = self._playing()
        coming = self.np_random.integers(self._episodes, size=n)
        if not self._single_user:
            return coming, np.full(n, -1)
        share = self.np_random.random(n)
        users = [
            game.owners[e][int(s * len(game.owners[e]))] for e, s in zip(coming, share, strict=True)
        ]
        return coming, np.array(users)


def make_vec(
    num_envs: int = 1,
    presets: Sequence[str] = ComllmSampler.presets,
    servers: Sequence[int] = ComllmSampler.servers,
    *,
    instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance | None = None,
    **settings: Any,
) -> OffloadingVectorEnv:
    """What ``gymnasium.make_vec("mecopt/Offloading-v0", ...)`` calls.

    Parameters
    ----------
    num_envs : int
    presets, servers
        Of `ComllmSampler`, when no `instances` are given.
    instances, **settings
        Of `OffloadingVectorEnv`.
    """
    if instances is None:
        instances = ComllmSampler(tuple(presets), tuple(servers))
    return OffloadingVectorEnv(num_envs, instances, **settings)
