"""What checking a certificate found, of whatever family."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple


class Checked(NamedTuple):
    """What holds, whatever was claimed, and what of the claims does not.

    Parameters
    ----------
    objective : float
        Cost of the schedule as replayed, rounded up; infinite when it is not a schedule.
    bound : float
        Bound that the proof gives, rounded down; minus infinity when it is not a proof.
    leaves : int
        Leaves of the proof that were checked.
    problems : list of str
        Why the certificate does not hold; empty when it does.
    instance_hash : str
        Content hash of the instance, which matches its content.
    """

    objective: float
    bound: float
    leaves: int
    problems: list[str]
    instance_hash: str = ""


def rounded_up(exact: Fraction) -> float:
    """Least float that is not below an exact number."""
    value = float(exact)
    return math.nextafter(value, math.inf) if Fraction(value) < exact else value


def rounded_down(exact: Fraction) -> float:
    """Largest float that is not above an exact number."""
    return -rounded_up(-exact)
