"""Best responses and false names, found by asking the mechanism again.

Which reports are tried, and where they contain a best response, is in
`mechanisms.audit.candidates`; who is examined, in `mechanisms.audit.sampling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from mechanisms.audit import everybody
from mechanisms.audit.asking import Asked, Mechanism, RuleError, ask, same
from mechanisms.audit.candidates import candidate_reports, in_money, is_exact
from mechanisms.audit.deviations import Deviation, FalseName
from mechanisms.audit.findings import Finding, Position, own_utility, paid, position, units_of
from mechanisms.audit.sampling import SIDES, Chosen, Trader
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS, MINOR

#: Halvings of the distance between the best report found and a report that is worth less.
REFINED = 12


def best_response(
    mechanism: Mechanism,
    market: Market,
    truthful: Outcome,
    side: Side,
    trader: int,
    reports: Iterable[int] | None = None,
) -> Deviation:
    """Most profitable single report of a trader when everybody else is truthful."""
    asked = mechanism if isinstance(mechanism, Asked) else ask("", mechanism)
    baseline = own_utility(market, truthful, side, trader)
    own = market.reports(side)[market.units_of(side, trader)]
    best, gain, changed, errors = int(own[0]) if len(own) else 0, 0.0, False, []
    refine = reports is None and asked.declared is None
    if reports is None:
        reports = candidate_reports(asked, market, truthful, side, trader)
    schedule = truthful.parameters.get("schedule")
    gains: dict[int, float] = {}

    def try_report(report: int) -> float:
        nonlocal best, gain, changed
        try:
            outcome = asked(market.with_report(side, trader, report))
        except RuleError as error:
            errors.append((report, str(error)))
            gains[report] = float("-inf")
            return gains[report]
        changed |= outcome.parameters.get("schedule") != schedule
        gains[report] = own_utility(market, outcome, side, trader) - baseline
        if gains[report] > gain:
            best, gain = report, gains[report]
        return gains[report]

    for report in reports:
        try_report(int(report))
    if refine and gain > 0:
        _refine(try_report, gains, best)
    return Deviation(side, trader, best, gain, changed, len(gains), tuple(errors))


def _refine(try_report: Callable[[int], float], gains: dict[int, float], best: int) -> None:
    """Walk from the best report towards its neighbours, where something better may begin."""
    tried = sorted(gains)
    at = tried.index(best)
    for neighbour in tried[max(at - 1, 0) : at + 2]:
        near, far = best, neighbour
        for _ in range(REFINED):
            middle = (near + far) // 2 // MINOR * MINOR
            if middle in (near, far) or abs(near - far) <= MINOR:
                break
            near, far = (middle, far) if try_report(middle) >= gains[best] else (near, middle)


def false_name(
    mechanism: Mechanism, market: Market, truthful: Outcome, side: Side, trader: int
) -> FalseName:
    """Most a trader can gain by one extra report on either side.

    A second unit is worth nothing to a buyer; a unit sold that the trader does not have must be
    delivered at infinite cost; a unit a seller buys under another name is worth nothing to it.
    """
    asked = mechanism if isinstance(mechanism, Asked) else ask("", mechanism)
    baseline = own_utility(market, truthful, side, trader)
    best = FalseName(side, trader, side, 0, 0.0)
    errors = []
    for extra_side in SIDES:
        try:
            tried = candidate_reports(asked, market, truthful, extra_side, -1)
        except RuleError as error:
            errors.append((extra_side, 0, str(error)))
            continue
        for report in tried:
            try:
                outcome = asked(market.with_extra(extra_side, report))
            except RuleError as error:
                errors.append((extra_side, report, str(error)))
                continue
            gain = both_utility(market, outcome, side, trader, extra_side)
            if gain is not None and gain - baseline > best.gain:
                best = FalseName(side, trader, extra_side, int(report), gain - baseline)
    return replace(best, errors=tuple(errors))


def both_utility(
    market: Market, outcome: Outcome, side: Side, trader: int, extra_side: Side
) -> float | None:
    """Utility of a trader that also is the last trader of a side; None: it cannot deliver."""
    worth = int(market.reports(side)[trader])
    traded, money = {"buyer": 0, "seller": 0}, 0
    for role, who in ((side, trader), (extra_side, -1)):
        traded[role] += units_of(outcome, role, who)
        money += (1 if role == "buyer" else -1) * paid(outcome, role, who)
    if traded["seller"] > (side == "seller"):
        return None
    units = min(traded["buyer"], 1) if side == "buyer" else -traded["seller"]
    return (outcome.scale * worth * units - money) / outcome.scale


def false_name_gain(
    mechanism: Mechanism, market: Market, truthful: Outcome, side: Side, trader: int
) -> float:
    """Most a trader can gain by one extra report on either side, half minor units."""
    return false_name(mechanism, market, truthful, side, trader).gain


@dataclass(frozen=True)
class Incentives:
    """What single deviations can gain, over the traders examined.

    `extra_of` holds those who also tried an extra report; `exact` says that nobody can gain more
    than was found; `is_lottery`, that the rule gave another outcome when it was asked again.
    """

    chosen: Chosen
    deviations: tuple[Deviation, ...]
    extra_of: Chosen | None
    false_names: tuple[FalseName, ...]
    exact: bool
    is_lottery: bool = False

    @cached_property
    def schedule_changed(self) -> bool:
        """Whether a report moved the step schedule that everybody hears."""
        return any(d.schedule_changed for d in self.deviations)

    @property
    def reports_each(self) -> int:
        """Most reports tried for one trader."""
        return max((d.tried for d in self.deviations), default=0)


def examine(
    asked: Asked,
    market: Market,
    truthful: Outcome,
    chosen: Chosen,
    *,
    false_names: int | None = 0,
) -> Incentives:
    """Best responses of the traders chosen; extra reports of the nearest and some of the drawn.

    Parameters
    ----------
    false_names : int, optional
        How many of those drawn at random also try an extra report, besides the nearest; all of them
        where it is None, nobody at all where it is 0.
    """
    if chosen.is_everybody and everybody.applies(asked, market):
        found = everybody.best_responses(asked, market, truthful)
    else:
        found = tuple(best_response(asked, market, truthful, *who) for who in chosen.traders)
    extra_of: Chosen | None = None
    extra: tuple[FalseName, ...] = ()
    if false_names != 0 and market.unit_demand and not market.is_graph:
        extra_of = chosen._replace(drawn=chosen.drawn[:false_names])
        extra = tuple(false_name(asked, market, truthful, *who) for who in extra_of.traders)
    return Incentives(
        chosen=chosen,
        deviations=found,
        extra_of=extra_of,
        false_names=extra,
        exact=chosen.is_everybody and is_exact(asked, market),
        is_lottery=not _repeats(asked, market, truthful, found, extra),
    )


def _repeats(
    asked: Asked,
    market: Market,
    truthful: Outcome,
    deviations: tuple[Deviation, ...],
    extra: tuple[FalseName, ...],
) -> bool:
    """Whether the largest gains come out again: nobody is accused of what a lot has done."""
    if asked.declared is not None:
        return True
    top = max(deviations, key=lambda d: d.gain, default=None)
    if top is not None and top.gain > 0:
        moved = market.with_report(top.side, top.trader, top.report)
        first = asked(moved)
        if not all(same(first, asked(moved)) for _ in range(3)) or not same(
            truthful, asked(market)
        ):
            return False
        gain = own_utility(market, first, top.side, top.trader)
        if gain - own_utility(market, truthful, top.side, top.trader) != top.gain:
            return False
    best = max(extra, key=lambda d: d.gain, default=None)
    if best is not None and best.gain > 0:
        moved = market.with_extra(best.extra_side, best.price)
        first = asked(moved)
        if not all(same(first, asked(moved)) for _ in range(3)):
            return False
    return True


def misreport(asked: Asked, market: Market, truthful: Outcome, found: Deviation) -> Finding:
    """A profitable report as a finding."""
    side, trader = found.side, found.trader
    moved = market.with_report(side, trader, found.report)
    own = market.units_of(side, trader)
    return Finding(
        kind="misreport",
        mechanism=asked.name,
        gain=found.gain / HALF_UNITS,
        side=side,
        trader=market.name_of(side, trader),
        index=trader,
        true_prices=in_money(market.reports(side)[own]),
        reported_prices=in_money(moved.reports(side)[own]),
        before=position(market, truthful, side, trader),
        after=position(market, asked(moved), side, trader),
    )


def under_false_name(asked: Asked, market: Market, truthful: Outcome, found: FalseName) -> Finding:
    """A profitable extra report as a finding; `after` adds both names up."""
    side, trader = found.side, found.trader
    before = position(market, truthful, side, trader)
    outcome = asked(market.with_extra(found.extra_side, found.price))
    return Finding(
        kind="false-name",
        mechanism=asked.name,
        gain=found.gain / HALF_UNITS,
        side=side,
        trader=market.name_of(side, trader),
        index=trader,
        true_prices=in_money(market.reports(side)[market.units_of(side, trader)]),
        extra={"side": found.extra_side, "price": found.price / HALF_UNITS},
        before=before,
        after=held_by_both(market, outcome, side, trader, found.extra_side),
    )


def held_by_both(
    market: Market, outcome: Outcome, side: Side, trader: int, extra_side: Side
) -> Position:
    """What a trader has under both names: own units, what it pays (gets) in all, its utility."""
    unit = outcome.scale * HALF_UNITS
    sign = 1 if extra_side == side else -1
    amount = paid(outcome, side, trader) + sign * paid(outcome, extra_side, -1)
    utility = both_utility(market, outcome, side, trader, extra_side)
    worth = float("nan") if utility is None else utility / HALF_UNITS
    return Position(units_of(outcome, side, trader), amount / unit, worth)


def traders_of(gaining: Iterable[Deviation | FalseName]) -> set[Trader]:
    """Who gains."""
    return {(d.side, d.trader) for d in gaining if d.gain > 0}


def in_expectation(finding: Finding) -> Finding:
    """A finding whose gain is a mean over draws: what one draw gives says nothing."""
    return replace(finding, before=None, after=None, detail="in expectation, over fresh draws")
