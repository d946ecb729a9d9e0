"""Queries and servers as tables: data frames, or two CSV files.

A table of queries has one row per query: ``bits``, ``work``, ``local_s``, ``uncertainty``,
``accuracy`` (of the device's answer), optionally ``user`` (its name), and a column
``rate_bps NAME`` for every server (0 or empty: out of reach). A table of servers has one row per
server: ``server`` (its name), ``speed``, ``accuracy``, and optionally ``queue_s`` (0) and ``room``
(no limit).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecopt.data import csv_text
from mecopt.data.tables import content

#: Columns of numbers that a table of queries must have, and one of servers.
QUERY, SERVER = ("bits", "work", "local_s", "uncertainty", "accuracy"), ("speed", "accuracy")
#: Those that servers may have, and what stands for them.
OPTIONAL = {"queue_s": 0.0, "room": np.inf}
#: What columns of rates begin with.
RATE = "rate_bps "


class _Table:
    """Cells of a table as text, and where each is, for messages."""

    def __init__(self, where: str, names: Sequence[str], places: Sequence[str]) -> None:
        self.where, self.names, self.places = where, tuple(names), places
        self.columns: dict[str, Sequence[Any]] = {}

    def number(self, name: str, *, missing: float | None = None) -> NDArray[np.float64]:
        """A column of numbers; an empty cell is `missing`, or refused without it."""
        out = np.empty(len(self.places))
        for row, cell in enumerate(self.columns[name]):
            if missing is not None and cell in ("", None):
                out[row] = missing
                continue
            try:
                out[row] = float(cell)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{self.places[row]}, column {name!r}: {cell!r} is not a number"
                ) from None
            if not np.isfinite(out[row]):
                raise ValueError(f"{self.places[row]}, column {name!r}: {cell!r} is not finite")
        return out

    def text(self, name: str, instead: str) -> list[str]:
        """A column of names; those of rows without one are made from `instead`."""
        cells = self.columns.get(name, [""] * len(self.places))
        return [str(cell).strip() or f"{instead} {i}" for i, cell in enumerate(cells)]

    def check(self, needed: Sequence[str], known: Sequence[str]) -> None:
        """Refuse tables without rows, without a column that is needed, or with one not known."""
        listed = csv_text.listed(self.names)
        for name in needed:
            if name not in self.names:
                raise ValueError(f"{self.where}: column {name!r} is missing, it has {listed}")
        for name in self.names:
            if name not in known:
                raise ValueError(
                    f"{self.where}: unknown column {name!r}, one of {', '.join(known)}"
                )
        if not self.places:
            raise ValueError(f"{self.where}: has a header but no rows")


def _from_frame(frame: pd.DataFrame, where: str) -> _Table:
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"{where}: {type(frame).__name__} is no DataFrame")
    names = [str(name) for name in frame.columns]
    table = _Table(where, names, [f"{where}: row {i}" for i in range(1, len(frame) + 1)])
    for at, name in enumerate(names):
        cells = frame.iloc[:, at]
        table.columns[name] = ["" if pd.isna(cell) else cell for cell in cells]
    return table


def _from_csv(path: str | os.PathLike[str]) -> _Table:
    text = csv_text.parse(content(Path(path)), os.fspath(path))
    table = _Table(text.where, text.header, [text.at(row) for row in range(len(text.rows))])
    numbers = text.numbers([n for n in text.header if n not in ("user", "server")])
    for name in text.header:
        table.columns[name] = numbers.get(name) or text.cells(name)
    return table


def of_frames(queries: pd.DataFrame, servers: pd.DataFrame) -> dict[str, Any]:
    """Fields of a snapshot from two data frames; see `QuerySnapshot.from_frame`."""
    return _fields(_from_frame(queries, "queries"), _from_frame(servers, "servers"))


def of_files(queries: str | os.PathLike[str], servers: str | os.PathLike[str]) -> dict[str, Any]:
    """Fields of a snapshot from two CSV files; see `QuerySnapshot.from_csv`."""
    meta = {"scenario": "queries", "preset": Path(queries).name, "seed": 0}
    return {**_fields(_from_csv(queries), _from_csv(servers)), "meta": meta}


def _fields(queries: _Table, servers: _Table) -> dict[str, Any]:
    servers.check(("server", *SERVER), ("server", *SERVER, *OPTIONAL))
    names = servers.text("server", "server")
    rates = [RATE + name for name in names]
    queries.check((*QUERY, *rates), ("user", *QUERY, *rates))
    extra = {
        name: servers.number(name, missing=instead)
        if name in servers.names
        else np.full(len(names), instead)
        for name, instead in OPTIONAL.items()
    }
    room = np.minimum(extra["room"], 2.0**31)
    for row in np.flatnonzero(room != np.floor(room)).tolist():
        raise ValueError(f"{servers.places[row]}, column 'room': {room[row]} is no whole number")
    for name in ("uncertainty", "accuracy"):
        _share(queries, name)
    _share(servers, "accuracy")
    return {
        "users": tuple(queries.text("user", "query")),
        "servers": tuple(names),
        "bits": queries.number("bits"),
        "work": queries.number("work"),
        "rate_bps": np.stack([queries.number(name, missing=0.0) for name in rates], axis=1),
        "speed": servers.number("speed"),
        "queue_s": extra["queue_s"],
        "room": room.astype(np.int64),
        "local_s": queries.number("local_s"),
        "uncertainty": queries.number("uncertainty"),
        "accuracy_local": queries.number("accuracy"),
        "accuracy_edge": servers.number("accuracy"),
    }


def _share(table: _Table, name: str) -> None:
    """Refuse what is no probability, with its place."""
    values = table.number(name)
    for row in np.flatnonzero((values < 0) | (values > 1)).tolist():
        raise ValueError(
            f"{table.places[row]}, column {name!r}: {values[row]:g} must be between 0 and 1"
        )
