"""When a solve stops: the one rule for time limits, gaps and seeds, and the reason that results."""

from __future__ import annotations

from numbers import Real
from reprlib import repr
from typing import Any

import numpy as np

from mecopt.checks import check_seed
from mecopt.result import Termination, relative_gap


def check_stopping(time_limit: Any = None, gap: Any = 0.0, seed: Any = 0) -> None:
    """Refuse time limits, gaps and seeds that say nothing.

    Parameters
    ----------
    time_limit : float, optional
        Seconds. Zero asks for a bound and whatever schedule is at hand, infinity and None for no
        limit.
    gap : float
        Relative gap.
    seed : int

    Raises
    ------
    ValueError
        Naming the argument and its value.
    """
    if time_limit is not None and not (_is_number(time_limit) and time_limit >= 0):
        raise ValueError(f"time_limit = {repr(time_limit)} must be a number of seconds >= 0")
    if not (_is_number(gap) and 0 <= gap < np.inf):
        raise ValueError(f"gap = {repr(gap)} must be a finite number >= 0")
    check_seed(seed)


class OutOfTime(Exception):
    """Raised where work that cannot be used half done finds that time is over."""


def _is_number(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False
    return True


def termination(
    objective: float,
    bound: float,
    gap: float,
    *,
    late: bool,
    rounding: float = 0.0,
    margin: float = 0.0,
) -> Termination:
    """Why a solve with this interval stopped.

    Parameters
    ----------
    objective, bound : float
        Infinite without a schedule; an infinite bound says that there can be none.
    gap : float
        Relative gap that was asked for.
    late : bool
        Whether time was over.
    rounding : float
        What the interval may be wider for the rounding of a solver, relative (absolute below 1).
    margin : float
        Width of an interval that the rounding of a safe bound leaves, in the unit of the costs;
        one that narrow counts as closed whatever gap was asked for.
    """
    if bound == np.inf:
        return Termination.INFEASIBLE
    slack = rounding * max(abs(bound), 1.0)
    met = relative_gap(objective - slack, bound) <= gap or objective - bound <= margin
    if np.isfinite(objective) and met:
        return Termination.OPTIMAL
    if not late:
        return Termination.STALLED
    has_schedule = np.isfinite(objective)
    return Termination.TIME_LIMIT if has_schedule else Termination.TIME_LIMIT_NO_INCUMBENT
