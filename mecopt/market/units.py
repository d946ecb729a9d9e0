"""The money grid: half minor units, whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks

#: Half minor units in one money unit.
HALF_UNITS = 2_000_000
#: One minor unit, the finest difference between two reports, in half minor units.
MINOR = 2
#: Largest amount of money a report may name (keeps sums of a million reports inside 63 bits).
LARGEST = 1_000_000
#: Memory is counted in thousandths of a GB.
MEMORY_PER_GB = 1000

IntArray = NDArray[np.int64]


def to_half_units(money: ArrayLike, name: str = "money") -> IntArray:
    """Round money to whole minor units, in half minor units.

    Raises
    ------
    ValueError
        If an amount is not numeric, NaN, infinite, negative or above `LARGEST`.
    """
    try:
        amount = np.asarray(money, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {money!r} must be numbers") from None
    checks.refuse(np.isnan(amount), name, amount, "is not a number")
    checks.refuse(~np.isfinite(amount), name, amount, "is infinite")
    checks.refuse(amount < 0, name, amount, "is negative")
    checks.refuse(amount > LARGEST, name, amount, f"is above {LARGEST}")
    return np.rint(amount * (HALF_UNITS // 2)).astype(np.int64) * 2


def to_money(half_units: ArrayLike) -> NDArray[np.float64]:
    """Half minor units as money (floating point, for display)."""
    return np.asarray(half_units) / HALF_UNITS


def round_range(highest: int) -> tuple[int, int]:
    """(0, the smallest of 1, 2, 5 x 10^n money units that covers `highest` half units)."""
    exponent = 0
    while True:
        for digit in (1, 2, 5):
            top = digit * HALF_UNITS * 10**exponent
            if top >= highest:
                return 0, top
        exponent += 1
