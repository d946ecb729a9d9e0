"""The row of a mechanism, from all that was learnt of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mechanisms.audit import checks as audit_checks
from mechanisms.audit import false_names as audit_false_names
from mechanisms.audit import incentives as audit_incentives
from mechanisms.audit import theorems
from mechanisms.audit.asking import Asked
from mechanisms.audit.findings import Finding, own_utility, position
from mechanisms.audit.lottery import Draws
from mechanisms.audit.order import Treatment
from mechanisms.audit.row import MechanismAudit
from mechanisms.audit.sampling import SIDES, Share, share_of
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

#: Findings of one kind that are kept, the largest first.
MOST_FINDINGS = 100


class Evidence(NamedTuple):
    """All that was learnt of a mechanism before it is written down."""

    asked: Asked
    market: Market
    best: audit_checks.Optimum
    draws: Draws
    incentives: audit_incentives.Incentives | None
    treatment: Treatment | None
    seconds: float
    sort_seconds: float


def failed(asked: Asked, best: audit_checks.Optimum, market: Market, error: str) -> MechanismAudit:
    """The row of a rule that has no outcome of the market."""
    finding = Finding("error", asked.name, detail=error)
    return MechanismAudit(
        mechanism=asked.name,
        rule=asked.rule,
        options=asked.options,
        error=error,
        optimal_welfare=best.welfare / HALF_UNITS,
        findings=(finding,),
        lp_bound=best.lp_bound / HALF_UNITS,
        optimum_methods=best.methods,
    )


def row_of(e: Evidence) -> MechanismAudit:
    """Everything about one mechanism on one market."""
    asked, market, outcomes = e.asked, e.market, e.draws.outcomes
    first = outcomes[0]
    lottery = e.draws.is_lottery or bool(e.incentives and e.incentives.is_lottery)
    money = _money(market, outcomes if lottery else outcomes[:1])
    problems = tuple(
        dict.fromkeys(p for o in (outcomes if lottery else [first]) for p in _problems(market, o))
    )
    findings = list(_ledger(asked, market, first, problems, money))
    if lottery:
        text = f"asked {len(outcomes)} times; figures are means over the draws"
        findings.append(Finding("lottery", asked.name, detail=text))
    if e.treatment is not None and not lottery:
        findings += e.treatment.findings
    by_lot = asked.declared is not None and asked.declared.by_lot
    best, ratio = e.best.welfare / HALF_UNITS, None
    if money.welfare == best:
        ratio = 1.0
    elif best > 0:
        ratio = money.welfare / best
    step, ticks = first.parameters.get("step"), first.parameters.get("ticks")
    people = market.n_buyers + market.n_sellers if first.rounds is not None else None
    gains = _gains(e.incentives)
    if e.incentives is not None:
        findings += _deviations(asked, market, first, e.incentives, lottery=lottery)
    claim = theorems.row_of(asked, market)
    worst_steps = money.worst * HALF_UNITS / step if step and asked.declared else None
    return MechanismAudit(
        mechanism=asked.name,
        rule=asked.rule,
        options=asked.options,
        judged="in expectation" if lottery else "ex post" if by_lot else "as it is",
        welfare=money.welfare,
        optimal_welfare=best,
        welfare_ratio=ratio,
        welfare_lost=best - money.welfare,
        buyers_welfare=money.buyers,
        sellers_welfare=money.sellers,
        trades=money.trades,
        paid_by_buyers=money.paid,
        paid_to_sellers=money.received,
        surplus=money.surplus,
        budget=money.budget,
        feasible=not problems,
        problems=problems,
        ir_violations=money.negative,
        max_ir_violation=money.worst,
        max_ir_violation_steps=worst_steps,
        **gains,
        equal_treatment=e.treatment.equals if e.treatment and not lottery else None,
        anonymous="by lot" if lottery else e.treatment.anonymous if e.treatment else None,
        claims=None if claim is None else claim.cells,
        contradictions=_contradictions(claim, money, gains, step),
        findings=_largest_first(findings),
        rounds=first.rounds,
        bisection_rounds=int(math.log2(ticks + 1)) + 1 if ticks and asked.declared else None,
        listeners=people,
        bits=None if people is None or first.rounds is None else people * first.rounds,
        lp_bound=e.best.lp_bound / HALF_UNITS,
        optimum_methods=e.best.methods,
        seconds=e.seconds,
        seconds_over_sort=e.seconds / e.sort_seconds,
    )


class _Money(NamedTuple):
    """Welfare and ledger, means over draws; the budget and rationality are those of the worst."""

    welfare: float
    buyers: float
    sellers: float
    trades: float
    paid: float
    received: float
    surplus: float
    budget: str
    negative: int
    worst: float


def _money(market: Market, outcomes: Sequence[Outcome]) -> _Money:
    found = []
    for o in outcomes:
        unit = o.scale * HALF_UNITS
        surplus, verdict = audit_checks.budget_verdict(o)
        buyers, sellers = audit_checks.utilities(market, o)
        worst = max(0, -int(buyers.min(initial=0)), -int(sellers.min(initial=0)))
        found.append(
            _Money(
                audit_checks.welfare(market, o) / HALF_UNITS,
                audit_checks.total(buyers) / unit,
                audit_checks.total(sellers) / unit,
                o.trades,
                audit_checks.total(o.payment) / unit,
                audit_checks.total(o.receipt) / unit,
                surplus / unit,
                verdict,
                int(np.count_nonzero(buyers < 0) + np.count_nonzero(sellers < 0)),
                worst / unit,
            )
        )
    if len(found) == 1:
        return found[0]
    order = ("deficit", "weak", "strong")
    mean = {n: float(np.mean([getattr(f, n) for f in found])) for n in _Money._fields[:7]}
    return _Money(
        **mean,
        budget=min((f.budget for f in found), key=order.index),
        negative=max(f.negative for f in found),
        worst=max(f.worst for f in found),
    )


def _problems(market: Market, outcome: Outcome) -> list[str]:
    return audit_checks.infeasibilities(market, outcome)


def _ledger(
    asked: Asked, market: Market, outcome: Outcome, problems: Sequence[str], money: _Money
) -> list[Finding]:
    """What the outcome at the true reports shows: infeasible, money lost or kept, losses."""
    found = [Finding("infeasible", asked.name, detail=problem) for problem in problems]
    if money.budget != "strong" and money.surplus:
        kind = "deficit" if money.surplus < 0 else "surplus"
        text = f"buyers pay {money.paid!r}, sellers get {money.received!r}"
        found.append(Finding(kind, asked.name, gain=abs(money.surplus), detail=text))
    for side, held in zip(SIDES, audit_checks.utilities(market, outcome), strict=True):
        losing = np.flatnonzero(held < 0)
        for i in losing[np.argsort(held[losing], kind="stable")][:MOST_FINDINGS].tolist():
            has = position(market, outcome, side, i)
            own = market.reports(side)[market.units_of(side, i)] / HALF_UNITS
            found.append(
                Finding(
                    "irrational",
                    asked.name,
                    gain=-own_utility(market, outcome, side, i) / HALF_UNITS,
                    side=side,
                    trader=market.name_of(side, i),
                    index=i,
                    true_prices=tuple(own.tolist()),
                    before=has,
                )
            )
    return found


def _deviations(
    asked: Asked,
    market: Market,
    outcome: Outcome,
    found: audit_incentives.Incentives,
    *,
    lottery: bool,
) -> list[Finding]:
    """Profitable reports and extra reports, and where the rule failed on the way."""
    gaining = sorted((d for d in found.deviations if d.gain > 0), key=lambda d: -d.gain)
    out = []
    for deviation in gaining[:MOST_FINDINGS]:
        finding = audit_incentives.misreport(asked, market, outcome, deviation)
        if lottery:
            finding = audit_incentives.in_expectation(finding)
        out.append(finding)
    extra = sorted((d for d in found.false_names if d.gain > 0), key=lambda d: -d.gain)
    out += [
        audit_false_names.under_false_name(asked, market, outcome, d) for d in extra[:MOST_FINDINGS]
    ]
    errors = [(d, report, text) for d in found.deviations for report, text in d.errors]
    for deviation, report, text in errors[:MOST_FINDINGS]:
        side, i = deviation.side, deviation.trader
        moved = market.with_report(side, i, report)
        own, then = market.units_of(side, i), moved.units_of(side, i)
        out.append(
            Finding(
                "error",
                asked.name,
                side=side,
                trader=market.name_of(side, i),
                index=i,
                true_prices=tuple((market.reports(side)[own] / HALF_UNITS).tolist()),
                reported_prices=tuple((moved.reports(side)[then] / HALF_UNITS).tolist()),
                detail=text,
            )
        )
    wrong = [(s, price, text) for d in found.false_names for s, price, text in d.errors]
    for extra_side, price, text in wrong[:1]:
        added = audit_false_names.extra_of(extra_side, price)
        out.append(Finding("error", asked.name, extra=added, detail=text))
    return out


def _largest_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, the largest of each kind first, and no more than `MOST_FINDINGS` of each."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    return tuple(
        f for k in kinds.values() for f in sorted(k, key=lambda f: -f.gain)[:MOST_FINDINGS]
    )


def _gains(found: audit_incentives.Incentives | None) -> dict[str, Any]:
    """The fields about incentives; empty where they were not examined."""
    if found is None:
        return {}
    out: dict[str, Any] = {
        "regret_exact": found.exact,
        "examined": len(found.deviations),
        "reports_each": found.reports_each,
        "schedule_depends_on_reports": found.schedule_changed,
    }
    gaining = audit_incentives.traders_of(found.deviations)
    for side in SIDES:
        gains = [d.gain for d in found.deviations if d.side == side]
        out[f"{side}_regret_max"] = max(gains) / HALF_UNITS if gains else None
        out |= _share(f"{side}_gain", share_of(found.chosen, gaining, side))
    if found.extra_of is not None:
        gaining = audit_incentives.traders_of(found.false_names)
        out |= _share("false_name_gain", share_of(found.extra_of, gaining))
        gains = [d.gain for d in found.false_names]
        out["false_name_gain_max"] = max(gains) / HALF_UNITS if gains else None
    return out


def _share(name: str, share: Share | None) -> dict[str, float | None]:
    if share is None:
        return {}
    return {f"{name}_share": share.estimate, f"{name}_low": share.low, f"{name}_high": share.high}


def _contradictions(
    claim: theorems.Row | None, money: _Money, gains: Mapping[str, Any], step: int | None
) -> tuple[str, ...]:
    """Cells of the theorem table that the figures contradict."""
    if claim is None:
        return ()
    unit = HALF_UNITS / step if step else math.inf
    measured = {
        "ir": money.worst,
        "buyers": gains.get("buyer_regret_max") or 0.0,
        "sellers": gains.get("seller_regret_max") or 0.0,
    }
    out = [
        f"{cell}: {amount!r}, the table says {getattr(claim, cell)}"
        for cell, amount in measured.items()
        if amount > 0 and not theorems.within(amount * unit, getattr(claim, cell))
    ]
    order = ("deficit", "weak", "strong")
    if order.index(money.budget) < order.index(claim.budget):
        out.append(f"budget: {money.budget}, the table says {claim.budget}")
    return tuple(out)
