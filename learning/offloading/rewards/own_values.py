"""Values of a user's queues over the episode's own servers, and what server time costs others.

`learning.offloading.rewards.user_values` averages over drawn server speeds and has no end of the
episode. The tables of `formulations.online.values` are for the servers that are there and for the
slots that are left, and the ascents of `formulations.online.servers` say what a slot of each server
is worth to everybody on average. The rule takes the option of least

    believed cost + V_{t+1} of the queues left behind + price of the server x its time,

everything known in advance: the distribution of tasks and the speeds of the servers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from formulations.online import servers, values
from formulations.online.tasks import comllm_speeds, comllm_system
from formulations.online.values import Grid, Values
from learning.offloading.rewards.user_values import parameters_of
from learning.offloading.states import decision_states as states
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.guide import between
from mecopt.offloading.scenarios import comllm

#: Tables from which prices are computed where those of the rule are finer, and their sample.
_COARSE, _COARSE_SAMPLES = Grid(16, 8), 31
#: Streams of random numbers.
_STREAM = 10


@dataclass(frozen=True)
class Accuracy:
    """How finely an episode is solved.

    Parameters
    ----------
    grid : Grid
        Of the tables.
    samples : int
        Tasks sampled for a stage of them.
    worlds : int
        Worlds whose prices are averaged.
    evaluations : int
        Of the ascent in each world.
    """

    grid: Grid
    samples: int
    worlds: int
    evaluations: int


#: Of the rules, and of labels (D). Tables as coarse as those of labels, with prices of two worlds
#: and 30 evaluations, made `values-lookahead` no worse on six tuning episodes of slow-servers.
RULE, LABEL = Accuracy(Grid(32, 16), 128, 4, 40), Accuracy(_COARSE, 64, 1, 12)


@lru_cache(maxsize=4)
def solve(
    parameters: comllm.Parameters, server_seed: int, accuracy: Accuracy = RULE
) -> tuple[Values, NDArray[np.float64]]:
    """Tables and (J,) prices of server time for the servers of an episode (about a second)."""
    system = comllm_system(parameters, comllm_speeds(parameters, server_seed))
    rng = np.random.default_rng([_STREAM, server_seed])
    sampled = values.sampled(system, accuracy.samples, rng)
    fine = coarse = values.solve(system, sampled, accuracy.grid, keep=True)
    if accuracy.grid != _COARSE:
        tasks = values.sampled(system, _COARSE_SAMPLES, rng)
        coarse = values.solve(system, tasks, _COARSE, keep=True)
    return fine, servers.mean_prices(coarse, rng, accuracy.worlds, accuracy.evaluations)


def read(
    table: NDArray[np.float64], grid: Grid, uplink: ArrayLike, device: ArrayLike
) -> NDArray[np.float64]:
    """V one slot later at waits now, in slots: bilinear, constant beyond the table."""
    x = (np.asarray(uplink) - 1.0) * grid.uplink
    y = (np.asarray(device) - 1.0) * grid.device
    return np.asarray(np.vectorize(partial(between, table))(x, y))


@dataclass
class OwnValues:
    """Least believed cost plus value of the queues left behind plus price of server time.

    Only for COMLLM episodes: `reset` solves for the servers of the episode (cached).

    Parameters
    ----------
    accuracy : Accuracy
    """

    accuracy: Accuracy = RULE
    name: str = "own-values"
    _values: Values | None = field(default=None, repr=False)
    _price: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)
    _slot_s: float = field(default=0.1, repr=False)

    def reset(self, instance: OffloadingInstance) -> None:
        """Solve for the instance's parameters and servers."""
        parameters = parameters_of(instance)
        self._slot_s = parameters.slot_s
        self._values, self._price = solve(parameters, instance.meta["seed"], self.accuracy)

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) what each option costs with its consequences, slots, the drop last."""
        if self._values is None:
            raise RuntimeError("reset() must be called first")
        state = states.of(observation)
        slot = round(observation.now_ns * 1e-9 / self._slot_s)
        table, grid = self._values.tables[slot + 1], self._values.grid
        u, d = state.uplink_wait_slots[0], state.device_wait_slots[0]
        cost = state.one_step_cost_slots[0].copy()
        cost[0] += read(table, grid, u, d + state.device_slots[0])
        cost[1:-1] += read(table, grid, u + state.transfer_slots[0], d)
        cost[1:-1] += self._price * state.compute_slots[0]
        cost[-1] += read(table, grid, u, d)
        return cost

    def act(self, observation: Observation) -> int:
        """Option of the released task, -1 to drop it."""
        cost = self.cost_slots(observation)
        return states.to_choice(int(np.argmin(cost)), len(cost) - 2)
