"""What residency is worth at most within a server's memory: a knapsack for each server and slot."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.caching.slots import LEVELS
from mecopt.caching.instance import CachingInstance

FloatArray = NDArray[np.float64]


class Memory:
    """The memory of every server in table units, rounded so that nothing that fits is left out.

    Parameters
    ----------
    instance : CachingInstance
    """

    def __init__(self, instance: CachingInstance) -> None:
        x = instance
        largest = int(x.capacity_mb.max())
        unit = int(np.gcd.reduce(x.memory_mb[x.memory_mb <= largest], initial=0)) or 1
        unit = max(unit, -(-largest // LEVELS))
        self._level, self._levels = x.memory_mb // unit, x.capacity_mb // unit
        self._shape = (x.n_servers, x.n_pairs, x.n_slots)

    def most(self, hold: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Greatest sums (N, T) of prices (Q, T) of pairs that fit, and which ones (Q, T)."""
        n, pairs, slots = self._shape
        value = np.empty((n, slots))
        chosen = np.zeros((n, pairs, slots), dtype=np.bool_)
        _knapsacks(hold.reshape(self._shape), self._level, self._levels, value, chosen)
        return value, chosen.reshape(n * pairs, slots)


@njit(cache=True, nogil=True)
def _knapsacks(hold, level, levels, value, chosen):
    servers, pairs, slots = hold.shape
    for n in range(servers):
        room = levels[n]
        table = np.zeros((pairs + 1, room + 1))
        for t in range(slots):
            for p in range(pairs - 1, -1, -1):
                w, worth = level[p], hold[n, p, t]
                for m in range(room + 1):
                    table[p, m] = table[p + 1, m]
                    if w <= m and worth > 0.0:
                        table[p, m] = max(table[p, m], worth + table[p + 1, m - w])
            value[n, t] = table[0, room]
            left = room
            for p in range(pairs):
                if table[p, left] > table[p + 1, left]:
                    chosen[n, p, t] = True
                    left -= level[p]
