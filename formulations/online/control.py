r"""What luck an episode had: a figure of mean zero that is taken off measured costs.

A rule is measured on few episodes, and episodes differ in how many tasks they have, how large these
are and how good their links. For tables V of `formulations.online.values` and the waits s_t that a
user's queues have under some decisions, let

.. math::

    \text{[luck]}\quad z_t = \min_a \big(c(s_t, \xi_t, a) + V_{t+1}(\downarrow(s_t + a(\xi_t)))\big)
        - V_t(s_t)

(the first part is V_{t+1}(\downarrow s_t) in a slot without a task), with waits rounded down to
cells in both parts. By [values], V_t(s) is the mean of the first part for an arrival that is not
known yet, so z_t has mean zero under every rule that cannot see the future, whatever the tables
are otherwise; where their expectation is sampled, it has mean zero over the samples, which are
drawn apart from the episode. So

    [measured]  E[ cost ] = E[ cost - sum over users and slots of z ]

exactly, without a coefficient to fit. The right side varies far less: number of tasks, sizes and
links are all in z. The clairvoyant bound L of an episode may have the luck of any online rule on
that episode taken off: E[ L ] = E[ L - sum z ].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.online import values
from formulations.online.episodes import episode_of
from formulations.online.kernel import SLACK
from formulations.online.regret_kernel import read
from formulations.online.tasks import System, system_of
from formulations.online.values import Grid
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.schedule import Schedule

#: Cells and sampled tasks of the tables: they need not be tight here, but well averaged.
_GRID, _SAMPLES = Grid(16, 16), 512
_STREAM = 8


@dataclass(frozen=True, eq=False)
class Control:
    """Tables to measure luck with.

    Parameters
    ----------
    system : System
    grid : Grid
    table : (T + 1, n, q) float64
        V_t of [values], without tolls.
    """

    system: System
    grid: Grid
    table: NDArray[np.float64]

    def luck_slots(self, schedule: Schedule) -> float:
        """[luck] of all users and slots of a replayed schedule, slots of cost."""
        world = episode_of(schedule.instance)
        return float(
            luck(
                self.table,
                self.grid.uplink,
                self.grid.device,
                world.arrived,
                world.upload,
                world.compute,
                world.local,
                schedule.choice,
                self.system.drop_cost_slots,
                self.system.deadline_slots,
            )
        )


def control_for(instance: OffloadingInstance, seed: int = 0) -> Control:
    """Tables for episodes over the servers of an instance (a second or two)."""
    system, _ = system_of(instance)
    rng = np.random.default_rng([_STREAM, instance.meta["seed"], seed])
    tasks = values.sampled(system, _SAMPLES, rng)
    solved = values.solve(system, tasks, _GRID, keep=True)
    return Control(system, _GRID, solved.tables)


@njit(cache=True)
def luck(
    table, uplink_cells, device_cells, arrived, upload, compute, local, choice, drop, deadline
):
    """Sum of [luck] for decisions `choice` (-1 drop, 0 local, 1 + j server j)."""
    slots, users = arrived.shape
    total = 0.0
    for user in range(users):
        u, d = 0.0, 0.0
        for t in range(slots):
            later = table[t + 1]
            i = min(int(u * uplink_cells), table.shape[1] - 1)
            j = min(int(d * device_cells), table.shape[2] - 1)
            best = read(later, i, j, uplink_cells, device_cells)
            k = arrived[t, user]
            if k >= 0:
                best += drop
                wait = j / device_cells
                if wait + local[k] <= deadline + SLACK:
                    to = j + int(local[k] * device_cells)
                    x = wait + local[k] + read(later, i, to, uplink_cells, device_cells)
                    best = min(best, x)
                for s in range(upload.shape[1]):
                    end = i / uplink_cells + upload[k, s] + compute[k, s]
                    if end <= deadline + SLACK:
                        to = i + int(upload[k, s] * uplink_cells)
                        best = min(best, end + read(later, to, j, uplink_cells, device_cells))
                if choice[k] == 0:
                    d += local[k]
                elif choice[k] > 0:
                    u += upload[k, choice[k] - 1]
            total += best - table[t, i, j]
            u, d = max(0.0, u - 1.0), max(0.0, d - 1.0)
    return total
