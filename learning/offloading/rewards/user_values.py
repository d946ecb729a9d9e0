"""Values of one user's two queues, by value iteration: what a second of upload costs later tasks.

In COMLLM's setting (Yang, Cheng, Zhang, arXiv 2604.07148) users meet only at the servers, which
are fast; what a decision costs the future is almost all in the user's own uplink and own device.
So one user alone, with servers that never make anybody wait, is a small Markov decision process
that can be solved to the end, and its values make a label for every option: own cost now plus the
value of the queues it leaves behind. No sampling, no noise, microseconds per state.

State at the start of a slot: waits (u, d) in slots at the uplink and at the device. With
probability p a task arrives, of random size and rates; its options and their costs are

    local      d + s_loc                      leaves (u, d + s_loc)
    server j   u + s_up(j) + s_comp(j)        leaves (u + s_up(j), d)
    drop       drop cost                      leaves (u, d)

late options are as bad as the drop and never better. Then a slot passes: (u - 1)+, (d - 1)+.

    (B)  V(u, d) + g = (1 - p) W(u, d) + p E[ min_options cost + W(what it leaves) ],
         W(u, d) = V((u - 1)+, (d - 1)+)

with g the average cost per slot (relative value iteration: White 1963; Puterman, Markov Decision
Processes, section 8.5.5). The expectation is over drawn tasks, V is bilinear on a grid. Tasks of a
state's own servers are not known to the grid: it averages over drawn speeds.

The label of an option in a *real* state is its believed cost, waits at servers included, plus W of
what it leaves: `cost_vectors`. Greedy on it is the policy `UserValues`, one step of policy
improvement over the user-alone optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.offloading.states import decision_states as states
from learning.offloading.states.decision_states import States
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.scenarios import comllm

#: Drawn tasks in the expectation.
TASKS = 256
#: Width of a grid cell, slots; the grid ends two slots after the deadline.
CELL_SLOTS = 0.25
#: Iteration stops when the span of a sweep is below this, slots.
SPAN_SLOTS = 1e-4
#: Share of a sweep's change that is taken: below 1, periodic systems converge as well.
_DAMPING = 0.9


@dataclass(frozen=True)
class Grid:
    """Solution of (B).

    Parameters
    ----------
    value : (N, N) float64
        V on multiples of `cell_slots`: uplink wait, device wait; slots of cost.
    cell_slots : float
    cost_per_task_slots : float
        g / p: mean cost of a task of a user alone.
    """

    value: NDArray[np.float64]
    cell_slots: float
    cost_per_task_slots: float


@cache
def solve(parameters: comllm.Parameters, seed: int = 0) -> Grid:
    """Relative value iteration of (B) for one user of a COMLLM setting (about 0.5 s).

    Raises
    ------
    ValueError
        Without a finite deadline: waits would have no end.
    """
    p = parameters
    if not np.isfinite(p.deadline_slots):
        raise ValueError(f"deadline_slots = {p.deadline_slots} must be finite")
    rng = np.random.default_rng([5, seed])
    mbit = rng.uniform(*p.task_mbit, size=TASKS)
    upload = mbit[:, None] / rng.uniform(*p.uplink_mbps, size=(TASKS, p.servers)) / p.slot_s
    gcycles = p.density_gcycles_per_mbit * mbit
    ghz = rng.uniform(*p.server_ghz, size=(TASKS, p.servers))
    compute = gcycles[:, None] / ghz / p.slot_s
    local = gcycles / p.device_ghz / p.slot_s
    n = int((p.deadline_slots + 2) / CELL_SLOTS) + 1
    value = np.zeros((n, n))
    span = np.inf
    rate = np.zeros(1)
    while span > SPAN_SLOTS:
        value, span = _sweep(
            value,
            CELL_SLOTS,
            p.arrival_probability,
            upload,
            compute,
            local,
            p.drop_cost_slots,
            p.deadline_slots,
            rate,
        )
    return Grid(value, CELL_SLOTS, float(rate[0] / p.arrival_probability))


@njit(cache=True)
def _after(value, cell, uplink, device):
    """W: value one slot later, bilinear between grid points and constant beyond the grid."""
    last = len(value) - 1
    x = min(max(uplink - 1.0, 0.0) / cell, last - 1e-9)
    y = min(max(device - 1.0, 0.0) / cell, last - 1e-9)
    i, j = int(x), int(y)
    a, b = x - i, y - j
    low = (1 - b) * value[i, j] + b * value[i, j + 1]
    return (1 - a) * low + a * ((1 - b) * value[i + 1, j] + b * value[i + 1, j + 1])


@njit(cache=True)
def _sweep(value, cell, arrival, upload, compute, local, drop, deadline, rate):
    """One application of (B): new values relative to the empty state, and the sweep's span."""
    n = len(value)
    n_tasks, n_servers = upload.shape
    out = np.empty_like(value)
    for a in range(n):
        for b in range(n):
            u, d = a * cell, b * cell
            idle = _after(value, cell, u, d)
            total = 0.0
            for m in range(n_tasks):
                best = drop + idle
                end = d + local[m]
                if end <= deadline:
                    best = min(best, end + _after(value, cell, u, end))
                for j in range(n_servers):
                    end = u + upload[m, j]
                    if end + compute[m, j] <= deadline:
                        best = min(best, end + compute[m, j] + _after(value, cell, end, d))
                total += best
            out[a, b] = (1 - arrival) * idle + arrival * total / n_tasks
    change = out - value
    rate[0] = change[0, 0]
    out = value + _DAMPING * change
    return out - out[0, 0], change.max() - change.min()


@njit(cache=True)
def _add_values(value, cell, uplink, device, local, transfer, cost):
    """Add W of what each option leaves behind to one-step costs (B, J + 2), in place."""
    for b in range(len(uplink)):
        u, d = uplink[b], device[b]
        cost[b, 0] += _after(value, cell, u, d + local[b])
        for j in range(transfer.shape[1]):
            if cost[b, 1 + j] < np.inf:
                cost[b, 1 + j] += _after(value, cell, u + transfer[b, j], d)
        cost[b, -1] += _after(value, cell, u, d)


def cost_vectors(states: States, grid: Grid) -> NDArray[np.float64]:
    """(B, J + 2) own cost now plus value of the queues left behind, slots; inf where absent.

    A late option costs what the drop costs and leaves longer queues.
    """
    cost = states.one_step_cost_slots.copy()
    _add_values(
        grid.value,
        grid.cell_slots,
        np.ascontiguousarray(states.uplink_wait_slots),
        np.ascontiguousarray(states.device_wait_slots),
        states.device_slots,
        states.transfer_slots,
        cost,
    )
    return cost


@dataclass
class UserValues:
    """Least own cost plus value of the user's own queues: a rule, and what it minimises a reward.

    What LACS samples over a few tasks, in expectation and to the end: no learning, no sampling.
    Only for COMLLM episodes: `reset` solves (B) for the parameters in `instance.meta` (cached).
    """

    name: str = "user-values"
    _grid: Grid | None = field(default=None, repr=False)

    def reset(self, instance: OffloadingInstance) -> None:
        """Solve for the instance's parameters."""
        self._grid = solve(parameters_of(instance))

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) own cost + value of the queues left behind, slots, the drop last."""
        if self._grid is None:
            raise RuntimeError("reset() must be called first")
        return cost_vectors(states.of(observation), self._grid)[0]

    def act(self, observation: Observation) -> int:
        """Option of the released task, -1 to drop it."""
        cost = self.cost_slots(observation)
        return states.to_choice(int(np.argmin(cost)), len(cost) - 2)


def parameters_of(instance: OffloadingInstance) -> comllm.Parameters:
    """Parameters of a COMLLM episode, from its meta data.

    Raises
    ------
    ValueError
        If the instance is of another scenario.
    """
    if instance.meta.get("scenario") != "comllm":
        raise ValueError(f"instance: scenario {instance.meta.get('scenario')!r} is not 'comllm'")
    given = instance.meta["parameters"]
    frozen: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return comllm.Parameters(**frozen)
