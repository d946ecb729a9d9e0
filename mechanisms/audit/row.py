"""What an audit says of one mechanism on one market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mechanisms.audit.findings import Finding


@dataclass(frozen=True, kw_only=True)
class MechanismAudit:
    """Findings about one mechanism on one market; money in units of account.

    Whatever could not be computed is None: everything after `error`, where the rule failed.

    Parameters
    ----------
    mechanism : str
    rule, options : str, mapping
        From what `mecopt audit --replay` makes the rule again: a name of `mechanisms.rules` or
        ``package.module:function``, and options; no rule: a function without an address.
    error : str
        Why a rule of somebody's own has no outcome of the market.
    judged : str
        ``as it is``; ``ex post`` (a seeded lottery, after the lot); or ``in expectation`` (another
        outcome whenever it is asked: figures are means over draws).
    welfare, optimal_welfare, welfare_ratio, welfare_lost : float or None
        Sum of true values minus costs (and link costs) of what is traded; its maximum W*; their
        ratio (1 where they are equal, None where W* is 0 and the welfare is not); and W* - W.
    buyers_welfare, sellers_welfare : float or None
        Sums of the traders' utilities.
    trades : float or None
        Units traded.
    paid_by_buyers, paid_to_sellers, surplus : float or None
        The ledger; surplus is what the auctioneer keeps (negative: a deficit).
    budget : str
        ``strong`` (exactly zero), ``weak`` (positive) or ``deficit``; whole numbers decide.
    feasible : bool or None
    problems : tuple of str
        Whatever makes the outcome infeasible, or its log unfaithful.
    ir_violations : int or None
        Traders with negative utility at their true report.
    max_ir_violation, max_ir_violation_steps : float or None
        Worst of them, in money and in steps of the grid (None without a grid).
    buyer_regret_max, seller_regret_max : float or None
        Largest gain found from one other report; None when incentives were not examined.
    regret_exact : bool or None
        True: nobody can gain more than that (every trader was examined, and it is declared of the
        rule where its outcomes can change). Otherwise these are the largest gains found among
        `examined` traders, at up to `reports_each` reports each.
    examined, reports_each : int
    buyer_gain_share, seller_gain_share : float or None
        Share of all buyers and sellers that gain by one of the reports tried: an unbiased estimate,
        with a 95 % interval in ``..._low`` and ``..._high``.
    false_name_gain_share, false_name_gain_max : float or None
        Share of all traders that gain by one extra report (with its interval), and the largest gain
        found; None where nobody was examined.
    schedule_depends_on_reports : bool or None
        A step schedule that reacts to reports: no DSIC claim whatever the regrets say.
    equal_treatment : bool or None
        Traders with equal reports have equal utility.
    anonymous : str or None
        ``yes``, ``up to ties``, ``by lot``, or ``no``: the order of listing decides.
    claims : mapping or None
        The cells of `theorems.TABLE` for this rule and kind of market; None where it has no row.
    contradictions : tuple of str
        Cells that the figures contradict.
    findings : tuple of Finding
    rounds, bisection_rounds : int or None
        Broadcasts of a clock auction, and what bisection needs for the trades of ``unit``.
    listeners, bits : int or None
        Traders who hear each broadcast; one yes or no each per broadcast.
    lp_bound : float
        LP relaxation of W*.
    optimum_methods : str
        How W* was established.
    seconds, seconds_over_sort : float or None
        Time of the mechanism once it is compiled, and over np.sort of both sides.
    """

    mechanism: str
    rule: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    judged: str = "as it is"
    welfare: float | None = None
    optimal_welfare: float
    welfare_ratio: float | None = None
    welfare_lost: float | None = None
    buyers_welfare: float | None = None
    sellers_welfare: float | None = None
    trades: float | None = None
    paid_by_buyers: float | None = None
    paid_to_sellers: float | None = None
    surplus: float | None = None
    budget: str = ""
    feasible: bool | None = None
    problems: tuple[str, ...] = ()
    ir_violations: int | None = None
    max_ir_violation: float | None = None
    max_ir_violation_steps: float | None = None
    buyer_regret_max: float | None = None
    seller_regret_max: float | None = None
    regret_exact: bool | None = None
    examined: int = 0
    reports_each: int = 0
    buyer_gain_share: float | None = None
    buyer_gain_low: float | None = None
    buyer_gain_high: float | None = None
    seller_gain_share: float | None = None
    seller_gain_low: float | None = None
    seller_gain_high: float | None = None
    false_name_gain_share: float | None = None
    false_name_gain_low: float | None = None
    false_name_gain_high: float | None = None
    false_name_gain_max: float | None = None
    schedule_depends_on_reports: bool | None = None
    equal_treatment: bool | None = None
    anonymous: str | None = None
    claims: Mapping[str, str] | None = None
    contradictions: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    rounds: int | None = None
    bisection_rounds: int | None = None
    listeners: int | None = None
    bits: int | None = None
    lp_bound: float
    optimum_methods: str
    seconds: float | None = None
    seconds_over_sort: float | None = None

    @property
    def regret_text(self) -> str:
        """What the largest gains found stand for, in words."""
        if self.regret_exact is None:
            return "not examined"
        if self.regret_exact:
            return "exact"
        return f"largest found among {self.examined}, at {self.reports_each} reports each"

    @property
    def best_deviation(self) -> str:
        """The most profitable misreport, in words."""
        found = [f for f in self.findings if f.kind == "misreport"]
        return max(found, key=lambda f: f.gain).describe() if found else ""

    def to_document(self) -> dict[str, Any]:
        """The fields as JSON keeps them."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        body["findings"] = [finding.to_document() for finding in self.findings]
        return body | {n: list(body[n]) for n in ("problems", "contradictions")}

    @classmethod
    def from_document(cls, body: Mapping[str, Any], where: str) -> MechanismAudit:
        """Inverse of `to_document`; a ValueError names what is malformed."""
        try:
            found = [Finding.from_document(f, where) for f in body["findings"]]
            given = {name: body[name] for name in cls.__dataclass_fields__}
            lists = {n: tuple(body[n]) for n in ("problems", "contradictions")}
        except (KeyError, TypeError) as error:
            raise ValueError(f"{where}: malformed row of an audit ({error})") from None
        return cls(**{**given, **lists, "findings": tuple(found)})
