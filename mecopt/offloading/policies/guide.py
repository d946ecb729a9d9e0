"""What the base policy of a rollout knows beyond the cost of a task: values of queues, and prices.

A `Guide` adds to the believed cost of an option what it leaves behind for later tasks,

    V_{t+1} of the waits at the two queues of its user + price of each resource x its service,

and to a rollout's total the values V of all users' waits at the end of its horizon. Tables are read
by bilinear interpolation, constant beyond their ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance


class Guide(NamedTuple):
    """Values and prices as the compiled rollouts read them; see `none` and `guide`."""

    tables: NDArray[np.float64]  # (T + 1, n, q) ns of cost of one user from slot t on, by its waits
    uplink_cells: float  # of the tables, per slot
    device_cells: float
    slot_ns: int
    uplink: NDArray[np.int32]  # (K,) first unit of the uplink of each task's user
    device: NDArray[np.int32]  # (K,) of its device
    users: NDArray[np.int32]  # (U, 2) the same by user
    price: NDArray[np.float64]  # (units,) ns of cost per ns of service, by first unit


def none() -> Guide:
    """No guide: the base policy is the one-step oracle, and rollouts end without a value."""
    ids = np.empty(0, dtype=np.int32)
    return Guide(
        np.empty((0, 0, 0)), 1.0, 1.0, 1, ids, ids, np.empty((0, 2), np.int32), np.empty(0)
    )


def guide(
    instances: list[OffloadingInstance],
    tables: NDArray[np.float64],
    cells: tuple[int, int],
    slot_ns: int,
    server_price: NDArray[np.float64],
) -> Guide:
    """Values and prices for episodes of the form of scenario comllm over the same resources.

    Parameters
    ----------
    instances : list of OffloadingInstance
        The first option of a task runs on its user's device; the others go over its uplink.
    tables : (T + 1, n, q) float64
        Slots of cost of one user from slot t on, by the waits at its uplink and its device.
    cells : (int, int)
        Of the two waits, per slot.
    slot_ns : int
        Length of a slot.
    server_price : (J,) float64
        Slots of cost per slot of each server, in the order of their resources.
    """
    unit = instances[0].arrays.free_ptr
    price = np.zeros(int(unit[-1]))
    kinds = np.array(instances[0].resource_kinds)
    price[unit[:-1][kinds == "server"]] = server_price
    pairs = []
    for x in instances:
        local = x.stage_ptr[x.option_ptr[:-1]]
        remote = x.stage_ptr[x.option_ptr[:-1] + 1]
        pairs.append(unit[x.stage_resource[np.stack([remote, local], axis=1)]])
    tasks = np.concatenate(pairs).astype(np.int32)
    return Guide(
        np.ascontiguousarray(tables * slot_ns),
        float(cells[0]),
        float(cells[1]),
        slot_ns,
        np.ascontiguousarray(tasks[:, 0]),
        np.ascontiguousarray(tasks[:, 1]),
        np.unique(tasks, axis=0),
        price,
    )


@njit(cache=True)
def between(table, x, y):
    """Bilinear interpolation of a table at fractional rows and columns, clipped to its edges."""
    n, q = table.shape
    x, y = min(max(x, 0.0), n - 1.0), min(max(y, 0.0), q - 1.0)
    i, j = min(int(x), n - 2), min(int(y), q - 2)
    a, b = x - i, y - j
    low = (1 - b) * table[i, j] + b * table[i, j + 1]
    return (1 - a) * low + a * ((1 - b) * table[i + 1, j] + b * table[i + 1, j + 1])


@njit(cache=True, inline="always")
def value(guide, slot, uplink_ns, device_ns):
    """V at the start of a slot, ns, at waits counted from then on."""
    table = guide.tables[min(slot, guide.tables.shape[0] - 1)]
    x, y = uplink_ns / guide.slot_ns, device_ns / guide.slot_ns
    return between(table, x * guide.uplink_cells, y * guide.device_cells)


@njit(cache=True, inline="always")
def left_behind(guide, world, free, k, option, now):
    """V one slot later after an option of task k (-1 drops it) plus its priced services, ns."""
    uplink, device = guide.uplink[k], guide.device[k]
    u, d, paid = max(free[uplink] - now, 0), max(free[device] - now, 0), 0.0
    if option >= 0:
        for s in range(world.arrays.stage_ptr[option], world.arrays.stage_ptr[option + 1]):
            unit, service = world.arrays.free_ptr[world.arrays.resource[s]], world.believed[s]
            paid += guide.price[unit] * service
            if unit == uplink:
                u += service
            elif unit == device:
                d += service
    slot = (now + guide.slot_ns // 2) // guide.slot_ns + 1
    return paid + value(guide, slot, u - guide.slot_ns, d - guide.slot_ns)


@njit(cache=True, inline="always")
def at_the_end(guide, free, close):
    """V of all users' waits at `close`, ns."""
    total = 0.0
    for i in range(guide.users.shape[0]):
        u, d = free[guide.users[i, 0]] - close, free[guide.users[i, 1]] - close
        total += value(guide, close // guide.slot_ns, u, d)
    return total
