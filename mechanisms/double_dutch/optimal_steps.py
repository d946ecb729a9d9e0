"""The best step of a double Dutch auction for a known distribution, by dynamic programming.

With the ``unit`` alternation of `mechanisms.double_dutch.walk` and traders drawn independently from
a known distribution, an auctioneer who chooses by how many ticks the clocks jump faces a finite
Markov decision process: whoever has not stopped is distributed as before, given that its stop lies
beyond its clock. State: how far both clocks have come, how many have stopped on either side, and
the last jump of the clock that is ahead in stops (whose group is taken by lot as far as it is
matched). A pair counts its expected gain when it is matched, an announcement costs
`broadcast_cost`. Backward induction then gives the most

    E[welfare] / E[W*] - broadcast_cost x E[broadcasts]

that any policy reaches which jumps by one of the given numbers of ticks, whatever it was trained
by; with one jump alone, what that fixed step reaches. As `broadcast_cost` varies the points
(broadcasts, welfare) trace the concave frontier of all of them.
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mechanisms.double_dutch import clocks
from mecopt import checks
from mecopt.market.instance import Market

FloatArray = NDArray[np.float64]
#: Most states that are held at once.
MOST_STATES = 60_000_000


class Prior(NamedTuple):
    """What is known of one trader of either side, and how many there are.

    Parameters
    ----------
    reach : (2, ticks + 2)
        Probability that a trader stops within the first u prices of its own clock (side 0 buyers).
    money : (2, ticks + 2)
        Mean of report x 1[it stops within the first u prices], in shares of the mean optimum.
    traders : (int, int)
        Buyers and sellers.
    """

    reach: FloatArray
    money: FloatArray
    traders: tuple[int, int]

    @property
    def ticks(self) -> int:
        """Ticks of the grid."""
        return self.reach.shape[1] - 2


class Optimum(NamedTuple):
    """What a policy reaches in expectation.

    Parameters
    ----------
    welfare : float
        E[welfare] / E[W*].
    broadcasts : float
    objective : float
        Welfare less the cost of the broadcasts.
    """

    welfare: float
    broadcasts: float
    objective: float


def prior(markets: Iterable[Market], *, ticks: int = 100) -> Prior:
    """The empirical distribution of the reports of many markets with as many traders each.

    Raises
    ------
    ValueError
        If there are none, or they differ in grid or number of traders.
    """
    stops: list[FloatArray] = [np.zeros((2, ticks + 1)), np.zeros((2, ticks + 1))]
    seen, best, shape = 0, 0.0, None
    for market in markets:
        grid = clocks.make_grid(market, ticks=ticks)
        found = (grid, market.n_buyers, market.n_sellers)
        shape = shape or found
        if found != shape:
            raise ValueError(f"markets: {market!r} has another grid or size than the first")
        level = (market.values - grid.low) // grid.step
        place = -((grid.low - market.costs) // grid.step)
        for side, at, report in ((0, ticks - level, market.values), (1, place, market.costs)):
            stops[0][side] += np.bincount(at, minlength=ticks + 1)
            stops[1][side] += np.bincount(at, weights=report, minlength=ticks + 1)
        k = min(found[1:])
        gain = np.sort(market.values)[::-1][:k] - np.sort(market.costs)[:k]
        best += float(gain[gain > 0].sum())
        seen += 1
    if shape is None or best == 0:
        raise ValueError("markets: no gains from trade to learn a distribution from")
    traders = np.array(shape[1:])[:, None] * seen
    count, money = (
        np.concatenate([np.zeros((2, 1)), np.cumsum(s / traders, axis=1)], axis=1) for s in stops
    )
    return Prior(count, money * seen / best, (shape[1], shape[2]))


def solve(known: Prior, jumps: Sequence[int], broadcast_cost: float) -> Optimum:
    """The best policy that jumps by one of `jumps` ticks, and what it reaches.

    Raises
    ------
    ValueError
        If a jump is below one tick, the cost is negative, or there are too many states.
    """
    for jump in jumps:
        checks.whole("jumps", jump, 1)
    if not broadcast_cost >= 0 or not len(jumps):
        raise ValueError(f"broadcast_cost = {broadcast_cost} must be >= 0, jumps not empty")
    n, m = known.traders
    places = (known.ticks + 2) * (known.ticks + 3) // 2 + known.ticks + 2
    if (states := places * (n + 1) * (m + 1) * len(jumps)) > MOST_STATES:
        raise ValueError(f"traders: {states} states are more than {MOST_STATES}")
    welfare, broadcasts = _induction(
        known.reach, known.money, n, m, np.array(sorted(jumps), dtype=np.int64), broadcast_cost
    )
    return Optimum(welfare, broadcasts, welfare - broadcast_cost * broadcasts)


@njit(cache=True)
def _binomials(n, p, out):
    """Probabilities (n + 1, n + 1): row r holds those of r independent traders."""
    out[0, 0] = 1.0
    for r in range(1, n + 1):
        out[r, 0] = out[r - 1, 0] * (1 - p)
        for k in range(1, r):
            out[r, k] = out[r - 1, k] * (1 - p) + out[r - 1, k - 1] * p
        out[r, r] = out[r - 1, r - 1] * p


@njit(cache=True)
def _mean(reach, money, side, start, end):
    """Mean report of those who stop between two places of a clock; 0 where nobody does."""
    share = reach[side, end] - reach[side, start]
    return (money[side, end] - money[side, start]) / share if share > 1e-12 else 0.0


@njit(cache=True)
def _induction(reach, money, n, m, jumps, cost):
    """Welfare and broadcasts from the start, the policy choosing the best jump in every state."""
    top = reach.shape[1] - 1  # prices of a clock
    count = len(jumps)
    # first[u] + w is the row of clocks that have announced u and w of their prices.
    first = np.zeros(top + 1, dtype=np.int64)
    rows = 0
    for u in range(top + 1):
        first[u] = rows
        rows += top + 2 - u
    shape = (rows, n + 1, m + 1, count)
    worth, said = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    size = np.array([n, m])
    # Per side and jump: chances of k stops among r traders, and the mean report of those who stop.
    chance = np.zeros((2, count, max(n, m) + 1, max(n, m) + 1))
    mean = np.zeros((2, count))
    behind = np.zeros((2, count))
    new = np.zeros(2, dtype=np.int64)
    ahead = np.zeros((2, count), dtype=np.int64)
    for u in range(top, -1, -1):
        for w in range(top + 1 - u, -1, -1):
            if max(u, 1) + max(w, 1) > top:
                continue  # they have met
            for side in range(2):
                place, most = (u, top + 1 - max(w, 1)) if side == 0 else (w, top + 1 - max(u, 1))
                new[side] = 0
                for a in range(count):
                    back = max(place - jumps[a], 0)
                    behind[side, a] = _mean(reach, money, side, back, place)
                    if a and place + jumps[a - 1] >= most:
                        continue  # longer jumps go no further
                    to = min(place + jumps[a], most)
                    left_share = 1 - reach[side, place]
                    share = reach[side, to] - reach[side, place]
                    p = min(1.0, share / left_share) if left_share > 1e-12 else 1.0
                    _binomials(size[side], p, chance[side, a])
                    mean[side, a] = _mean(reach, money, side, place, to)
                    ahead[side, a] = to
                    new[side] = a + 1
            here = first[u] + w
            for hb in range(n + 1):
                for hs in range(m + 1):
                    side = 0 if hb <= hs else 1
                    lead = abs(hs - hb)
                    left = n - hb if side == 0 else m - hs
                    if left == 0:
                        continue  # everybody of this side has stopped
                    sign = 1.0 if side == 0 else -1.0
                    other = 1 - side
                    # A clock that is level has no group waiting: every last jump is the same.
                    for last in range(count if lead else 1):
                        best, best_worth, best_said = -np.inf, 0.0, 0.0
                        for a in range(new[side]):
                            to = ahead[side, a]
                            there = first[to] + w if side == 0 else first[u] + to
                            gain = sign * (mean[side, a] - behind[other, last])
                            total, steps = 0.0, 1.0
                            for k in range(left + 1):
                                q = chance[side, a, left, k]
                                if q < 1e-12:
                                    continue
                                b, s = (hb + k, hs) if side == 0 else (hb, hs + k)
                                # Who waits now: still the other clock's group, or this one's.
                                flips = k >= lead if side == 1 else k > lead
                                group = a if flips else last
                                total += q * (min(k, lead) * gain + worth[there, b, s, group])
                                steps += q * said[there, b, s, group]
                            if total - cost * steps > best:
                                best, best_worth, best_said = total - cost * steps, total, steps
                        worth[here, hb, hs, last] = best_worth
                        said[here, hb, hs, last] = best_said
                    if not lead:
                        worth[here, hb, hs, :] = worth[here, hb, hs, 0]
                        said[here, hb, hs, :] = said[here, hb, hs, 0]
    return float(worth[0, 0, 0, 0]), float(said[0, 0, 0, 0])
