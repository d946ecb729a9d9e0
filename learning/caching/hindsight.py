"""What the critic may know in training and the actor never does: the requests still to come.

Requests do not depend on decisions, so a baseline that knows the whole sequence of them leaves the
policy gradient unbiased and takes the luck of the draw out of it: E_a[grad log pi(a | s) b(s, z)]
= 0 for any b of the state and the input sequence z (Mao et al., Variance Reduction for
Reinforcement Learning in Input-Driven Environments, ICLR 2019). The critic is not used in testing.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.caching.features import squashed
from learning.caching.servers import Servers, State, age, gain

#: Discounts of the sums of requests to come.
DISCOUNTS = (0.6, 0.9, 0.97)
#: Slots the two clairvoyant projections look ahead.
HORIZON = 25
#: Numbers per pair.
SIZE = 3 + len(DISCOUNTS) + 2


@njit(cache=True)
def clairvoyant(
    servers: Servers, b: int, p: int, t: int, kappa: int, slots: int, discount: float
) -> float:
    """Best discounted sum of gains of slots t, t + 1, ... when all requests are served."""
    total, best, weight = 0.0, 0.0, 1.0
    last = min(t + slots, servers.requests.shape[2])
    for s in range(t, last):
        r = servers.requests[b, p, s]
        total += weight * gain(servers, b, p, kappa, r)
        kappa = age(servers, b, p, kappa, r)
        best = max(best, total)
        weight *= discount
    return best


@njit(cache=True)
def _foresee(
    servers: Servers,
    t: int,
    state: State,
    sums: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    b_, p_, slots = servers.requests.shape
    for b in range(b_):
        for p in range(p_):
            row = out[b, p]
            for i in range(3):
                later = t + 1 + i
                row[i] = np.log1p(servers.requests[b, p, later]) if later < slots else 0.0
            for i in range(sums.shape[3]):
                row[3 + i] = np.log1p(sums[b, p, t, i])
            k = 3 + sums.shape[3]
            held = clairvoyant(servers, b, p, t, state.kappa[b, p], HORIZON, 0.95)
            row[k] = squashed(held, servers.unit[b])
            cold = clairvoyant(servers, b, p, t + 1, 0, HORIZON, 0.95)
            row[k + 1] = squashed(cold, servers.unit[b])


def sums_to_come(servers: Servers) -> NDArray[np.float64]:
    """(B, P, T, len(DISCOUNTS)) discounted sums of the requests after each slot."""
    b, p, slots = servers.requests.shape
    out = np.zeros((b, p, slots, len(DISCOUNTS)))
    for t in range(slots - 2, -1, -1):
        out[:, :, t] = servers.requests[:, :, t + 1, None] + np.array(DISCOUNTS) * out[:, :, t + 1]
    return out


def foresight(
    servers: Servers, t: int, state: State, sums: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(B, P, SIZE) what is to come after slot t."""
    out = np.empty((*servers.memory.shape, SIZE), dtype=np.float32)
    _foresee(servers, t, state, sums, out)
    return out
