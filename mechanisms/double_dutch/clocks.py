"""Price grids, and compiled kernels that clear two clocks by counting.

Level m of a grid is the price ``low + m * step``, m = 0 .. ticks. A buyer stops at the highest
level not above its value, a seller at the lowest level not below its cost. With D(m) the buyers
that stop at m or above and S(m) the sellers that stop at m or below, every fixed-step clock
auction is decided by the two histograms of stops: no trader is sorted, nothing is simulated.
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from mecopt import checks
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS, MINOR, to_half_units

UNIT, FLIP, TICK, SYNCHRONOUS = 0, 1, 2, 3
BUYER, SELLER = 0, 1


class Grid(NamedTuple):
    """Prices ``low + m * step`` for m = 0 .. ticks, in half minor units."""

    low: int
    step: int
    ticks: int

    def price(self, level: int) -> int:
        """Price of a level."""
        return self.low + level * self.step


def make_grid(
    market: Market,
    *,
    ticks: int | None = None,
    step: float | None = None,
    price_range: tuple[float, float] | None = None,
) -> Grid:
    """Grid over a market's price range; the last level may lie less than one step above it.

    Parameters
    ----------
    ticks : int, optional
        Number of steps (100 unless `step` is given).
    step : float, optional
        Size of a step in units of account.
    price_range : (float, float), optional
        Another range than the market's, in units of account.

    Raises
    ------
    ValueError
        If the step is zero, larger than the range or no whole number of minor units, or if a bid
        lies outside the range.
    """
    low, high = market.price_range
    if price_range is not None:
        low, high = (int(p) for p in to_half_units(price_range, "price_range"))
        if low >= high:
            raise ValueError(f"price_range = {price_range} must rise")
        for name, bids in (("values", market.values), ("costs", market.costs)):
            outside = (bids < low) | (bids > high)
            if outside.any():
                i = int(np.argmax(outside))
                raise ValueError(
                    f"price_range = {price_range} misses {name}[{i}] = {bids[i] / HALF_UNITS:g}"
                )
    if step is not None:
        if ticks is not None:
            raise ValueError("ticks, step: give one of them, not both")
        if not 0 < step <= (high - low) / HALF_UNITS:
            raise ValueError(f"step = {step} must be above 0 and at most the price range")
        size = int(to_half_units(step, "step"))
        return Grid(low, size, -((low - high) // size))
    ticks = 100 if ticks is None else ticks
    checks.whole("ticks", ticks, 1)
    if ticks > (high - low) // MINOR:
        raise ValueError(f"ticks = {ticks}: the step is finer than a minor unit")
    size = -((low - high) // ticks)
    return Grid(low, size + size % MINOR, ticks)


@njit(cache=True, inline="always")
def count_stops(prices, base, step, ticks):
    """Histogram (ticks + 1,) of ``(price - base) // step`` for whole numbers below 2^50.

    Half a unit keeps every quotient at least 0.5 / step away from a whole number, which is more
    than the rounding error of the reciprocal: truncation is exact without a division.
    """
    inverse = 1.0 / step
    width = ticks + 1
    # Four partial histograms: consecutive traders then rarely touch the same counter.
    part = np.zeros(4 * width, dtype=np.int32)
    n = len(prices)
    whole = n - n % 4
    for i in range(0, whole, 4):
        part[np.int32((np.float64(prices[i] - base) + 0.5) * inverse)] += 1
        part[width + np.int32((np.float64(prices[i + 1] - base) + 0.5) * inverse)] += 1
        part[2 * width + np.int32((np.float64(prices[i + 2] - base) + 0.5) * inverse)] += 1
        part[3 * width + np.int32((np.float64(prices[i + 3] - base) + 0.5) * inverse)] += 1
    for i in range(whole, n):
        part[np.int32((np.float64(prices[i] - base) + 0.5) * inverse)] += 1
    counts = np.empty(width, dtype=np.int64)
    for m in range(width):
        counts[m] = part[m] + part[width + m] + part[2 * width + m] + part[3 * width + m]
    return counts


@njit(cache=True)
def histograms(values, costs, low, step, ticks):
    """Count stops per level: (ticks + 1,) for buyers (rounded down) and sellers (rounded up)."""
    buyers = count_stops(values, low, step, ticks)
    return buyers, count_stops(costs, low - step + 1, step, ticks)


@njit(cache=True)
def nth_seller(sellers, rank):
    """Level of the rank-th seller to stop, len(sellers) without one; how many stop below it."""
    below = 0
    for m in range(len(sellers)):
        if below + sellers[m] >= rank:
            return m, below
        below += sellers[m]
    return len(sellers), below


@njit(cache=True)
def nth_buyer(buyers, rank):
    """Level of the rank-th buyer to stop (from 1), -1 without one; and how many stop above it."""
    announced, above = nth_seller(buyers[::-1], rank)
    return len(buyers) - 1 - announced, above


@njit(cache=True)
def efficient_trades(buyers, sellers):
    """Largest k with the k-th buyer's stop at or above the k-th seller's: max_m min(D, S)."""
    best = 0
    demand = buyers.sum()
    supply = 0
    for m in range(len(buyers)):
        supply += sellers[m]
        best = max(best, min(demand, supply))
        demand -= buyers[m]
    return best


@njit(cache=True)
def run_clocks(buyers, sellers, alternation, first, stop_early):
    """Trades and final clock levels of one auction: (trades, buyer clock, seller clock, rounds).

    A clock that nobody can stop any more runs on until the clocks cross or the grid ends; with
    `stop_early` the auction ends once everybody of the shorter side is matched. Inside, a clock's
    place counts its ticks from its own end of the grid, which makes the two sides alike: the clocks
    have crossed when their places add up to more than the ticks of the grid.
    """
    ticks = len(buyers) - 1
    most = min(buyers.sum(), sellers.sum())
    stops = np.stack((buyers[::-1], sellers))
    if alternation == SYNCHRONOUS:
        last = ticks // 2  # last round with the buyer clock not below the seller clock
        if stop_early:
            heard_b, heard_s = 0, 0
            for at in range(last + 1):
                heard_b += stops[BUYER, at]
                heard_s += stops[SELLER, at]
                if min(heard_b, heard_s) == most:
                    return most, ticks - at, at, at + 1
        trades = min(stops[BUYER, : last + 1].sum(), stops[SELLER, : last + 1].sum())
        return trades, ticks - last - 1, last + 1, last + 2
    place = np.zeros(2, dtype=np.int64)
    other = 1 - first
    if alternation == UNIT:
        trades = efficient_trades(buyers, sellers)
        after = nth_seller(stops[first], trades + 1)[0]
        last = nth_seller(stops[other], trades)[0] if trades > 0 else 0
        if stop_early and trades == most:
            place[first], place[other] = nth_seller(stops[first], trades)[0], last
            return trades, ticks - place[BUYER], place[SELLER], place.sum() + 2
        if after + last <= ticks:  # one more of the first side stops, then the other clock passes
            place[first], place[other] = after, min(ticks - after + 1, ticks)
        else:
            place[first], place[other] = min(ticks - last + 1, ticks), last
        return trades, ticks - place[BUYER], place[SELLER], place.sum() + 2
    heard = np.zeros(2, dtype=np.int64)  # how many have stopped each clock
    ahead = np.zeros(2, dtype=np.int64)  # next place each clock would announce
    turn = first
    while ahead[turn] <= ticks:
        at = ahead[turn]
        place[turn] = at
        ahead[turn] += 1
        if at + place[1 - turn] > ticks:
            break
        heard[turn] += stops[turn, at]
        if stop_early and heard.min() == most:
            break
        if alternation == TICK or stops[turn, at] > 0:
            turn = 1 - turn
    return heard.min(), ticks - place[BUYER], place[SELLER], ahead.sum()


@njit(cache=True)
def mark_buyers(values, floor, ceiling, extra):
    """Take every buyer worth at least `ceiling` and the first `extra` in [floor, ceiling)."""
    n = len(values)
    taken = np.empty(n, dtype=np.bool_)
    for i in range(n):
        taken[i] = values[i] >= ceiling
    width = np.uint64(ceiling - floor)
    i = 0
    while extra > 0:  # the caller asks for no more than there are
        if np.uint64(values[i] - floor) < width:  # one comparison, rarely true: it predicts well
            taken[i] = True
            extra -= 1
        i += 1
    return taken


@njit(cache=True)
def mark_sellers(costs, floor, ceiling, extra):
    """Take every seller at or below `floor` and the first `extra` in (floor, ceiling]."""
    n = len(costs)
    taken = np.empty(n, dtype=np.bool_)
    for j in range(n):
        taken[j] = costs[j] <= floor
    width = np.uint64(ceiling - floor)
    j = 0
    while extra > 0:
        if np.uint64(ceiling - costs[j]) < width:
            taken[j] = True
            extra -= 1
        j += 1
    return taken


@njit(cache=True)
def first_left_out(prices, low, high, taken):
    """Position of the first trader with a price in [low, high) that is not taken."""
    for i in range(len(prices)):
        if low <= prices[i] < high and not taken[i]:
            return i
    return len(prices)
