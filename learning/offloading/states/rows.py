"""One decision state as a row of numbers, written from an observation by compiled code.

Columns: `SCALARS`, then GHz, Mbps, wait, presence (0 or 1) and work behind of each server.
`learning.offloading.states.decision_states` says what they mean.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.projection import wait_free
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import INFINITE_NS

#: Columns of one row, before the servers' ones.
SCALARS = (
    "size_mbit",
    "uplink_wait_slots",
    "device_wait_slots",
    "device_ghz",
    "density",
    "arrival_probability",
    "mean_size_mbit",
    "users",
    "slot_s",
    "deadline_slots",
    "drop_cost_slots",
)


class Layout(NamedTuple):
    """What is the same for every task of an instance."""

    constants: NDArray[np.float64]  # device_ghz, density, load, ... as in SCALARS[3:]
    n_servers: int
    preset: str
    seed: int


_layouts: WeakKeyDictionary[OffloadingInstance, Layout] = WeakKeyDictionary()


def layout(instance: OffloadingInstance) -> Layout:
    """The layout of an instance (kept); raises ValueError if it is not of scenario comllm."""
    found = _layouts.get(instance)
    if found is None:
        found = _layouts[instance] = _read_layout(instance)
    return found


def _read_layout(x: OffloadingInstance) -> Layout:
    parameters = x.meta.get("parameters", {})
    needed = ("device_ghz", "density_gcycles_per_mbit", "arrival_probability", "task_mbit")
    missing = [name for name in needed if name not in parameters]
    if missing or "slot_s" not in x.meta:
        name = f"parameters[{missing[0]!r}]" if missing else "slot_s"
        raise ValueError(f"instance.meta: {name} is missing; states are those of scenario comllm")
    per_task = np.diff(x.option_ptr)
    if np.ptp(per_task) or per_task[0] < 2:
        raise ValueError("instance: every task needs the options local, server 0, server 1, ...")
    n_servers = int(per_task[0]) - 1
    if not np.array_equal(np.diff(x.stage_ptr), np.tile([1] + [2] * n_servers, x.n_tasks)):
        raise ValueError("instance: options must be one local stage, then upload and compute")
    if np.any(x.latency_weight != 1) or np.any(x.fixed_cost_ns):
        raise ValueError("instance: states know no latency weights or fixed costs")
    slot_s = float(x.meta["slot_s"])
    constants = [
        float(parameters["device_ghz"]),
        float(parameters["density_gcycles_per_mbit"]),
        float(parameters["arrival_probability"]),
        float(np.mean(parameters["task_mbit"])),
        float(len(x.owner_names)),
        slot_s,
    ]
    seed = x.meta.get("seed", -1)
    return Layout(np.array(constants), n_servers, str(x.meta.get("preset", "")), int(seed))


@njit(cache=True)
def _fill(
    arrays, believed, completion, free, entries, task, now, deadline, drop, never, constants, row
):
    """Write one state: scalars, then GHz, Mbps, wait, presence and work behind of each server."""
    device_ghz, density, slot_s = constants[0], constants[1], constants[5]
    slot = slot_s * 1e9
    o = arrays.option_ptr[task]
    n_servers = arrays.option_ptr[task + 1] - o - 1
    s = arrays.stage_ptr[o]
    local = believed[s] * 1e-9  # s on the device
    size = local * device_ghz / density
    row[0] = size
    uplink = arrays.resource[arrays.stage_ptr[o + 1]]
    units = np.empty(arrays.free_ptr[uplink + 1] - arrays.free_ptr[uplink], dtype=np.int64)
    free_at = wait_free(arrays.free_ptr, uplink, now, free, entries, units)
    uplink_wait = max(0, free_at - now)
    row[1] = uplink_wait / slot
    row[2] = (completion[0] - now - believed[s]) / slot
    row[3:9] = constants
    row[9] = np.inf if deadline >= never else deadline / slot
    row[10] = np.inf if drop >= never else drop / slot
    for j in range(n_servers):
        s = arrays.stage_ptr[o + 1 + j]
        present = completion[1 + j] < NEVER
        row[11 + j] = density * size / (believed[s + 1] * 1e-9)
        row[11 + n_servers + j] = size / (believed[s] * 1e-9)
        wait = completion[1 + j] - now - uplink_wait - believed[s] - believed[s + 1]
        row[11 + 2 * n_servers + j] = wait / slot if present else np.nan
        row[11 + 3 * n_servers + j] = 1.0 if present else 0.0
        server = arrays.resource[s + 1]
        units = np.empty(arrays.free_ptr[server + 1] - arrays.free_ptr[server], dtype=np.int64)
        end = wait_free(arrays.free_ptr, server, NEVER, free, entries, units)
        behind = max(0, end - (completion[1 + j] - believed[s + 1]))
        row[11 + 4 * n_servers + j] = behind / slot if present else np.nan


def write(observation: Observation, into: Layout, row: NDArray[np.float64]) -> None:
    """Write the state of an observation into a row of ``len(SCALARS) + 5 J`` numbers."""
    x, task = observation.instance, observation.task
    _fill(
        x.arrays,
        x.believed_ns,
        observation.completion_ns,
        observation.free_ns,
        observation.entries,
        task,
        observation.now_ns,
        x.deadline_ns[task],
        x.drop_cost_ns[task],
        INFINITE_NS,
        into.constants,
        row,
    )


def width(n_servers: int) -> int:
    """How many numbers a row has."""
    return len(SCALARS) + 5 * n_servers
