"""Best responses, found by asking the mechanism again; false names beside them.

Which reports are tried, and where they contain a best response, is in
`mechanisms.audit.candidates` and, for several units, `mechanisms.audit.unit_reports`; who is
examined, in `mechanisms.audit.sampling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from mechanisms.audit import everybody
from mechanisms.audit.asking import Asked, Mechanism, RuleError, ask, same
from mechanisms.audit.candidates import in_money
from mechanisms.audit.deviations import Deviation, FalseName, Report
from mechanisms.audit.false_names import false_name
from mechanisms.audit.findings import Finding, own_utility, position
from mechanisms.audit.sampling import Chosen, Trader
from mechanisms.audit.unit_reports import is_complete, reports_of
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
    reports: Iterable[Report] | None = None,
) -> Deviation:
    """Most profitable single report of a trader when everybody else is truthful."""
    asked = mechanism if isinstance(mechanism, Asked) else ask("", mechanism)
    baseline = own_utility(market, truthful, side, trader)
    own = market.reports(side)[market.units_of(side, trader)]
    several = not market.unit_demand and not market.is_graph
    truth: Report = tuple(own.tolist()) if several else int(own[0]) if len(own) else 0
    best, gain, changed, errors = truth, 0.0, False, []
    refine = reports is None and asked.declared is None and not several
    if reports is None:
        reports = reports_of(asked, market, truthful, side, trader)
    schedule = truthful.parameters.get("schedule")
    gains: dict[Report, float] = {}

    def try_report(report: Report) -> float:
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
        try_report(report if isinstance(report, tuple) else int(report))
    if refine and gain > 0:
        _refine(try_report, gains, best)
    return Deviation(side, trader, best, gain, changed, len(gains), tuple(errors))


def _refine(
    try_report: Callable[[Report], float], gains: dict[Report, float], best: Report
) -> None:
    """Walk from the best report towards its neighbours, where something better may begin."""
    if isinstance(best, tuple):
        raise AssertionError("several units have no neighbour")
    tried = sorted(report for report in gains if not isinstance(report, tuple))
    at = tried.index(best)
    for neighbour in tried[max(at - 1, 0) : at + 2]:
        near, far = best, neighbour
        for _ in range(REFINED):
            middle = (near + far) // 2 // MINOR * MINOR
            if middle in (near, far) or abs(near - far) <= MINOR:
                break
            near, far = (middle, far) if try_report(middle) >= gains[best] else (near, middle)


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
    if false_names != 0 and not market.is_graph:
        extra_of = chosen._replace(drawn=chosen.drawn[:false_names])
        extra = tuple(false_name(asked, market, truthful, *who) for who in extra_of.traders)
    return Incentives(
        chosen=chosen,
        deviations=found,
        extra_of=extra_of,
        false_names=extra,
        exact=chosen.is_everybody and is_complete(asked, market),
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
        moved = top.moved(market)
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
        moved = best.moved(market)
        first = asked(moved)
        if not all(same(first, asked(moved)) for _ in range(3)):
            return False
    return True


def misreport(asked: Asked, market: Market, truthful: Outcome, found: Deviation) -> Finding:
    """A profitable report as a finding."""
    side, trader = found.side, found.trader
    moved = found.moved(market)
    own = market.units_of(side, trader)
    return Finding(
        kind="misreport",
        mechanism=asked.name,
        gain=found.gain / HALF_UNITS,
        side=side,
        trader=market.name_of(side, trader),
        index=trader,
        true_prices=in_money(market.reports(side)[own]),
        reported_prices=in_money(moved.reports(side)[moved.units_of(side, trader)]),
        before=position(market, truthful, side, trader),
        after=position(market, asked(moved), side, trader),
    )


def traders_of(gaining: Iterable[Deviation | FalseName]) -> set[Trader]:
    """Who gains."""
    return {(d.side, d.trader) for d in gaining if d.gain > 0}


def in_expectation(finding: Finding) -> Finding:
    """A finding whose gain is a mean over draws: what one draw gives says nothing."""
    return replace(finding, before=None, after=None, detail="in expectation, over fresh draws")
