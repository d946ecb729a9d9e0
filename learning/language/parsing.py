"""Strict reading of answers: one option that exists, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from learning.language.vocabulary import DROP, LOCAL

#: A reasoning model may think first and answer after the last of these.
_MARKER = re.compile(r"(?:answer|choice)\s*:", re.IGNORECASE)
_NUMBERED = re.compile(r"\b(?:s\d{2}|local|drop)\b", re.IGNORECASE)
#: Servers called by letters (`learning.offloading.prompts.forms_brief`); in lower case they are
#: words of English.
_LETTERED = re.compile(r"\b(?:[A-Z]|([A-Z])\1|(?i:local|drop))\b")


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
        (`learning.offloading.prompts.forms_brief.Form.option_names`). Where servers have letters,
        every capital letter that stands alone counts as a name.

    Examples
    --------
    >>> names = ["local", "s08", "s21", "drop"]
    >>> parse("s21", names).option
    2
    >>> parse("s30", names).reason
    'absent server s30'
    >>> parse("B", ["local", "B", "AA", "drop"]).option
    1
    """
    text = _MARKER.split(answer)[-1]
    if not text.strip():
        return Parsed(None, "empty answer")
    lettered = any(name.isupper() for name in names)
    pattern = _LETTERED if lettered else _NUMBERED
    named = (match[0] for match in pattern.finditer(text))
    found = list(
        dict.fromkeys(
            n if lettered and n.lower() not in (LOCAL, DROP) else n.lower() for n in named
        )
    )
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
