"""What ``mecopt audit`` prints: a line per mechanism, what was found, what came out again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mecopt.cli import shell

if TYPE_CHECKING:
    import pandas as pd

    from mechanisms.audit.replay import Replayed
    from mechanisms.audit.report import AuditReport

#: Findings printed of one mechanism; the file holds all of them.
SHOWN = 3
#: Kinds that are a line of the ledger, and in the table already.
_IN_TABLE = ("surplus", "deficit")


def one(report: AuditReport) -> str:
    """The table of an audit, its witnesses and its remarks."""
    columns = {
        "mechanism": "mechanism",
        "welfare_ratio": "W/W*",
        "trades": "trades",
        "budget": "budget",
        "surplus": "kept",
        "ir_violations": "irrational",
        "buyer_regret_max": "buyer regret",
        "seller_regret_max": "seller regret",
        "false_name_gain_max": "false names",
        "anonymous": "anonymous",
        "rounds": "rounds",
    }
    rows = [[_cell(getattr(row, name)) for name in columns] for row in report.rows]
    text = [str(report.market), "", shell.columns(list(columns.values()), rows)]
    told = dict.fromkeys(row.regret_text for row in report.rows if row.regret_exact is not None)
    for words in told:
        names = [row.mechanism for row in report.rows if row.regret_text == words]
        text.append(f"regret {words}: {', '.join(names)}")
    for words in ("ex post", "in expectation"):
        names = [row.mechanism for row in report.rows if row.judged == words]
        if names:
            text.append(f"lotteries, judged {words}: {', '.join(names)}")
    for row in report.rows:
        text += [f"{row.mechanism} contradicts its row, {line}" for line in row.contradictions]
        told_of = [f for f in row.findings if f.kind not in _IN_TABLE or not row.rule]
        kinds = dict.fromkeys(f.kind for f in told_of)
        for kind in kinds:
            same = [f for f in told_of if f.kind == kind]
            count = 1 if row.claims is not None else SHOWN
            text += [f"{row.mechanism}: {f.describe()}" for f in same[:count]]
            if len(same) > count:
                text.append(f"{row.mechanism}: {kind}: {len(same) - count} more in --json")
    return "\n".join([*text, *report.remarks])


def summary(table: pd.DataFrame, markets: int) -> str:
    """The table of a batch."""
    header = ["mechanism", "markets", "W/W*", "minimum", "buyers gain", "sellers gain"]
    header += ["false names", "buyer regret", "seller regret", "irrational", "budget", "failed"]
    rows = []
    for _, row in table.iterrows():
        cells = [str(row["mechanism"]), str(row["markets"]), _interval(row, "welfare_ratio")]
        cells.append(_cell(row["welfare_minimum"]))
        shares = ("buyer_gain_share", "seller_gain_share", "false_name_share")
        cells += [_interval(row, name) for name in shares]
        cells += [_cell(row[f"{side}_regret_max"]) for side in ("buyer", "seller")]
        rows.append([*cells, *(_cell(row[n]) for n in ("irrational", "budget", "failed"))])
    note = "means over markets with 95 % intervals; regret: the largest found"
    return "\n".join([f"{markets} markets", "", shell.columns(header, rows), note])


def replayed(found: Sequence[Replayed]) -> str:
    """One line per finding: whether it came out again."""
    if not found:
        return "no findings"
    same = sum(one.same == "yes" for one in found)
    lines = [f"{one.same}: {one.finding.mechanism}: {one.finding.describe()}" for one in found]
    return "\n".join([*lines, f"{same} of {len(found)} findings came out again"])


def _interval(row: Any, name: str) -> str:
    value, low, high = (row[name], row[f"{name}_low"], row[f"{name}_high"])
    if value is None or value != value:
        return "-"
    if low is None or low != low:
        return f"{value:.4f}"
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
