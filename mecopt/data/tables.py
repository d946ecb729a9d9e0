"""Reading a data file: every cell checked, every error names file, line, column and value."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.data import csv_text
from mecopt.data.spec import Column, DataFile


@dataclass(frozen=True, eq=False)
class Table:
    """Checked columns of one file.

    Parameters
    ----------
    path : Path
    sha256 : str
        SHA-256 (hex) of the uncompressed content.
    columns : mapping of str to array
        int64, float64 or str arrays of equal length.
    """

    path: Path
    sha256: str
    columns: Mapping[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def row(self, key: str, value: str) -> int:
        """Index of the first row whose text column `key` equals `value`.

        Raises
        ------
        ValueError
            If there is none; names the file, the column and what it holds.
        """
        at = np.flatnonzero(self.columns[key] == value)
        if len(at) == 0:
            held = ", ".join(dict.fromkeys(map(str, self.columns[key])))
            raise ValueError(f"{self.path}, column {key!r}: no row {value!r}; it has {held}")
        return int(at[0])


def content(path: Path, origin: str = "") -> bytes:
    """The bytes of a file, uncompressed where it is gzip.

    Parameters
    ----------
    path : Path
    origin : str
        Where a good file comes from, for messages.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is a folder or a broken gzip file.
    """
    hint = f"; {origin}" if origin else ""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path}: no such file{hint}") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: is a folder, not a file{hint}") from None
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: truncated or damaged gzip ({error}){hint}") from None


def read(spec: DataFile, data_dir: str | os.PathLike[str]) -> Table:
    """Read and check a data file.

    Parameters
    ----------
    spec : DataFile
    data_dir : path
        The data folder.

    Raises
    ------
    FileNotFoundError
        If the file is not there; says where it comes from.
    ValueError
        What `mecopt.data.csv_text.parse` and `checked_columns` refuse; says where a good file comes
        from.
    """
    path = Path(data_dir) / spec.path
    data = content(path, spec.origin)
    try:
        columns = checked_columns(csv_text.parse(data, str(path)), spec.columns)
    except ValueError as error:
        raise ValueError(f"{error}; {spec.origin}") from None
    return Table(path, hashlib.sha256(data).hexdigest(), columns)


def checked_columns(
    text: csv_text.CsvText, columns: Sequence[Column]
) -> Mapping[str, NDArray[Any]]:
    """Columns of a table as arrays, every cell checked.

    Raises
    ------
    ValueError
        No rows, a missing column, a cell that is empty, not a number, out of range, or lower than
        the one before in a column that must rise; names file, line, column and value.
    """
    for column in columns:
        if column.name not in text.header:
            raise ValueError(
                f"{text.where}: column {column.name!r} is missing, it has {text.found}"
            )
    if not text.rows:
        raise ValueError(f"{text.where}: has a header but no rows")
    numbers = text.numbers([c.name for c in columns if c.kind != "text"])
    return {c.name: _checked(c, text, numbers.get(c.name)) for c in columns}


def _checked(column: Column, text: csv_text.CsvText, numbers: Sequence[str] | None) -> NDArray[Any]:
    """One column as an array; `numbers` are its cells as numbers are written."""
    shown = text.cells(column.name)

    def refuse(bad: NDArray[np.bool_], why: str) -> None:
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(f"{text.at(i, column.name)}: {shown[i]!r} {why}")

    cells = shown if numbers is None else numbers
    empty = np.array([cell == "" for cell in cells])
    if not column.optional:
        refuse(empty, "is empty")
    if numbers is None:
        return np.array(cells)
    filled = [cell for cell in cells if cell != ""]
    parsed = _parsed(filled, column.kind)
    if parsed is None:
        what = "whole number" if column.kind == "int" else "number"
        bad = [cell != "" and _parsed([cell], column.kind) is None for cell in cells]
        refuse(np.array(bad), f"is not a {what}")
        raise AssertionError(f"{column.name}: cells parse one by one, but not together")
    values = parsed
    if column.optional:
        values = np.full(len(cells), np.nan)
        values[~empty] = parsed
    refuse(values < column.low, f"is below {column.low:g} ({column.meaning})")
    refuse(values > column.high, f"is above {column.high:g} ({column.meaning})")
    if column.rising:
        fall = np.diff(values, prepend=values[:1]) < 0
        refuse(fall, "is lower than in the row before; rows must be sorted")
    return values


def _parsed(cells: Sequence[str], kind: str) -> NDArray[Any] | None:
    """Numbers of cells; None when one of them is no number (of the kind)."""
    # NumPy also reads nan, inf, 1_000 and digits of other scripts.
    if not set("".join(cells)) <= csv_text.NUMERALS:
        return None
    written = np.array(cells, dtype=str)
    try:
        if kind == "int" and not any("." in c or "e" in c or "E" in c for c in cells):
            return written.astype(np.int64)
        values = written.astype(np.float64)
    except (ValueError, OverflowError):
        return None
    if kind == "float":
        return values if np.isfinite(values).all() else None
    whole = (values == np.rint(values)) & (np.abs(values) < 2.0**53)
    return values.astype(np.int64) if whole.all() else None
