"""What checking a certificate found, of whatever family."""

from __future__ import annotations

from typing import NamedTuple


class Checked(NamedTuple):
    """The claimed interval, how many leaves were checked, and what does not hold."""

    objective: float
    bound: float
    leaves: int
    problems: list[str]
