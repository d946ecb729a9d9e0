"""Compiled replay of a caching decision: ages of thoughts and the cost of every slot.

Arrays in, arrays out. All costs are multiples of 2^-30 (see `mecopt.caching.grid`), so the sums
are exact while they stay below 2^23, in whatever order they are taken.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Parts of the cost, in the order of the kernel's output; couplings add ``overflow`` or ``hops``.
PARTS = ("switching", "transmission", "compute", "accuracy", "cloud")
SWITCHING, TRANSMISSION, COMPUTE, ACCURACY, CLOUD = range(5)


class Pairs(NamedTuple):
    """What compiled policies read of the pairs of an instance."""

    memory: NDArray[np.int64]  # (P,) MB
    energy: NDArray[np.int64]  # (P,) 10 J per request
    thoughts: NDArray[np.int64]  # (P,)
    vanish: NDArray[np.int64]  # (P,)
    kappa_max: NDArray[np.int64]  # (P,)
    accuracy: NDArray[np.float64]  # (P, K + 1) per request at that age
    switch: NDArray[np.float64]  # (P,) per load
    serve: NDArray[np.float64]  # (P,) transmission and compute per request
    cloud: NDArray[np.float64]  # (P,) per request


def pairs_of(instance: Any) -> Pairs:
    """The arrays of a `CachingInstance`, which imports this module, that no slot changes."""
    i = instance
    return Pairs(
        i.memory_mb,
        i.energy_10j,
        i.thoughts,
        i.vanish,
        i.kappa_max,
        i.accuracy_cost,
        i.switch_cost,
        i.serve_cost,
        i.cloud_cost,
    )


@njit(cache=True, nogil=True, inline="always")
def aged(kappa, served, thoughts, vanish, kappa_max):
    """Age of thoughts of a resident pair after a slot in which it served requests."""
    value = kappa + thoughts * served - vanish
    if value < 0:
        return 0
    return min(value, kappa_max)


@njit(cache=True, nogil=True)
def replay_kernel(pairs, edge_cost, compute_cost, resident, served, to_cloud, kappa, cost):
    """Fill kappa (N, P, T) and cost (5, N, T) from checked decisions (N, P, T)."""
    _, _, thoughts, vanish, kappa_max, accuracy_cost, switch_cost, _, cloud_cost = pairs
    servers, n_pairs, slots = resident.shape
    for n in range(servers):
        for p in range(n_pairs):
            age = 0
            before = False
            for t in range(slots):
                x = served[n, p, t]
                if resident[n, p, t]:
                    if not before:
                        cost[SWITCHING, n, t] += switch_cost[p]
                        age = 0
                    age = aged(age, x, thoughts[p], vanish[p], kappa_max[p])
                    before = True
                    cost[TRANSMISSION, n, t] += x * edge_cost[p]
                    cost[COMPUTE, n, t] += x * compute_cost[p]
                    cost[ACCURACY, n, t] += x * accuracy_cost[p, age]
                else:
                    age = 0
                    before = False
                cost[CLOUD, n, t] += to_cloud[n, p, t] * cloud_cost[p]
                kappa[n, p, t] = age
