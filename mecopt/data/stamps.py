"""Moments as date and time: ``2023-11-16 18:15:46.1234567``, with or without a time zone."""

from __future__ import annotations

import re
from datetime import datetime

_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII
)


def looks_like_stamp(text: str) -> bool:
    """Whether a text begins as a date does."""
    return re.match(r"\s*\d{4}-\d\d-\d\d", text, re.ASCII) is not None


def parse_stamp(text: str) -> tuple[int, bool]:
    """Nanoseconds since 1970 (UTC where no zone is given), and whether a zone is given.

    Raises
    ------
    ValueError
        If the text is no date with a time of day.

    Examples
    --------
    >>> parse_stamp("1970-01-01 00:00:01.5")
    (1500000000, False)
    """
    found = _STAMP.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a date and time")
    day, clock, fraction, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z") else zone
    since = datetime.fromisoformat(f"{day} {clock}{offset}") - datetime.fromisoformat(
        "1970-01-01 00:00:00+00:00"
    )
    seconds = since.days * 86400 + since.seconds
    return seconds * 10**9 + int(f"{fraction or '':0<9}"), zone is not None
