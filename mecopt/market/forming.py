"""What people give for prices and links, as the arrays of a market."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.market.units import IntArray, to_half_units


def flat(
    name: str, given: Sequence[Any] | NDArray[Any], unit: float, *, signed: bool = False
) -> tuple[IntArray, IntArray | None]:
    """Flatten one price or a sequence of prices per trader into prices and pointers."""
    if not isinstance(given, Iterable):
        raise ValueError(f"{name} = {given!r} must be numbers, one or more per trader")
    if np.ndim(given) == 2 if isinstance(given, np.ndarray) else any(map(np.ndim, given)):
        rows = [row if np.ndim(row) else [row] for row in given]
        prices = [price for row in rows for price in row]
        return to_half_units(prices, name, unit=unit, signed=signed), pointers(
            [len(row) for row in rows]
        )
    return to_half_units(given, name, unit=unit, signed=signed), None


def begins_below_zero(price_range: Any) -> bool:
    """Whether a range that somebody gives takes prices below zero."""
    return np.size(price_range) == 2 and isinstance(price_range[0], Real) and price_range[0] < 0


def pointers(units: Sequence[int] | IntArray) -> IntArray | None:
    """Where each trader's units begin; None when everybody has exactly one."""
    if all(n == 1 for n in units):
        return None
    return np.concatenate([[0], np.cumsum(units)]).astype(np.int64)


def links(given: ArrayLike) -> NDArray[Any]:
    """Who can be served by whom; a matrix of 0 and 1, as graphs come, says false and true."""
    array = np.asarray(given)
    is_matrix = array.dtype.kind in "iuf" and bool(np.isin(array, (0, 1)).all())
    return array.astype(np.bool_) if is_matrix else array


def check_lot(lot: float) -> None:
    """Refuse a lot size that is no positive number."""
    if isinstance(lot, bool) or not isinstance(lot, Real) or not 0 < float(lot) < float("inf"):
        raise ValueError(f"lot = {lot!r} must be a number above 0")
