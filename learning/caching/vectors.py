"""Many servers in step as a vectorised environment of stable-baselines3.

All episodes have the same number of slots, so all servers of a batch begin and end together; a
rollout of as many steps as slots is exactly one episode of each, and `reset` before the next one
draws new episodes. Beside the observation stand the requests to come, for the critic alone
(`hindsight`), and, with a test-time layer, the fast weights of the moment: PPO looks at an
observation several times after the fact, and must see the weights it was acted on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from learning.caching import features, hindsight, servers
from learning.caching.environment import Draw, ServerBatch
from learning.caching.fast_weights import FastWeights, TestTimeLayer


class CachingVecEnv(VecEnv):
    """`n_envs` episodes at a time, drawn one after the other.

    Parameters
    ----------
    draw : callable
    n_envs : int
    layer : bool
        With the feasibility layer or without.
    averages : bool
        With averages of the requests in the observation or without.
    fast : int
        Number of fast weights a server has; 0 for plain PPO.
    copies : int
        How many neighbouring environments share an episode; must divide `n_envs`.

    Attributes
    ----------
    episode : int
        Number of the next episode drawn.
    test_time : TestTimeLayer or None
        Whose fast weights are carried; set it before `reset`.
    cost_over_cloud : (n_envs,)
        Cost of the last whole episodes over that of sending everything to the cloud.
    """

    def __init__(
        self,
        draw: Draw,
        n_envs: int,
        *,
        layer: bool = True,
        averages: bool = True,
        fast: int = 0,
        copies: int = 1,
    ) -> None:
        instance, _ = draw(0)
        pairs = instance.requests.shape[1]
        shapes: dict[str, tuple[int, ...]] = {
            "pairs": (pairs, features.SIZE),
            "to_come": (pairs, hindsight.SIZE),
        }
        if fast:
            shapes["fast"] = (fast,)
        boxes: dict[str, gymnasium.Space] = {
            name: gymnasium.spaces.Box(-np.inf, np.inf, s) for name, s in shapes.items()
        }
        action = gymnasium.spaces.Box(-1.0, 1.0, (pairs, 2))
        self.render_mode = None
        super().__init__(n_envs, gymnasium.spaces.Dict(boxes), action)
        if n_envs % copies:
            raise ValueError(f"copies = {copies} must divide n_envs = {n_envs}")
        self.draw, self.layer, self.averages = draw, layer, averages
        self.fast, self.copies = fast, copies
        self.episode = 0
        self.test_time: TestTimeLayer | None = None
        self.cost_over_cloud = np.full(n_envs, np.nan)

    def reset(self) -> Any:
        """Draw the next episodes."""
        picks = [self.draw(self.episode + i // self.copies) for i in range(self.num_envs)]
        self.batch = servers.of_instances(picks)
        self.cloud = (self.batch.cloud[:, :, None] * self.batch.requests).sum(axis=(1, 2))
        self.sums = hindsight.sums_to_come(self.batch)
        self.episode += self.num_envs // self.copies
        return self._begin()

    def _begin(self) -> Any:
        self.servers = ServerBatch(self.batch, layer=self.layer, averages=self.averages)
        if self.test_time is not None:
            self.weights = FastWeights(self.test_time, self.num_envs, seed=self.episode)
        return self._observe()

    def step_async(self, actions: NDArray) -> None:
        """Keep the actions for `step_wait`."""
        self.actions = actions

    def step_wait(self) -> tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict]]:
        """One slot of every server; after the last one the same episodes begin again."""
        rewards = self.servers.step(self.actions)
        done = self.servers.done
        if done:
            self.cost_over_cloud = self.servers.cost / np.maximum(self.cloud, 1e-12)
        observation = self._begin() if done else self._observe()
        infos: list[dict] = [{} for _ in range(self.num_envs)]
        return observation, rewards.astype(np.float32), np.full(self.num_envs, done), infos

    def _observe(self) -> Any:
        pairs = self.servers.observe()
        run = self.servers
        to_come = hindsight.foresight(run.batch, run.slot, run.state, self.sums)
        seen = {"pairs": pairs, "to_come": to_come}
        if self.fast:
            seen["fast"] = self.weights.learn(pairs)
        return seen

    # ---------------------------------------------------------------- what VecEnv asks for
    def close(self) -> None:
        """Free nothing: the environments hold no resources."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for every episode."""
        return [getattr(self, attr_name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set for all episodes at once."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list:
        """Call the method once; its answer stands for every episode."""
        return [getattr(self, method_name)(*args, **kwargs)] * len(self._indices(indices))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No wrapper stands around these environments."""
        return [False] * len(self._indices(indices))

    def _indices(self, indices: Any) -> Sequence[int]:
        return list(self._get_indices(indices))
