"""What one server keeps and serves in one slot: a knapsack of memory and energy, solved exactly.

Each pair offers items (resident, serve x requests) with a gain over "off", of which at most one is
taken; memory and energy of the items taken must fit. Two prices lambda (per MB, per 10 J) bound
what the pairs from the i-th on can still gain with memory m and energy e left,

    B_i(m, e) = lambda . (m, e) + sum over pairs from i on of max(0, max_j gain_j - lambda . use_j),

and labels (gain, m, e) are extended pair by pair; a label whose bound does not beat the best plan
known is dropped, and of two labels with the same (m, e) the better one stays.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Steps on the two prices.
_STEPS = 40
_BUCKETS = 1 << 13


@njit(cache=True, nogil=True, error_model="numpy")
def _dual(first, gain, served, memory, energy, capacity, budget, prices):
    """B_0 at the prices, and the memory and energy that its choices use."""
    value = prices[0] * capacity + prices[1] * budget
    used_memory, used_energy = 0, 0
    for p in range(len(first) - 1):
        best, at = 0.0, -1
        for j in range(first[p], first[p + 1]):
            net = gain[j] - prices[0] * memory[p] - prices[1] * energy[p] * served[j]
            if net > best:
                best, at = net, j
        value += best
        if at >= 0:
            used_memory += memory[p]
            used_energy += energy[p] * served[at]
    return value, used_memory, used_energy


@njit(cache=True, nogil=True, error_model="numpy")
def _greedy(first, gain, served, memory, energy, capacity, budget, prices, chosen):
    """A plan that fits: items in order of gain per priced use. Returns its gain."""
    pairs = len(first) - 1
    score = np.full(pairs, -1.0)
    for p in range(pairs):
        for j in range(first[p], first[p + 1]):
            use = prices[0] * memory[p] + prices[1] * energy[p] * served[j] + 1e-12
            score[p] = max(score[p], gain[j] / use)
        chosen[p] = -1
    total, room, left = 0.0, capacity, budget
    for p in np.argsort(-score):
        best = 0.0
        for j in range(first[p], first[p + 1]):
            if memory[p] <= room and energy[p] * served[j] <= left and gain[j] > best:
                best = gain[j]
                chosen[p] = j
        if chosen[p] >= 0:
            room -= memory[p]
            left -= energy[p] * served[chosen[p]]
            total += best
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _best_prices(first, gain, served, memory, energy, capacity, budget, prices, found):
    """Lower the bound by subgradient steps; the prices are changed in place. Returns the bound."""
    best = np.inf
    kept = prices.copy()
    scale = 1.0
    for _ in range(_STEPS):
        value, used_memory, used_energy = _dual(
            first, gain, served, memory, energy, capacity, budget, prices
        )
        if value < best - 1e-12 * abs(best):
            best = value
            kept[:] = prices
        else:
            scale *= 0.8
        # Slopes per full use of the resource, so that MB and 10 J are alike.
        by_memory = (used_memory - capacity) / max(capacity, 1)
        by_energy = (used_energy - budget) / max(budget, 1)
        if prices[0] <= 0.0 and by_memory < 0.0:
            by_memory = 0.0
        if prices[1] <= 0.0 and by_energy < 0.0:
            by_energy = 0.0
        norm = by_memory**2 + by_energy**2
        if norm < 1e-18 or value - found <= 1e-12 * abs(value):
            break
        step = scale * (value - found) / norm
        prices[0] = max(0.0, prices[0] + step * by_memory / max(capacity, 1))
        prices[1] = max(0.0, prices[1] + step * by_energy / max(budget, 1))
    prices[:] = kept
    return best


@njit(cache=True, nogil=True)
def _grown(array):
    out = np.empty(2 * len(array), dtype=array.dtype)
    out[: len(array)] = array
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def choose(first, gain, served, memory, energy, capacity, budget, prices, chosen):
    """The best items within memory and energy.

    Parameters
    ----------
    first : (P + 1,) int64
        Items ``first[p]:first[p + 1]`` belong to pair p.
    gain : (items,) float64
        Gain over "off"; items without one should be left out.
    served : (items,) int64
    memory, energy : (P,) int64
        MB of a pair, 10 J of one of its requests.
    capacity, budget : int
    prices : (2,) float64
        Where to start the two prices; holds the better ones afterwards.
    chosen : (P,) int64
        Output: the item taken, -1 for off.

    Returns
    -------
    gain of the choice
    """
    pairs = len(first) - 1
    found = _greedy(first, gain, served, memory, energy, capacity, budget, prices, chosen)
    bound = _best_prices(first, gain, served, memory, energy, capacity, budget, prices, found)
    if bound <= found:
        return found
    trial = np.empty(pairs, dtype=np.int64)
    again = _greedy(first, gain, served, memory, energy, capacity, budget, prices, trial)
    if again > found:
        found = again
        chosen[:] = trial
    # Pairs with most to gain first: their labels lose most when they are wrong.
    net = np.zeros(pairs)
    for p in range(pairs):
        for j in range(first[p], first[p + 1]):
            worth = gain[j] - prices[0] * memory[p] - prices[1] * energy[p] * served[j]
            net[p] = max(net[p], worth)
    order = np.argsort(-net)
    rest = np.zeros(pairs + 1)
    for i in range(pairs - 1, -1, -1):
        rest[i] = rest[i + 1] + net[order[i]]

    size = 1 << 10
    value = np.empty(size)
    room = np.empty(size, dtype=np.int64)
    left = np.empty(size, dtype=np.int64)
    parent = np.empty(size, dtype=np.int64)
    item = np.empty(size, dtype=np.int64)
    bucket = np.full(_BUCKETS, -1, dtype=np.int64)
    value[0], room[0], left[0], parent[0], item[0] = 0.0, capacity, budget, -1, -1
    begin, end, n = 0, 1, 1
    winner = -1
    for i in range(pairs):
        p = order[i]
        for label in range(begin, end):
            for j in range(first[p] - 1, first[p + 1]):
                now, m, e = value[label], room[label], left[label]
                if j >= first[p]:
                    m -= memory[p]
                    e -= energy[p] * served[j]
                    now += gain[j]
                    if m < 0 or e < 0:
                        continue
                if now + prices[0] * m + prices[1] * e + rest[i + 1] <= found * (1 + 1e-14):
                    continue
                key = (m * 1000003 + e * 7919) & (_BUCKETS - 1)
                other = bucket[key]
                at = n
                if end <= other < n and room[other] == m and left[other] == e:
                    if value[other] >= now:
                        continue
                    at = other
                else:
                    if n == size:
                        value, room, left = _grown(value), _grown(room), _grown(left)
                        parent, item = _grown(parent), _grown(item)
                        size *= 2
                    bucket[key] = n
                    n += 1
                value[at], room[at], left[at] = now, m, e
                parent[at], item[at] = label, (j if j >= first[p] else -1)
                if now > found:
                    found, winner = now, at
        begin, end = end, n
    if winner >= 0:
        chosen[:] = -1
        depth = winner
        while depth > 0:
            if item[depth] >= 0:
                for p in range(pairs):
                    if first[p] <= item[depth] < first[p + 1]:
                        chosen[p] = item[depth]
            depth = parent[depth]
        found = 0.0
        for p in range(pairs):
            if chosen[p] >= 0:
                found += gain[chosen[p]]
    return found
