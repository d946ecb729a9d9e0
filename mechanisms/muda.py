"""MUDA: truthful double auction of several units per trader.

Segal-Halevi, Hassidim, Aumann, "MUDA: A Truthful Multi-Unit Double-Auction Mechanism", AAAI 2018,
arXiv 1712.06848. The market is halved by coin flips; each half trades at the competitive price of
the other half, which its own traders cannot influence. In a half, the side with fewer units at
that price trades all of them; the longer side is rationed

* by ``lottery``: in random order, each takes what it wants until nothing is left. One price for
  all, so the budget is strongly balanced;
* by ``vickrey``: the best marginals win, and each winner also pays what it displaces (a surplus).
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from mechanisms.order import lot
from mechanisms.outcome import Outcome
from mecopt.market import Market

IntArray = NDArray[np.int64]


def muda(market: Market, *, ration: str = "lottery", seed: int = 0) -> Outcome:
    """Clear a market with falling values and rising costs per unit.

    Parameters
    ----------
    ration : str
        ``lottery`` or ``vickrey``.
    seed : int
        Of the halving and the lottery; both are drawn before anybody reports.

    Raises
    ------
    ValueError
        If `ration` is unknown or the market has compatibility, link cost or memory.
    """
    start = time.perf_counter()
    if ration not in ("lottery", "vickrey"):
        raise ValueError(f"ration = {ration!r} must be lottery or vickrey")
    if market.is_graph:
        raise ValueError("muda: is a rule for one good, the market has compatibility or link cost")
    orders = lot(market.n_buyers, seed, 0), lot(market.n_sellers, seed, 1)
    halves = [
        np.random.default_rng([seed, 2, side]).integers(0, 2, count)
        for side, count in enumerate((market.n_buyers, market.n_sellers))
    ]
    in_half = [
        (np.repeat(halves[0] == h, market.wanted), np.repeat(halves[1] == h, market.seats))
        for h in (0, 1)
    ]
    prices = [
        competitive_price(market.values[b], market.costs[s], market.price_range) for b, s in in_half
    ]
    one = trade_at_price(market, prices[1], ration=ration, among=in_half[0], orders=orders)
    two = trade_at_price(market, prices[0], ration=ration, among=in_half[1], orders=orders)
    return Outcome(
        mechanism="muda",
        parameters={"ration": ration, "seed": seed, "half_prices": prices},
        buyer_units=one[0] + two[0],
        seller_units=one[1] + two[1],
        pays=one[2] + two[2],
        gets=one[3] + two[3],
        seconds=time.perf_counter() - start,
    )


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
    owner_b = np.repeat(np.arange(market.n_buyers), market.wanted)
    owner_s = np.repeat(np.arange(market.n_sellers), market.seats)
    buying = among[0] & (market.values >= price)
    selling = among[1] & (market.costs <= price)
    want = np.bincount(owner_b[buying], minlength=market.n_buyers)
    offer = np.bincount(owner_s[selling], minlength=market.n_sellers)
    count = int(min(want.sum(), offer.sum()))
    if ration == "lottery":
        got = _in_turn(want, orders[0], count), _in_turn(offer, orders[1], count)
        return *got, got[0] * price, got[1] * price
    # On the shorter side nobody is displaced and the extra is zero. A seller's cost is a negative
    # value: the same auction serves both sides.
    bought, extra_b = _vickrey(market.values, owner_b, buying, want, count, price)
    sold, extra_s = _vickrey(-market.costs, owner_s, selling, offer, count, -price)
    return bought, sold, bought * price + extra_b, sold * price - extra_s


def competitive_price(values: IntArray, costs: IntArray, price_range: tuple[int, int]) -> int:
    """Middle of the market-clearing interval of marginal values and costs.

    A missing end is the end of the price range.
    """
    value, cost = np.sort(values)[::-1], np.sort(costs)
    n = min(len(value), len(cost))
    k = int(np.count_nonzero(value[:n] >= cost[:n]))
    low = int(value[k]) if k < len(value) else price_range[0]
    high = int(cost[k]) if k < len(cost) else price_range[1]
    if k:
        low, high = max(low, int(cost[k - 1])), min(high, int(value[k - 1]))
    return (low + high) // 2  # both are even: exact


def _in_turn(wish: IntArray, order: IntArray, count: int) -> IntArray:
    """Serve wishes in order until `count` units are gone."""
    before = np.cumsum(wish[order]) - wish[order]
    served = np.empty_like(wish)
    served[order] = np.clip(count - before, 0, wish[order])
    return served


def _vickrey(
    marginal: IntArray,
    owner: IntArray,
    eligible: NDArray[np.bool_],
    wish: IntArray,
    count: int,
    price: int,
) -> tuple[IntArray, IntArray]:
    """The `count` best eligible marginals win; winners owe the surplus of whom they displace."""
    unit = np.flatnonzero(eligible)
    unit = unit[np.argsort(-marginal[unit], kind="stable")]
    served = np.bincount(owner[unit[:count]], minlength=len(wish))
    losers = unit[count:]
    most = int(served.max(initial=0))
    owed = np.concatenate([[0], np.cumsum(marginal[losers[:most]] - price)])
    extra = owed[np.minimum(served, len(owed) - 1)]
    # Whoever also owns one of the first losing units displaces somebody further down instead.
    for i in np.unique(owner[losers[:most]]):
        others = losers[owner[losers] != i][: served[i]]
        extra[i] = int((marginal[others] - price).sum())
    return served, extra
