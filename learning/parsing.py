"""Strict reading of answers: one option that exists, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: A reasoning model may think first and answer after the last of these.
_MARKER = re.compile(r"(?:answer|choice)\s*:", re.IGNORECASE)
_NAME = re.compile(r"\b(s\d{2}|local|drop)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Parsed:
    """What an answer says.

    Parameters
    ----------
    option : int or None
        Option index; None when the answer is not valid.
    reason : str
        Why it is not; empty when it is.
    """

    option: int | None
    reason: str = ""


def parse(answer: str, names: Sequence[str]) -> Parsed:
    """Read an answer.

    Parameters
    ----------
    answer : str
        What the model wrote after the prompt. With a line ``Answer: ...`` only what follows the
        last one counts.
    names : sequence of str
        Names of the options in order, empty for options that do not exist
        (`learning.prompts.option_names`).

    Examples
    --------
    >>> names = ["local", "s08", "s21", "drop"]
    >>> parse("s21", names).option
    2
    >>> parse("s30", names).reason
    'absent server s30'
    """
    text = _MARKER.split(answer)[-1]
    if not text.strip():
        return Parsed(None, "empty answer")
    found = list(dict.fromkeys(name.lower() for name in _NAME.findall(text)))
    if not found:
        return Parsed(None, "no option named")
    if len(found) > 1:
        return Parsed(None, f"several options named: {', '.join(found)}")
    if found[0] not in names:
        return Parsed(None, f"absent server {found[0]}")
    return Parsed(names.index(found[0]))


def parse_rate(parsed: Sequence[Parsed]) -> float:
    """Share of answers that name a valid option; NaN without answers."""
    return sum(p.option is not None for p in parsed) / len(parsed) if parsed else float("nan")
