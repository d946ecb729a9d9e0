"""Rules that carry out every efficient unit trade of a call market, at three kinds of prices.

* Uniform price: one price inside the interval of market-clearing prices of the marginal units (the
  k-double auction of units; Wilson, "Incentive Efficiency of Double Auctions", Econometrica 53
  (1985), has unit demand). With several units a trader its own second unit can set the price of its
  first, on either side, whatever k is: demand reduction (Ausubel, Cramton, Pycia, Rostek, Weretka,
  Review of Economic Studies 81 (2014)).
* Pay as bid (discriminatory): every unit at its own report.
* VCG: each trader pays, or gets, the harm it does to the others. Truthful and efficient, at a
  deficit (Vickrey, Journal of Finance 16 (1961), has exactly this market).
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False
from __future__ import annotations

from fractions import Fraction

import numpy as np
from numba import njit

from mechanisms.call_market.order import IntArray, at_reserve, check_amounts, rank
from mechanisms.double_auction import weight_of
from mechanisms.double_dutch.order import clearing_prices
from mechanisms.outcome import Outcome, rule
from mecopt.market.instance import Market


@rule
def uniform_price(
    market: Market,
    *,
    k: float | str | Fraction = Fraction(1, 2),
    reserve: float | None = None,
) -> Outcome:
    """All efficient units at ``(1 - k) lowest + k highest`` market-clearing price, exactly.

    Parameters
    ----------
    k : float, str or Fraction
        Weight of the highest price, as in `double_auction.k_double`.
    reserve : float, optional
        Nothing is sold below it.
    """
    weight = weight_of(k)
    market, told = at_reserve(market, reserve)
    ranked = rank(market, f"uniform-price-{float(weight):g}")
    scale = weight.denominator
    check_amounts(market, ranked.mechanism, scale)
    low, high = clearing_prices(ranked.units, market.price_range)
    price = (scale - weight.numerator) * low + weight.numerator * high
    return Outcome(
        mechanism=ranked.mechanism,
        buyer_units=ranked.buyer_units,
        seller_units=ranked.seller_units,
        pays=price,
        gets=price,
        parameters={"k": str(weight), **told},
        scale=scale,
    )


@rule
def pay_as_bid(market: Market, *, reserve: float | None = None) -> Outcome:
    """All efficient units; buyers pay what they bid for each, sellers get what they ask for each.

    Parameters
    ----------
    reserve : float, optional
        Nothing is sold below it; a seller who asks for less gets it.
    """
    market, told = at_reserve(market, reserve)
    ranked = rank(market, "pay-as-bid")
    check_amounts(market, ranked.mechanism, 1)
    return Outcome(
        mechanism=ranked.mechanism,
        buyer_units=ranked.buyer_units,
        seller_units=ranked.seller_units,
        pays=_of_first(market.values, market.wanted, ranked.buyer_units),
        gets=_of_first(market.costs, market.seats, ranked.seller_units),
        parameters=told,
    )


def _of_first(prices: IntArray, units: IntArray, count: IntArray) -> IntArray:
    """Sum of the prices of each trader's first `count` units."""
    total = np.concatenate([[0], np.cumsum(prices)])
    first = np.cumsum(units) - units
    return total[first + count] - total[first]


@rule
def vcg(market: Market, *, reserve: float | None = None) -> Outcome:
    """All efficient units; everybody pays or gets what its units are worth to the others.

    A buyer of q units pays the q highest reports, not its own, that its units displace: values
    without a unit and costs of sellers who deliver. A seller of q units gets the q lowest reports,
    not its own, that its units serve: values of buyers and costs of sellers who keep theirs.

    Parameters
    ----------
    reserve : float, optional
        Nothing is sold below it.
    """
    market, told = at_reserve(market, reserve)
    ranked = rank(market, "vcg")
    check_amounts(market, ranked.mechanism, 1)
    s, k = ranked.units, ranked.k
    nobody = np.full(k, -1)
    lost = np.concatenate([s.value[k:], s.cost[:k]])
    kept = np.concatenate([s.value[:k], s.cost[k:]])
    pays = _externality(-lost, np.concatenate([ranked.buyer_of[k:], nobody]), ranked.buyer_units)
    gets = _externality(kept, np.concatenate([nobody, ranked.seller_of[k:]]), ranked.seller_units)
    return Outcome(
        mechanism=ranked.mechanism,
        buyer_units=ranked.buyer_units,
        seller_units=ranked.seller_units,
        pays=-pays,
        gets=gets,
        parameters=told,
    )


def _externality(prices: IntArray, owner: IntArray, units: IntArray) -> IntArray:
    """Sum of as many of the lowest prices as each trader has units, without its own."""
    order = np.argsort(prices, kind="stable")
    return _sums(prices[order], owner[order], units)


@njit(cache=True)
def _sums(prices, owner, units):
    out = np.zeros(len(units), dtype=np.int64)
    for i in range(len(units)):
        left = units[i]
        at = 0
        while left > 0 and at < len(prices):
            if owner[at] != i:
                out[i] += prices[at]
                left -= 1
            at += 1
    return out
