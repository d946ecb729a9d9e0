"""A simulator with all that networks are told, as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.context import BatchContext, Prior, shares
from learning.collaboration.process.simulator import Simulator
from learning.collaboration.shape import Shape

Arrays = dict[str, NDArray]

#: Numbers of a node that a central critic sees.
NODE_COLUMNS = 6


class Player:
    """Episodes side by side, for networks of a shape.

    Parameters
    ----------
    simulator : Simulator
    shape : Shape
        What the actor is told.
    prior : Prior, optional
        Needed where the shape asks for one.
    """

    def __init__(self, simulator: Simulator, shape: Shape, prior: Prior | None = None) -> None:
        self.simulator, self.shape = simulator, shape
        if shape.prior and prior is None:
            raise ValueError("prior: is missing, and the actor is told one")
        self._context = BatchContext(simulator, prior) if shape.prior and prior else None
        b = simulator.batch
        deadline = b.task["deadline"][b.episode["first"]].astype(np.float64)
        n = b.speed.shape[1]
        self._deadline = deadline
        self._fixed = np.zeros((len(deadline), n, 2), dtype=np.float32)
        self._fixed[..., 0] = b.speed / b.episode["mean_speed"][:, None]
        self._fixed[..., 1] = b.failure[:, :n] * deadline[:, None] * 1e-9

    def look(self, *, central: bool = False) -> Arrays:
        """What the agents that decide now are told; copies.

        With `central`, also ``nodes`` (E, N, 6): up, work left, tasks a slot, speed, failures of
        executions, and whether it is the node that decides.
        """
        sim = self.simulator
        told: Arrays = {"rows": sim.rows.copy(), "mask": sim.mask.copy()}
        if self._context is not None:
            told["prior"], told["risk"] = self._context.look()
        if self.shape.memory:
            every = np.arange(len(sim.mask))
            told["memory"] = shares(sim.state.counts[every, sim.node])
        if central:
            told["nodes"] = self.nodes()
        return told

    def nodes(self) -> NDArray[np.float32]:
        """(E, N, 6) states of all nodes; see `look`."""
        s, b = self.simulator.state, self.simulator.batch
        p, slot_ns = self.simulator.episode, b.episode["slot_ns"]
        out = np.empty((len(p), s.up.shape[1], NODE_COLUMNS), dtype=np.float32)
        out[..., 0] = s.up
        out[..., 1] = np.minimum(s.work / self._deadline[p, None], 3.0)
        out[..., 2] = s.seen * (slot_ns[p] / (s.here["now"] + slot_ns[p]))[:, None]
        out[..., 3:5] = self._fixed[p]
        out[..., 5] = np.arange(out.shape[1]) == self.simulator.node[:, None]
        return out

    def step(self, action: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Rewards (E,) and whether each episode ended; copies."""
        reward = self.simulator.step(action).copy()
        return reward, self.simulator.over
