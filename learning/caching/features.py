"""What the network sees of a server: one row of numbers of order one for every pair.

Nothing of the future is in it. Beside the raw observation (requests now, averages of the requests
seen, age of thoughts, residency, sizes, prices, the slot) stand a few sums a person would work out
first: what serving now saves, and what the pair would save over the next slots if requests went on
arriving at their recent rate. They are what a myopic and a rolling rule look at; the network learns
what to make of them.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.caching.servers import Servers, State, age, gain

#: Two forecasts: which average of the requests it starts from, how much of its distance to the mean
#: is left after each slot, and how many slots it looks ahead. Later gains are discounted as PPO's.
FORECASTS = ((1, 0.93, 14), (0, 0.87, 8))
DISCOUNT = 0.95
#: Slots of one request a slot that the mean so far starts from.
PRIOR_SLOTS = 4.0
NAMES = (
    "requests",
    "recent requests, fast",
    "recent requests, slow",
    "mean requests so far",
    "resident",
    "kappa",
    "kappa after serving all",
    "memory",
    "thoughts per request",
    "thoughts vanishing",
    "margin of a request",
    "accuracy cost at best",
    "accuracy cost after serving all",
    "switching cost",
    "energy of all requests",
    "slots left",
    "gain now, best share",
    "gain now, serving all",
    "density of serving, slow forecast",
    "serving all, slow forecast",
    "serving none, slow forecast",
    "evicting, slow forecast",
    "serving all, fast forecast",
    "serving none, fast forecast",
    "evicting, fast forecast",
)
#: Numbers per pair.
SIZE = len(NAMES)
#: Columns the network's first guess starts from (`learning.caching.network`).
SERVING, IDLE = (NAMES.index(f"serving {what}, slow forecast") for what in ("all", "none"))


@njit(cache=True)
def squashed(value: float, unit: float) -> float:
    """Money in units of a request's cloud cost, logarithmic beyond one, sign kept."""
    z = value / unit
    return np.sign(z) * np.log1p(abs(z))


@njit(cache=True)
def projected(
    servers: Servers,
    b: int,
    p: int,
    kappa: int,
    rate: float,
    mean: float,
    kept: float,
    slots: int,
) -> float:
    """Best discounted sum of gains over the next slots if requests return from `rate` to `mean`.

    Everything that comes is served, at its expected, not whole, number; serving may stop for good
    after any slot.
    """
    total, best, weight, level = 0.0, 0.0, 1.0, float(kappa)
    table, highest = servers.accuracy[b, p], float(servers.kappa_max[b, p])
    thoughts, vanish = servers.thoughts[b, p], servers.vanish[b, p]
    margin = servers.cloud[b, p] - servers.serve[b, p]
    for _ in range(slots):
        rate = mean + (rate - mean) * kept
        level = min(highest, max(0.0, level + thoughts * rate - vanish))
        total += weight * rate * (margin - table[int(level + 0.5)])
        weight *= DISCOUNT
        best = max(best, total)
    return best


@njit(cache=True)
def observe(servers: Servers, t: int, state: State, out: NDArray[np.float32]) -> None:
    """Write the observation of slot t (requests already folded into the averages).

    Parameters
    ----------
    servers : Servers
    t : int
    state : State
    out : (B, P, SIZE) float32, written
    """
    b_, p_, slots = servers.requests.shape
    for b in range(b_):
        unit = servers.unit[b]
        for p in range(p_):
            r = servers.requests[b, p, t]
            kappa, resident = state.kappa[b, p], state.resident[b, p]
            most = servers.kappa_max[b, p]
            switch = 0.0 if resident else servers.switch[b, p]
            everything = gain(servers, b, p, kappa, r) - switch
            best = 0.0
            for x in range(1, r + 1):
                best = max(best, gain(servers, b, p, kappa, x))
            after = age(servers, b, p, kappa, r)
            left = slots - t - 1
            seen = state.averages[b, p]
            mean = (seen[2] * (t + 1) + PRIOR_SLOTS) / (t + 1 + PRIOR_SLOTS)
            row = out[b, p]
            row[0] = np.log1p(r)
            for i in range(3):
                row[1 + i] = np.log1p(state.averages[b, p, i])
            row[4] = 1.0 if resident else 0.0
            row[5] = kappa / most
            row[6] = after / most
            row[7] = servers.memory[b, p] / servers.capacity[b]
            row[8] = servers.thoughts[b, p] / most * 4.0
            row[9] = servers.vanish[b, p] / most * 4.0
            row[10] = (servers.cloud[b, p] - servers.serve[b, p]) / unit
            row[11] = squashed(servers.accuracy[b, p, most], unit)
            row[12] = squashed(servers.accuracy[b, p, after], unit)
            row[13] = squashed(switch, unit)
            row[14] = servers.energy[b, p] * r / servers.budget[b]
            row[15] = min(1.0, left / 25.0)
            row[16] = squashed(best - switch, unit)
            row[17] = squashed(everything, unit)
            idle = age(servers, b, p, kappa, 0)
            for i in range(2):
                which, kept, ahead = FORECASTS[i]
                n = min(left, ahead)
                serving = everything + projected(servers, b, p, after, seen[which], mean, kept, n)
                none = projected(servers, b, p, idle, seen[which], mean, kept, n) - switch
                gone = projected(servers, b, p, 0, seen[which], mean, kept, n)
                if i == 0:
                    size = servers.memory[b, p] / servers.capacity[b]
                    row[18] = squashed(max(serving, none) / max(size, 1e-3) / 4.0, unit)
                row[19 + 3 * i] = squashed(serving, unit)
                row[20 + 3 * i] = squashed(none, unit)
                row[21 + 3 * i] = squashed(gone - servers.switch[b, p], unit)


def observations(servers: Servers, t: int, state: State) -> NDArray[np.float32]:
    """(B, P, SIZE) observation of slot t."""
    out = np.empty((*servers.memory.shape, SIZE), dtype=np.float32)
    observe(servers, t, state, out)
    return out
