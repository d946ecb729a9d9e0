"""Reading a data file: every cell checked, every error names file, row and column."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def content(path: Path, spec: DataFile) -> bytes:
    """The bytes of a data file, uncompressed where it is gzip.

    Raises
    ------
    FileNotFoundError
        If it is not there; says where it comes from.
    ValueError
        If it is a folder or a broken gzip file.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path}: no such file; {spec.origin}") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: is a folder, not a file; {spec.origin}") from None
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: truncated or damaged gzip ({error}); {spec.origin}") from None


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
        Missing column, short or long row, a cell that is empty, not a number, out of range, or
        lower than the one before in a column that must rise; names file, row and column. Rows
        count from 1, without the header.
    """
    path = Path(data_dir) / spec.path
    data = content(path, spec)
    try:
        lines = list(csv.reader(io.StringIO(data.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV text file ({error}); {spec.origin}") from None
    if not lines:
        raise ValueError(f"{path}: is empty; {spec.origin}")
    header, rows = lines[0], lines[1:]
    for column in spec.columns:
        if column.name not in header:
            raise ValueError(
                f"{path}: column {column.name!r} is missing, it has {', '.join(header)}; "
                f"{spec.origin}"
            )
    if not rows:
        raise ValueError(f"{path}: has a header but no rows; {spec.origin}")
    for i, row in enumerate(rows):
        if len(row) != len(header):
            # The first cell that is not there, or the last one before those in excess.
            name = header[min(len(row), len(header) - 1)]
            raise ValueError(
                f"{path}, row {i + 1}, column {name!r}: the row has {len(row)} cells, the header "
                f"{len(header)}; {spec.origin}"
            )
    columns = {}
    for column in spec.columns:
        at = header.index(column.name)
        columns[column.name] = _checked(column, [row[at] for row in rows], path, spec)
    return Table(path, hashlib.sha256(data).hexdigest(), columns)


def _checked(column: Column, cells: list[str], path: Path, spec: DataFile) -> NDArray[Any]:
    def refuse(bad: NDArray[np.bool_], why: str) -> None:
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(
                f"{path}, row {i + 1}, column {column.name!r}: {cells[i]!r} {why}; {spec.origin}"
            )

    text = np.array(cells)
    empty = text == ""
    if not column.optional:
        refuse(empty, "is empty")
    if column.kind == "text":
        return text
    kind = np.int64 if column.kind == "int" else np.float64
    what = "whole number" if column.kind == "int" else "number"
    filled = np.where(empty, "nan", text) if column.optional else text
    try:
        values = filled.astype(kind)
    except (ValueError, OverflowError):
        refuse(np.array([not _parses(c, kind) for c in filled]), f"is not a {what}")
        raise
    known = values[~empty]
    refuse(~np.isfinite(values) & ~empty, f"is not a {what}")
    if len(known):
        refuse(values < column.low, f"is below {column.low:g} ({column.meaning})")
        refuse(values > column.high, f"is above {column.high:g} ({column.meaning})")
    if column.rising:
        fall = np.diff(values, prepend=values[:1]) < 0
        refuse(fall, "is lower than in the row before; rows must be sorted")
    return values


def _parses(cell: str, kind: type) -> bool:
    try:
        np.array([cell]).astype(kind)
    except (ValueError, OverflowError):
        return False
    return True
