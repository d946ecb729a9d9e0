"""The feasibility layer of T2DRL: from scores and shares of any size to a decision that fits.

The network says for each pair p of a server how much it wants the pair resident (a score, wanted
when positive) and which share of this slot's requests to serve at the edge. The layer answers with
a in {0, 1}^P and integers x such that

    memory     sum_p memory_mb[p] a[p] <= capacity_mb,
    energy     sum_p energy[p] x[p] <= budget,
    residency  0 <= x[p] <= requests[p] a[p],

by the two rules of the published layer: wanted pairs are kept in order of score per GB as long as
they fit (a pair too large for what is left is passed over, later ones may still fit: **D**), then
requests are sent to the cloud, least advantage per joule first, until the energy fits. The
advantage of a request is what it saves against the cloud at the age of thoughts it would meet
(**D**: print does not say which advantage; this one needs no further output of the network).

`clipped` is what takes its place in the ablation without the layer.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["clipped", "keep", "trim", "wanted_requests"]


@njit(cache=True)
def wanted_requests(share: float, requests: int) -> int:
    """Share of the requests, in whole requests: round(share R), share clipped to [0, 1]."""
    return int(np.floor(min(1.0, max(0.0, share)) * requests + 0.5))


@njit(cache=True)
def keep(
    score: NDArray[np.float64],
    memory: NDArray[np.int64],
    capacity: int,
    a: NDArray[np.bool_],
) -> None:
    """Keep pairs with a positive score by score per unit of memory until memory fits.

    Parameters
    ----------
    score : (P,) float
        Ties go to the pair listed first.
    memory : (P,) int64
    capacity : int
        In the unit of `memory`.
    a : (P,) bool, written
    """
    n = len(score)
    density = np.empty(n)
    for p in range(n):
        density[p] = -score[p] / max(1, memory[p])
        a[p] = False
    left = capacity
    for p in np.argsort(density, kind="mergesort"):
        if score[p] > 0.0 and memory[p] <= left:
            a[p] = True
            left -= memory[p]


@njit(cache=True)
def trim(
    x: NDArray[np.int64],
    advantage: NDArray[np.float64],
    energy: NDArray[np.int64],
    budget: int,
) -> None:
    """Send requests to the cloud by least advantage per unit of energy until the energy fits.

    Parameters
    ----------
    x : (P,) int64, modified
        Requests at the edge; no more are taken from a pair than the excess asks for.
    advantage : (P,) float
        Saving of one request of the pair against the cloud.
    energy : (P,) int64
        Energy of one request.
    budget : int
        In the unit of `energy`.
    """
    n = len(x)
    used = 0
    for p in range(n):
        used += energy[p] * x[p]
    while used > budget:
        worst = -1
        for p in range(n):
            if x[p] > 0 and energy[p] > 0:
                rate = advantage[p] / energy[p]
                if worst < 0 or rate < advantage[worst] / energy[worst]:
                    worst = p
        e = energy[worst]
        gone = min(x[worst], (used - budget + e - 1) // e)
        x[worst] -= gone
        used -= gone * e


@njit(cache=True)
def clipped(
    score: NDArray[np.float64],
    share: NDArray[np.float64],
    requests: NDArray[np.int64],
    memory: NDArray[np.int64],
    capacity: int,
    energy: NDArray[np.int64],
    budget: int,
    a: NDArray[np.bool_],
    x: NDArray[np.int64],
) -> float:
    """The ablation without the layer: wanted pairs in listed order, whatever does not fit is cut.

    Returns how far the wanted action was from feasible: (memory wanted - capacity) / capacity plus
    (energy wanted - budget) / budget, zero when it fitted. Training without the layer charges it.

    Parameters
    ----------
    score, share, requests, memory, energy : (P,)
    capacity, budget : int
    a, x : (P,), written
    """
    left, joules = capacity, budget
    for p in range(len(score)):
        n = wanted_requests(share[p], requests[p]) if score[p] > 0.0 else 0
        left -= memory[p] if score[p] > 0.0 else 0
        joules -= energy[p] * n
    excess = max(0.0, -left / max(1, capacity)) + max(0.0, -joules / max(1, budget))
    left, joules = capacity, budget
    for p in range(len(score)):
        a[p] = score[p] > 0.0 and memory[p] <= left
        x[p] = 0
        if a[p]:
            left -= memory[p]
            x[p] = wanted_requests(share[p], requests[p])
            if energy[p] > 0:
                x[p] = min(x[p], joules // energy[p])
            joules -= energy[p] * x[p]
    return excess
