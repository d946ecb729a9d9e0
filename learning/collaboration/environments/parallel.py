"""Failing nodes as a PettingZoo environment: every node is an agent.

All agents act in every step, but only one of them decides: the one of the node where the present
task is. The steps of one slot go on until all tasks of the slot are decided, in the order in which
a rollout decides them. An agent with nothing to decide may only answer 0; what it answers is not
read. Observations, actions and rewards are those of `learning.collaboration.environments.single`;
every agent is told the team's reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from learning.collaboration.environments.episodes import Sampler, nothing, space
from learning.collaboration.environments.single import CollaborationEnv
from learning.collaboration.process.simulator import CANDIDATES
from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance


class CollaborationParallelEnv(ParallelEnv):
    """Nodes as agents ``node_0``, ``node_1``, ...

    Parameters
    ----------
    instances
        As in `single`.
    nodes : int
        Of every instance.
    candidates, view, drop_hopeless
        As in `single`.

    Raises
    ------
    ValueError
        As in `single`, or the number is below 1; at `reset`, an instance with other nodes.
    """

    metadata: dict[str, Any] = {"name": "mecopt_collaboration_v0", "render_modes": []}

    def __init__(
        self,
        instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance | None = None,
        *,
        nodes: int = 10,
        candidates: int = CANDIDATES,
        view: str = "local",
        drop_hopeless: bool = True,
    ) -> None:
        checks.whole("nodes", nodes, 1)
        self._env = CollaborationEnv(
            instances, candidates=candidates, view=view, drop_hopeless=drop_hopeless
        )
        self._nothing = nothing(candidates, view)
        self.possible_agents = [f"node_{i}" for i in range(nodes)]
        self.agents: list[str] = []
        self.render_mode = None
        self.observation_spaces = {a: space(candidates, view) for a in self.possible_agents}
        self.action_spaces = {
            a: gymnasium.spaces.Discrete(candidates) for a in self.possible_agents
        }

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        """What an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        """Keep, or send over one of the links."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, dict[str, NDArray]], dict[str, dict[str, Any]]]:
        """Draw an instance and go to its first decision (`options` is not read)."""
        observation, info = self._env.reset(seed=seed)
        n = self._env.nodes
        if n != len(self.possible_agents):
            raise ValueError(f"nodes = {len(self.possible_agents)}: the instance has {n}")
        self.agents = list(self.possible_agents)
        self._turn = self.agents[info["node"]]
        return self._told(observation), {a: dict(info) for a in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, dict[str, NDArray]],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Carry out the decision of the agent whose turn it is.

        Raises
        ------
        RuntimeError
            After the end of an episode.
        ValueError
            If the agent whose turn it is has no action.
        """
        if not self.agents:
            raise RuntimeError("the episode is over: call reset()")
        if self._turn not in actions:
            raise ValueError(f"actions: none for {self._turn}, whose turn it is")
        observation, reward, over, _, info = self._env.step(int(actions[self._turn]))
        agents = self.agents
        self._turn = "" if over else agents[info["node"]]
        told = self._told(observation)
        if over:
            self.agents = []
        return (
            told,
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, over),
            dict.fromkeys(agents, False),
            {a: dict(info) for a in agents},
        )

    def _told(self, observation: dict[str, NDArray]) -> dict[str, dict[str, NDArray]]:
        return {
            a: observation if a == self._turn else {k: v.copy() for k, v in self._nothing.items()}
            for a in self.agents
        }
