"""Markets as tables: a CSV file, or a data frame.

One row per trader: ``side``, ``value`` (a buyer's value or a seller's cost, per unit) and,
optionally, ``units`` (1 by default; a row of 0 units is no unit and is left out), ``id`` and
``compatible``. Rows with the same side and id are further units of one trader, at their own price.
`mecopt.market.rows` lists other words for the same. A column ``round`` makes a market of the rows
of each round.

``compatible`` stands on a buyer's row: the ids of the sellers that can serve it, separated by
semicolons, or by blanks; ``*`` means everybody and ``-`` nobody. A buyer of whom nothing is said
(an empty cell in all its rows) can be served by everybody. ``link_cost``, on a buyer's row too, is
one number, or one for each of these sellers in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mecopt import checks
from mecopt.data import csv_text
from mecopt.data.tables import content
from mecopt.market import bulk
from mecopt.market.forming import begins_below_zero, check_lot
from mecopt.market.instance import Market
from mecopt.market.rows import SIDES, Row, columns_of, costs_of, rows_of
from mecopt.market.units import LARGEST, MINOR_UNITS, check_unit, suggestion

#: In the column `compatible`.
EVERYBODY, NOBODY = "*", "-"


def from_frame(
    table: pd.DataFrame,
    *,
    price_range: tuple[float, float] | None = None,
    unit: float = 1.0,
    lot: float = 1.0,
    where: str = "market",
) -> Market:
    """Market from a table (columns in the module docstring).

    Parameters
    ----------
    table : DataFrame
        Missing values (NaN, None) are empty cells; text is text.
    price_range : (float, float), optional
    unit : float
        Unit of account in money (`Market.of`).
    lot : float
        How much of the good a unit is (`Market.of`): quantities are multiples of it.
    where : str
        For messages.

    Raises
    ------
    ValueError
        Names the field and the row (counted from 1) of whatever is malformed.
    """
    names = columns_of([str(c) for c in table.columns], where)
    columns = {
        name: [None if _missing(x) else x for x in table.iloc[:, at]] for name, at in names.items()
    }
    places = [f"{where}: row {i}" for i in range(1, len(table) + 1)]
    rows = rows_of(columns, places, lot=lot, signed=begins_below_zero(price_range))
    return _single(_rounds(rows, where, price_range, unit, lot), where)


def _single(markets: Mapping[str, Market], where: str) -> Market:
    """The one market of a table."""
    if len(markets) > 1:
        raise ValueError(f"{where}: holds {len(markets)} rounds, a market each; use read_markets")
    return next(iter(markets.values()))


def _rounds(
    rows: Iterable[Row],
    where: str,
    price_range: tuple[float, float] | None,
    unit: float,
    lot: float,
) -> dict[str, Market]:
    """One market per round, in the order in which they begin."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row.round, []).append(row)
    if not parts:
        parts[""] = []
    if len(parts) > 1 and "" in parts:
        raise ValueError(f"{parts[''][0].at}: has no round, other rows have")
    return {
        label: _market(
            part, f"{where}, round {label!r}" if label else where, price_range, unit, lot
        )
        for label, part in parts.items()
    }


def read_market(
    path: str | os.PathLike[str],
    *,
    price_range: tuple[float, float] | None = None,
    unit: float = 1.0,
    lot: float = 1.0,
) -> Market:
    """Market from a CSV file, or from the JSON file that `Market.save` writes.

    Parameters
    ----------
    path : path
        ``.json`` and ``.json.gz`` are read as JSON, everything else as CSV.
    price_range : (float, float), optional
        In the money of the file.
    unit : float
        Unit of account in the money of the file (`Market.of`).
    lot : float
        How much of the good a unit is (`Market.of`): quantities are multiples of it.

    Raises
    ------
    FileNotFoundError, ValueError
        Names the file, and the line and column of whatever is malformed.
    """
    if os.fspath(path).lower().endswith((".json", ".json.gz")):
        market = Market.load(path)
        if price_range is not None:
            raise ValueError(f"price_range: {path} already states its own")
        if unit != 1:
            raise ValueError(f"unit: {path} already counts in units of account of its own")
        if lot != 1:
            raise ValueError(f"lot: {path} already has lots of its own")
        return market
    return _single(read_markets(path, price_range=price_range, unit=unit, lot=lot), os.fspath(path))


def read_markets(
    path: str | os.PathLike[str],
    *,
    price_range: tuple[float, float] | None = None,
    unit: float = 1.0,
    lot: float = 1.0,
) -> dict[str, Market]:
    """Markets of a file by round, in order; without rounds one market, of the round ``""``.

    Arguments and errors as in `read_market`.
    """
    if os.fspath(path).lower().endswith((".json", ".json.gz")):
        return {"": read_market(path, price_range=price_range, unit=unit, lot=lot)}
    check_unit(unit)
    check_lot(lot)
    data = content(Path(path))
    found = bulk.markets(data, os.fspath(path), price_range, unit, lot)
    if found is not None:
        return found
    text = csv_text.parse(data, os.fspath(path))
    names = columns_of(text.header, text.where)
    written = {name: text.header[at] for name, at in names.items()}
    numbers = text.numbers([written[n] for n in ("value", "units") if n in written])
    columns: dict[str, list[Any]] = {
        name: list(numbers.get(header) or text.cells(header)) for name, header in written.items()
    }
    places = [text.at(row) for row in range(len(text.rows))]
    rows = rows_of(columns, places, lot=lot, signed=begins_below_zero(price_range))
    return _rounds(rows, text.where, price_range, unit, lot)


def _market(
    rows: Iterable[Row],
    where: str,
    price_range: tuple[float, float] | None,
    unit: float,
    lot: float,
) -> Market:
    check_unit(unit)
    check_lot(lot)
    rows = list(rows)
    kept = [row for row in rows if row.units > 0]
    for side in SIDES:
        if not any(row.side == side for row in rows):
            raise ValueError(f"{where}: side: there is no {side}")
        if not any(row.side == side for row in kept):
            raise ValueError(f"{where}: units: no {side} has a unit")
    _check_money(kept, unit)
    every = {side: _traders([row for row in rows if row.side == side]) for side in SIDES}
    traders = {
        side: {name: prices for name, of in every[side].items() if (prices := _prices(of))}
        for side in SIDES
    }
    buyers, sellers = list(traders["buyer"]), list(traders["seller"])
    served = {name: _served(of, every["seller"]) for name, of in every["buyer"].items()}
    compatible = None
    if any(served[name] is not None for name in buyers):
        compatible = [[_serves(served[i], j) for j in sellers] for i in buyers]
    links = {name: _link_costs(every["buyer"][name], sellers) for name in buyers}
    notes = _notes(len(rows) - len(kept), every, traders)
    try:
        return Market.of(
            list(traders["buyer"].values()),
            list(traders["seller"].values()),
            price_range=price_range,
            unit=unit,
            lot=lot,
            compatible=compatible,
            link_cost=[links[i] for i in buyers] if any(map(any, links.values())) else None,
            buyer_names=buyers,
            seller_names=sellers,
            meta={"notes": notes} if notes else None,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _check_money(rows: Sequence[Row], unit: float) -> None:
    """Refuse what the money grid cannot hold, by the place where it is written."""
    amounts = np.array([row.value for row in rows])
    minor = unit / MINOR_UNITS
    for bad, why in (
        (amounts > LARGEST * unit, f"is above {LARGEST * unit:g}"),
        (amounts < -LARGEST * unit, f"is below {-LARGEST * unit:g}"),
        (checks.steps(amounts, minor)[1], f"is not on the grid of {minor:g}"),
    ):
        if bad.any():
            row = rows[int(np.argmax(bad))]
            raise ValueError(f"{row.at}: value = {row.value:.15g} {why}{suggestion(amounts, unit)}")


def _traders(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each trader, by name; a row without an id is a trader of its own."""
    ids = {row.id for row in rows}
    found: dict[str, list[Row]] = {}
    for row in rows:
        name = row.id or f"{row.side} {row.position}"
        if not row.id and name in ids:
            raise ValueError(f"{row.at}: has no id, and another row has the id {name!r}")
        found.setdefault(name, []).append(row)
    return found


def _prices(rows: Sequence[Row]) -> list[float]:
    """One price per unit of a trader, in order: values fall, costs rise."""
    units = [row for row in rows if row.units > 0]
    for before, row in pairwise(units):
        if row.value > before.value if row.side == "buyer" else row.value < before.value:
            turn = "rises within a buyer" if row.side == "buyer" else "falls within a seller"
            raise ValueError(
                f"{row.at}: value = {row.value:.15g} {turn} ({row.id!r} had {before.value:.15g})"
            )
    return [row.value for row in units for _ in range(row.units)]


def _link_costs(rows: Sequence[Row], sellers: Sequence[str]) -> list[float]:
    """Link cost of a buyer to every seller; 0 where nothing is said."""
    said = [row for row in rows if row.link_cost]
    if not said:
        return [0.0] * len(sellers)
    listed = _listed(rows, sellers)
    costs = costs_of(said[0].at, said[0].link_cost, len(listed))
    for row in said[1:]:
        if row.link_cost != said[0].link_cost:
            raise ValueError(
                f"{row.at}: link_cost = {row.link_cost!r}, another row of {row.id!r} says "
                "something else"
            )
    cost = dict(zip(listed, costs, strict=True))
    return [cost.get(seller, 0.0) for seller in sellers]


def _listed(rows: Sequence[Row], sellers: Sequence[str]) -> Sequence[str]:
    """The sellers of a buyer in the order in which its link costs are given."""
    cells = [row.compatible for row in rows if row.compatible not in ("", EVERYBODY)]
    if not cells:
        return sellers
    if cells[0] == NOBODY:
        return []
    return [cells[0]] if cells[0] in sellers else _ids(cells[0])


def _serves(sellers: frozenset[str] | None, seller: str) -> bool:
    return sellers is None or seller in sellers


def _served(rows: Sequence[Row], sellers: Collection[str]) -> frozenset[str] | None:
    """Sellers that can serve the buyer of some rows; None where that is everybody."""
    said = [(row, _named(row, sellers)) for row in rows if row.compatible]
    for (_, one), (row, other) in pairwise(said):
        if one != other:
            raise ValueError(
                f"{row.at}: compatible = {row.compatible!r}, another row of {row.id!r} says "
                "something else"
            )
    return said[0][1] if said else None


def _named(row: Row, sellers: Collection[str]) -> frozenset[str] | None:
    """The sellers of a cell of `compatible`; None for everybody."""
    cell, at = row.compatible, f"{row.at}: compatible = {row.compatible!r}"
    if cell in (EVERYBODY, NOBODY):
        if cell in sellers:
            raise ValueError(f"{at} is a word, and a seller is called so; give it another id")
        return None if cell == EVERYBODY else frozenset()
    parts = _ids(cell)
    unknown = [part for part in parts if part not in sellers]
    if cell in sellers:
        if not unknown and len(parts) > 1:
            raise ValueError(f"{at} is one seller, and several; put semicolons between ids")
        return frozenset([cell])
    if unknown or not parts:
        raise ValueError(
            f"{at}: unknown seller id {(unknown or [cell])[0]!r} ({EVERYBODY} means everybody, "
            f"{NOBODY} nobody)"
        )
    return frozenset(parts)


def _ids(cell: str) -> list[str]:
    """The ids of a cell, in order."""
    parts = [part.strip() for part in cell.split(";")] if ";" in cell else cell.split()
    return [part for part in parts if part]


def _notes(
    dropped: int, every: Mapping[str, Collection[str]], kept: Mapping[str, Collection[str]]
) -> list[str]:
    """What was left out, in a line."""
    if not dropped:
        return []
    gone = [f"{n!r} ({side})" for side in SIDES for n in every[side] if n not in kept[side]]
    rows = "1 row of 0 units is" if dropped == 1 else f"{dropped} rows of 0 units are"
    without = f"; without any unit: {csv_text.listed(gone)}" if gone else ""
    return [f"{rows} left out{without}"]


def _missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
