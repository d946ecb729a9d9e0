"""What a row of a market table says: words for columns and sides, numbers, text as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mecopt.data import csv_text

#: Names of columns that are understood, the first is ours; the case of letters does not count.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "side": ("side", "type", "role"),
    "value": ("value", "price", "cost", "valuation"),
    "units": ("units", "quantity", "qty", "volume"),
    "id": ("id", "name", "trader", "agent", "user"),
    "compatible": ("compatible",),
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
    round: str


def rows_of(columns: Mapping[str, Sequence[Any]], places: Sequence[str]) -> Iterator[Row]:
    """The rows of a table, checked one by one.

    Parameters
    ----------
    columns : mapping of str to sequence
        Cells of the columns there are, by our names; None where there is none.
    places : sequence of str
        Where each row is, for messages.

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
        if text["compatible"] and side == "seller":
            raise ValueError(f"{at}: compatible belongs on a buyer's row")
        units = 1.0 if text["units"] == "" else _number(at, "units", row["units"])
        if units != int(units) or units > MOST_UNITS:
            raise ValueError(
                f"{at}: units = {row['units']!r} must be a whole number up to {MOST_UNITS}"
            )
        value = _number(at, "value", row["value"])
        yield Row(at, i + 1, side, value, int(units), text["id"], text["compatible"], text["round"])


def _number(at: str, name: str, value: Any) -> float:
    if isinstance(value, str) and not set(value.strip()) <= csv_text.NUMERALS:
        raise ValueError(f"{at}: {name} = {value!r} is not a number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{at}: {name} = {value!r} is not a number") from None
    if not np.isfinite(number):
        raise ValueError(f"{at}: {name} = {value!r} is not a finite number")
    if number < 0:
        raise ValueError(f"{at}: {name} = {value!r} is negative")
    return number
