"""Reports worth trying for a trader with several units: shaded steps, withheld units, both.

A report is a price per unit, falling for buyers and rising for sellers, for all of a trader's units
or for the first of them (the others are withheld). Two families are tried:

* *menu*: one price for the first q units and none of the others, for every q and every price at
  which something can change. Under a rule with a `menu_of_units` this contains a best response: a
  report that trades q units can be replaced by its q-th price for all q. The same q units trade,
  and what is paid for them is the same or less. Rule by rule: one uniform price falls (rises, for
  sellers) with every report, so reports beyond the q-th can only hurt; under pay as bid the q-th
  price is the least that is paid; VCG, MUDA and the reduction pay what others report, and by q.
* *steps*, for rules of which nothing is known: one step at another price (neighbouring units follow
  where the order would break), everything else as it is, with and without the last units; and the
  first q units at their prices, or sure to trade, with all others at one price.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from mechanisms.audit.asking import Asked
from mechanisms.audit.candidates import SMALL, candidate_reports, fewer, is_exact, some
from mechanisms.audit.deviations import Report
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side

#: Up to this many units of a trader every number of them is tried, and the menu is complete.
MOST_UNITS = 32
#: Prices per step, and numbers of withheld units, that are tried where nothing is known of a rule.
STEP_PRICES, WITHHELD = 60, 4
#: Numbers of first units that are told apart from the others there.
SPLITS = 8
#: Prices, and numbers of first units, in a market of more than `SMALL` traders.
LARGE_PRICES, LARGE_COUNTS = 30, 6


def reports_of(
    asked: Asked, market: Market, outcome: Outcome, side: Side, trader: int
) -> list[Report]:
    """Reports worth trying for one trader: prices, or tuples of a price for each unit offered."""
    prices = candidate_reports(asked, market, outcome, side, trader)
    if market.unit_demand or market.is_graph:
        return list(prices)
    own = tuple(market.reports(side)[market.units_of(side, trader)].tolist())
    counts = some(list(range(1, len(own) + 1)), MOST_UNITS)
    if market.n_buyers + market.n_sellers > SMALL:
        prices, counts = some(prices, LARGE_PRICES), some(counts, LARGE_COUNTS)
    found: dict[Report, None] = {}
    for count in counts:
        for price in prices:
            found[(price,) * count] = None
    if asked.declared is None or not asked.declared.menu_of_units:
        turn = -1 if side == "buyer" else 1
        sure = market.price_range[1 if side == "buyer" else 0]
        prices = fewer(asked, market, outcome, side, trader, STEP_PRICES)
        for report in (*_steps(own, prices, turn), *_levels(own, prices, turn, sure)):
            found[report] = None
    found.pop(own, None)
    return list(found)


def is_complete(asked: Asked, market: Market) -> bool:
    """Whether `reports_of` contains a best response of every trader."""
    if market.unit_demand:
        return is_exact(asked, market)
    most = max(int(market.wanted.max(initial=0)), int(market.seats.max(initial=0)))
    return is_exact(asked, market) and most <= MOST_UNITS


def _steps(own: tuple[int, ...], prices: list[int], turn: int) -> list[Report]:
    """Reports with one step at another price, with and without the last units."""
    # For buyers prices fall: turned round they rise as costs do.
    true = turn * np.array(own, dtype=np.int64)
    first, out = 0, []
    for _, step in groupby(own):
        last = first + len(list(step))
        for price in prices:
            shaded = true.copy()
            shaded[first:last] = turn * price
            shaded[:first] = np.minimum(shaded[:first], turn * price)
            shaded[last:] = np.maximum(shaded[last:], turn * price)
            report = tuple((turn * shaded).tolist())
            out += [report[: len(own) - less] for less in _withheld(own)]
        first = last
    return [*out, *(own[: len(own) - less] for less in _withheld(own))]


def _levels(own: tuple[int, ...], prices: list[int], turn: int, sure: int) -> list[Report]:
    """The first units at their prices, or at one that is sure to trade, the others at one price."""
    out: list[Report] = []
    for count in some(list(range(1, len(own))), SPLITS):
        for first in (own[:count], (sure,) * count):
            rest = [p for p in prices if turn * p >= turn * first[-1]]
            out += [first + (price,) * (len(own) - count) for price in rest]
    return out


def _withheld(own: tuple[int, ...]) -> list[int]:
    """Numbers of last units to withhold: none, one, and whole steps from the end."""
    sizes = np.cumsum([len(list(step)) for _, step in groupby(reversed(own))]).tolist()
    return sorted({0, 1, *sizes[:WITHHELD]} - {len(own)} if len(own) > 1 else {0})
