"""The Pareto front of delay and accuracy, proven point by point.

A point of the front has the least total delay among decisions whose mean expected accuracy is at
least some floor (the epsilon-constraint form; kappa plays no part). `front` walks up the floors:
each solve gives a decision and a certified bound on the delay of every decision that accurate, so
that between two floors the front is known to lie in a strip, whether solved to optimality or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from formulations.accuracy_delay.accuracy import most_accurate
from formulations.accuracy_delay.decomposition import solve_plans
from formulations.dual.stopping import check_stopping
from mecopt import checks
from mecopt.accuracy_delay.assignment import Assignment, replay
from mecopt.accuracy_delay.costs import costs_of
from mecopt.accuracy_delay.instance import ACCURACY_SCALE, QuerySnapshot
from mecopt.accuracy_delay.policies.greedy import goa
from mecopt.result import Termination


@dataclass(frozen=True, eq=False)
class Front:
    """Delay against accuracy.

    Parameters
    ----------
    instance : QuerySnapshot
        With kappa 0 and no floor.
    table : DataFrame
        One row per point, accuracy rising: ``least_accuracy`` asked for, ``expected_accuracy`` and
        ``mean_delay_s`` of the decision, ``bound_s`` (certified, mean delay of every decision with
        that floor), ``proven`` (the solve ended optimal), ``seconds``.
    decisions : tuple of Assignment
        One per row.
    best_accuracy : float
        The largest mean expected accuracy of any decision.
    """

    instance: QuerySnapshot
    table: pd.DataFrame
    decisions: tuple[Assignment, ...]
    best_accuracy: float

    def least_delay_s(self, accuracy: float) -> float:
        """A certified lower bound on the mean delay of every decision at least this accurate.

        The bound of the largest floor that does not exceed `accuracy`; infinite beyond
        `best_accuracy`.
        """
        if accuracy > self.best_accuracy + 1e-9:
            return float("inf")
        below = self.table[self.table["least_accuracy"] <= accuracy + 1e-12]
        return float(below["bound_s"].max()) if len(below) else 0.0


def front(
    instance: QuerySnapshot,
    *,
    points: int | None = 21,
    time_limit: float | None = 60.0,
    gap: float = 1e-6,
    seed: int = 0,
    on_point: Callable[[int], None] = lambda done: None,
) -> Front:
    """Points of the front from least delay to most accurate.

    Parameters
    ----------
    instance : QuerySnapshot
        Its kappa and its accuracy floor are left aside.
    points : int or None
        Floors, evenly between the accuracy of the fastest decision and the best there is; None for
        every point of the front (their number can grow exponentially with the users).
    time_limit : float, optional
        Seconds in all; points that are not reached are left out.
    gap : float
        Relative gap of each solve.
    seed : int
    on_point : callable
        Called with the number of points so far.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """
    check_stopping(time_limit, gap, seed)
    if points is not None:
        checks.whole("points", points, 2)
    begin = time.perf_counter()
    free = replace(instance, kappa_s=0.0, least_accuracy=0.0)
    top = most_accurate(free)
    best = top.accuracy_units // free.n_users  # what a floor can ask for, in units
    rows: list[dict[str, float]] = []
    decisions: list[Assignment] = []
    floor, first = 0, 0
    while floor <= best:
        left = None if time_limit is None else time_limit - (time.perf_counter() - begin)
        if left is not None and left <= 0 and rows:
            break
        asked = replace(free, least_accuracy=floor / ACCURACY_SCALE)
        result = solve_plans(asked, time_limit=left, gap=gap, seed=seed)
        if result.schedule is None:
            break
        found = replay(free, result.schedule.choice)
        rows.append(
            {
                "least_accuracy": asked.least_accuracy,
                "expected_accuracy": found.expected_accuracy,
                "mean_delay_s": found.objective / free.n_users,
                "bound_s": result.bound / free.n_users,
                "proven": result.termination == Termination.OPTIMAL,
                "seconds": result.seconds,
            }
        )
        decisions.append(found)
        on_point(len(rows))
        reached = found.accuracy_units // free.n_users
        if len(rows) == 1:
            first = reached
        if points is None:
            floor = reached + 1
        else:
            after = [first + (best - first) * k // (points - 1) for k in range(1, points)]
            floor = next((f for f in after if f > max(floor, 0) and f > first), best + 1)
    return Front(free, pd.DataFrame(rows), tuple(decisions), top.expected_accuracy)


def sweep(instance: QuerySnapshot, kappas_s: Iterable[float]) -> pd.DataFrame:
    """GOA's decisions over kappa: ``kappa_s``, ``expected_accuracy``, ``mean_delay_s``."""
    rows = []
    for kappa_s in kappas_s:
        at = replace(instance, kappa_s=float(kappa_s), least_accuracy=0.0)
        found = replay(replace(at, kappa_s=0.0), goa(costs_of(at)))
        rows.append(
            {
                "kappa_s": float(kappa_s),
                "expected_accuracy": found.expected_accuracy,
                "mean_delay_s": found.objective / instance.n_users,
            }
        )
    return pd.DataFrame(rows)


def dominates(curve: pd.DataFrame, accuracy: float, delay_s: float) -> bool:
    """Whether some point of a curve is at least as accurate and at least as fast."""
    as_good = curve["expected_accuracy"].to_numpy() >= accuracy - 1e-12
    return bool(np.any(as_good & (curve["mean_delay_s"].to_numpy() <= delay_s + 1e-12)))
