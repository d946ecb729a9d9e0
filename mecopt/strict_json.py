"""JSON from files that anybody may have written: limits of size, and no silent guesses.

What is read stays in proportion to the file: a compressed file unpacks to at most `UNPACKED_SHARE`
times its size (small ones to `UNPACKED_FLOOR`), and a document holds at most `MOST_CONTAINERS`
lists and objects, for a list of two characters takes fifty bytes of memory.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import reprlib
import zlib
from collections import Counter
from collections.abc import Callable
from typing import IO, Any, NoReturn

#: Most bytes of a file, packed or not, and of what it unpacks to.
LARGEST = 2**28
#: A file may always unpack to this, whatever its size,
UNPACKED_FLOOR = 2**25
#: and else to this many times its size.
UNPACKED_SHARE = 32
#: Most lists and objects in a document.
MOST_CONTAINERS = 2**22

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def shown(value: Any) -> str:
    """A value from a file in a message: short, on one line, without control characters."""
    if type(value) is str and len(value) < _SHORT.maxstring:
        whole = repr(value)
        if len(whole) <= _SHORT.maxstring:
            return whole  # as below, ten times faster: every name is prepared for a message
    return _SHORT.repr(value)


def content(path: str | os.PathLike[str], *, finite: bool = False) -> Any:
    """What a JSON file holds, compressed or not.

    Parameters
    ----------
    path : path
    finite : bool
        Refuse the literals NaN and Infinity, which JSON does not have.

    Raises
    ------
    ValueError
        If it is too large, not JSON, nested too deeply, or names a field twice.
    OSError
        If it cannot be opened.
    """
    with open(path, "rb") as f:
        data = _read(f, LARGEST)
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MB")
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data)
    return parse(data, finite=finite)


def _read(stream: IO[bytes] | gzip.GzipFile, most: int) -> bytes:
    """All of a stream, or a little more than `most` bytes of it, without a buffer for the most."""
    parts, size = [], 0
    while size <= most and (part := stream.read(2**20)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _unpacked(data: bytes) -> bytes:
    most = min(LARGEST, max(UNPACKED_FLOOR, UNPACKED_SHARE * len(data)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as f:
            out = _read(f, most)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"broken gzip: {error}") from None
    if len(out) > most:
        raise ValueError(
            f"unpacks to more than {most >> 20} MB, the limit for {len(data)} bytes of gzip"
        )
    return out


def parse(data: bytes, *, finite: bool = False) -> Any:
    """The value of a JSON text in UTF-8; see `content`."""
    if data.count(b"[") + data.count(b"{") > MOST_CONTAINERS:
        raise ValueError(f"more than {MOST_CONTAINERS} lists and objects")
    constant: Callable[[str], Any] | None = _no_number if finite else None
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_once, parse_constant=constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose fields are named once each."""
    out = dict(pairs)
    if len(out) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"field {shown(twice)} is there twice")
    return out


def _no_number(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not a number")


def check_numbers(name: str, value: Any, *, whole: bool = False) -> None:
    """Refuse anything but numbers in nested lists of them, so that nothing is converted later.

    Parameters
    ----------
    name : str
        Name of the field in the message.
    value : number or nested list
        As `json.loads` gives it, or with tuples for lists. Lists of ``true`` and ``false`` alone
        pass unless `whole`.
    whole : bool
        Whether they must be integers as they stand.

    Raises
    ------
    ValueError
        Text, objects, ``null`` or ``true`` among numbers; lists beside numbers; fractions if
        `whole`.
    """
    allowed = {int} if whole else {int, float}
    what = "whole numbers" if whole else "numbers"
    stack = [value]
    while stack:
        inner = stack.pop()
        row = inner if isinstance(inner, list | tuple) else (inner,)
        kinds = set(map(type, row))
        if kinds and kinds <= {list, tuple}:
            stack.extend(row)
        elif not (kinds <= allowed or (kinds == {bool} and row is inner and not whole)):
            odd = next(v for v in row if type(v) not in allowed)
            raise ValueError(f"{name}: must hold {what}, has {shown(odd)}")


def whole_number(name: str, value: Any) -> int:
    """The value if it is an integer as it stands, such as no ``true`` and no 1.0."""
    if type(value) is not int:
        raise ValueError(f"{name}: must be a whole number, is {shown(value)}")
    return value


def number(name: str, value: Any) -> float:
    """The value as a finite float; no text, no ``true``, nothing out of range."""
    if type(value) not in (int, float):
        raise ValueError(f"{name}: must be a number, is {shown(value)}")
    try:
        out = float(value)
    except OverflowError:
        out = float("inf")
    if not abs(out) < float("inf"):
        raise ValueError(f"{name} = {shown(value)} is not a finite number")
    return out
