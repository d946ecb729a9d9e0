r"""Trade reduction for units: the traders at the margin are left out and set the two prices.

After Huang, Scheller-Wolf, Sycara, "Design of a Multi-Unit Double Auction E-Market", Computational
Intelligence 18 (2002) 596-617. Units are ranked (`mechanisms.call_market.order`); the buyer of the
k-th unit and the seller of the k-th unit, b and s, do not trade. Every other buyer buys its units
above the margin at the value of that unit, every other seller sells its units at the cost of that
unit; the longer side is served in a lot drawn before anybody reports. (In print the overhang is
spread evenly, which lots of a good do not allow.)

What is proved. The paper claims truth in the *price*: every trader has one price for all its units
and reports no other quantity. Then, for a buyer i worth v whose others report anything:

* While i is not b and wins, b and s are the same whatever i reports: units of i above the margin
  stay above it, and the k-th unit of value is another's. So is the lot, hence price and units of i.
* If i loses by the truth and wins by r > v, the unit of b at rank k has a value w. If w < v, i's
  units rank above that unit by the truth as well, b and k are the same, and i would have won. So
  w >= v and i pays v or more.
* If i is b it has nothing; to win it must be above another buyer's unit at the margin, whose value
  is then at least v by the same argument.

Sellers alike; losses cannot be, since units trade above the value of b's (below the cost of s's);
and value k >= cost k, so the auctioneer never pays. *Quantity is not covered*: a buyer that
withholds units moves the margin to a buyer of less value, and pays less for the others. Neither
are step bids, whose lower steps can be b's. The theorem row says no, and the note what is proved.
"""

from __future__ import annotations

import numpy as np

from mechanisms.call_market.order import IntArray, at_reserve, check_amounts, rank
from mechanisms.double_dutch.order import lot
from mechanisms.outcome import Outcome, rule
from mecopt import checks
from mecopt.market.instance import Market


@rule
def units_reduction(market: Market, *, seed: int = 0, reserve: float | None = None) -> Outcome:
    """Units of all but the two traders at the margin, at the reports of these two.

    Parameters
    ----------
    seed : int
        Of the lot in which the longer side is served.
    reserve : float, optional
        Nothing is sold below it.
    """
    checks.whole("seed", seed)
    market, told = at_reserve(market, reserve)
    ranked = rank(market, "units-reduction")
    check_amounts(market, ranked.mechanism, 1)
    told = {"seed": seed, **told}
    k = ranked.k
    if k == 0:
        nothing = np.zeros(market.n_buyers, np.int64), np.zeros(market.n_sellers, np.int64)
        return Outcome(ranked.mechanism, *nothing, 0, 0, told)
    wish = ranked.buyer_units.copy(), ranked.seller_units.copy()
    wish[0][ranked.buyer_of[k - 1]] = 0
    wish[1][ranked.seller_of[k - 1]] = 0
    count = min(int(wish[0].sum()), int(wish[1].sum()))
    bought, sold = (
        _in_turn(units, lot(len(units), seed, side), count) for side, units in enumerate(wish)
    )
    return Outcome(
        mechanism=ranked.mechanism,
        buyer_units=bought,
        seller_units=sold,
        pays=int(ranked.units.value[k - 1]),
        gets=int(ranked.units.cost[k - 1]),
        parameters=told,
    )


def _in_turn(wish: IntArray, order: IntArray, count: int) -> IntArray:
    """Serve wishes in an order until `count` units are gone."""
    before = np.cumsum(wish[order]) - wish[order]
    served = np.zeros_like(wish)
    served[order] = np.clip(count - before, 0, wish[order])
    return served
