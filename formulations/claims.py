"""What a solver claims, weighed against what is known without it.

A claimed bound is used while nothing contradicts it: no replayed decision is cheaper, and no
decision that the solver claims is cheaper than a bound that holds by itself. A solver that is
caught has lied about the whole program, so all that remains then is the bound that holds by itself.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

#: What a claim may be off for a solver's tolerances, relative (absolute below 1).
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Claim:
    """A solver's word.

    Parameters
    ----------
    solver : str
        Name and version.
    bound : float
        No decision costs less; infinite when there is none at all, minus infinity for nothing said.
    objective : float or None
        What the solver's own decision costs by its own count; None without one.
    """

    solver: str
    bound: float
    objective: float | None = None


def settle(
    claim: Claim, *, floor: float, known: float, replayed: float | None = None
) -> tuple[float, dict[str, Any]]:
    """The bound that stands, and what to add to `Result.details`.

    Parameters
    ----------
    claim : Claim
    floor : float
        A lower bound that holds without the solver.
    known : float
        Cost of the cheapest replayed decision from whatever source; infinite without one.
    replayed : float, optional
        Cost of the replay of the solver's own decision, infinite if it is not possible, where it
        must not exceed what the solver says that decision costs.

    Returns
    -------
    float
        The claimed bound within [floor, known]; the floor if the claim is refused.
    dict
        Empty, or ``refused``: why the claim was not used. It is also a warning.
    """
    why = _contradiction(claim, floor, known, replayed)
    if why is None:
        return max(min(claim.bound, known), floor), {}
    why = f"{claim.solver}: {why}; its bound is not used"
    warnings.warn(why, RuntimeWarning, stacklevel=2)
    return floor, {"refused": why}


def gave_up(solver: str, reason: str) -> dict[str, Any]:
    """What to add to `Result.details` when a solver stops for a reason that cannot be.

    No program here is unbounded, for instance. It is also a warning.
    """
    why = f"{solver}: stopped with {reason!r}; its bound is not used"
    warnings.warn(why, RuntimeWarning, stacklevel=2)
    return {"refused": why}


def _contradiction(claim: Claim, floor: float, known: float, replayed: float | None) -> str | None:
    if exceeds(claim.bound, known):
        said = f"no decision costs less than {claim.bound!r}"
        said = "there is no decision" if claim.bound == float("inf") else said
        return f"claims that {said}, and one costs {known!r}"
    if claim.objective is None:
        return None
    if exceeds(floor, claim.objective):
        return f"claims a decision of {claim.objective!r}, and none costs less than {floor!r}"
    if replayed is not None and exceeds(replayed, claim.objective):
        return f"claims that its decision costs {claim.objective!r}, and it costs {replayed!r}"
    return None


def exceeds(value: float, other: float) -> bool:
    """Whether a value lies above another by more than a solver's tolerances (or is no number)."""
    if value == other:
        return False
    return not value <= other + TOLERANCE * max(1.0, abs(other))
