"""The money grid: half minor units, whole numbers.

Money is what people write; a market counts in a unit of account of so much money (1 unless said),
of which a minor unit is a millionth. Amounts that people give lie on that grid or are refused, with
a unit that would hold them; amounts that are computed are rounded, where that keeps three digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks

#: Minor units in one unit of account, and half minor units.
MINOR_UNITS = 1_000_000
HALF_UNITS = 2 * MINOR_UNITS
#: One minor unit, the finest difference between two reports, in half minor units.
MINOR = 2
#: Largest amount a report may name, in units of account: a million of them add up inside 63 bits.
LARGEST = 1_000_000
#: Smallest and largest unit of account, in money.
UNITS = 1e-15, 1e15
#: Memory is counted in thousandths of a GB.
MEMORY_GB = 1e-3

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def to_half_units(
    money: ArrayLike, name: str = "money", *, unit: float = 1.0, signed: bool = False
) -> IntArray:
    """Money as whole minor units, in half minor units; nothing is rounded but floating-point noise.

    Parameters
    ----------
    money : array_like
    name : str
        For messages.
    unit : float
        The unit of account in money: a minor unit is 1e-6 of it.
    signed : bool
        Whether amounts may be negative.

    Raises
    ------
    ValueError
        If an amount is not numeric, NaN, infinite, negative (unless `signed`), beyond `LARGEST`
        units, or between two minor units; the message then suggests another unit of account where
        one fits.
    """
    check_unit(unit)
    try:
        amount = np.asarray(money, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {money!r} must be numbers") from None
    checks.refuse(np.isnan(amount), name, amount, "is not a number")
    checks.refuse(~np.isfinite(amount), name, amount, "is infinite")
    if not signed:
        checks.refuse(amount < 0, name, amount, "is negative")
    minor = unit / MINOR_UNITS
    above = np.abs(amount) > LARGEST * unit
    off = checks.steps(amount, minor)[1]
    hint = suggestion(amount, unit) if above.any() or off.any() else ""
    checks.refuse(amount > LARGEST * unit, name, amount, f"is above {LARGEST * unit:g}{hint}")
    checks.refuse(above, name, amount, f"is below {-LARGEST * unit:g}{hint}")
    return checks.on_grid(name, amount, minor, hint=hint).astype(np.int64) * MINOR


def check_unit(unit: float) -> None:
    """Refuse a unit of account that is no number of a size that money has."""
    low, high = UNITS
    if isinstance(unit, bool) or not isinstance(unit, Real) or not low <= float(unit) <= high:
        raise ValueError(f"unit = {unit!r} must be a number from {low:g} to {high:g}")


def suggestion(amounts: ArrayLike, unit: float = 1.0) -> str:
    """Advice for amounts that do not fit the money grid: a unit of account that takes them all."""
    amount = np.asarray(amounts, dtype=np.float64)
    for factor in (1e-3, 1e-6, 1e-9, 1e-12, 1e-1, 1e-2, 1e3, 1e6, 1e9):
        other = factor * unit
        largest = np.abs(amount).max(initial=0.0)
        fits = UNITS[0] <= other <= UNITS[1] and largest <= LARGEST * other
        if fits and not checks.steps(amount, other / MINOR_UNITS)[1].any():
            return f"; unit={other:g} (--unit {other:g}) holds it exactly"
    return "; round it, or scale all amounts"


def rounded(amounts: Mapping[str, ArrayLike], *, unit: float = 1.0) -> dict[str, FloatArray]:
    """Amounts of one market that come out of a computation, rounded to whole minor units (money).

    Raises
    ------
    ValueError
        If the largest of them is less than 1000 minor units: rounding might change it by more than
        0.05 %. The message suggests another unit of account.
    """
    check_unit(unit)
    minor = unit / MINOR_UNITS
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in amounts.items()}
    name = max(arrays, key=lambda name: arrays[name].max(initial=0.0))
    largest = float(arrays[name].max(initial=0.0))
    if 0 < largest < 1000 * minor:
        better = 10.0 ** np.floor(np.log10(largest))
        raise ValueError(
            f"{name}: the largest amount, {largest:g}, would be rounded to multiples of {minor:g}; "
            f"unit={better:g} keeps six digits"
        )
    return {name: np.rint(array / minor) * minor for name, array in arrays.items()}


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
