"""The audit as a section of an HTML report: a table, pictures, and what the words mean."""

from __future__ import annotations

import io
from html import escape

from mechanisms.audit import pictures as audit_pictures
from mechanisms.audit import theorems
from mechanisms.audit.report import AuditReport
from mecopt.bench import html

_COLUMNS = {
    "mechanism": "mechanism",
    "welfare_ratio": "W / W*",
    "trades": "trades",
    "budget": "budget",
    "ir_violations": "irrational",
    "buyer_regret_max": "buyers' regret",
    "seller_regret_max": "sellers' regret",
    "false_name_gain_share": "false names pay",
    "rounds": "broadcasts",
}


def section(report: AuditReport) -> str:
    """HTML fragment (no scripts, pictures inlined) about an audit.

    Beside each mechanism's measured regret stands what the theorem table claims, so that a reader
    sees a market without a profitable misreport apart from a mechanism without one.
    """
    claims = {row.mechanism: f"{row.buyers} / {row.sellers}" for row in theorems.TABLE}
    rows = [
        [*(_cell(getattr(row, name)) for name in _COLUMNS), claims.get(row.mechanism, "")]
        for row in report.rows
    ]
    png = io.BytesIO()
    audit_pictures.welfare_and_regret(report).savefig(png, format="png", dpi=110)
    note = (
        "Regret: the most one trader gains by one other report, in money; lower bounds where "
        "thresholds are sums of bids. Truthful: buyers / sellers, over all markets, in steps of "
        "the grid where it is a number."
    )
    remarks = "".join(f"<p class='note'>{escape(line)}</p>" for line in report.remarks)
    return (
        f"<section><h2>Mechanisms on {escape(report.market)}</h2>"
        f"{html.table([*_COLUMNS.values(), 'truthful'], rows)}{remarks}"
        f"<p class='note'>{note}</p>"
        f"{html.image({'audit': png.getvalue()}, 'audit', 'Welfare and regret')}</section>"
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
