"""Pair blocks: the cheapest plan of one pair on one server, by a dynamic program over (slot, age).

A pair's plan is a path through states "off" and (resident, kappa). With V_t the least cost of
slots t.. from the state a slot is entered in (kappa is the age of thoughts before this slot),

    Off_t    = min( w_off + Off_{t+1},  On_t(0) + switching )
    V_t(k)   = min( w_off + Off_{t+1},  On_t(k) )
    On_t(k)  = min over x of  w_x + x acc(k') + V_{t+1}(k'),
               k' = clip(k + g x - Delta, 0, kappa_max)

where w is the cost of a choice (off, or resident with x requests served) with its prices. The table
V is kept and the plan read off it, so a pass costs one sweep. `marginals` adds the sweep in the
other direction and gives the cheapest plan through every choice.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def serve(best, after, x, weight, accuracy, gain, top):
    """best[k] = min(best[k], weight + x accuracy[k'] + after[k']) with k' = clip(k + gain)."""
    low = 0
    if gain < 0:
        low = min(-gain, top + 1)
        floor = weight + x * accuracy[0] + after[0]
        for k in range(low):
            best[k] = min(best[k], floor)
    high = top + 1
    if gain > 0:
        high = max(top + 1 - gain, 0)
    n = high - low
    if n > 0:
        out, acc, nxt = best[low:high], accuracy[low + gain :], after[low + gain :]
        if x == 0:
            for k in range(n):
                out[k] = min(out[k], weight + nxt[k])
        else:
            for k in range(n):
                out[k] = min(out[k], weight + x * acc[k] + nxt[k])
    if gain > 0:
        roof = weight + x * accuracy[top] + after[top]
        for k in range(high, top + 1):
            best[k] = min(best[k], roof)


@njit(cache=True, nogil=True, error_model="numpy")
def price_pair(blocks, p, weight, table, off):
    """Fill table (T + 1, K + 1) and off (T + 1) with the least costs from each state; value."""
    slots = blocks.n_slots
    top, thoughts, vanish = blocks.kappa_max[p], blocks.thoughts[p], blocks.vanish[p]
    accuracy = blocks.accuracy[p]
    table[slots, : top + 1] = 0.0
    off[slots] = 0.0
    for t in range(slots - 1, -1, -1):
        first = blocks.first[p * slots + t]
        count = blocks.first[p * slots + t + 1] - first
        row = table[t]
        leave = weight[first] + off[t + 1]
        row[: top + 1] = np.inf
        for x in range(count - 1):
            w = weight[first + 1 + x]
            if w < np.inf:
                serve(row, table[t + 1], x, w, accuracy, thoughts * x - vanish, top)
        off[t] = min(leave, row[0] + blocks.switching[p])
        for k in range(top + 1):
            row[k] = min(row[k], leave)
    return off[0]


@njit(cache=True, nogil=True, error_model="numpy")
def read_plan(blocks, p, weight, table, off, picked):
    """Choices of the cheapest plan, written to picked[p T:(p + 1) T] (0 off, 1 + x resident)."""
    slots = blocks.n_slots
    top, thoughts, vanish = blocks.kappa_max[p], blocks.thoughts[p], blocks.vanish[p]
    accuracy = blocks.accuracy[p]
    kappa, resident = 0, False
    for t in range(slots):
        first = blocks.first[p * slots + t]
        count = blocks.first[p * slots + t + 1] - first
        best, choice, then = weight[first] + off[t + 1], 0, 0
        entry = 0.0 if resident else blocks.switching[p]
        for x in range(count - 1):
            k = min(top, max(0, kappa + thoughts * x - vanish))
            value = entry + weight[first + 1 + x] + x * accuracy[k] + table[t + 1, k]
            if value < best:
                best, choice, then = value, 1 + x, k
        picked[p * slots + t] = choice
        kappa, resident = then, choice > 0


@njit(cache=True, nogil=True, error_model="numpy")
def marginals(blocks, p, weight, table, off, reach, least):
    """Least cost of a plan of pair p through each of its choices, written to least[choice].

    `reach` (2, K + 2) is scratch: least cost of reaching (resident, k) and, last, off.
    """
    slots = blocks.n_slots
    top, thoughts, vanish = blocks.kappa_max[p], blocks.thoughts[p], blocks.vanish[p]
    accuracy = blocks.accuracy[p]
    value = price_pair(blocks, p, weight, table, off)
    now, then = reach[0], reach[1]
    now[:] = np.inf
    now[top + 1] = 0.0
    for t in range(slots):
        first = blocks.first[p * slots + t]
        count = blocks.first[p * slots + t + 1] - first
        then[:] = np.inf
        best = now[top + 1]
        for k in range(top + 1):
            best = min(best, now[k])
        then[top + 1] = best + weight[first]
        least[first] = then[top + 1] + off[t + 1]
        now[0] = min(now[0], now[top + 1] + blocks.switching[p])
        after = table[t + 1]
        for x in range(count - 1):
            w, gain, through = weight[first + 1 + x], thoughts * x - vanish, np.inf
            if w < np.inf:
                for k in range(top + 1):
                    if now[k] < np.inf:
                        to = min(top, max(0, k + gain))
                        cost = now[k] + w + x * accuracy[to]
                        then[to] = min(then[to], cost)
                        through = min(through, cost + after[to])
            least[first + 1 + x] = through
        now, then = then, now
    return value
