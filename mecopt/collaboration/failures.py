r"""What goes wrong: down intervals of nodes, stages that do not survive, and the chances of both.

A node is up for a time Exp(:math:`\lambda`) and down for a time Exp(:math:`\mu`), in turn; it
starts in either state with the share of time that it spends there. A stage of t seconds on a
resource of rate :math:`\rho` survives with probability :math:`e^{-\rho t}`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def down_intervals(
    rng: np.random.Generator, failure_per_s: float, repair_per_s: float, end_s: float
) -> list[tuple[float, float]]:
    """Down intervals of one node that start before `end_s`, in s.

    Parameters
    ----------
    rng : Generator
    failure_per_s, repair_per_s : float
        The first may be 0: no interval.
    end_s : float
    """
    if failure_per_s == 0:
        return []
    up = rng.random() * (failure_per_s + repair_per_s) < repair_per_s
    now, out = 0.0, []
    while now < end_s:
        if up:
            now += rng.exponential(1.0 / failure_per_s)
        else:
            repaired = now + rng.exponential(1.0 / repair_per_s)
            # Times are rounded to nanoseconds; shorter than that is never seen.
            if now < end_s and repaired - now > 2e-9:
                out.append((now, repaired))
            now = repaired + 2e-9
        up = not up
    return out


def survival(rate_per_s: ArrayLike, seconds: ArrayLike) -> FloatArray:
    """Probability exp(-rate x time) that a stage survives."""
    exponent = -np.asarray(rate_per_s, dtype=np.float64) * np.asarray(seconds, dtype=np.float64)
    return np.asarray(np.exp(exponent))


def uninterrupted(seconds: ArrayLike, failure_per_s: float, repair_per_s: float) -> FloatArray:
    r"""Chance that a node stays up for t seconds, given that it is not down and up again by then.

    With :math:`\lambda` the failure rate and :math:`\mu` the repair rate, a node that is up at 0

    * is up all the time with probability :math:`e^{-\lambda t}`,
    * is down at t after one failure with probability
      :math:`\lambda (e^{-\lambda t} - e^{-\mu t}) / (\mu - \lambda)`,
      or :math:`\lambda t e^{-\lambda t}` where the rates are equal,

    and the answer is the first over the sum of both: a little more than :math:`e^{-\lambda t}`.

    Parameters
    ----------
    seconds : array_like
        t >= 0.
    failure_per_s, repair_per_s : float
    """
    t = np.asarray(seconds, dtype=np.float64)
    # Divided by exp(-failure t); expm1 keeps the limit of equal rates exact.
    spread = (repair_per_s - failure_per_s) * t
    shape = np.where(spread == 0, 1.0, -np.expm1(-spread) / np.where(spread == 0, 1.0, spread))
    return np.asarray(1.0 / (1.0 + failure_per_s * t * shape))
