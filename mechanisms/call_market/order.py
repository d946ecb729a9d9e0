"""Efficient units of a one-good market, and the reserve price of a call market.

Every unit is ranked on its own: buyers' by falling value, sellers' by rising cost, ties by the
place of the trader, then of the unit. k is the last rank whose pair does not lose. Marginal values
fall and costs rise within a trader, so its efficient units are its first ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanisms.double_dutch.order import Sorted, sort_reports
from mecopt.market.instance import Market
from mecopt.market.units import to_half_units

IntArray = NDArray[np.int64]
#: Amounts of money of one trader stay below this, times the scale of an outcome.
LARGEST_AMOUNT = 2**62


class Ranked(NamedTuple):
    """Units in order with who owns them, and how many of each trader's are efficient."""

    mechanism: str
    units: Sorted
    buyer_of: IntArray  # (units wanted,) in the order of rank
    seller_of: IntArray
    buyer_units: IntArray  # (B,) efficient units
    seller_units: IntArray

    @property
    def k(self) -> int:
        """Efficient trades, in units."""
        return self.units.k


def rank(market: Market, mechanism: str) -> Ranked:
    """Rank the units of a market.

    Raises
    ------
    ValueError
        For graphs, and where an amount of money might not fit; names the mechanism.
    """
    if market.is_graph:
        raise ValueError(
            f"{mechanism}: is a rule for one good, the market has compatibility or link cost"
        )
    units = sort_reports(mechanism, market.values, market.costs)
    buyer_of = owners(market.wanted)[units.buyers]
    seller_of = owners(market.seats)[units.sellers]
    bought = np.bincount(buyer_of[: units.k], minlength=market.n_buyers)
    sold = np.bincount(seller_of[: units.k], minlength=market.n_sellers)
    return Ranked(mechanism, units, buyer_of, seller_of, bought, sold)


def owners(units: IntArray) -> IntArray:
    """Trader of each unit, from the units of each trader."""
    return np.repeat(np.arange(len(units)), units)


def check_amounts(market: Market, mechanism: str, scale: int) -> None:
    """Refuse a market in which an amount of one trader might not fit into 63 bits."""
    dearest = max(abs(price) for price in market.price_range)
    most = max(int(market.wanted.max(initial=0)), int(market.seats.max(initial=0)))
    if dearest * most * scale >= LARGEST_AMOUNT:
        raise ValueError(
            f"{mechanism}: {most} units of one trader are too many for exact amounts at a scale of "
            f"{scale}; take larger lots"
        )


def at_reserve(market: Market, reserve: float | None) -> tuple[Market, dict[str, Any]]:
    """The market in which nothing is sold below a reserve price: costs below it count as it.

    Beside it, what an outcome says of the reserve: itself, and as a threshold in half minor units.

    The reserve is public and in units of account. Buyers below it then trade with nobody, and a
    seller cannot gain by asking for less than it: all of these asks are one report.

    Raises
    ------
    ValueError
        If it lies outside a price range that was given, or between two minor units.
    """
    if reserve is None:
        return market, {}
    least = int(to_half_units(reserve, "reserve", signed=True))
    low, high = market.price_range
    if market.range_is_derived:
        # It covers the reports, so that it moves with them; the reserve does not.
        market = market.replace(price_range=(low, max(high, least)))
    elif not low <= least <= high:
        raise ValueError(f"reserve = {reserve} is outside the market's price range")
    told = {"reserve": reserve, "threshold": least}
    return market.replace(costs=np.maximum(market.costs, least)), told
