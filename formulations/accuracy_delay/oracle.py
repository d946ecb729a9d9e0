"""The Lagrangian of a region as `formulations.dual.ascent` sees it.

Rows are users, (assign) sum_j x_ij + device_i = 1, written as usage -1 per answer against a
capacity of -1; then one of accuracy, counted as what is won beyond the devices (so that its price
moves no other), and two of how many queries leave the device, at least and at most. Prices are in
ns, that of accuracy per unit (1.0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.accuracy_delay.servers import price_server
from mecopt.accuracy_delay.costs import Costs, costs_of
from mecopt.accuracy_delay.instance import ACCURACY_SCALE, UNITS_PER_NS, QuerySnapshot
from mecopt.certificates.accuracy_delay.values import Prices, Region

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Rows beside those of users: accuracy, and queries that leave, at least and at most.
OTHERS = 3


@dataclass(frozen=True, eq=False)
class Priced:
    """Value of every block, usage of every row, and what servers chose."""

    value: FloatArray
    usage: FloatArray
    chosen: tuple[IntArray, ...]
    on_device: NDArray[np.bool_]
    slopes: tuple[FloatArray, ...]


class RegionOracle:
    """Blocks of a region: one per server, and one for all devices.

    Parameters
    ----------
    x : QuerySnapshot
    region : Region
    """

    def __init__(self, x: QuerySnapshot, region: Region) -> None:
        self.x, self.region = x, region
        self._costs: Costs = costs_of(x)
        home = np.full(x.n_users, -1)
        for i, j in region.settled:
            home[i] = j
        self.device = home < 0
        possible = x.reachable.copy()
        for i, j in region.barred:
            possible[i, j] = False
        possible &= (home[:, None] < 0) | (home[:, None] == np.arange(x.n_servers))
        self.possible = possible
        self._users = tuple(np.flatnonzero(possible[:, j]) for j in range(x.n_servers))
        self._linear = tuple(
            np.ascontiguousarray(self._costs.linear[users, j])
            for j, users in enumerate(self._users)
        )
        self._root = tuple(
            np.ascontiguousarray(self._costs.root[users, j]) for j, users in enumerate(self._users)
        )
        self._slopes = tuple(np.zeros(len(users) + 1) for users in self._users)
        self._scratch = np.empty(x.n_users + 1)
        self.gain = self._costs.gain / ACCURACY_SCALE
        #: Accuracy to be won beyond the devices.
        self.to_win = (x.accuracy_needed_units - x.accuracy_local_units.sum()) / ACCURACY_SCALE
        limits = [-self.to_win, -float(region.fewest), float(region.utmost)]
        self.capacity = np.append(np.full(x.n_users, -1.0), limits)
        #: Least prices: any for users, zero for the other rows.
        self.lower = np.append(np.full(x.n_users, -np.inf), np.zeros(OTHERS))
        #: Largest prices: rows that cannot bind have none.
        free = [self.to_win <= 0, region.fewest <= 0, region.utmost >= x.n_users]
        self.upper = np.append(np.full(x.n_users, np.inf), np.where(free, 0.0, np.inf))

    def start(self) -> FloatArray:
        """Prices at which every query is worth what it takes on the device."""
        return np.append(self._costs.local, np.zeros(OTHERS))

    def price(self, prices: FloatArray) -> Priced:
        """Evaluate all blocks."""
        x, costs = self.x, self._costs
        user, accuracy = prices[:-OTHERS], prices[-OTHERS]
        leaving = prices[-2] - prices[-1]
        reduced = costs.local - user
        on_device = self.device & (reduced < 0)
        value = np.zeros(x.n_servers + 1)
        value[-1] = reduced[on_device].sum()
        usage = np.zeros(x.n_users + OTHERS)
        usage[:-OTHERS][on_device] -= 1.0
        chosen, slopes = [], []
        for j, users in enumerate(self._users):
            reward = costs.worth[users] + accuracy * self.gain[users, j] + leaving + user[users]
            region = self.region
            value[j], picked = price_server(
                self._linear[j],
                self._root[j],
                reward,
                costs.queue[j],
                region.least[j],
                region.most[j],
                float(region.low[j]),
                float(region.high[j]),
                self._slopes[j],
                self._scratch,
            )
            there = users[picked]
            usage[there] -= 1.0
            usage[-3] -= self.gain[there, j].sum()
            usage[-2] -= len(there)
            usage[-1] += len(there)
            chosen.append(there)
            slopes.append(self._slopes[j].copy())
        return Priced(value, usage, tuple(chosen), on_device, tuple(slopes))

    def dual_value(self, prices: FloatArray, priced: Priced) -> float:
        """L in ns."""
        return float(priced.value.sum() - prices @ self.capacity)

    def on_grid(self, prices: FloatArray, priced: Priced) -> Prices:
        """Prices in the whole numbers of proofs."""
        user = tuple(int(v) for v in np.rint(prices[:-OTHERS] * UNITS_PER_NS).tolist())
        accuracy = round(float(prices[-OTHERS]) * UNITS_PER_NS / ACCURACY_SCALE)
        leaving = round(float(prices[-2] - prices[-1]) * UNITS_PER_NS)
        slopes = []
        for slope in priced.slopes:
            used = np.flatnonzero(slope)
            end = used[-1] + 1 if len(used) else 0
            slopes.append(tuple(int(v) for v in np.rint(slope[:end]).tolist()))
        return Prices(user, max(accuracy, 0), leaving, tuple(slopes))
