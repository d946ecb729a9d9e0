"""One slot of all servers: each decides exactly, given what the others took."""

from __future__ import annotations

import numpy as np
from numba import njit

from mecopt.caching.kernel import aged
from mecopt.caching.policies.kernels.knapsack import choose

#: Rounds over the servers when requests may be served next door.
_SWEEPS = 4


@njit(cache=True, nogil=True, error_model="numpy")
def decide_server(
    pairs, capacity, budget, was, kappa, own, away, own_worth, away_worth, future, prices, a, x
):
    """What one server keeps (a) and serves (x, own requests first) in a slot; its gain.

    The gain of serving x requests over being off is, with k the age afterwards,

        own_worth min(x, own) + away_worth (x - own)+ - x (serve + accuracy[k])
            - switch [not resident before] + future[p, k].

    `future` (P, K + 1) is what being resident at an age is worth after this slot.
    """
    n_pairs = len(was)
    first = np.zeros(n_pairs + 1, dtype=np.int64)
    size = 0
    for p in range(n_pairs):
        size += own[p] + away[p] + 1
    gain = np.empty(size)
    served = np.empty(size, dtype=np.int64)
    n = 0
    for p in range(n_pairs):
        first[p] = n
        if pairs.memory[p] > capacity:
            continue
        most = own[p] + away[p]
        if pairs.energy[p] > 0:
            most = min(most, budget // pairs.energy[p])
        best = 0.0
        load = 0.0 if was[p] else pairs.switch[p]
        age = kappa[p] if was[p] else 0
        for requests in range(most + 1):
            k = aged(age, requests, pairs.thoughts[p], pairs.vanish[p], pairs.kappa_max[p])
            saved = own_worth[p] * min(requests, own[p])
            saved += away_worth[p] * max(0, requests - own[p])
            worth = saved - requests * (pairs.serve[p] + pairs.accuracy[p, k]) - load + future[p, k]
            if worth > best:  # an item worth no more than a smaller one is never needed
                best = worth
                gain[n] = worth
                served[n] = requests
                n += 1
    first[n_pairs] = n
    chosen = np.empty(n_pairs, dtype=np.int64)
    total = choose(
        first, gain[:n], served[:n], pairs.memory, pairs.energy, capacity, budget, prices, chosen
    )
    for p in range(n_pairs):
        a[p] = chosen[p] >= 0
        x[p] = served[chosen[p]] if a[p] else 0
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def give_back(n, flow, left, away):
    """Return what server n serves to `left` (N, P), and fill `away` (P,): what neighbours offer."""
    servers = len(left)
    away[:] = 0
    for j in range(3):
        m = n + j - 1
        if 0 <= m < servers:
            left[m] += flow[n, j]
            if m != n:
                away += left[m]


@njit(cache=True, nogil=True, error_model="numpy")
def hand_out(n, x, left, flow):
    """Turn x (P,) served at n into flows and take them from `left`; whether the flows changed.

    Own requests come first, then those of the lower neighbour, then of the upper one.
    """
    changed = False
    for p in range(len(x)):
        rest = x[p]
        for j in (1, 0, 2):
            m = n + j - 1
            take = min(rest, left[m, p]) if 0 <= m < len(left) else 0
            changed |= flow[n, j, p] != take
            flow[n, j, p] = take
            rest -= take
            if take > 0:
                left[m, p] -= take
    return changed


@njit(cache=True, nogil=True, error_model="numpy")
def decide_slot(pairs, capacity, budget, was, kappa, requests, worth, hop, future, prices, a, flow):
    """Decide a slot of all servers: a (N, P) and flow (N, 3, P); returns the total gain.

    `worth` (P,) is what a request served saves in the cloud, `hop` (P,) the cost of serving it
    next door (infinite: not allowed). With hops, servers decide in turn, each given what the
    others took, until nobody changes.
    """
    servers, n_pairs = requests.shape
    forwarding = np.isfinite(hop[0])
    a[:] = False
    flow[:] = 0
    left = requests.copy()  # requests of each cell that nobody serves
    x = np.zeros(n_pairs, dtype=np.int64)
    nothing = np.zeros(n_pairs, dtype=np.int64)
    total = 0.0
    if not forwarding:
        for n in range(servers):
            total += decide_server(
                pairs, capacity[n], budget[n], was[n], kappa[n], left[n], nothing, worth, worth,
                future[n], prices[n], a[n], x,
            )  # fmt: skip
            flow[n, 1] = x
        return total
    gains = np.zeros(servers)
    away = nothing.copy()
    for _ in range(_SWEEPS):
        changed = False
        for n in range(servers):
            give_back(n, flow, left, away)
            gains[n] = decide_server(
                pairs, capacity[n], budget[n], was[n], kappa[n], left[n], away, worth, worth - hop,
                future[n], prices[n], a[n], x,
            )  # fmt: skip
            changed |= hand_out(n, x, left, flow)
        if not changed:
            break
    return gains.sum()
