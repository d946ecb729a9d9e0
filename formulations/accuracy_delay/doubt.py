"""What the evaluations of an ascent disagree about, and so where to split a region.

Near the best prices evaluations take turns between decisions that tie; their mean is close to the
best mixture of decisions (Barahona and Anbil 2000), which says what prices alone cannot settle.
"""

from __future__ import annotations

import numpy as np

from formulations.accuracy_delay.oracle import Priced, RegionOracle

#: Disagreement below this is none.
_LEAST = 1e-3

Split = tuple[str, int, int]


class Doubt:
    """Means over evaluations of one region."""

    def __init__(self, oracle: RegionOracle) -> None:
        self._oracle = oracle
        m = oracle.x.n_servers
        self._share = np.zeros(oracle.possible.shape)
        self._size, self._square = np.zeros(m), np.zeros(m)
        self._all, self._count = 0.0, 0

    def add(self, priced: Priced) -> None:
        """Take an evaluation in."""
        self._count += 1
        for j, users in enumerate(priced.chosen):
            self._share[users, j] += 1.0
            self._size[j] += len(users)
            self._square[j] += len(users) ** 2
            self._all += len(users)

    def split(self, priced: Priced) -> Split | None:
        """Where to split the region; None when there is nothing left to split."""
        if self._count == 0:
            return self._by_width()
        return (
            self._by_all()
            or self._by_count()
            or self._by_user()
            or self._by_total(priced)
            or self._by_width()
            or self._by_any(priced)
        )

    def _by_all(self) -> Split | None:
        """How many queries leave the device, where the mean is no whole number."""
        region = self._oracle.region
        mean = self._all / self._count
        if abs(mean - round(mean)) < 0.02 or not region.fewest < region.utmost:
            return None
        if self._oracle.to_win <= 0:
            return None  # nothing asks for more to leave, so numbers of servers decide
        return ("all", -1, int(np.clip(np.floor(mean), region.fewest, region.utmost - 1)))

    def _by_count(self) -> Split | None:
        """The server whose number of queries differs most, at the mean."""
        region = self._oracle.region
        mean = self._size / self._count
        spread = self._square / self._count - mean**2
        spread[np.array(region.least) >= np.array(region.most)] = 0.0
        j = int(spread.argmax())
        if spread[j] <= _LEAST:
            return None
        return ("count", j, int(np.clip(np.floor(mean[j]), region.least[j], region.most[j] - 1)))

    def _by_user(self) -> Split | None:
        """The pair of user and server that is nearest to half."""
        share = self._share / self._count
        doubt = np.minimum(share, 1.0 - share)
        for i, j in self._oracle.region.settled:
            doubt[i, j] = 0.0
        at = np.unravel_index(int(doubt.argmax()), doubt.shape)
        return ("pair", int(at[1]), int(at[0])) if doubt[at] > _LEAST else None

    def _by_total(self, priced: Priced) -> Split | None:
        """The server whose sum of roots is farthest from half its slope, at half the slope."""
        region, best, found = self._oracle.region, 1.0, None
        for j, users in enumerate(priced.chosen):
            half = 0.5 * priced.slopes[j][len(users)]
            limit = int(np.floor(half))
            total = float(self._oracle.x.root[users, j].sum())
            if region.low[j] <= limit < region.high[j] and abs(total - half) > best:
                best, found = abs(total - half), ("total", j, limit)
        return found

    def _by_width(self) -> Split | None:
        """The server with the most numbers of queries still open, in the middle."""
        region = self._oracle.region
        width = np.array(region.most) - np.array(region.least)
        j = int(width.argmax())
        if width[j] <= 0:
            return None
        return ("count", j, (region.least[j] + region.most[j]) // 2)

    def _by_any(self, priced: Priced) -> Split | None:
        """The chosen pair with the most accuracy to win that is not settled."""
        settled, gain = self._oracle.region.settled, self._oracle.gain
        pairs = [
            (int(i), j)
            for j, users in enumerate(priced.chosen)
            for i in users
            if (int(i), j) not in settled
        ]
        if not pairs:
            return None
        i, j = max(pairs, key=lambda pair: float(gain[pair]))
        return ("pair", j, i)
