"""Gymnasium environment: one cache server, one episode per instance, a score per pair and slot.

Without a coupling every server of a `CachingInstance` is a problem of its own, so one agent with
shared weights learns on all of them. An action holds a score and a share for each pair
(`learning.caching.actions`); the feasibility layer (`learning.caching.feasibility`) makes a
decision of them that fits. The reward of a slot is what the decision saves against sending
everything to the cloud,

    r_t = (cloud cost of the slot - its cost) / (P x mean cloud cost of a request),

so that the undiscounted return orders policies as their costs do. Without the layer (an ablation)
actions are cut in listed order and `PENALTY` times the relative excess is charged.

`CachingEnv` is the plain environment, `ServerBatch` the same dynamics for many servers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from learning.caching import features, servers
from learning.caching.actions import scores_and_shares

if TYPE_CHECKING:
    from mecopt.caching.instance import CachingInstance

#: Reward charged per unit of relative excess when the feasibility layer is off.
PENALTY = 1.0

#: Gives the k-th episode: an instance and one of its servers.
Draw = Callable[[int], "tuple[CachingInstance, int]"]


class ServerBatch:
    """B servers advancing together from the first slot to the last.

    Parameters
    ----------
    batch : Servers
    layer : bool
        With the feasibility layer or without.
    averages : bool
        With averages of the requests in the observation or without.

    Attributes
    ----------
    cost : (B,) float
        Sum of the slots' costs so far.
    a, x : (B, P)
        The last decision.
    """

    def __init__(
        self, batch: servers.Servers, *, layer: bool = True, averages: bool = True
    ) -> None:
        self.batch, self.layer = batch, layer
        self.state = servers.start(batch, averages=averages)
        self.slot = 0
        self.cost = np.zeros(len(batch.capacity))
        self.a = np.zeros(batch.memory.shape, dtype=bool)
        self.x = np.zeros(batch.memory.shape, dtype=np.int64)
        servers.see(batch, 0, self.state)

    @property
    def slots(self) -> int:
        """Number of slots of the episode."""
        return self.batch.requests.shape[2]

    @property
    def done(self) -> bool:
        """Whether the last slot is over."""
        return self.slot == self.slots

    def observe(self) -> NDArray[np.float32]:
        """(B, P, SIZE) observation of the current slot, of the last one once all are over."""
        return features.observations(self.batch, min(self.slot, self.slots - 1), self.state)

    def step(self, action: NDArray) -> NDArray[np.float64]:
        """Apply actions (B, P, 2) to the current slot; returns rewards (B,)."""
        score, share = scores_and_shares(action)
        batch, t = self.batch, self.slot
        excess = servers.decide(batch, t, self.state, score, share, self.layer, self.a, self.x)
        cost = servers.pay(batch, t, self.state, self.a, self.x)
        self.cost += cost
        self.slot += 1
        if not self.done:
            servers.see(batch, self.slot, self.state)
        cloud = (batch.cloud * batch.requests[:, :, t]).sum(axis=1)
        return (cloud - cost) / (batch.unit * batch.memory.shape[1]) - PENALTY * excess


class CachingEnv(gymnasium.Env):
    """One server of a drawn instance per episode (see the module docstring).

    Parameters
    ----------
    draw : callable
        ``draw(k)`` gives the k-th episode's instance and server.
    layer : bool
        With the feasibility layer or without.
    """

    metadata = {"render_modes": []}

    def __init__(self, draw: Draw, *, layer: bool = True) -> None:
        self.draw, self.layer = draw, layer
        instance, _ = draw(0)
        pairs = instance.requests.shape[1]
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (pairs, features.SIZE))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (pairs, 2))
        self.episode = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start the next episode; a seed starts the draws over from that number."""
        super().reset(seed=seed)
        if seed is not None:
            self.episode = seed
        self.servers = ServerBatch(
            servers.of_instances([self.draw(self.episode)]), layer=self.layer
        )
        self.episode += 1
        return self.servers.observe()[0], {}

    def step(self, action: NDArray) -> tuple[NDArray[np.float32], float, bool, bool, dict]:
        """Decide the current slot."""
        reward = float(self.servers.step(np.asarray(action)[None])[0])
        info = {
            "cost": float(self.servers.cost[0]),
            "a": self.servers.a[0].copy(),
            "x": self.servers.x[0].copy(),
        }
        return self.servers.observe()[0], reward, self.servers.done, False, info
