"""One reader of CSV for every table that people bring: markets, traces, data files.

Text is text: no word means "missing" by itself, and no cell is cut. A comment is a whole line
that begins with ``#``. The header line says what separates cells: a comma, semicolon, tab or bar,
whichever it shows most of, a comma when in doubt (a line ``sep=;`` before it decides). Where that
is no comma, numbers may have decimal commas. A byte order mark, any line ends, empty lines, rows of
nothing but empty cells and columns without name and content do not count. What cannot be read for
certain is refused with the line of the file.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

#: What may separate cells; the first wins a tie.
DELIMITERS = ",;\t|"
#: Names listed in a message, and characters shown of each.
_LISTED, _SHORT = 20, 40
#: What numbers are written with: no digit groups, no words.
NUMERALS = frozenset("0123456789+-.eE")


@dataclass(frozen=True, eq=False)
class CsvText:
    """The cells of a file.

    Parameters
    ----------
    where : str
        The file, for messages.
    header : tuple of str
        Names of the columns, without blanks around them.
    rows : sequence of list of str
        Cells as they are written; as many in each row as in the header.
    lines : sequence of int
        Line of the file on which each row begins, counted from 1.
    delimiter : str
    """

    where: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    delimiter: str

    def cells(self, name: str) -> list[str]:
        """The cells of a column, as they are written."""
        at = self.header.index(name)
        return [row[at] for row in self.rows]

    def numbers(self, names: Sequence[str]) -> Mapping[str, list[str]]:
        """The cells of columns of numbers, without blanks around them, decimal commas as points.

        Raises
        ------
        ValueError
            If one cell has a decimal comma and another a point.
        """
        found = {name: [cell.strip() for cell in self.cells(name)] for name in names}
        if self.delimiter == ",":
            return found
        every = [(i, name, c) for name, cells in found.items() for i, c in enumerate(cells)]
        comma = next(((i, name, cell) for i, name, cell in every if "," in cell), None)
        if comma is None:
            return found
        for i, name, cell in every:
            if "." in cell and "," in cell:
                raise ValueError(f"{self.at(i, name)}: {cell!r} has digit groups; leave them out")
            if "." in cell:
                raise ValueError(
                    f"{self.at(i, name)}: {cell!r} has a point, but {comma[2]!r} in line "
                    f"{self.lines[comma[0]]} a decimal comma; write all numbers one way"
                )
        return {name: [cell.replace(",", ".") for cell in cells] for name, cells in found.items()}

    def at(self, row: int, column: str = "") -> str:
        """Where a row or a cell is, for messages."""
        cell = f", column {column!r}" if column else ""
        return f"{self.where}, line {self.lines[row]}{cell}"

    @property
    def found(self) -> str:
        """The names of the columns, for messages."""
        return listed(self.header)


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first twenty of them."""
    shown = ", ".join(short(name) or "(no name)" for name in names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def short(text: str) -> str:
    """Text for a message, cut where it is long."""
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def parse(data: bytes, where: str) -> CsvText:
    """Read a table from the bytes of a file.

    Parameters
    ----------
    data : bytes
    where : str
        The file, for messages.

    Raises
    ------
    ValueError
        Names the file and the line: not UTF-8 text, quotes that do not close, a row with other
        cells than the header, a column name that is there twice, a line that is either a comment or
        a row.
    """
    source = _Lines(_decoded(data, where), where)
    first = next(source, None)
    if first is None:
        raise ValueError(f"{where}: is empty")
    told = re.fullmatch(r"sep=(.)\s*", first)
    source.delimiter = told[1] if told else _delimiter(first)
    reader = _reader(source if told else itertools.chain([first], source), source.delimiter)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    source.fresh = told is not None
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{source.at}: not a readable row of CSV ({error})") from None
        source.fresh = True
        if row is None:
            break
        if not any(map(str.strip, row)):
            continue
        if not header:
            header = source.header = _header(row, source.at)
        elif len(row) != len(header):
            raise ValueError(f"{source.at}{_ragged(row, header, source.delimiter)}")
        else:
            rows.append(row)
            lines.append(source.begin)
    if not header:
        raise ValueError(f"{where}: is empty")
    header, rows = _with_content(header, rows)
    return CsvText(where, tuple(header), rows, lines, source.delimiter)


def _with_content(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The table without columns that have neither a name nor a cell that is not empty."""
    kept = [i for i, n in enumerate(header) if n or any(row[i].strip() for row in rows)]
    if len(kept) == len(header):
        return header, rows
    return [header[i] for i in kept], [[row[i] for i in kept] for row in rows]


class _Lines:
    """The lines of a text for `csv.reader`, without comments and empty lines between rows."""

    def __init__(self, text: str, where: str) -> None:
        self._stream = io.StringIO(text, newline="")
        self._where = where
        self._number = 0
        #: Line on which the row begins that is being read.
        self.begin = 0
        #: Whether the next line begins a row (and is not inside quotes).
        self.fresh = True
        self.delimiter = ","
        self.header: list[str] = []

    @property
    def at(self) -> str:
        return f"{self._where}, line {self.begin}"

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._stream:
            self._number += 1
            if self.fresh:
                if line.isspace():
                    continue
                self.begin = self._number
                if line.startswith("#"):
                    self._check_comment(line)
                    continue
                self.fresh = False
            return line
        raise StopIteration

    def _check_comment(self, line: str) -> None:
        """Refuse a comment that would be a row if its first cell may begin with ``#``."""
        if len(self.header) < 2 or re.match(r"#[\s#]", line):
            return
        if len(next(_reader([line], self.delimiter, strict=False))) == len(self.header):
            raise ValueError(
                f"{self.at}: is a comment or a row? Write '# ' in front of a comment, and put the "
                "first cell of a row into quotes"
            )


def _reader(lines: Iterable[str], delimiter: str, *, strict: bool = True) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=True)


def _decoded(data: bytes, where: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError(f"{where}: is UTF-16 text, save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{where}, line {line}: not a CSV text file in UTF-8 (byte 0x{data[error.start]:02x})"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{where}, line {line}: not a CSV text file (holds a zero byte)")
    return text


def _delimiter(header: str) -> str:
    """What the header line shows most of outside quotes."""
    plain = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=plain.count)


def _header(row: list[str], at: str) -> list[str]:
    names = [name.strip() for name in row]
    for i, name in enumerate(names):
        if name and name in names[:i]:
            raise ValueError(f"{at}: column {name!r} is there twice")
    return names


def _ragged(row: list[str], header: list[str], delimiter: str) -> str:
    # The first cell that is not there, or the last one before those in excess.
    name = header[min(len(row), len(header) - 1)]
    hint = "; a decimal comma needs semicolons between the cells"
    return (
        f", column {name!r}: the row has {len(row)} cells, the header {len(header)}"
        f"{hint if len(row) > len(header) and delimiter == ',' else ''}"
    )
