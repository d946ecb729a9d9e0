"""Compiled steps of [values]: one stage backwards, one stage forwards for the load on servers.

Tables are (uplink wait, device wait) in cells. `after` is the table of the next stage, read at
waits before the slot passes: ``after[i, j] = V[(i - slot)+, (j - slot)+]``, constant beyond what V
holds, which is lower.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Lateness that counts as rounding, slots: a task is on time rather than late, which costs less.
SLACK = 1e-9


@njit(cache=True)
def shift(value, after, uplink_cells, device_cells):
    """Fill `after` from the value one stage later; a slot has so many cells."""
    n, q = value.shape
    for i in range(after.shape[0]):
        a = min(max(i - uplink_cells, 0), n - 1)
        for j in range(after.shape[1]):
            after[i, j] = value[a, min(max(j - device_cells, 0), q - 1)]


@njit(cache=True)
def toll(price, compute, until):
    """Least of waiting plus price for a task that could start `until` slots before tolls end."""
    if until <= 0.0:
        return 0.0
    return min(price * min(compute, until), until)


class Step(NamedTuple):
    """A slot, as the kernels read it.

    Options of task m are the servers ``server[m, :n_options[m]]``; `tolled` is for how many slots
    from now tolls last. Cells are those of a grid per slot of waiting, times are in slots.
    """

    uplink_cells: float
    device_cells: float
    arrival: float
    weight: NDArray[np.float64]
    local: NDArray[np.float64]
    local_cells: NDArray[np.int64]
    n_options: NDArray[np.int64]
    upload: NDArray[np.float64]
    upload_cells: NDArray[np.int64]
    compute: NDArray[np.float64]
    price: NDArray[np.float64]
    server: NDArray[np.int64]
    tolled: float
    drop: float
    deadline: float


@njit(cache=True)
def back(after, out, step):
    """One stage of [values] into `out`."""
    (
        uplink_cells, device_cells, arrival, weight, local, local_cells, n_options, upload,
        upload_cells, compute, price, server, tolled, drop, deadline,
    ) = step  # fmt: skip
    n, q = out.shape
    total = np.empty(q)
    best = np.empty(q)
    for i in range(n):
        u = i / uplink_cells
        idle = after[i]
        total[:] = 0.0
        for m in range(len(local)):
            for j in range(q):
                best[j] = drop + idle[j]
            for k in range(n_options[m]):
                reached = u + upload[m, k]
                cost = reached + compute[m, k]
                if cost <= deadline + SLACK:
                    cost += toll(price[m, k], compute[m, k], tolled - reached)
                    row = after[i + upload_cells[m, k]]
                    for j in range(q):
                        x = cost + row[j]
                        best[j] = x if x < best[j] else best[j]
            time = local[m]
            in_time = min(q, int(max(0.0, (deadline + SLACK - time) * device_cells + 1.0)))
            more = local_cells[m]
            for j in range(in_time):
                x = time + j / device_cells + idle[j + more]
                best[j] = x if x < best[j] else best[j]
            w = weight[m]
            for j in range(q):
                total[j] += w * best[j]
        for j in range(q):
            out[i, j] = (1.0 - arrival) * idle[j] + arrival * total[j]


@njit(cache=True)
def forward(mass, after, out, step, load):
    """Move the probability of each state through one stage of best decisions.

    Adds to `load` (J,) the expected time at servers, within tolls, of the tasks that pay them.
    """
    (
        uplink_cells, device_cells, arrival, weight, local, local_cells, n_options, upload,
        upload_cells, compute, price, server, tolled, drop, deadline,
    ) = step  # fmt: skip
    n, q = mass.shape
    for i in range(n):
        for j in range(q):
            here = mass[i, j]
            if here == 0.0:
                continue
            _put(out, i, j, uplink_cells, device_cells, (1.0 - arrival) * here)
            u, d = i / uplink_cells, j / device_cells
            for m in range(len(local)):
                best, chosen = drop + after[i, j], -2
                if d + local[m] <= deadline + SLACK:
                    x = d + local[m] + after[i, j + local_cells[m]]
                    if x < best:
                        best, chosen = x, -1
                for k in range(n_options[m]):
                    reached = u + upload[m, k]
                    if reached + compute[m, k] > deadline + SLACK:
                        continue
                    x = reached + compute[m, k] + after[i + upload_cells[m, k], j]
                    x += toll(price[m, k], compute[m, k], tolled - reached)
                    if x < best:
                        best, chosen = x, k
                p = arrival * weight[m] * here
                if chosen == -2:
                    _put(out, i, j, uplink_cells, device_cells, p)
                elif chosen == -1:
                    _put(out, i, j + local_cells[m], uplink_cells, device_cells, p)
                else:
                    until = tolled - u - upload[m, chosen]
                    paid = min(compute[m, chosen], max(until, 0.0))
                    if price[m, chosen] * paid <= until:  # does not wait for tolls to end
                        load[server[m, chosen]] += p * paid
                    to = i + upload_cells[m, chosen]
                    _put(out, to, j, uplink_cells, device_cells, p)


@njit(cache=True)
def _put(out, i, j, uplink_cells, device_cells, p):
    a = min(max(i - uplink_cells, 0), out.shape[0] - 1)
    out[a, min(max(j - device_cells, 0), out.shape[1] - 1)] += p
