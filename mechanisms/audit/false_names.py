"""Extra reports under another name: what a trader can gain by being two.

Where everybody has one unit, the other name asks for one more. A trader with several units can also
*split* them: some under its own name, the others under the second, at their true prices or at one
price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mechanisms.audit.asking import Asked, Mechanism, RuleError, ask
from mechanisms.audit.candidates import SMALL, candidate_reports, fewer, in_money, some
from mechanisms.audit.deviations import FalseName, Report
from mechanisms.audit.findings import Finding, Position, own_utility, paid, position, units_of
from mechanisms.audit.sampling import SIDES
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS

#: Ways to split a trader's units that are tried.
MOST_SPLITS = 8
#: Prices of the second name, with up to `SMALL` traders and with more.
MOST_PRICES, LARGE_PRICES = 48, 12


def false_name(
    mechanism: Mechanism, market: Market, truthful: Outcome, side: Side, trader: int
) -> FalseName:
    """Most a trader can gain by one extra report on either side.

    A unit more than one wants is worth nothing to a buyer; a unit sold that the trader does not
    have must be delivered at infinite cost; a unit a seller buys under another name is worth
    nothing to it.
    """
    asked = mechanism if isinstance(mechanism, Asked) else ask("", mechanism)
    baseline = own_utility(market, truthful, side, trader)
    best = FalseName(side, trader, side, 0, 0.0)
    errors: list[tuple[Side, Report, str]] = []
    tries: list[FalseName] = []
    for extra_side in SIDES:
        try:
            tries += _extra(asked, market, truthful, side, trader, extra_side)
            if extra_side == side and not market.unit_demand:
                tries += _splits(asked, market, truthful, side, trader)
        except RuleError as error:
            errors.append((extra_side, 0, str(error)))
    for tried in tries:
        try:
            outcome = asked(tried.moved(market))
        except RuleError as error:
            errors.append((tried.extra_side, tried.price, str(error)))
            continue
        gain = both_utility(market, outcome, side, trader, tried.extra_side)
        if gain is not None and gain - baseline > best.gain:
            best = replace(tried, gain=gain - baseline)
    return replace(best, errors=tuple(errors))


def _extra(
    asked: Asked, market: Market, truthful: Outcome, side: Side, trader: int, extra_side: Side
) -> Iterator[FalseName]:
    """One unit more on a side at every price at which something can change."""
    for price in candidate_reports(asked, market, truthful, extra_side, -1):
        yield FalseName(side, trader, extra_side, int(price), 0.0)


def _splits(
    asked: Asked, market: Market, truthful: Outcome, side: Side, trader: int
) -> Iterator[FalseName]:
    """A trader's units under two names: first and last ones, either way round."""
    own = tuple(market.reports(side)[market.units_of(side, trader)].tolist())
    if len(own) < 2:
        return
    most = MOST_PRICES if market.n_buyers + market.n_sellers <= SMALL else LARGE_PRICES
    prices = fewer(asked, market, truthful, side, trader, most)
    for count in some(list(range(1, len(own))), MOST_SPLITS):
        for kept, rest in ((own[:count], own[count:]), (own[count:], own[:count])):
            at_price = [(price,) * len(rest) for price in prices]
            for other in (rest, *at_price):
                yield FalseName(side, trader, side, other, 0.0, kept=kept)


def both_utility(
    market: Market, outcome: Outcome, side: Side, trader: int, extra_side: Side
) -> float | None:
    """Utility of a trader that also is the last trader of a side; None: it cannot deliver."""
    own = market.reports(side)[market.units_of(side, trader)]
    traded, money = {"buyer": 0, "seller": 0}, 0
    for role, who in ((side, trader), (extra_side, -1)):
        traded[role] += units_of(outcome, role, who)
        money += (1 if role == "buyer" else -1) * paid(outcome, role, who)
    if traded["seller"] > (len(own) if side == "seller" else 0):
        return None
    worth = int(own[: traded[side]].sum()) * (1 if side == "buyer" else -1)
    return (outcome.scale * worth - money) / outcome.scale


def false_name_gain(
    mechanism: Mechanism, market: Market, truthful: Outcome, side: Side, trader: int
) -> float:
    """Most a trader can gain by one extra report on either side, half minor units."""
    return false_name(mechanism, market, truthful, side, trader).gain


def under_false_name(asked: Asked, market: Market, truthful: Outcome, found: FalseName) -> Finding:
    """A profitable extra report as a finding; `after` adds both names up."""
    side, trader = found.side, found.trader
    outcome = asked(found.moved(market))
    return Finding(
        kind="false-name",
        mechanism=asked.name,
        gain=found.gain / HALF_UNITS,
        side=side,
        trader=market.name_of(side, trader),
        index=trader,
        true_prices=in_money(market.reports(side)[market.units_of(side, trader)]),
        reported_prices=None if found.kept is None else in_money(np.array(found.kept)),
        extra=extra_of(found.extra_side, found.price),
        before=position(market, truthful, side, trader),
        after=held_by_both(market, outcome, side, trader, found.extra_side),
    )


def extra_of(side: Side, price: Report) -> dict[str, object]:
    """The report under a false name as a finding keeps it, in units of account."""
    if isinstance(price, tuple):
        return {"side": side, "prices": [p / HALF_UNITS for p in price]}
    return {"side": side, "price": price / HALF_UNITS}


def held_by_both(
    market: Market, outcome: Outcome, side: Side, trader: int, extra_side: Side
) -> Position:
    """What a trader has under both names: own units, what it pays (gets) in all, its utility.

    With several units a trader has those of both names on its own side.
    """
    unit = outcome.scale * HALF_UNITS
    sign = 1 if extra_side == side else -1
    amount = paid(outcome, side, trader) + sign * paid(outcome, extra_side, -1)
    utility = both_utility(market, outcome, side, trader, extra_side)
    worth = float("nan") if utility is None else utility / HALF_UNITS
    units = units_of(outcome, side, trader)
    if extra_side == side and not market.unit_demand:
        units += units_of(outcome, side, -1)
    return Position(units, amount / unit, worth)
