"""What a row of a market table says: words for columns and sides, numbers, text as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mecopt import checks
from mecopt.data import csv_text

#: Names of columns that are understood, the first is ours; the case of letters does not count.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "side": ("side", "type", "role"),
    "value": ("value", "price", "cost", "valuation"),
    "units": ("units", "quantity", "qty", "volume"),
    "id": ("id", "name", "trader", "agent", "user"),
    "compatible": ("compatible",),
    "link_cost": ("link_cost", "link cost"),
    "round": ("round", "period", "session"),
}
#: Words for the sides of the market.
SIDES: Mapping[str, tuple[str, ...]] = {
    "buyer": ("buyer", "buy", "bid", "demand"),
    "seller": ("seller", "sell", "ask", "offer", "supply"),
}
#: Most units of one row.
MOST_UNITS = 1_000_000

_SIDE = {word: side for side, words in SIDES.items() for word in words}


def columns_of(header: Sequence[str], where: str) -> dict[str, int]:
    """Which column of a table holds what.

    Raises
    ------
    ValueError
        Lists the columns found and the names accepted.
    """
    meaning = {word: name for name, words in COLUMNS.items() for word in words}
    accepted = "; ".join(" or ".join(words) for words in COLUMNS.values())
    told = f"it has {csv_text.listed(header)}; accepted are {accepted}"
    found: dict[str, int] = {}
    for at, name in enumerate(header):
        what = meaning.get(name.strip().casefold())
        if what is None:
            raise ValueError(
                f"{where}: unknown column {csv_text.short(name)!r}; {told}"
                if name
                else f"{where}: column {at + 1} has no name (an index?); {told}"
            )
        if what in found:
            raise ValueError(
                f"{where}: columns {header[found[what]]!r} and {name!r} both mean {what}"
            )
        found[what] = at
    for what in ("side", "value"):
        if what not in found:
            raise ValueError(f"{where}: column {what!r} is missing; {told}")
    return found


@dataclass(frozen=True)
class Row:
    """One row of a market table; text without blanks around it."""

    at: str
    position: int
    side: str
    value: float
    units: int
    id: str
    compatible: str
    link_cost: str
    round: str


def rows_of(
    columns: Mapping[str, Sequence[Any]],
    places: Sequence[str],
    *,
    lot: float = 1.0,
    signed: bool = False,
) -> Iterator[Row]:
    """The rows of a table, checked one by one.

    Parameters
    ----------
    columns : mapping of str to sequence
        Cells of the columns there are, by our names; None where there is none.
    places : sequence of str
        Where each row is, for messages.
    lot : float
        How much of the good a unit is; the column ``units`` holds multiples of it.
    signed : bool
        Whether values may be negative.

    Raises
    ------
    ValueError
        Names the row, the column and the value of whatever is malformed.
    """
    for i, at in enumerate(places):
        row = {name: cells[i] for name, cells in columns.items()}
        text = {n: "" if row.get(n) is None else str(row[n]).strip() for n in COLUMNS}
        side = _SIDE.get(text["side"].casefold())
        if side is None:
            words = " or ".join(", ".join(words) for words in SIDES.values())
            raise ValueError(f"{at}: side = {row['side']!r} must be buyer or seller ({words})")
        for name in ("compatible", "link_cost"):
            if text[name] and side == "seller":
                raise ValueError(f"{at}: {name} belongs on a buyer's row")
        units = 1 if text["units"] == "" else _units(at, row["units"], lot)
        value = _number(at, "value", row["value"], signed=signed)
        rest = [text[name] for name in ("id", "compatible", "link_cost", "round")]
        yield Row(at, i + 1, side, value, units, *rest)


def _units(at: str, cell: Any, lot: float) -> int:
    """How many lots a cell of the column ``units`` is."""
    amount = _number(at, "units", cell)
    count, off = checks.steps(amount, lot)
    if not off and count <= MOST_UNITS:
        return int(count)
    if lot == 1:
        finest = min((d for d in range(1, 7) if not checks.steps(amount, 10.0**-d)[1]), default=0)
        hint = f"; with --lot {10.0**-finest:g} (lot={10.0**-finest:g}) it is" if finest else ""
        raise ValueError(
            f"{at}: units = {cell!r} must be a whole number up to {MOST_UNITS}{hint if off else ''}"
        )
    raise ValueError(
        f"{at}: units = {cell!r} must be a whole number of lots of {lot:g}, up to {MOST_UNITS}"
    )


def costs_of(at: str, cell: str, sellers: int) -> list[float]:
    """Link costs of a buyer to its sellers: one for all, or one each, separated by semicolons."""
    parts = [part.strip() for part in cell.split(";")] if ";" in cell else cell.split()
    costs = [_number(at, "link_cost", part) for part in parts if part]
    if len(costs) not in (1, sellers):
        raise ValueError(
            f"{at}: link_cost = {cell!r} must be one number, or one for each of {sellers} sellers"
        )
    return costs * sellers if len(costs) == 1 else costs


def _number(at: str, name: str, value: Any, *, signed: bool = False) -> float:
    if isinstance(value, str) and not set(value.strip()) <= csv_text.NUMERALS:
        raise ValueError(f"{at}: {name} = {value!r} is not a number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{at}: {name} = {value!r} is not a number") from None
    if not np.isfinite(number):
        raise ValueError(f"{at}: {name} = {value!r} is not a finite number")
    if number < 0 and not signed:
        hint = "; a price range that begins below zero takes it" if name == "value" else ""
        raise ValueError(f"{at}: {name} = {value!r} is negative{hint}")
    return number
