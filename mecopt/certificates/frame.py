"""What checking a certificate is in every family: read, replay, prove the bound, compare.

The comparison of claims with what was recomputed stands here once; a family says how its fields are
read, what its decision costs and what its proof bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, TypeVar

from mecopt.certificates.checked import Checked, rounded_down, rounded_up
from mecopt.certificates.scales import LARGEST_PRICE
from mecopt.strict_json import number, shown, whole_number


class Fields(Protocol):
    """Fields that every certificate has: the instance, and the claimed interval."""

    instance: Any
    objective: float
    bound: float


F = TypeVar("F", bound=Fields)
#: An exact cost, or why the decision is none.
Cost = Fraction | str


def check(
    document: dict[str, Any],
    where: str,
    read: Callable[[dict[str, Any]], F],
    cost: Callable[[F], Cost],
    prove: Callable[[F], tuple[Fraction | None, int]],
    *,
    unit: str,
    slack: int = 1,
) -> Checked:
    """Objective, bound and leaves as recomputed, and why the claims do not hold.

    Parameters
    ----------
    document : dict
    where : str
        The file, for messages.
    read : callable
        Document -> fields; raises for whatever is malformed.
    cost : callable
        Fields -> exact cost of the decision.
    prove : callable
        Fields -> exact bound (None when no decision is left) and leaves; raises ValueError when the
        proof is none.
    unit : str
        Of costs, with its leading space.
    slack : int
        A claimed objective is a rounded float: it may be off by 10^-9 of the cost, or of this where
        the cost is smaller (0 where costs are sums of what is not negative).

    Raises
    ------
    ValueError
        If the document is malformed.
    """
    try:
        given = read(document)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{where}: malformed field {error}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    objective, problems = _compared(cost(given), given.objective, unit, slack)
    bound, leaves = -math.inf, 0
    try:
        least, leaves = prove(given)
        bound = math.inf if least is None else rounded_down(least)
        if least is not None and least < Fraction(given.bound):
            problems.append(
                f"the exact value {bound!r}{unit} is below the claimed bound {given.bound!r}{unit}"
            )
    except ValueError as reason:
        problems.append(str(reason))
    if given.bound > objective:
        problems.append(f"the claimed bound {given.bound!r} is above the objective {objective!r}")
    return Checked(objective, bound, leaves, problems, given.instance.content_hash)


def _compared(exact: Cost, claimed: float, unit: str, slack: int) -> tuple[float, list[str]]:
    """Cost rounded up (infinite when there is none), and what is wrong with the claim."""
    if isinstance(exact, str):
        return math.inf, [exact]
    cost = rounded_up(exact)
    if abs(exact - Fraction(claimed)) > max(Fraction(slack), abs(exact)) / 10**9:
        return cost, [f"the replay costs {cost!r}{unit}, claimed is {claimed!r}{unit}"]
    return cost, []


# ------------------------------------------------------------------------- fields of documents
class Claims:
    """The claimed interval and the scale of prices of a document.

    Raises ValueError for what is no number, or another scale than `scale`.
    """

    def __init__(self, document: dict[str, Any], scale: int) -> None:
        self.objective = number("objective", document["objective"])
        self.bound = number("bound", document["bound"])
        found = whole_number("price_scale", document["price_scale"])
        if found != scale:
            raise ValueError(f"price_scale is {shown(found)}, expected {scale}")


def entries(name: str, value: Any) -> list[Any]:
    """The value if it is a list."""
    if type(value) is not list:
        raise ValueError(f"{name}: must be a list, is {shown(value)}")
    return value


def prices(name: str, values: Any) -> list[int]:
    """Prices on the grid, of a size that sums can bear."""
    for value in entries(name, values):
        if type(value) is not int or abs(value) >= LARGEST_PRICE:
            raise ValueError(f"{name}: price {shown(value)} is not a whole number below 2^62")
    return list(values)
