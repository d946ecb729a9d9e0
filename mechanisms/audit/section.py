"""The audit as a section of an HTML report: a table, pictures, and what the words mean."""

from __future__ import annotations

import base64
import html
import io

from matplotlib.figure import Figure

from mechanisms.audit import pictures as audit_pictures
from mechanisms.audit import theorems
from mechanisms.audit.report import AuditReport

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
    head = "".join(f"<th>{html.escape(name)}</th>" for name in (*_COLUMNS.values(), "truthful"))
    body = []
    for row in report.rows:
        cells = [_cell(getattr(row, name)) for name in _COLUMNS]
        cells.append(html.escape(claims.get(row.mechanism, "")))
        body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    picture = _inline(audit_pictures.welfare_and_regret(report), "Welfare and regret")
    note = (
        "Regret: the most one trader gains by one other report, in money; lower bounds where "
        "thresholds are sums of bids. Truthful: buyers / sellers, over all markets, in steps of "
        "the grid where it is a number."
    )
    return (
        f"<section><h2>Mechanisms on {html.escape(report.market)}</h2>"
        f"<div class='scroll'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
        f"<p class='note'>{note}</p>{picture}</section>"
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else html.escape(str(value))


def _inline(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
