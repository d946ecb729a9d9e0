"""A table of a paper as aligned text: blocks of rows under headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mecopt.bench.paper_tables.table import Figure, Quantity, Table


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
    for protocol, heading in table.protocols.items():
        figures = [f for f in table.figures if f.protocol == protocol]
        if not figures:
            continue
        settings = list(dict.fromkeys(f.setting for f in figures))
        if len(settings) == 1:
            label = f"{heading}, {settings[0]}" if settings[0] else heading
            out.append(_by_quantity(table, label, figures))
        else:
            quantities = dict.fromkeys(f.quantity for f in figures)
            out += [_by_setting(table, heading, figures, settings, q) for q in quantities]
    return out


def _by_quantity(table: Table, heading: str, figures: Sequence[Figure]) -> Block:
    quantities = list(dict.fromkeys(f.quantity for f in figures))
    printed = {f.quantity for f in figures if f.paper is not None}
    measured = {f.quantity for f in figures if np.isfinite(f.ours)}
    by_key = {(f.method, f.policy, f.quantity): f for f in figures}
    has_methods = any(f.method for f in figures)
    header = ["paper's method"] * has_methods + ["ours"]
    for quantity in quantities:
        name = table.quantities[quantity].heading
        if quantity not in printed:
            header.append(name)
        else:
            header += [f"{name}: paper", "ours", "difference"][: 3 if quantity in measured else 1]
    rows = []
    for method, policy in dict.fromkeys((f.method, f.policy) for f in figures):
        row = [method or "-"] * has_methods + [policy]
        for quantity in quantities:
            shown = table.quantities[quantity]
            figure = by_key.get((method, policy, quantity))
            if quantity not in printed:
                row.append(_ours(figure, shown, interval=shown.interval))
            else:
                ours = _ours(figure, shown, interval=shown.interval)
                cells = [_paper(figure), ours, _difference(figure, shown.digits)]
                row += cells[: 3 if quantity in measured else 1]
        rows.append(tuple(row))
    return Block(heading, tuple(header), tuple(rows), 1 + has_methods)


def _by_setting(
    table: Table, heading: str, figures: Sequence[Figure], settings: Sequence[str], quantity: str
) -> Block:
    kind = table.quantities[quantity]
    of_quantity = [f for f in figures if f.quantity == quantity]
    by_key = {(f.policy, f.setting): f for f in of_quantity}
    said = dict.fromkeys(
        f"{f.method} {f.relation} {f.paper:g}" for f in of_quantity if f.paper is not None
    )
    paper = f" (paper: {'; '.join(said)})" if said else ""
    shown = [s for s in settings if any(f.setting == s for f in of_quantity)]
    rows = [
        (policy, *(_ours(by_key.get((policy, s)), kind) for s in shown))
        for policy in dict.fromkeys(f.policy for f in of_quantity if np.isfinite(f.ours))
    ]
    label = f"{heading}: {kind.heading}{paper}"
    return Block(label, ("policy", *shown), tuple(rows), 1)


def _ours(figure: Figure | None, kind: Quantity, *, interval: bool = False) -> str:
    if figure is None or not np.isfinite(figure.ours):
        return "-"
    digits = kind.digits
    text = f"{round(figure.ours, digits) + 0.0:.{digits}f}"  # no minus before a zero
    if not (interval and np.isfinite(figure.low)):
        return text
    return f"{text} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"


def _paper(figure: Figure | None) -> str:
    if figure is None or figure.paper is None:
        return "-"
    return f"{figure.relation if figure.relation != '=' else ''}{figure.paper:g}"


def _difference(figure: Figure | None, digits: int) -> str:
    if figure is None or figure.difference is None or not np.isfinite(figure.difference):
        return "-"
    return f"{figure.difference:+.{min(3, digits)}f}"
