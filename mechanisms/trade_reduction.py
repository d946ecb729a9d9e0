"""Rules that give up one trade for truthfulness: trade reduction, McAfee, SBBA, double English.

* McAfee, "A Dominant Strategy Double Auction", Journal of Economic Theory 56 (1992) 434-450.
* Segal-Halevi, Hassidim, Aumann, "SBBA: A Strongly-Budget-Balanced Double-Auction Mechanism",
  SAGT 2016, arXiv 1607.05139.
* Two clocks that open everywhere and drop out pair by pair clear like trade reduction: Duetting,
  Gkatzelis, Roughgarden, "The Performance of Deferred-Acceptance Auctions", Mathematics of
  Operations Research 42 (2017); obviously strategy-proof in the sense of Li, AER 107 (2017).

Traders are ranked by report, ties by index; k is the number of efficient trades.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mechanisms.double_dutch.order import Sorted, best_pairs, first, lot, sort_market
from mechanisms.outcome import Outcome, rule
from mecopt import checks
from mecopt.market.instance import Market


@rule
def trade_reduction(market: Market) -> Outcome:
    """The k-th pair is excluded; winning buyers pay its value, winning sellers get its cost."""
    s = sort_market(market, "trade-reduction")
    pays, gets = (int(s.value[s.k - 1]), int(s.cost[s.k - 1])) if s.k else (0, 0)
    return best_pairs(s, max(s.k - 1, 0), pays, gets)


@rule
def mcafee(market: Market) -> Outcome:
    """All k trade at the mean of the (k + 1)-th pair if that suits the k-th pair; else k - 1 trade.

    A missing buyer k + 1 counts as value 0; without a seller k + 1 the mean is infinite. These
    sentinels are ToN's; McAfee's own paper takes its own for the missing trader, so that where one
    side is used up this is a variant of his rule.
    """
    return clear_mcafee(sort_market(market, "mcafee"))


def clear_mcafee(s: Sorted, **rest: Any) -> Outcome:
    """McAfee's rule on sorted reports; `rest` holds further fields of the outcome."""
    if min(int(s.value.min(initial=0)), int(s.cost.min(initial=0))) < 0:
        raise ValueError(f"{s.mechanism}: a missing buyer counts as 0, a price is below it")
    k, count = s.k, max(s.k - 1, 0)
    pays, gets = (int(s.value[k - 1]), int(s.cost[k - 1])) if k else (0, 0)
    if k and k < len(s.cost):
        twice = (int(s.value[k]) if k < len(s.value) else 0) + int(s.cost[k])
        if 2 * gets <= twice <= 2 * pays:
            pays = gets = twice // 2  # reports are even numbers of half units: exact
            count = k
    return best_pairs(s, count, pays, gets, **rest)


@rule
def sbba(market: Market, *, seed: int = 0) -> Outcome:
    """One price for both sides: ``min(c_{k+1}, v_k)``.

    If it is c_{k+1}, all k pairs trade. If it is v_k, buyer k is left out, and so is one of the k
    sellers by lot: the first of them in an order of the sellers drawn from `seed` alone.
    """
    checks.whole("seed", seed)
    s = sort_market(market, "sbba")
    k, parameters = s.k, {"seed": seed}
    if k == 0:
        return best_pairs(s, 0, 0, 0, parameters=parameters)
    price = int(s.value[k - 1])
    if k < len(s.cost) and s.cost[k] <= price:
        price = int(s.cost[k])
        return best_pairs(s, k, price, price, parameters=parameters)
    trading = s.sellers[:k]
    order = lot(len(s.cost), seed, 1)
    left_out = order[np.isin(order, trading)][0]
    return Outcome(
        mechanism="sbba",
        buyer_units=first(s.buyers, k - 1),
        seller_units=first(trading[trading != left_out], k - 1, len(s.cost)),
        pays=price,
        gets=price,
        parameters=parameters,
    )


@rule
def double_english(market: Market) -> Outcome:
    """Two clocks on which traders drop out: the buyers' price rises, the sellers' price falls.

    First the longer side drops out until both sides are equally long, then one buyer and one
    seller at a time, until the buyers' price has reached the sellers'. Those still active trade at
    the two final prices, those of the last to drop out. `rounds` counts the drop-outs.
    """
    s = sort_market(market, "double-english")
    n_buyers, n_sellers = len(s.value), len(s.cost)
    pays, gets = market.price_range
    # The prices must come from traders who do not trade, so one pair always drops out: pair k is
    # the first whose prices meet.
    pairs = min(n_buyers, n_sellers)
    active = max(s.k - 1, 0)
    if pairs:
        pays, gets = int(s.value[active]), int(s.cost[active])
    drops = max(n_buyers, n_sellers) - pairs + 2 * (pairs - active)
    return best_pairs(s, active, pays, gets, rounds=drops)
