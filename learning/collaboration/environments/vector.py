"""Many episodes of failing nodes in step, compiled: gymnasium's interface of vectorised
environments over `learning.collaboration.process.simulator`.

Observations, actions and rewards are those of `learning.collaboration.environments.single`. An
environment whose episode ended is at the first decision of its next one already (gymnasium's mode
*same step*); ``infos`` then say of the ended one how many ``tasks`` it had and how many were
``on_time``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from learning.collaboration.environments.episodes import Sampler, sampler_of, space
from learning.collaboration.process.simulator import CANDIDATES, Simulator
from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance

#: Episodes drawn for an environment, to be played again and again, unless said otherwise.
EPISODES = 32


class CollaborationVectorEnv(VectorEnv):
    """`num_envs` episodes side by side.

    Parameters
    ----------
    num_envs : int
    instances : callable, sequence of OffloadingInstance, or OffloadingInstance, optional
        As in `single`. Of a function, `episodes` instances are drawn at the first reset and at
        every reset with a seed, and played in random order.
    episodes : int
    candidates, view, drop_hopeless
        As in `single`.

    Raises
    ------
    ValueError
        As in `single`, or a number below 1.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance | None = None,
        *,
        episodes: int = EPISODES,
        candidates: int = CANDIDATES,
        view: str = "local",
        drop_hopeless: bool = True,
    ) -> None:
        checks.whole("num_envs", num_envs, 1)
        checks.whole("episodes", episodes, 1)
        self.num_envs = num_envs
        self._instances, self._episodes = instances, episodes
        self._settings: dict[str, Any] = {
            "candidates": candidates, "view": view, "drop_hopeless": drop_hopeless,
        }  # fmt: skip
        self._draw = sampler_of(instances)
        self.single_observation_space = space(candidates, view)
        self.single_action_space = gymnasium.spaces.Discrete(candidates)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._simulator: Simulator | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Begin an episode everywhere (`options` is not read; of a list of seeds, the first)."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        if self._simulator is None or seed is not None:
            if isinstance(self._instances, Sequence):
                drawn = list(self._instances)
            elif isinstance(self._instances, OffloadingInstance):
                drawn = [self._instances]
            else:
                drawn = [self._draw(self.np_random) for _ in range(self._episodes)]
            self._simulator = Simulator(
                drawn, places=self.num_envs, order=self._order, **self._settings
            )
        else:
            self._simulator.reset()
        return self._observation(), {}

    def step(
        self, actions: NDArray[np.integer]
    ) -> tuple[dict[str, NDArray], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict]:
        """Carry out one decision of every environment.

        Raises
        ------
        RuntimeError
            Before the first reset.
        ValueError
            If there is not one action for each environment.
        """
        sim, chosen = self.simulator, np.asarray(actions)
        if chosen.shape != (self.num_envs,):
            raise ValueError(f"actions: shape {chosen.shape}, expected ({self.num_envs},)")
        reward = sim.step(chosen).copy()
        over = sim.over
        infos: dict[str, Any] = {}
        if over.any():
            tasks, on_time = np.where(over[:, None], sim.finished, 0).T
            infos = {"tasks": tasks, "_tasks": over, "on_time": on_time, "_on_time": over}
        return self._observation(), reward, over, np.zeros_like(over), infos

    @property
    def simulator(self) -> Simulator:
        """The compiled core: nodes, slots, counts of what was invalid.

        Raises
        ------
        RuntimeError
            Before the first reset.
        """
        if self._simulator is None:
            raise RuntimeError("call reset() first")
        return self._simulator

    def _order(self, n: int) -> NDArray[np.int64]:
        count = self._episodes
        if isinstance(self._instances, OffloadingInstance):
            count = 1
        elif isinstance(self._instances, Sequence):
            count = len(self._instances)
        return self.np_random.integers(count, size=n)

    def _observation(self) -> dict[str, NDArray]:
        sim = self.simulator
        return {"rows": sim.rows.copy(), "action_mask": sim.mask.astype(np.int8)}
