"""The audit: everything an independent auditor can compute about a mechanism on a market.

`audit` asks each mechanism for its outcome at the true reports and for its outcomes after other
reports, and judges them with `mechanisms.audit.checks` and `mechanisms.audit.incentives`, which
share no code with the mechanisms. The report is frozen; `table()` has one row per mechanism.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mechanisms import rules
from mechanisms.audit import checks as audit_checks
from mechanisms.audit import incentives as audit_incentives
from mechanisms.audit.incentives import Mechanism
from mechanisms.outcome import Outcome, require_market, require_outcome
from mecopt import checks, files
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

FORMAT = files.Format("mecopt.audit", version=1)


@dataclass(frozen=True)
class MechanismAudit:
    """Findings about one mechanism on one market; money in money units.

    Parameters
    ----------
    mechanism : str
    welfare, optimal_welfare, welfare_ratio : float
        Sum of true values minus costs (and link costs) of what is traded, its maximum W*, and
        their ratio (1 where W* is 0).
    trades : int
        Units traded.
    surplus : float
        What the auctioneer keeps (negative: a deficit).
    budget : str
        ``strong`` (exactly zero), ``weak`` (positive) or ``deficit``; whole numbers decide.
    traders_welfare : float
        Sum of the traders' utilities.
    feasible : bool
    problems : tuple of str
        Whatever makes the outcome infeasible, or its log unfaithful.
    ir_violations : int
        Traders with negative utility at their true report.
    max_ir_violation, max_ir_violation_steps : float
        Worst of them, in money and in steps of the grid (None without a grid).
    buyer_regret_max, seller_regret_max : float or None
        Largest gain from one other report; None when incentives were not examined.
    buyer_gain_share, seller_gain_share : float or None
        Share of examined buyers and sellers that can gain.
    regret_exact : bool or None
        False: the regrets are lower bounds.
    false_name_gain_share : float or None
        Share of examined traders that gain by one extra report; None where not examined.
    schedule_depends_on_reports : bool or None
        A step schedule that reacts to reports: no DSIC claim whatever the regrets say.
    examined : int
        Traders whose incentives were examined.
    best_deviation : str
        The most profitable deviation, in words.
    rounds, bisection_rounds : int or None
        Broadcasts of a clock auction, and what bisection needs for the trades of ``unit``.
    listeners, bits : int or None
        Traders who hear each broadcast; one yes or no each per broadcast.
    lp_bound : float
        LP relaxation of W*.
    optimum_methods : str
        How W* was established.
    seconds, seconds_over_sort : float
        Time of the mechanism, and over np.sort of both sides.
    """

    mechanism: str
    welfare: float
    optimal_welfare: float
    welfare_ratio: float
    trades: int
    surplus: float
    budget: str
    traders_welfare: float
    feasible: bool
    problems: tuple[str, ...]
    ir_violations: int
    max_ir_violation: float
    max_ir_violation_steps: float | None
    buyer_regret_max: float | None
    seller_regret_max: float | None
    buyer_gain_share: float | None
    seller_gain_share: float | None
    regret_exact: bool | None
    false_name_gain_share: float | None
    schedule_depends_on_reports: bool | None
    examined: int
    best_deviation: str
    rounds: int | None
    bisection_rounds: int | None
    listeners: int | None
    bits: int | None
    lp_bound: float
    optimum_methods: str
    seconds: float
    seconds_over_sort: float


@dataclass(frozen=True)
class AuditReport:
    """Audits of several mechanisms on one market.

    Parameters
    ----------
    market, market_hash : str
        What was audited.
    rows : tuple of MechanismAudit
    left_out : mapping of str to str
        Rules that cannot express the market, with the reason, where every rule was asked for.
    notes : tuple of str
        What was left out when the market was read.
    unit : float
        Unit of account in money; amounts count in it.
    """

    market: str
    market_hash: str
    rows: tuple[MechanismAudit, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unit: float = 1.0

    @classmethod
    def of(
        cls, market: Market, rows: Iterable[MechanismAudit], left_out: Mapping[str, str]
    ) -> AuditReport:
        """A report on a market, with what the market says of itself."""
        return cls(
            repr(market),
            market.content_hash,
            tuple(rows),
            left_out,
            tuple(market.meta.get("notes", ())),
            market.meta.get("unit_of_account", 1.0),
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know besides the table, in lines."""
        scale = () if self.unit == 1 else (f"amounts are in units of {self.unit:g} of money",)
        total = len(self.left_out) + len(self.rows)
        left = []
        for why in dict.fromkeys(self.left_out.values()):
            names = [name for name, reason in self.left_out.items() if reason == why]
            left.append(f"left out, {len(names)} of {total} rules ({why}): {', '.join(names)}")
        return (*self.notes, *scale, *left)

    def table(self) -> pd.DataFrame:
        """One row per mechanism."""
        return pd.DataFrame([asdict(row) for row in self.rows])

    def to_document(self) -> dict[str, Any]:
        """The report as JSON keeps it: the fields of `MechanismAudit` for every mechanism."""
        rows = [asdict(row) | {"problems": list(row.problems)} for row in self.rows]
        return {
            "market": self.market,
            "market_hash": self.market_hash,
            "unit_of_account": self.unit,
            "notes": list(self.notes),
            "left_out": dict(self.left_out),
            "mechanisms": rows,
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
        Names of `mechanisms.rules`, or functions ``market -> Outcome`` under any names; by default
        (or with ``"all"``) every rule that fits the market, and the report says which do not.
    incentives : bool
        Search best responses (many runs of each mechanism).
    sample : int, optional
        Traders examined: always the five nearest the margin on each side, the rest at random;
        everybody by default.
    false_names : int, optional
        How many of them also try an extra report; all by default.
    seed : int
        Decides which traders are examined when not all are.

    Raises
    ------
    ValueError
        If the market is none, a mechanism is unknown or returns no outcome, or a number is below
        zero.

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
    for name, number in (("sample", sample), ("false_names", false_names), ("seed", seed)):
        if number is not None:
            checks.whole(name, number)
    best = audit_checks.optimum(market)
    traders = audit_incentives.choose_traders(market, best.margin, sample, seed)
    sort_seconds = _sort_seconds(market)
    rows = []
    for name, mechanism in chosen.items():
        start = time.perf_counter()
        outcome = mechanism(market)
        seconds = time.perf_counter() - start
        found = None
        if incentives:
            extra = len(traders) if false_names is None else false_names
            found = audit_incentives.examine(mechanism, market, outcome, traders, false_names=extra)
        rows.append(_row(name, market, outcome, best, found, seconds, sort_seconds))
    return AuditReport.of(market, rows, left_out)


def _chosen(asked: str | Iterable[str] | Mapping[str, Mechanism]) -> Mapping[str, Mechanism]:
    """The mechanisms to audit, by name."""
    if isinstance(asked, str):
        asked = (asked,)
    elif not isinstance(asked, Iterable):
        raise ValueError(f"mechanisms = {asked!r} must be names, or functions by name")
    if not isinstance(asked, Mapping):
        asked = {name: rules.mechanism(name) for name in asked}
    if not asked:
        raise ValueError("mechanisms: is empty")
    for name, mechanism in asked.items():
        if not callable(mechanism):
            raise ValueError(f"mechanisms[{name!r}] = {mechanism!r} must be a function of a market")
    return {name: _checked(name, mechanism) for name, mechanism in asked.items()}


def _checked(name: str, mechanism: Mechanism) -> Mechanism:
    """The mechanism, refused in one line where it returns something else than an outcome."""

    def run(market: Market) -> Outcome:
        outcome = mechanism(market)
        require_outcome(name, outcome)
        return outcome

    return run


def _row(
    name: str,
    market: Market,
    outcome: Outcome,
    best: audit_checks.Optimum,
    found: audit_incentives.Incentives | None,
    seconds: float,
    sort_seconds: float,
) -> MechanismAudit:
    welfare = audit_checks.welfare(market, outcome)
    surplus, verdict = audit_checks.budget_verdict(outcome)
    buyers, sellers = audit_checks.utilities(market, outcome)
    unit = outcome.scale * HALF_UNITS
    worst = max(0, -int(buyers.min(initial=0)), -int(sellers.min(initial=0)))
    negative = int(np.count_nonzero(buyers < 0) + np.count_nonzero(sellers < 0))
    step = outcome.parameters.get("step")
    problems = tuple(audit_checks.infeasibilities(market, outcome))
    ticks = outcome.parameters.get("ticks")
    people = market.n_buyers + market.n_sellers if outcome.rounds is not None else None
    deviations = found.deviations if found else ()
    gains = {side: [d.gain for d in deviations if d.side == side] for side in ("buyer", "seller")}
    top = max(deviations, key=lambda d: d.gain, default=None)
    return MechanismAudit(
        mechanism=name,
        welfare=welfare / HALF_UNITS,
        optimal_welfare=best.welfare / HALF_UNITS,
        welfare_ratio=welfare / best.welfare if best.welfare else 1.0,
        trades=outcome.trades,
        surplus=surplus / unit,
        budget=verdict,
        traders_welfare=(audit_checks.total(buyers) + audit_checks.total(sellers)) / unit,
        feasible=not problems,
        problems=problems,
        ir_violations=negative,
        max_ir_violation=worst / unit,
        max_ir_violation_steps=worst / (outcome.scale * step) if step else None,
        buyer_regret_max=_largest(gains["buyer"]),
        seller_regret_max=_largest(gains["seller"]),
        buyer_gain_share=_share(gains["buyer"]),
        seller_gain_share=_share(gains["seller"]),
        regret_exact=found.exact if found else None,
        false_name_gain_share=_share(found.false_names) if found else None,
        schedule_depends_on_reports=found.schedule_changed if found else None,
        examined=len(deviations),
        best_deviation=top.describe() if top and top.gain > 0 else "",
        rounds=outcome.rounds,
        bisection_rounds=int(math.log2(ticks + 1)) + 1 if ticks else None,
        listeners=people,
        bits=None if people is None or outcome.rounds is None else people * outcome.rounds,
        lp_bound=best.lp_bound / HALF_UNITS,
        optimum_methods=best.methods,
        seconds=seconds,
        seconds_over_sort=seconds / sort_seconds,
    )


def _largest(gains: Sequence[float]) -> float | None:
    """Largest gain in money; None when nobody was examined."""
    return max(gains) / HALF_UNITS if gains else None


def _share(gains: Sequence[float]) -> float | None:
    """Share of gains above zero; None when nobody was examined."""
    return sum(gain > 0 for gain in gains) / len(gains) if gains else None


def _sort_seconds(market: Market) -> float:
    """Time of sorting both sides, best of three."""
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        np.sort(market.values)
        np.sort(market.costs)
        best = min(best, time.perf_counter() - start)
    return best
