"""Rules with a threshold that is fixed before anybody reports: posted price, TPD.

* Posted price: a buyer or seller takes it or leaves it; the longer side is rationed by lot.
* TPD: Yokoo, Sakurai, Matsubara, "Robust Double Auction Protocol against False-Name Bids",
  Decision Support Systems 39 (2005) 241-252.

The threshold is an option, by default the middle of the price range, never a function of bids.
"""

from __future__ import annotations

import numpy as np

from mechanisms.double_dutch.order import best_pairs, first, lot, sort_market
from mechanisms.outcome import Outcome, require_unit_demand, rule
from mecopt import checks
from mecopt.market.instance import Market
from mecopt.market.units import MINOR, to_half_units


def threshold_of(market: Market, threshold: float | None) -> int:
    """The threshold in half minor units: given in units of account, or the middle of the range.

    Raises
    ------
    ValueError
        If it lies outside the price range, or between two minor units.
    """
    low, high = market.price_range
    if threshold is None:
        return (low + high) // 2 // MINOR * MINOR
    price = int(to_half_units(threshold, "threshold"))
    if not low <= price <= high:
        raise ValueError(f"threshold = {threshold} is outside the market's price range")
    return price


@rule
def posted_price(market: Market, *, threshold: float | None = None, seed: int = 0) -> Outcome:
    """Everybody who accepts the price may trade; the longer side is rationed by lot.

    The lot is a ranking of the traders drawn from `seed` alone.
    """
    checks.whole("seed", seed)
    require_unit_demand(market, "posted")
    price = threshold_of(market, threshold)
    orders = lot(market.n_buyers, seed, 0), lot(market.n_sellers, seed, 1)
    buyers = orders[0][market.values[orders[0]] >= price]
    sellers = orders[1][market.costs[orders[1]] <= price]
    count = min(len(buyers), len(sellers))
    return Outcome(
        mechanism="posted",
        buyer_units=first(buyers, count, market.n_buyers),
        seller_units=first(sellers, count, market.n_sellers),
        pays=price,
        gets=price,
        parameters={"threshold": price, "seed": seed},
    )


@rule
def tpd(market: Market, *, threshold: float | None = None) -> Outcome:
    """Threshold price double auction: the shorter side trades at the threshold r.

    With i buyers at or above r and j sellers at or below it: if i > j, the j best buyers pay
    the value of buyer j + 1 and sellers get r; if i < j, buyers pay r and the i best sellers get
    the cost of seller i + 1; if i = j, everybody trades at r.
    """
    s = sort_market(market, "tpd")
    r = threshold_of(market, threshold)
    i, j = int(np.count_nonzero(s.value >= r)), int(np.count_nonzero(s.cost <= r))
    pays = int(s.value[j]) if i > j else r
    gets = int(s.cost[i]) if i < j else r
    return best_pairs(s, min(i, j), pays, gets, parameters={"threshold": r})
