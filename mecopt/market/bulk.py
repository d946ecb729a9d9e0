"""Large market tables read column by column.

A million rows are too many to look at one at a time. A table without quotes, comments,
compatibility and rows of no units is read here whole; whatever else there is, and whatever is
wrong, is left to `mecopt.market.rows`, which reads slowly and says where.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from mecopt import checks
from mecopt.data import csv_text
from mecopt.market.forming import begins_below_zero
from mecopt.market.instance import Market
from mecopt.market.rows import MOST_UNITS, SIDES, columns_of

#: Files below this many bytes are read row by row: there is nothing to gain.
LEAST_BYTES = 200_000


class _Side(NamedTuple):
    """Prices of one side, unit by unit, trader by trader; names in order."""

    prices: NDArray[np.float64]
    ptr: NDArray[np.int64] | None
    names: tuple[str, ...]


def markets(
    data: bytes, where: str, price_range: tuple[float, float] | None, unit: float, lot: float = 1.0
) -> dict[str, Market] | None:
    """Markets of a CSV file by round (``""`` without rounds); None where rows must be looked at."""
    table = _table(data, where)
    if table is None:
        return None
    try:
        side = _sides(table["side"])
        value = table["value"].cast(pa.float64()).to_numpy(zero_copy_only=False)
        count = _units(table, len(value), lot)
        names = _names(table, side)
    except (pa.ArrowInvalid, ValueError):
        return None
    signed = begins_below_zero(price_range)
    if not np.isfinite(value).all() or ((value < 0).any() and not signed):
        return None
    rounds = table["round"].to_pylist() if "round" in table else None
    labels = [""] if rounds is None else list(dict.fromkeys(rounds))
    found = {}
    for label in labels:
        inside = (
            np.ones(len(value), bool)
            if rounds is None
            else np.fromiter((r == label for r in rounds), bool, len(rounds))
        )
        made = _market(side, value, count, names, inside, price_range, unit, lot)
        if made is None:
            return None
        found[label] = made
    return found


def _table(data: bytes, where: str) -> dict[str, pa.ChunkedArray] | None:
    """Columns by our names, as text without blanks around it."""
    if len(data) < LEAST_BYTES or b'"' in data or b"#" in data or b"\0" in data:
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    first = data.index(b"\n") + 1 if b"\n" in data else 0
    if not first or data[:4] == b"sep=":
        return None
    try:
        header = csv_text.parse(data[:first] + b"\n", where)
        columns = columns_of(header.header, where)
        if "compatible" in columns or "link_cost" in columns:
            return None
        written = [header.header[at] for at in columns.values()]
        read = arrow_csv.read_csv(
            io.BytesIO(data[first:]),
            read_options=arrow_csv.ReadOptions(column_names=list(header.header)),
            parse_options=arrow_csv.ParseOptions(delimiter=header.delimiter, quote_char=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header.header, pa.string()),
                include_columns=written,
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, ValueError):
        return None
    trimmed = {n: pc.utf8_trim_whitespace(read[header.header[at]]) for n, at in columns.items()}
    return trimmed if len(read) else None


def _sides(words: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each row is a buyer's."""
    coded = pc.utf8_lower(words).combine_chunks().dictionary_encode()
    buyer = []
    for word in coded.dictionary.to_pylist():
        if word not in SIDES["buyer"] and word not in SIDES["seller"]:
            raise ValueError(word)
        buyer.append(word in SIDES["buyer"])
    return np.array(buyer)[coded.indices.to_numpy()]


def _units(table: dict[str, pa.ChunkedArray], rows: int, lot: float) -> NDArray[np.int64] | None:
    """Units of each row; None where everybody has one."""
    if "units" not in table:
        return None
    text = table["units"]
    units = pc.if_else(pc.equal(text, ""), str(lot), text).cast(pa.float64()).to_numpy()
    count, off = checks.steps(units, lot)
    whole = count.astype(np.int64)
    if off.any() or (whole < 1).any() or (whole > MOST_UNITS).any():
        raise ValueError("units")
    return None if (whole == 1).all() else whole


def _names(table: dict[str, pa.ChunkedArray], side: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Name of each row's trader."""
    if "id" in table:
        ids = table["id"]
        empty = pc.sum(pc.equal(ids, "")).as_py() or 0
        if not empty:
            return ids.to_numpy()
        if empty < len(ids):
            raise ValueError("id")
    word = pa.array(np.where(side, "buyer ", "seller "))
    place = pa.array(np.arange(1, len(side) + 1)).cast(pa.string())
    return pc.binary_join_element_wise(word, place, "").to_numpy(zero_copy_only=False)


def _market(
    side: NDArray[np.bool_],
    value: NDArray[np.float64],
    count: NDArray[np.int64] | None,
    names: NDArray[np.object_],
    inside: NDArray[np.bool_],
    price_range: tuple[float, float] | None,
    unit: float,
    lot: float,
) -> Market | None:
    made = []
    for is_buyer in (True, False):
        mine = np.flatnonzero(inside & (side == is_buyer))
        one = _side(value[mine], None if count is None else count[mine], names[mine], is_buyer)
        if one is None:
            return None
        made.append(one)
    buyers, sellers = made
    try:
        flat = Market.of(buyers.prices, sellers.prices, price_range=price_range, unit=unit, lot=lot)
        return Market(
            values=flat.values,
            costs=flat.costs,
            price_range=flat.price_range,
            buyer_ptr=buyers.ptr,
            seller_ptr=sellers.ptr,
            buyer_names=buyers.names,
            seller_names=sellers.names,
            meta=flat.meta,
        )
    except ValueError:
        return None


def _side(
    value: NDArray[np.float64],
    count: NDArray[np.int64] | None,
    names: NDArray[np.object_],
    is_buyer: bool,
) -> _Side | None:
    """One side, trader by trader in the order in which they first appear."""
    if not len(value):
        return None
    unique = dict.fromkeys(names.tolist())
    if len(unique) == len(names) and count is None:
        return _Side(value, None, tuple(unique))
    place = {name: i for i, name in enumerate(unique)}
    code = np.fromiter((place[name] for name in names.tolist()), np.int64, len(names))
    order = np.argsort(code, kind="stable")
    code, value = code[order], value[order]
    turn = np.diff(value)
    same = np.diff(code) == 0
    if (same & ((turn > 0) if is_buyer else (turn < 0))).any():
        return None
    units = np.ones(len(value), np.int64) if count is None else count[order]
    held = np.bincount(code, weights=units).astype(np.int64)
    ptr = np.concatenate([[0], np.cumsum(held)]) if (held != 1).any() else None
    return _Side(np.repeat(value, units), ptr, tuple(unique))
