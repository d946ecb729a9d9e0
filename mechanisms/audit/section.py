"""The audit as a section of an HTML report: a table, pictures, and what the words mean."""

from __future__ import annotations

from html import escape

from mechanisms.audit import pictures as audit_pictures
from mechanisms.audit.report import AuditReport
from mechanisms.audit.row import MechanismAudit
from mecopt.bench import html, plot

_COLUMNS = {
    "mechanism": "mechanism",
    "welfare_ratio": "W / W*",
    "trades": "trades",
    "budget": "budget",
    "ir_violations": "irrational",
    "buyer_regret_max": "buyers' regret",
    "seller_regret_max": "sellers' regret",
    "false_name_gain_max": "false names",
    "rounds": "broadcasts",
}


def section(report: AuditReport) -> str:
    """HTML fragment (no scripts, pictures inlined) about an audit.

    Beside each mechanism's measured regret stands what is proved of it on markets of this kind, so
    that a reader sees a market without a profitable misreport apart from a mechanism without one.
    """
    rows = [[*(cell(getattr(row, name)) for name in _COLUMNS), claim(row)] for row in report.rows]
    png = plot.png(audit_pictures.welfare_and_regret(report))
    remarks = "".join(f"<p class='note'>{escape(line)}</p>" for line in report.remarks)
    return (
        f"<section><h2>Mechanisms on {escape(str(report.market))}</h2>"
        f"{html.table([*_COLUMNS.values(), 'truthful'], rows)}{remarks}"
        f"<p class='note'>{escape(note(report))}</p>"
        f"{html.image({'audit': png}, 'audit', 'Welfare and regret')}</section>"
    )


def claim(row: MechanismAudit) -> str:
    """What is proved about truth-telling: buyers / sellers; what there is no theorem about."""
    if row.claims is None:
        return "no theorem"
    return f"{row.claims['buyers']} / {row.claims['sellers']}"


def note(report: AuditReport) -> str:
    """What the columns mean, and where a regret is exact."""
    exact = [row.mechanism for row in report.rows if row.regret_exact]
    parts = [
        "Regret: the most one trader gains by one other report, in money; exact for "
        f"{', '.join(exact)}."
        if exact
        else "Regret: the largest gain found from one other report, in money; nowhere proved to be "
        "the largest there is."
    ]
    searched = [row for row in report.rows if row.regret_exact is False]
    if exact and searched:
        parts.append(
            f"Otherwise ({len(searched)} of {len(report.rows)}) it is the largest found among "
            f"{max(row.examined for row in searched)} traders, at up to "
            f"{max(row.reports_each for row in searched)} reports each."
        )
    parts.append(
        "Truthful: proved for buyers / sellers on all markets of this kind, in steps of the grid "
        "where it is a number; 'measured' is no claim."
    )
    return " ".join(parts)


def cell(value: object) -> str:
    """A figure for a table."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
