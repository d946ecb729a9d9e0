"""One self-contained page about an audit: trades, welfare, ledger, incentives, evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from mechanisms.audit import pictures as audit_pictures
from mechanisms.audit.findings import KINDS, Finding, prices_in_words
from mechanisms.audit.report import AuditReport
from mechanisms.audit.row import MechanismAudit
from mechanisms.audit.section import cell, note
from mecopt.bench import html, plot

#: Witnesses shown of one kind and rule; the JSON file holds the others.
SHOWN = 3


def page(report: AuditReport) -> str:
    """The page as HTML; pictures are inside, nothing is fetched."""
    images = {name: plot.png(made) for name, made in audit_pictures.figures(report).items()}
    good = [row for row in report.rows if not row.error]

    def image(name: str, alt: str) -> str:
        return str(html.image(images, name, alt))

    failed = [row for row in report.rows if row.error]
    parts = [
        f"<h1>mecopt audit</h1><p class='headline'>{escape(_headline(report))}</p>",
        *(f"<p class='note'>{escape(line)}</p>" for line in report.remarks),
        *(f"<p><b>{escape(row.mechanism)} failed:</b> {escape(row.error)}</p>" for row in failed),
        "<h2>Trades and prices</h2>",
        image("trades", "Supply and demand with the trades of each rule"),
        "<h2>Who gets the welfare</h2>",
        image("welfare", "Welfare of buyers, sellers and auctioneer, and what is lost"),
        _table(good, _WELFARE),
        "<h2>Budget ledger</h2>",
        _table(good, _LEDGER),
        "<h2>Individual rationality</h2>",
        _rationality(good),
        "<h2>Incentives</h2>",
        f"<p class='note'>{escape(note(report))}</p>",
        image("mechanisms", "Welfare and regret"),
        _table(good, _INCENTIVES),
        "<p class='note'>Shares are unbiased estimates over all traders, with 95 % intervals.</p>",
        "<h3>Witnesses</h3>",
        _witnesses(good, ("misreport", "unequal", "order", "lottery", "error", "infeasible")),
        "<h2>False names</h2>",
        _table(good, _NAMES),
        _witnesses(good, ("false-name",)),
        "<h2>Theorems beside the evidence</h2>",
        _evidence(good),
    ]
    if "clocks" in images:
        parts += ["<h2>Clocks</h2>", image("clocks", "Paths of the clocks")]
    return html.frame("audit", "".join(parts))


def _headline(report: AuditReport) -> str:
    rows = [row for row in report.rows if not row.error]
    count = f"{len(report.rows)} rule{'s' if len(report.rows) > 1 else ''} on {report.market}"
    gaining = [r for r in rows if max(r.buyer_regret_max or 0, r.seller_regret_max or 0) > 0]
    examined = any(row.examined for row in rows)
    ratios = [r.welfare_ratio for r in rows if r.welfare_ratio is not None]
    said = [count]
    if ratios:
        said.append(f"welfare {min(ratios):.3f} to {max(ratios):.3f} of the most there can be")
    if examined:
        said.append(f"somebody gains by another report under {len(gaining)}")
    said.append(f"the auctioneer pays under {sum(r.budget == 'deficit' for r in rows)}")
    return "; ".join(said) + "."


Columns = dict[str, Callable[[MechanismAudit], object]]


def _interval(row: MechanismAudit, name: str) -> str:
    share, low, high = (getattr(row, f"{name}_{part}") for part in ("share", "low", "high"))
    if low is None:
        return ""
    known = "unknown" if share is None else f"{share:.3f}"
    return known if low == high else f"{known} [{low:.3f}, {high:.3f}]"


_WELFARE: Columns = {
    "mechanism": lambda r: r.mechanism,
    "W": lambda r: r.welfare,
    "W*": lambda r: r.optimal_welfare,
    "W / W*": lambda r: "-" if r.welfare_ratio is None else r.welfare_ratio,
    "buyers": lambda r: r.buyers_welfare,
    "sellers": lambda r: r.sellers_welfare,
    "auctioneer": lambda r: r.surplus,
    "lost": lambda r: r.welfare_lost,
    "trades": lambda r: r.trades,
    "broadcasts": lambda r: r.rounds,
}
_LEDGER: Columns = {
    "mechanism": lambda r: r.mechanism,
    "buyers pay": lambda r: r.paid_by_buyers,
    "sellers get": lambda r: r.paid_to_sellers,
    "auctioneer keeps": lambda r: r.surplus,
    "budget": lambda r: r.budget,
}
_INCENTIVES: Columns = {
    "mechanism": lambda r: r.mechanism,
    "buyers' regret": lambda r: r.buyer_regret_max,
    "sellers' regret": lambda r: r.seller_regret_max,
    "which is": lambda r: r.regret_text,
    "buyers that gain": lambda r: _interval(r, "buyer_gain"),
    "sellers that gain": lambda r: _interval(r, "seller_gain"),
    "judged": lambda r: r.judged,
    "equals alike": lambda r: {True: "yes", False: "no", None: ""}[r.equal_treatment],
    "anonymous": lambda r: r.anonymous,
}
_NAMES: Columns = {
    "mechanism": lambda r: r.mechanism,
    "largest gain found": lambda r: r.false_name_gain_max,
    "traders that gain": lambda r: _interval(r, "false_name_gain"),
}


def _table(rows: Sequence[MechanismAudit], columns: Columns) -> str:
    cells = [[cell(of(row)) for of in columns.values()] for row in rows]
    return str(html.table(list(columns), cells))


def _rationality(rows: Sequence[MechanismAudit]) -> str:
    losing = [row for row in rows if row.ir_violations]
    if not losing:
        return "<p>Nobody loses at its true report under any of the rules.</p>"
    columns: Columns = {
        "mechanism": lambda r: r.mechanism,
        "traders with a loss": lambda r: r.ir_violations,
        "largest loss": lambda r: r.max_ir_violation,
        "in steps": lambda r: r.max_ir_violation_steps,
    }
    return _table(losing, columns) + _witnesses(losing, ("irrational",))


def _witnesses(rows: Sequence[MechanismAudit], kinds: Sequence[str]) -> str:
    found: list[Finding] = []
    for row in rows:
        for kind in kinds:
            found += [f for f in row.findings if f.kind == kind][:SHOWN]
    if not found:
        return "<p>None found.</p>"
    cells = [
        [
            f.mechanism,
            KINDS[f.kind],
            f.trader or "",
            prices_in_words(f.true_prices),
            _reported(f),
            _held(f, "before"),
            _held(f, "after"),
            repr(f.gain) if f.gain else "",
            f.detail,
        ]
        for f in found
    ]
    header = ["mechanism", "what", "trader", "true", "reported", "before", "after", "gain", ""]
    return str(html.table(header, cells, text_columns=3))


def _reported(f: Finding) -> str:
    if f.extra is not None:
        kept = "" if f.reported_prices is None else f"{prices_in_words(f.reported_prices)}; "
        prices = tuple(f.extra.get("prices") or (f.extra["price"],))
        return f"{kept}also a {f.extra['side']} at {prices_in_words(prices)}"
    if f.order is not None:
        return f"listed {f.order}"
    return f"(equal: {f.other})" if f.other else prices_in_words(f.reported_prices)


def _held(f: Finding, when: str) -> str:
    held = getattr(f, when)
    return "" if held is None else f"{held.units} at {held.amount!r}"


def _evidence(rows: Sequence[MechanismAudit]) -> str:
    """Each cell of the theorem table with what was measured on this market below it."""
    header = ["mechanism", "", "rational", "buyers", "sellers", "budget", "efficient", "welfare"]
    cells = []
    for row in rows:
        names = ("ir", "buyers", "sellers", "budget", "efficient", "welfare")
        claims = row.claims
        proved = ["no theorem"] + [""] * 5 if claims is None else [claims[name] for name in names]
        cells.append([row.mechanism, "proved", *proved])
        measured = [
            "yes" if not row.ir_violations else f"{row.ir_violations} lose",
            _gain(row.buyer_regret_max),
            _gain(row.seller_regret_max),
            row.budget,
            "yes" if row.welfare_lost == 0 else "no",
            "-" if row.welfare_ratio is None else f"{row.welfare_ratio:.4f} W*",
        ]
        told = "contradicted" if row.contradictions else "here"
        cells.append(["", told, *measured])
    found = [f"{r.mechanism}: {line}" for r in rows for line in r.contradictions]
    words = "".join(f"<p><b>{escape(line)}</b></p>" for line in found)
    return words + str(html.table(header, cells, text_columns=2))


def _gain(regret: float | None) -> str:
    if regret is None:
        return "not examined"
    return "no gain" if regret == 0 else f"gain {regret:.4g}"
