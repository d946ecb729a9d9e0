"""Failing nodes as a Gymnasium environment: one step is one decision of one agent.

    >>> import gymnasium, learning.collaboration.environments.single
    >>> env = gymnasium.make("mecopt/Collaboration-v0")
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(0)

An episode is one instance; tasks are decided in order of release, each hop by hop: the agent of the
node where the task is says *keep* (action 0) or *send over the i-th link that leaves* (action i),
then the agent at the other end is asked. Who is asked is in ``info["node"]``. Where only one
candidate is allowed nobody is asked.

**Observation**: ``rows``, what the agent knows of each candidate (`process.rows`), and
``action_mask``, which are allowed (also `action_masks`, the name sb3-contrib looks for).

**Reward**: the change of what all committed tasks come to by replay: 1 for each on time, -1 for
each failed or late, and -0.3 for each hop after a task's first. So a decision is told at once what
its task comes to, and what it costs those before; the sum over an episode is that of its replay,
which is in ``info["schedule"]`` at the end.

**Invalid actions** are counted in ``info["invalid"]``; the allowed candidate listed first is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from learning.collaboration.environments.episodes import Sampler, nothing, sampler_of, space
from learning.collaboration.process.simulator import CANDIDATES, Simulator
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay


class CollaborationEnv(gymnasium.Env):
    """One decision per step (see the module's description).

    Parameters
    ----------
    instances : callable, sequence of OffloadingInstance, or OffloadingInstance, optional
        Function of a numpy Generator, or instances of which each reset draws one; episodes of
        training seeds unless given.
    candidates : int
        Most candidates of a decision: 1 + the most links that leave a node.
    view : str
        ``"raw"``, ``"local"`` or ``"routes"``.
    drop_hopeless : bool
        Drop tasks that no option is believed to bring home in time; nobody is asked.

    Raises
    ------
    ValueError
        No instances, an unknown view; at `reset`, an instance with more links or nothing to decide.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance | None = None,
        *,
        candidates: int = CANDIDATES,
        view: str = "local",
        drop_hopeless: bool = True,
    ) -> None:
        self._draw = sampler_of(instances)
        self._settings: dict[str, Any] = {
            "candidates": candidates, "view": view, "drop_hopeless": drop_hopeless,
        }  # fmt: skip
        self.observation_space = space(candidates, view)
        self.action_space = gymnasium.spaces.Discrete(candidates)
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Draw an instance and go to its first decision (`options` is not read)."""
        super().reset(seed=seed)
        self._simulator = Simulator([self._draw(self.np_random)], **self._settings)
        self._over = False
        return self._observation(), self._info()

    def step(self, action: int) -> tuple[dict[str, NDArray], float, bool, bool, dict[str, Any]]:
        """Carry a decision out and go to the next one.

        Raises
        ------
        RuntimeError
            After the end of an episode.
        """
        if self._over:
            raise RuntimeError("the episode is over: call reset()")
        reward = float(self._simulator.step(np.array([action]))[0])
        self._over = bool(self._simulator.over[0])
        return self._observation(), reward, self._over, False, self._info()

    def action_masks(self) -> NDArray[np.bool_]:
        """(C,) candidates that may be taken now."""
        return self._observation()["action_mask"].astype(np.bool_)

    @property
    def nodes(self) -> int:
        """Nodes of the instance that is played."""
        return len(self._simulator.networks[0].nodes)

    def _observation(self) -> dict[str, NDArray]:
        if self._over:
            return nothing(self._settings["candidates"], self._settings["view"])
        sim = self._simulator
        return {"rows": sim.rows[0].copy(), "action_mask": sim.mask[0].astype(np.int8)}

    def _info(self) -> dict[str, Any]:
        sim = self._simulator
        info: dict[str, Any] = {"invalid": int(sim.invalid[0])}
        if self._over:
            info["schedule"] = replay(sim.instances[0], sim.choices(0))
        else:
            info |= {"node": int(sim.node[0]), "hop": int(sim.hop[0])}
            info |= {"task": int(sim.task[0]), "slot": int(sim.slot[0])}
        return info


if "mecopt/Collaboration-v0" not in gymnasium.registry:
    gymnasium.register(
        "mecopt/Collaboration-v0",
        entry_point="learning.collaboration.environments.single:CollaborationEnv",
        vector_entry_point="learning.collaboration.environments.vector:CollaborationVectorEnv",
    )
