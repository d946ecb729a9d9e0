"""Integer nanoseconds, and the numbers that stand for "none" and "no limit"."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks
from mecopt.offloading.tasks import Option as Option
from mecopt.offloading.tasks import Resource as Resource
from mecopt.offloading.tasks import Stage as Stage
from mecopt.offloading.tasks import Task as Task

#: A resource with this capacity never makes anybody wait (a pure delay, or the cloud).
UNLIMITED = 2**31 - 1


#: Stands for an infinite deadline, and for a drop cost that forbids dropping.
INFINITE_NS = 2**62


#: Choice of a task that is dropped.
DROPPED = -1


#: Slot of instances that say none of their own (traces), s; the ``*_slots`` figures use it.
DEFAULT_SLOT_S = 0.1

IntArray = NDArray[np.int64]


def to_ns(seconds: ArrayLike, name: str = "seconds") -> IntArray:
    """Round seconds to integer nanoseconds; infinity becomes `INFINITE_NS`.

    Parameters
    ----------
    seconds : array_like of float
        Times in s.
    name : str
        Name used in the error message.

    Raises
    ------
    ValueError
        If a value is NaN, minus infinity or larger than 10^8 s.
    """
    s = np.asarray(seconds, dtype=np.float64)
    checks.refuse(np.isnan(s), name, s, "is not a number")
    checks.refuse(np.isneginf(s), name, s, "is minus infinity")
    checks.refuse(np.isfinite(s) & (np.abs(s) > 1e8), name, s, "is larger than 1e8 s")
    finite = np.where(np.isfinite(s), s, 0.0)
    return np.where(np.isfinite(s), np.rint(finite * 1e9), INFINITE_NS).astype(np.int64)
