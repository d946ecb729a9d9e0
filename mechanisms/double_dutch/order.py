"""The sorted order of a one-good market and its efficient trades, shared by the sealed rules."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanisms.outcome import Outcome, require_unit_demand
from mecopt.market.instance import Market

IntArray = NDArray[np.int64]
#: Up to this many traders a lot is kept.
SMALL_LOT = 1000


class Sorted(NamedTuple):
    """Buyers by falling value and sellers by rising cost (ties by index); k efficient trades.

    k is the last rank whose pair does not lose, so pairs with zero surplus trade. `mechanism` is
    the name of the rule that sorts.
    """

    mechanism: str
    buyers: IntArray
    sellers: IntArray
    value: IntArray
    cost: IntArray
    k: int


def sort_market(market: Market, mechanism: str) -> Sorted:
    """Sort a market with unit demand (raises ValueError naming the mechanism otherwise)."""
    require_unit_demand(market, mechanism)
    return sort_reports(mechanism, market.values, market.costs)


def sort_reports(mechanism: str, values: IntArray, costs: IntArray) -> Sorted:
    """Sort values and costs of one unit each, whatever market they are from."""
    buyers = rising(int(values.max(initial=0)) - values)
    sellers = rising(costs)
    value, cost = values[buyers], costs[sellers]
    n = min(len(value), len(cost))
    k = int(np.count_nonzero(value[:n] >= cost[:n]))
    return Sorted(mechanism, buyers, sellers, value, cost, k)


def rising(prices: IntArray) -> IntArray:
    """Stable order of prices >= 0, as ``np.argsort(prices, kind="stable")``.

    Price and position are sorted as one number where both fit into it: several times faster.
    """
    n = len(prices)
    bits = max(n - 1, 1).bit_length()
    if n == 0 or int(prices.min()) < 0 or int(prices.max()) >= 2 ** (62 - bits):
        return np.argsort(prices, kind="stable")
    keys = (prices << bits) | np.arange(n)
    keys.sort()
    return keys & ((1 << bits) - 1)


def clearing_prices(s: Sorted, price_range: tuple[int, int]) -> tuple[int, int]:
    """Lowest and highest price at which exactly the efficient trades happen.

    ``max(c_k, v_{k+1})`` and ``min(v_k, c_{k+1})``; a missing trader is replaced by the end of the
    price range.
    """
    k, (bottom, top) = s.k, price_range
    next_value = int(s.value[k]) if k < len(s.value) else bottom
    next_cost = int(s.cost[k]) if k < len(s.cost) else top
    if k == 0:
        return next_value, next_cost
    return max(int(s.cost[k - 1]), next_value), min(int(s.value[k - 1]), next_cost)


def best_pairs(s: Sorted, count: int, pays: int, gets: int, **rest: Any) -> Outcome:
    """Outcome in which the `count` best buyers and sellers trade, each side at one price.

    `rest` holds further fields of the outcome.
    """
    return Outcome(
        mechanism=s.mechanism,
        buyer_units=first(s.buyers, count),
        seller_units=first(s.sellers, count),
        pays=pays,
        gets=gets,
        **rest,
    )


def lot(traders: int, seed: int, side: int) -> IntArray:
    """Random order of a side's traders; one more trader does not reshuffle the others.

    It is drawn before anybody reports: an audit, which asks about one market again and again, draws
    it once (small markets only, so that the time of a large one includes it).
    """
    return _drawn(traders, seed, side) if traders <= SMALL_LOT else _draw(traders, seed, side)


def _draw(traders: int, seed: int, side: int) -> IntArray:
    order = rising(np.random.default_rng([seed, side]).integers(0, 2**40, traders))
    order.setflags(write=False)
    return order


_drawn = lru_cache(maxsize=16)(_draw)


def half(traders: int, seed: int, side: int) -> NDArray[np.bool_]:
    """Who of a side is in the second of two random halves; kept as lots are."""
    return _drawn_half(traders, seed, side) if traders <= SMALL_LOT else _halve(traders, seed, side)


def _halve(traders: int, seed: int, side: int) -> NDArray[np.bool_]:
    second = np.random.default_rng([seed, 2, side]).integers(0, 2, traders) == 1
    second.setflags(write=False)
    return second


_drawn_half = lru_cache(maxsize=16)(_halve)


def first(order: IntArray, count: int, traders: int | None = None) -> NDArray[np.int8]:
    """Units of 0 or 1: one for each of the first `count` of an order of (some) traders."""
    units = np.zeros(len(order) if traders is None else traders, dtype=np.int8)
    units[order[:count]] = 1
    return units
