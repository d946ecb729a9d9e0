"""Rules with a threshold that is fixed before anybody reports: posted price, TPD.

* Posted price: a buyer or seller takes it or leaves it; the longer side is rationed by lot.
* TPD: Yokoo, Sakurai, Matsubara, "Robust Double Auction Protocol against False-Name Bids",
  Decision Support Systems 39 (2005) 241-252.

The threshold is an option, by default the middle of the price range, never a function of bids.
"""

from __future__ import annotations

import time

import numpy as np

from mechanisms.double_dutch.order import first, lot, sort_market
from mechanisms.outcome import Outcome, require_unit_demand
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS, MINOR


def threshold_of(market: Market, threshold: float | None) -> int:
    """The threshold in half minor units: given in money, or the middle of the price range.

    Raises
    ------
    ValueError
        If it lies outside the price range.
    """
    low, high = market.price_range
    if threshold is None:
        return (low + high) // 2 // MINOR * MINOR
    price = round(threshold * HALF_UNITS / MINOR) * MINOR
    if not low <= price <= high:
        raise ValueError(f"threshold = {threshold} is outside the market's price range")
    return price


def posted_price(market: Market, *, threshold: float | None = None, seed: int = 0) -> Outcome:
    """Everybody who accepts the price may trade; the longer side is rationed by lot.

    The lot is a ranking of the traders drawn from `seed` alone.
    """
    start = time.perf_counter()
    require_unit_demand(market, "posted")
    price = threshold_of(market, threshold)
    orders = lot(market.n_buyers, seed, 0), lot(market.n_sellers, seed, 1)
    willing = [orders[0][market.values[orders[0]] >= price]]
    willing.append(orders[1][market.costs[orders[1]] <= price])
    count = min(len(willing[0]), len(willing[1]))
    return Outcome(
        mechanism="posted",
        parameters={"threshold": price, "seed": seed},
        buyer_units=first(willing[0], count, market.n_buyers),
        seller_units=first(willing[1], count, market.n_sellers),
        pays=price,
        gets=price,
        seconds=time.perf_counter() - start,
    )


def tpd(market: Market, *, threshold: float | None = None) -> Outcome:
    """Threshold price double auction: the shorter side trades at the threshold r.

    With i buyers at or above r and j sellers at or below it: if i > j, the j best buyers pay
    the value of buyer j + 1 and sellers get r; if i < j, buyers pay r and the i best sellers get
    the cost of seller i + 1; if i = j, everybody trades at r.
    """
    start = time.perf_counter()
    s = sort_market(market, "tpd")
    r = threshold_of(market, threshold)
    i, j = int(np.count_nonzero(s.value >= r)), int(np.count_nonzero(s.cost <= r))
    count = min(i, j)
    return Outcome(
        mechanism="tpd",
        parameters={"threshold": r},
        buyer_units=first(s.buyers, count),
        seller_units=first(s.sellers, count),
        pays=int(s.value[j]) if i > j else r,
        gets=int(s.cost[i]) if i < j else r,
        seconds=time.perf_counter() - start,
    )
