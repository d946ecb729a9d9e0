"""MUDA: truthful double auction of several units per trader.

Segal-Halevi, Hassidim, Aumann, "MUDA: A Truthful Multi-Unit Double-Auction Mechanism", AAAI 2018,
arXiv 1712.06848. The market is halved by coin flips; each half trades at the competitive price of
the other half, which its own traders cannot influence. In a half, the side with fewer units at
that price trades all of them; the longer side is rationed

* by ``lottery``: in random order, each takes what it wants until nothing is left. One price for
  all, so the budget is strongly balanced;
* by ``vickrey``: the best marginals win, and each winner also pays what it displaces (a surplus).
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False
from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mechanisms.double_dutch.order import half, lot
from mechanisms.outcome import Outcome, rule
from mecopt import checks
from mecopt.market.instance import Market

IntArray = NDArray[np.int64]


@rule
def muda(market: Market, *, ration: str = "lottery", seed: int = 0) -> Outcome:
    """Clear a market with falling values and rising costs per unit.

    Parameters
    ----------
    ration : str
        ``lottery`` or ``vickrey``.
    seed : int
        Decides the halving and the lottery; both are drawn before anybody reports.

    Raises
    ------
    ValueError
        If `ration` is unknown or the market has compatibility, link cost or memory.
    """
    checks.one_of("ration", ration, ("lottery", "vickrey"))
    checks.whole("seed", seed)
    if market.is_graph:
        raise ValueError("muda: is a rule for one good, the market has compatibility or link cost")
    if ration == "lottery":
        orders = lot(market.n_buyers, seed, 0), lot(market.n_sellers, seed, 1)
    else:
        orders = np.arange(market.n_buyers), np.arange(market.n_sellers)
    second = half(market.n_buyers, seed, 0), half(market.n_sellers, seed, 1)
    in_half = [
        (_of_units(buyers, market.buyer_ptr), _of_units(sellers, market.seller_ptr))
        for buyers, sellers in ((~second[0], ~second[1]), second)
    ]
    prices = [
        competitive_price(market.values[b], market.costs[s], market.price_range) for b, s in in_half
    ]
    one = trade_at_price(market, prices[1], ration=ration, among=in_half[0], orders=orders)
    two = trade_at_price(market, prices[0], ration=ration, among=in_half[1], orders=orders)
    return Outcome(
        mechanism="muda",
        buyer_units=one[0] + two[0],
        seller_units=one[1] + two[1],
        pays=one[2] + two[2],
        gets=one[3] + two[3],
        parameters={"ration": ration, "seed": seed, "half_prices": prices},
    )


def _of_units(traders: NDArray[np.bool_], ptr: IntArray | None) -> NDArray[np.bool_]:
    return traders if ptr is None else np.repeat(traders, np.diff(ptr))


def trade_at_price(
    market: Market,
    price: int,
    *,
    ration: str,
    among: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    orders: tuple[IntArray, IntArray],
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Trade some units of a market at a price that comes from outside.

    Parameters
    ----------
    price : int
        Half minor units.
    among : two bool arrays
        Which of the market's units wanted and offered take part.
    orders : two int64 arrays
        Lottery orders of buyers and of sellers.

    Returns
    -------
    units bought, units sold, payments, receipts
    """
    # A seller's cost is a negative value: one function serves both sides.
    sides = ((market.values, market.wanted, price), (-market.costs, market.seats, -price))
    wishes = [
        _willing(marginal, units, mask, limit)
        for (marginal, units, limit), mask in zip(sides, among, strict=True)
    ]
    count = min(len(unit) for _, _, unit in wishes)
    (bought, paid), (sold, received) = (
        _serve(marginal, *wish, order, limit, count, ration == "vickrey")
        for (marginal, _, limit), wish, order in zip(sides, wishes, orders, strict=True)
    )
    return bought, sold, paid, -received


def competitive_price(values: IntArray, costs: IntArray, price_range: tuple[int, int]) -> int:
    """Middle of the market-clearing interval of marginal values and costs.

    A missing end is the end of the price range.
    """
    return int(_middle(np.sort(values), np.sort(costs), price_range[0], price_range[1]))


@njit(cache=True)
def _middle(rising_values, cost, bottom, top):
    value = rising_values[::-1]
    k = 0
    while k < min(len(value), len(cost)) and value[k] >= cost[k]:
        k += 1
    low = value[k] if k < len(value) else bottom
    high = cost[k] if k < len(cost) else top
    if k > 0:
        low, high = max(low, cost[k - 1]), min(high, value[k - 1])
    return (low + high) // 2  # both are even: exact


@njit(cache=True)
def _serve(marginal, wish, owner, unit, order, limit, count, by_bid):
    """Give out `count` units: served and charged per trader."""
    if len(unit) > count and by_bid:
        ranked = unit[np.argsort(-marginal[unit], kind="mergesort")]  # stable: ties by index
        return _vickrey(marginal, owner, ranked, len(wish), count, limit)
    # The shorter side displaces nobody.
    served = _in_turn(wish, order, count)
    return served, served * limit


@njit(cache=True)
def _willing(marginal, units, among, limit):
    """Units that take part at a price: how many per trader, whose, and which."""
    wish = np.zeros(len(units), dtype=np.int64)
    owner = np.empty(len(marginal), dtype=np.int64)
    unit = np.empty(len(marginal), dtype=np.int64)
    count = 0
    u = 0
    for i in range(len(units)):
        for _ in range(units[i]):
            owner[u] = i
            if among[u] and marginal[u] >= limit:
                wish[i] += 1
                unit[count] = u
                count += 1
            u += 1
    return wish, owner, unit[:count]


@njit(cache=True)
def _in_turn(wish, order, count):
    """Serve wishes in order until `count` units are gone."""
    served = np.zeros(len(wish), dtype=np.int64)
    for i in order:
        served[i] = min(wish[i], count)
        count -= served[i]
    return served


@njit(cache=True)
def _vickrey(marginal, owner, ranked, traders, count, limit):
    """The `count` best marginals win and pay the limit and the surplus of what they displace."""
    served = np.zeros(traders, dtype=np.int64)
    for u in ranked[:count]:
        served[owner[u]] += 1
    owed = np.zeros(traders, dtype=np.int64)
    for i in range(traders):
        displaced = 0
        place = count
        while displaced < served[i] and place < len(ranked):
            u = ranked[place]
            if owner[u] != i:
                owed[i] += marginal[u] - limit
                displaced += 1
            place += 1
    return served, served * limit + owed
