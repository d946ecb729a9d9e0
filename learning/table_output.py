"""A table as text, Markdown, JSON and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning.measured import Figure, Request
from learning.tables import Table
from mecopt import files
from mecopt.cli.shell import plain

TABLE_SCHEMA = "mecopt.published-table"

#: Quantity -> heading, digits shown.
QUANTITIES = {
    "cost_slots": ("cost, slots", 4),
    "drop_percent": ("lost, %", 2),
    "pr_percent": ("PR, %", 2),
    "agreement_percent": ("as oracle, %", 1),
    "parsed_percent": ("parsed, %", 1),
    "gap_percent": ("gap to bound, %", 2),
    "backlog_fairness": ("backlog fairness", 3),
    "assignment_fairness": ("tasks fairness", 3),
    "lbi_percent": ("LBI, %", 2),
    "change_slots": ("change of cost, slots", 4),
    "gap_change_percent": ("change of gap, points", 2),
}
PROTOCOLS = {"states": "Independent states", "episodes": "Whole episodes, against proven bounds"}


@dataclass(frozen=True)
class Block:
    """Rows and columns of text under a heading; the first `text_columns` are words."""

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int


def blocks(table: Table) -> list[Block]:
    """The figures of a table, arranged for reading.

    With one setting: a row per policy, a column per quantity, three where the paper has it too.
    With several: a row per policy, a column per setting, a block per quantity.
    """
    out = []
    for protocol, heading in PROTOCOLS.items():
        figures = [f for f in table.figures if f.protocol == protocol]
        if not figures:
            continue
        settings = list(dict.fromkeys(f.setting for f in figures))
        if len(settings) == 1:
            label = f"{heading}, {settings[0]}" if settings[0] else heading
            out.append(_by_quantity(label, figures))
        else:
            quantities = dict.fromkeys(f.quantity for f in figures)
            out += [_by_setting(heading, figures, settings, q) for q in quantities]
    return out


def _by_quantity(heading: str, figures: Sequence[Figure]) -> Block:
    quantities = list(dict.fromkeys(f.quantity for f in figures))
    printed = {f.quantity for f in figures if f.paper is not None}
    measured = {f.quantity for f in figures if np.isfinite(f.ours)}
    by_key = {(f.method, f.policy, f.quantity): f for f in figures}
    has_methods = any(f.method for f in figures)
    header = ["paper's method"] * has_methods + ["ours"]
    for quantity in quantities:
        name = QUANTITIES[quantity][0]
        if quantity not in printed:
            header.append(name)
        else:
            header += [f"{name}: paper", "ours", "difference"][: 3 if quantity in measured else 1]
    rows = []
    for method, policy in dict.fromkeys((f.method, f.policy) for f in figures):
        row = [method or "-"] * has_methods + [policy]
        for quantity in quantities:
            figure = by_key.get((method, policy, quantity))
            if quantity not in printed:
                row.append(_ours(figure))
            else:
                cells = [_paper(figure), _ours(figure), _difference(figure)]
                row += cells[: 3 if quantity in measured else 1]
        rows.append(tuple(row))
    return Block(heading, tuple(header), tuple(rows), 1 + has_methods)


def _by_setting(
    heading: str, figures: Sequence[Figure], settings: Sequence[str], quantity: str
) -> Block:
    of_quantity = [f for f in figures if f.quantity == quantity]
    by_key = {(f.policy, f.setting): f for f in of_quantity}
    said = dict.fromkeys(
        f"{f.method} {f.relation} {f.paper:g}" for f in of_quantity if f.paper is not None
    )
    paper = f" (paper: {'; '.join(said)})" if said else ""
    shown = [s for s in settings if any(f.setting == s for f in of_quantity)]
    rows = [
        (policy, *(_ours(by_key.get((policy, s)), interval=False) for s in shown))
        for policy in dict.fromkeys(f.policy for f in of_quantity if np.isfinite(f.ours))
    ]
    label = f"{heading}: {QUANTITIES[quantity][0]}{paper}"
    return Block(label, ("policy", *shown), tuple(rows), 1)


def _ours(figure: Figure | None, *, interval: bool = True) -> str:
    if figure is None or not np.isfinite(figure.ours):
        return "-"
    digits = QUANTITIES[figure.quantity][1]
    text = f"{round(figure.ours, digits) + 0.0:.{digits}f}"  # no minus before a zero
    shown = (
        interval and np.isfinite(figure.low) and figure.quantity in ("gap_percent", "pr_percent")
    )
    return f"{text} ({figure.low:.{digits}f} to {figure.high:.{digits}f})" if shown else text


def _paper(figure: Figure | None) -> str:
    if figure is None or figure.paper is None:
        return "-"
    return f"{figure.relation if figure.relation != '=' else ''}{figure.paper:g}"


def _difference(figure: Figure | None) -> str:
    if figure is None or figure.difference is None or not np.isfinite(figure.difference):
        return "-"
    return f"{figure.difference:+.{min(3, QUANTITIES[figure.quantity][1])}f}"


# ------------------------------------------------------------------------------------------- files
def markdown(table: Table) -> str:
    """The table for a page."""
    parts = [f"# {table.title}\n"]
    for block in blocks(table):
        n = len(block.header) - block.text_columns
        lines = ["| " + " | ".join(block.header) + " |"]
        lines.append("|" + "---|" * block.text_columns + "--:|" * n)
        lines += ["| " + " | ".join(row) + " |" for row in block.rows]
        parts.append(f"\n## {block.heading}\n\n" + "\n".join(lines) + "\n")
    return "".join(parts) + "\n" + "".join(f"* {note}\n" for note in table.notes)


def document(table: Table, request: Request) -> dict[str, Any]:
    """The table and what it was made from, JSON-able."""
    return {
        "table": table.name,
        "title": table.title,
        "paper": "arXiv 2604.07148",
        "preset": request.preset,
        "states": request.states,
        "seed": request.seed,
        "episode_seeds": list(range(*request.seeds)),
        "policies": list(request.policies),
        "checkpoints": {c.name: c.digest for c in request.checkpoints},
        "figures": [{**vars(f), "difference": f.difference} for f in table.figures],
        "notes": list(table.notes),
    }


def write(table: Table, request: Request) -> list[Path]:
    """Write JSON, Markdown and picture to the folder of the request; returns their paths."""
    from learning import table_pictures
    from mecopt import plot

    stem = request.out / f"table-{table.name}"
    text = json.dumps(plain(document(table, request)), indent=1, allow_nan=False) + "\n"
    written = {
        ".json": text.encode(),
        ".md": markdown(table).encode(),
        ".png": plot.png(table_pictures.draw(table)),
    }
    for suffix, data in written.items():
        files.write_bytes(stem.with_suffix(suffix), data)
    return [stem.with_suffix(suffix) for suffix in written]
