"""Ranges, windows and lists as people type them."""

from __future__ import annotations


def parse_range(text: str, name: str = "seeds") -> tuple[int, int]:
    """Read ``"A:B"`` as the whole numbers A, A + 1, ..., B - 1.

    Raises
    ------
    ValueError
        If it is malformed, negative or empty.
    """
    left, colon, right = text.partition(":")
    if not (colon and left.strip().isdecimal() and right.strip().isdecimal()):
        raise ValueError(f"{name}: {text!r} is not A:B with whole numbers, for example 100:104")
    first, end = int(left), int(right)
    if first >= end:
        raise ValueError(f"{name}: {text!r} is empty, A must be below B (B itself is left out)")
    return first, end


def parse_interval(text: str, name: str) -> tuple[float, float]:
    """Read ``"A:B"`` as two numbers.

    Raises
    ------
    ValueError
        If it is malformed.
    """
    left, _, right = text.partition(":")
    try:
        return float(left), float(right)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not A:B, for example 2:10") from None


def parse_window(text: str) -> tuple[float, float]:
    """Read ``"S:E"`` as seconds from the start of a trace.

    Raises
    ------
    ValueError
        If it is malformed or empty.
    """
    left, _, right = text.partition(":")
    try:
        start, end = float(left), float(right)
    except ValueError:
        raise ValueError(f"window: {text!r} is not S:E in seconds, for example 0:600") from None
    if not 0 <= start < end < float("inf"):
        raise ValueError(f"window: {text!r} must satisfy 0 <= S < E")
    return start, end


def parse_names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, blanks around names dropped."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_whole(text: str, name: str) -> int:
    """Read a whole number; raises ValueError naming the argument and the value."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a whole number") from None


def parse_number(text: str, name: str) -> float:
    """Read a number; raises ValueError naming the argument and the value."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a number") from None


def short(number: float) -> str:
    """A number in the fewest letters that read back as the same number."""
    text = f"{number:g}"
    return text if float(text) == number else repr(float(number))
