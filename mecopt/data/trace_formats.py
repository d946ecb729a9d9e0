"""Traces that people bring: known by their columns, read as arrivals from 0 and token counts.

Times count from the first request, exactly: a stamp of 1.7e9 s loses no digit. A stamp is a number
in the unit of its format, or a date with a time of day.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mecopt.data import csv_text
from mecopt.data.registry import request_columns
from mecopt.data.stamps import looks_like_stamp, parse_stamp
from mecopt.data.tables import Table, checked_columns, content

#: Longest trace, and latest moment (seconds since 1970 are well below, milliseconds above), s.
LONGEST_S, LATEST_S = 10**8, 10**11
#: Digits before the point beyond which a number is only known to be large.
_DIGITS = 24


@dataclass(frozen=True)
class TraceFormat:
    """Columns by which a format is known, whatever the case of their letters.

    Parameters
    ----------
    name : str
    arrival, prompt, output : str
    unit_s : Decimal
        Seconds in a unit of the arrival, where it is a number.
    fails_without_output : bool
        A request without output tokens is a failure, not a request.
    """

    name: str
    arrival: str
    prompt: str
    output: str
    unit_s: Decimal = Decimal(1)
    fails_without_output: bool = False

    @property
    def columns(self) -> tuple[str, str, str]:
        return self.arrival, self.prompt, self.output


#: The first that a file has all columns of is taken; others may be there.
FORMATS = (
    TraceFormat("ours", "arrival_s", "context_tokens", "generated_tokens"),
    TraceFormat("ours, ms", "arrival_ms", "input_tokens", "output_tokens", Decimal("0.001")),
    TraceFormat("Azure LLM inference", "TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    TraceFormat(
        "BurstGPT", "Timestamp", "Request tokens", "Response tokens", fails_without_output=True
    ),
    TraceFormat("Mooncake", "timestamp", "input_length", "output_length", Decimal("0.001")),
    TraceFormat("Vidur", "arrived_at", "num_prefill_tokens", "num_decode_tokens"),
)


class OwnTrace(NamedTuple):
    """A trace as read: a table with the columns of our own format, and how many failures it had."""

    table: Table
    left_out: int
    format: str


def read_trace(path: str | os.PathLike[str]) -> OwnTrace:
    """Read a request trace of any known format.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, unknown columns, no request, or a malformed cell; names file, line, column and
        value.
    """
    data = content(Path(path))
    text = csv_text.parse(data, os.fspath(path))
    kind, names = _recognised(text)
    arrival, prompt, output = request_columns(*names, "s")
    tokens = checked_columns(text, (prompt, output))
    at = _arrivals(text, names[0], kind.unit_s)
    kept = np.ones(len(at), dtype=bool)
    if kind.fails_without_output:
        kept = tokens[output.name] > 0
    if not kept.any():
        raise ValueError(f"{text.where}: every request is a failure (no output tokens)")
    first = at[int(np.argmax(kept))]
    if at[-1] - first > LONGEST_S:
        raise ValueError(
            f"{text.at(len(at) - 1, arrival.name)}: {text.cells(arrival.name)[-1]!r} is more than "
            f"{LONGEST_S:.0e} s after the first request"
        )
    columns = {
        "arrival_s": np.array([float(a - first) for a in at])[kept],
        "context_tokens": tokens[prompt.name][kept],
        "generated_tokens": tokens[output.name][kept],
    }
    table = Table(Path(path), hashlib.sha256(data).hexdigest(), columns)
    return OwnTrace(table, int((~kept).sum()), kind.name)


def _recognised(text: csv_text.CsvText) -> tuple[TraceFormat, tuple[str, str, str]]:
    """The format of a file, and what its columns are called there."""
    written: dict[str, str] = {}
    for name in text.header:
        if name and written.setdefault(name.casefold(), name) != name:
            raise ValueError(
                f"{text.where}: columns {written[name.casefold()]!r} and {name!r} differ only in "
                "the case of letters"
            )
    for kind in FORMATS:
        if all(name.casefold() in written for name in kind.columns):
            arrival, prompt, output = (written[name.casefold()] for name in kind.columns)
            return kind, (arrival, prompt, output)
    known = "; ".join(f"{', '.join(kind.columns)} ({kind.name})" for kind in FORMATS)
    raise ValueError(
        f"{text.where}: the columns {text.found} are those of no trace we know: {known}"
    )


def _arrivals(text: csv_text.CsvText, name: str, unit_s: Decimal) -> list[Decimal]:
    """Arrivals in s, never falling, exactly as they are written."""
    shown = text.cells(name)
    stamps = looks_like_stamp(shown[0])
    cells = shown if stamps else text.numbers([name])[name]
    zoned: bool | None = None
    out: list[Decimal] = []
    for i, cell in enumerate(cells):
        at = f"{text.at(i, name)}: {shown[i]!r}"
        if not cell.strip():
            raise ValueError(f"{at} is empty")
        if stamps:
            try:
                ns, zone = parse_stamp(cell)
            except ValueError:
                raise ValueError(f"{at} is not a date and time") from None
            if zoned not in (None, zone):
                raise ValueError(f"{at}: some stamps have a time zone, others none")
            zoned = zone
            moment = Decimal(ns).scaleb(-9)
        else:
            moment = _number(cell, at) * unit_s
        if abs(moment) > LATEST_S:
            raise ValueError(f"{at} is beyond {LATEST_S:.0e} s; milliseconds go into arrival_ms")
        if out and moment < out[-1]:
            raise ValueError(f"{at} is lower than in the row before; rows must be sorted")
        out.append(moment)
    return out


def _number(cell: str, at: str) -> Decimal:
    try:
        if not set(cell) <= csv_text.NUMERALS:
            raise ValueError
        number = Decimal(cell)
    except (InvalidOperation, ValueError):
        raise ValueError(f"{at} is not a number (nor a date such as 2023-11-16 18:15:46)") from None
    return number if number.adjusted() < _DIGITS else Decimal(f"1e{_DIGITS}").copy_sign(number)
