"""Intervals, fairness and gaps: the statistics that every scorecard uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mecopt.result import relative_gap


def gap_to_bound(cost: float, bound: float) -> float:
    """(cost - bound) / max(|bound|, 1e-9): an upper estimate of the distance to the optimum."""
    return relative_gap(cost, bound)


def gap_to_incumbent(cost: float, incumbent: float) -> float:
    """(cost - best known) / max(|best known|, 1e-9): a lower estimate of the same distance.

    `incumbent` is the cost of the best schedule known for the instance, whoever found it. The
    truth lies between this and `gap_to_bound`. NaN when no schedule of finite cost is known.
    """
    return relative_gap(cost, incumbent) if np.isfinite(incumbent) else float("nan")


def jain(shares: ArrayLike) -> float:
    """Jain's fairness index (sum x)^2 / (n sum x^2), between 1/n and 1.

    All zeros count as perfectly even (1.0): an idle system favours nobody.

    Raises
    ------
    ValueError
        If `shares` is empty or holds a negative or non-finite number.
    """
    x = np.asarray(shares, dtype=float)
    if x.size == 0:
        raise ValueError("shares: is empty")
    if not np.all(np.isfinite(x)) or np.any(x < 0):
        raise ValueError(f"shares: must be finite and >= 0, got {x.tolist()}")
    square = float(np.sum(x * x))
    return 1.0 if square == 0.0 else float(np.sum(x)) ** 2 / (x.size * square)


def bootstrap_interval(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 4000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over instances.

    Parameters
    ----------
    values : (n,) float
        One figure per instance.
    level : float
        Coverage.
    resamples, seed : int
        Equal seeds give equal intervals.

    Returns
    -------
    (low, high) : float
        Both NaN with fewer than two instances or a figure that is not finite: there is nothing to
        resample.
    """
    x = np.asarray(values, dtype=float)
    if x.size < 2 or not np.all(np.isfinite(x)):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = x[rng.integers(x.size, size=(resamples, x.size))].mean(axis=1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


def paired_difference(
    values: ArrayLike, reference: ArrayLike, *, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of ``values - reference`` over common instances, with its 95 % interval.

    Raises
    ------
    ValueError
        If the two do not have one figure per instance each.
    """
    a, b = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(f"values and reference: shapes {a.shape} and {b.shape} do not pair")
    difference = a - b
    return float(difference.mean()), *bootstrap_interval(difference, seed=seed)
