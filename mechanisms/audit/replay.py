"""Findings of a file, computed again from the market and the rule that the file names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mechanisms.audit import batch
from mechanisms.audit import checks as audit_checks
from mechanisms.audit import order as audit_order
from mechanisms.audit.asking import Asked, Mechanism, RuleError, ask, found
from mechanisms.audit.false_names import both_utility, held_by_both
from mechanisms.audit.findings import Finding, Position, own_utility, position
from mechanisms.audit.report import FORMAT
from mechanisms.audit.row import MechanismAudit
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS, to_half_units

#: Relative difference that printing and reading floats may make.
CLOSE = 1e-9


class Replayed(NamedTuple):
    """A finding, and whether it came out again: ``yes``, ``no`` or why it was not computed."""

    finding: Finding
    same: str
    gain: float | None


def replay_file(
    path: str | os.PathLike[str], rule: Mechanism | None = None
) -> tuple[Replayed, ...]:
    """Compute every finding of an audit's JSON file again.

    Parameters
    ----------
    path : path
        Written by ``mecopt audit --json``, about one market or many.
    rule : function, optional
        The rule of rows that have no address (functions given in Python).

    Raises
    ------
    ValueError, FileNotFoundError
        Names the file and the field of whatever is malformed.
    """
    where = os.fspath(path)
    pairs = _of_many(path, where) if batch.FORMAT.claimed_by(path) else _of_one(path, where)
    return tuple(again for market, row in pairs for again in replay(market, row, _asked(row, rule)))


def _of_one(path: str | os.PathLike[str], where: str) -> Iterator[tuple[Market, MechanismAudit]]:
    """The market of a file with each row about it."""
    body = FORMAT.read(path)
    for name in ("instance", "mechanisms"):
        if name not in body:
            raise ValueError(f"{where}: field {name!r} is missing")
    market = Market.from_document(body["instance"], f"{where}: instance")
    for row in body["mechanisms"]:
        yield market, MechanismAudit.from_document(row, where)


def _of_many(path: str | os.PathLike[str], where: str) -> Iterator[tuple[Market, MechanismAudit]]:
    """Every row of a batch with its market, had again from where it came."""
    body = batch.FORMAT.read(path)
    for name in ("markets", "rows"):
        if not isinstance(body.get(name), list):
            raise ValueError(f"{where}: field {name!r} is missing")
    items = [batch.Item.from_document(row, where) for row in body["rows"]]
    for entry in body["markets"]:
        source = batch.source_again(entry, where)
        market = source.load()
        if market.content_hash != entry.get("market_hash"):
            raise ValueError(f"{where}: {source.name} is another market than the one audited")
        yield from ((market, item.row) for item in items if item.market == source.name)


def _asked(row: MechanismAudit, rule: Mechanism | None) -> Asked | None:
    """The mechanism of a row; None where nobody says how to make it."""
    if row.rule:
        return ask(row.mechanism, found(row.rule, **row.options), row.rule)
    return None if rule is None else ask(row.mechanism, rule)


def replay(market: Market, row: MechanismAudit, asked: Asked | None) -> list[Replayed]:
    """Compute the findings of one row again."""
    if asked is None:
        why = "not computed: the rule has no address, name it with --mechanism package.module:rule"
        return [Replayed(finding, why, None) for finding in row.findings]
    if row.judged == "in expectation":
        why = "not computed: a lottery gives another outcome each time"
        return [Replayed(finding, why, None) for finding in row.findings]
    return [_one(market, asked, finding) for finding in row.findings]


def _one(market: Market, asked: Asked, finding: Finding) -> Replayed:
    try:
        again = _again(market, asked, finding)
    except RuleError as error:
        again = Finding("error", asked.name, detail=str(error))
    except (IndexError, KeyError, TypeError) as error:
        return Replayed(finding, f"no: the finding does not fit the market ({error})", None)
    same = (
        again.kind == finding.kind
        and _close(again.gain, finding.gain)
        and _alike(again.before, finding.before)
        and _alike(again.after, finding.after)
        and (finding.kind not in ("error", "infeasible") or finding.detail in again.detail)
    )
    return Replayed(finding, "yes" if same else "no", again.gain)


def _again(market: Market, asked: Asked, finding: Finding) -> Finding:
    """The finding as it comes out now."""
    moved = _moved(market, finding)
    if finding.kind == "error":
        asked(moved)
        return Finding("none", asked.name)
    outcome = asked(market)
    side, i = finding.side, finding.index
    if finding.kind in ("deficit", "surplus"):
        surplus = audit_checks.budget_verdict(outcome)[0] / (outcome.scale * HALF_UNITS)
        kind = "deficit" if surplus < 0 else "surplus"
        return Finding(kind, asked.name, gain=abs(surplus))
    if finding.kind == "infeasible":
        detail = "; ".join(audit_checks.infeasibilities(market, outcome))
        return Finding("infeasible", asked.name, detail=detail)
    if finding.kind == "order":
        told = audit_order.compare(asked, market, outcome, finding.order or "reversed")
        return told.findings[0] if told.findings else Finding("none", asked.name)
    if side is None or i is None:
        raise KeyError("side, index")
    before = position(market, outcome, side, i)
    if finding.kind == "irrational":
        loss = -own_utility(market, outcome, side, i) / HALF_UNITS
        return Finding("irrational", asked.name, gain=loss, before=before)
    if finding.kind == "unequal":
        after = position(market, outcome, side, _index(market, finding))
        gain = before.utility - after.utility
        return Finding("unequal", asked.name, gain=gain, before=before, after=after)
    then = asked(moved)
    if finding.kind == "false-name" and finding.extra is not None:
        extra_side = finding.extra["side"]
        utility = both_utility(market, then, side, i, extra_side)
        after = held_by_both(market, then, side, i, extra_side)
        gain = float("nan") if utility is None else utility / HALF_UNITS - before.utility
        return Finding("false-name", asked.name, gain=gain, before=before, after=after)
    gain = own_utility(market, then, side, i) - own_utility(market, outcome, side, i)
    after = position(market, then, side, i)
    return Finding("misreport", asked.name, gain=gain / HALF_UNITS, before=before, after=after)


def _moved(market: Market, finding: Finding) -> Market:
    """The market with the other report, or the extra one, that a finding names."""
    if finding.order is not None:
        return market.permuted(*audit_order.listed(market, finding.order))
    reported, side, index = finding.reported_prices, finding.side, finding.index
    if reported is not None and side is not None and index is not None:
        prices = to_half_units(reported, "reported_prices", signed=True)
        market = market.with_report(side, index, prices.tolist())
    if finding.extra is not None:
        given = finding.extra.get("prices", finding.extra.get("price"))
        added = to_half_units(given, "extra price", signed=True)
        market = market.with_extra(finding.extra["side"], added.tolist())
    return market


def _index(market: Market, finding: Finding) -> int:
    """The place of the other trader of a comparison of equals."""
    names = market.buyer_names if finding.side == "buyer" else market.seller_names
    other = finding.other or ""
    return names.index(other) if names else int(other.rsplit(" ", 1)[1])


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= CLOSE * max(1.0, abs(one), abs(other))


def _alike(one: Position | None, other: Position | None) -> bool:
    if one is None or other is None:
        return one is other
    return (
        one.units == other.units
        and _close(one.amount, other.amount)
        and (_close(one.utility, other.utility) or one.utility != one.utility)
    )


def as_document(again: Replayed) -> Mapping[str, Any]:
    """A replayed finding for JSON."""
    return {"same": again.same, "gain_now": again.gain, **again.finding.to_document()}
