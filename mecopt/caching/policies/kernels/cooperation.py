"""Servers that serve each other's requests decide in turn, looking ahead with what is left to them.

Given what the other servers keep, a request of cell m is worth to server n what nobody else within
reach of m would save: its cloud cost less the hop when no other server holds the pair, only the hop
when n is its own cell and a neighbour would serve it, and nothing otherwise.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mecopt.caching.policies.kernels.slot import decide_server, give_back, hand_out
from mecopt.caching.policies.kernels.values import cleared_future


@njit(cache=True, nogil=True, error_model="numpy")
def _left_to(n, a, rates, cloud, hop, offered, worth):
    """Rates (P, H) of requests that server n may hope for, and what one is worth (P,)."""
    servers, n_pairs, ahead = rates.shape
    for p in range(n_pairs):
        offered[p] = 0.0
        total, value = 0.0, 0.0
        for m in range(max(0, n - 1), min(servers, n + 2)):
            held = False
            for k in range(max(0, m - 1), min(servers, m + 2)):
                held |= k != n and a[k, p]
            each = cloud[p] if m == n else cloud[p] - hop[p]
            if held:
                each = hop[p] if m == n else 0.0
            if each <= 0.0:
                continue
            for h in range(ahead):
                offered[p, h] += rates[m, p, h]
                total += rates[m, p, h]
                value += each * rates[m, p, h]
        worth[p] = value / total if total > 0.0 else cloud[p]


@njit(cache=True, nogil=True, error_model="numpy")
def decide_together(
    pairs, capacity, budget, was, kappa, requests, rates, hop, prices, knapsack_prices,
    corrections, step, rounds, a, flow,
):  # fmt: skip
    """Decide a slot of all servers: a (N, P) holds what is resident before, and after.

    In each of at most `rounds` rounds, servers decide in turn given the others; prices (N, 2) are
    corrected in the first.
    """
    servers, n_pairs = requests.shape
    ahead = rates.shape[2]
    offered = np.empty((n_pairs, ahead))
    worth = np.empty(n_pairs)
    future = np.empty((n_pairs, pairs.accuracy.shape[1]))
    left = requests.copy()
    flow[:] = 0
    x = np.zeros(n_pairs, dtype=np.int64)
    away = np.zeros(n_pairs, dtype=np.int64)
    for i in range(rounds):
        changed = False
        for n in range(servers):
            kept = a[n].copy()
            give_back(n, flow, left, away)
            _left_to(n, a, rates, pairs.cloud, hop, offered, worth)
            cleared_future(
                pairs, capacity[n], budget[n], was[n], kappa[n], left[n] + away, offered, worth,
                prices[n], corrections if i == 0 else 0, step, future,
            )  # fmt: skip
            decide_server(
                pairs, capacity[n], budget[n], was[n], kappa[n], left[n], away, pairs.cloud,
                pairs.cloud - hop, future, knapsack_prices[n], a[n], x,
            )  # fmt: skip
            moved = hand_out(n, x, left, flow)
            changed |= moved or not np.array_equal(kept, a[n])
        if not changed:
            break
