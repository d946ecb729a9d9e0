"""The audit: everything an independent auditor can compute about a mechanism on a market.

`audit` asks each mechanism for its outcome at the true reports and for its outcomes after other
reports, and judges them with `mechanisms.audit.checks` and `mechanisms.audit.incentives`, which
share no code with the mechanisms. The report is frozen; `table()` has one row per mechanism.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mechanisms import rules
from mechanisms.audit import checks as audit_checks
from mechanisms.audit import incentives as audit_incentives
from mechanisms.audit import lottery, order
from mechanisms.audit.asking import Asked, Mechanism, RuleError, ask, found
from mechanisms.audit.findings import Finding
from mechanisms.audit.judging import Evidence, failed, row_of
from mechanisms.audit.row import MechanismAudit
from mechanisms.audit.sampling import Chosen, choose_traders
from mechanisms.outcome import require_market
from mecopt import checks, files
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

FORMAT = files.Format("mecopt.audit", version=2)


@dataclass(frozen=True)
class AuditReport:
    """Audits of several mechanisms on one market.

    Parameters
    ----------
    market : Market
        What was audited.
    rows : tuple of MechanismAudit
    left_out : mapping of str to str
        Rules that cannot express the market, with the reason, where every rule was asked for.
    """

    market: Market
    rows: tuple[MechanismAudit, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out when the market was read, and where its price range comes from."""
        low, high = (p / HALF_UNITS for p in self.market.price_range)
        said = f"price range {low:g} to {high:g}"
        if self.market.range_is_derived:
            said += (
                ", derived from the reports: grids and thresholds follow them, so it is part of "
                "the rules that use it, and is derived again for every other report; give one to "
                "audit the rules with a public range"
            )
        else:
            said += ", given"
        return (*self.market.meta.get("notes", ()), said)

    @property
    def unit(self) -> float:
        """Unit of account in money; amounts count in it."""
        return self.market.meta.get("unit_of_account", 1.0)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings about all mechanisms."""
        return tuple(finding for row in self.rows for finding in row.findings)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know besides the table, in lines."""
        scale = () if self.unit == 1 else (f"amounts are in units of {self.unit:g} of money",)
        if (lot := self.market.lot) != 1:
            money = f"units of {lot * self.unit:g} of money"
            scale = (
                f"trades count lots of {lot:g} of the good; prices are per 1 of it, and amounts, "
                f"price x lots, in {money}",
            )
        total = len(self.left_out) + len(self.rows)
        left = []
        for why in dict.fromkeys(self.left_out.values()):
            names = [name for name, reason in self.left_out.items() if reason == why]
            left.append(f"left out, {len(names)} of {total} rules ({why}): {', '.join(names)}")
        return (*self.notes, *scale, *left)

    def table(self) -> pd.DataFrame:
        """One row per mechanism; findings are a table of their own."""
        rows = [{n: v for n, v in vars(row).items() if n != "findings"} for row in self.rows]
        texts = [
            {"regret": row.regret_text, "best_deviation": row.best_deviation} for row in self.rows
        ]
        return pd.DataFrame([row | text for row, text in zip(rows, texts, strict=True)])

    def findings_table(self) -> pd.DataFrame:
        """One row per finding."""
        return pd.DataFrame([asdict(finding) for finding in self.findings])

    def to_document(self) -> dict[str, Any]:
        """The report as JSON keeps it: the market, and every row with its findings."""
        return {
            "market": repr(self.market),
            "market_hash": self.market.content_hash,
            "unit_of_account": self.unit,
            "notes": list(self.notes),
            "left_out": dict(self.left_out),
            "instance": self.market.to_document(),
            "mechanisms": [row.to_document() for row in self.rows],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON."""
        FORMAT.write(path, self.to_document())


def audit(
    market: Market,
    mechanisms: str | Iterable[str] | Mapping[str, Mechanism] | None = None,
    *,
    incentives: bool = True,
    sample: int | None = None,
    false_names: int | None = None,
    seed: int = 0,
) -> AuditReport:
    """Audit mechanisms on a market whose reports are the traders' true values and costs.

    Parameters
    ----------
    market : Market
    mechanisms : str, iterable of str, or mapping of names to functions, optional
        Names of `mechanisms.rules` or ``package.module:function``, or functions ``market ->
        Outcome`` under any names; by default (or with ``"all"``) every rule that fits the market,
        and the report says which do not.
    incentives : bool
        Search best responses, and compare equals and orders of listing (many runs of each rule).
    sample : int, optional
        Traders drawn at random whose incentives are examined, besides the five nearest the margin
        on each side; everybody by default.
    false_names : int, optional
        How many of those drawn also try an extra report, besides the nearest; all by default,
        nobody where it is 0.
    seed : int
        Decides which traders are drawn.

    Raises
    ------
    ValueError
        If the market is none, a mechanism is unknown, or a number is below zero. A rule of
        somebody's own that fails does not end the audit: its row says why.

    Examples
    --------
    >>> report = audit(Market.of([9, 7, 4], [2, 5, 8]), "mcafee")
    >>> report.table()[["mechanism", "welfare_ratio", "budget"]]
      mechanism  welfare_ratio  budget
    0    mcafee            1.0  strong
    """
    require_market(market)
    left_out: Mapping[str, str] = {}
    if mechanisms is None or mechanisms == "all":
        mechanisms, left_out = rules.fitting(market)
    chosen = _chosen(mechanisms)
    settings = Settings(incentives, sample, false_names, seed)
    ready = prepare(market, settings)
    rows = tuple(audit_one(asked, market, ready) for asked in chosen)
    return AuditReport(market, rows, left_out)


@dataclass(frozen=True)
class Settings:
    """What is examined: arguments of `audit`.

    Raises
    ------
    ValueError
        If a number is below zero.
    """

    incentives: bool = True
    sample: int | None = None
    false_names: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("sample", "false_names", "seed"):
            if getattr(self, name) is not None:
                checks.whole(name, getattr(self, name))


class Prepared(NamedTuple):
    """What the audits of all mechanisms on one market share."""

    settings: Settings
    best: audit_checks.Optimum
    chosen: Chosen
    sort_seconds: float


def prepare(market: Market, settings: Settings) -> Prepared:
    """W*, the traders to examine, and the time of sorting."""
    best = audit_checks.optimum(market)
    chosen = choose_traders(market, best.margin, settings.sample, settings.seed)
    return Prepared(settings, best, chosen, _sort_seconds(market))


def audit_one(asked: Asked, market: Market, ready: Prepared) -> MechanismAudit:
    """Audit one mechanism; a rule of somebody's own that fails gets a row that says so."""
    settings, chosen = ready.settings, ready.chosen
    try:
        first = asked(market)  # compiles whatever has to be compiled
        start = time.perf_counter()
        second = asked(market)
        seconds = time.perf_counter() - start
        draws = lottery.draw(asked, market, (first, second))
        found, treatment = None, None
        if settings.incentives and not draws.is_lottery:
            found = audit_incentives.examine(
                asked, market, first, chosen, false_names=settings.false_names
            )
            if found.is_lottery:
                draws = lottery.draw(asked, market, draws.outcomes, all_of=True)
        if settings.incentives and (draws.is_lottery or (found and found.is_lottery)):
            found = lottery.examine(asked, market, draws, chosen)
        elif settings.incentives:
            treatment = order.treatment(asked, market, first)
    except RuleError as error:
        return failed(asked, ready.best, market, str(error))
    return row_of(
        Evidence(asked, market, ready.best, draws, found, treatment, seconds, ready.sort_seconds)
    )


def _chosen(asked: str | Iterable[str] | Mapping[str, Mechanism]) -> tuple[Asked, ...]:
    """The mechanisms to audit, by name."""
    if isinstance(asked, str):
        asked = (asked,)
    elif not isinstance(asked, Iterable):
        raise ValueError(f"mechanisms = {asked!r} must be names, or functions by name")
    if not isinstance(asked, Mapping):
        named = [(name, name if ":" in name else "") for name in asked]
        made = tuple(ask(name, found(name), address) for name, address in named)
    else:
        for name, mechanism in asked.items():
            if not callable(mechanism):
                raise ValueError(
                    f"mechanisms[{name!r}] = {mechanism!r} must be a function of a market"
                )
        made = tuple(ask(name, mechanism) for name, mechanism in asked.items())
    if not made:
        raise ValueError("mechanisms: is empty")
    return made


def _sort_seconds(market: Market) -> float:
    """Time of sorting both sides, best of three."""
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        np.sort(market.values)
        np.sort(market.costs)
        best = min(best, time.perf_counter() - start)
    return best
