"""Number grids of a caching instance: whole MB, whole 10 J, costs in multiples of 2^-30.

Costs are rounded once, when an instance is made; the rounded instance *is* the instance. Sums of
such costs are exact in double precision while they stay below 2^23, and exact everywhere as whole
numbers of 2^-30.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks

#: Grid of costs.
COST_SCALE = 2**30
#: GB in one unit of memory (1 MB).
MB_GB = 1e-3
#: Joules in one unit of energy.
ENERGY_J = 10
#: Largest whole number that a field may hold, so that sums stay in 64 bits.
LARGEST = 10**9


def whole(
    name: str, values: ArrayLike, shape: tuple[int, ...], unit: str = ""
) -> NDArray[np.int64]:
    """Frozen int64 array of a shape; fractions, negatives and values above 10^9 are refused.

    Parameters
    ----------
    name : str
        Name in the message.
    values : array_like
        Whole numbers; floats are accepted when each is whole.
    shape : tuple of int
    unit : str
        The grid, for the message (``"1 MB"``).

    Raises
    ------
    ValueError
        Names the argument, the position and the value.
    """
    given = np.asarray(values)
    if given.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, has {given.shape}")
    if given.dtype.kind not in "iuf":
        raise ValueError(f"{name}: must hold whole numbers, has dtype {given.dtype}")
    grid = f"is not on the grid of {unit}" if unit else "is not a whole number"
    if given.dtype.kind == "f":
        checks.refuse(~np.isfinite(given), name, given, "is not a finite number")
        checks.refuse(given != np.rint(given), name, given, grid)
    checks.refuse(given < 0, name, given, "is negative")
    checks.refuse(given > LARGEST, name, given, "is larger than 1e9")
    return checks.frozen(given, np.int64)


def multiples(name: str, amounts: ArrayLike, step: float, unit: str) -> NDArray[np.int64]:
    """Amounts in a physical unit as whole numbers of a step of the grid.

    Parameters
    ----------
    name : str
    amounts : array_like
    step : float
        Distance of two points of the grid, in the unit of the amounts.
    unit : str
        The unit that the amounts are written in.

    Raises
    ------
    ValueError
        Not numbers, not finite, negative, above 10^9 steps or between two points of the grid; names
        the argument, the position, and the value in the unit that was written.
    """
    given = np.asarray(amounts)
    if given.dtype.kind not in "iuf":
        raise ValueError(f"{name}: must hold numbers, has dtype {given.dtype}")
    checks.refuse(~np.isfinite(given), name, given, "is not a finite number")
    checks.refuse(given < 0, name, given, f"{unit} is negative")
    checks.refuse(given > LARGEST * step, name, given, f"{unit} is larger than {LARGEST * step:g}")
    return checks.on_grid(name, given, step, unit).astype(np.int64)


def cost(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Frozen float64 costs, rounded to multiples of 2^-30.

    Raises
    ------
    ValueError
        Wrong shape, not numbers, negative, not finite or above 10^6.
    """
    given = np.asarray(values)
    if given.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, has {given.shape}")
    if given.dtype.kind not in "iuf":
        raise ValueError(f"{name}: must hold numbers, has dtype {given.dtype}")
    checks.refuse(~np.isfinite(given), name, given, "is not a finite number")
    checks.refuse(given < 0, name, given, "is negative")
    checks.refuse(given > 1e6, name, given, "is larger than 1e6")
    return checks.frozen(np.rint(given * float(COST_SCALE)) / COST_SCALE, np.float64)
