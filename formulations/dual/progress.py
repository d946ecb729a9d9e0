"""The clock and the record of one solve, and the result made of them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from formulations.dual import interrupt
from formulations.dual.stopping import OutOfTime, check_stopping, termination
from mecopt.result import BoundKind, InstanceT, Result, ScheduleT, Termination, relative_gap


class Progress:
    """What a solve was asked for, how long it has been at it, and the intervals it went through.

    Parameters
    ----------
    time_limit : float or None
        Wall seconds from now on.
    gap : float
        Relative gap to stop at.
    seed : int
    verbose : bool
        Print bound and objective as they move.

    Raises
    ------
    ValueError
        If one of them is out of range (see `check_stopping`).
    """

    def __init__(self, time_limit: float | None, gap: float, seed: int, verbose: bool) -> None:
        check_stopping(time_limit, gap, seed)
        self.parameters = {"time_limit": time_limit, "gap": gap, "seed": seed}
        self.gap, self.seed, self.verbose = gap, seed, verbose
        self._begin = time.perf_counter()
        #: `time.perf_counter()` value at which to stop, over at once when a person asks to.
        self.deadline = interrupt.Moment(
            self._begin + (np.inf if time_limit is None else time_limit)
        )
        self._rows: list[tuple[float, float, float]] = []

    @property
    def seconds(self) -> float:
        """Wall seconds so far."""
        return time.perf_counter() - self._begin

    @property
    def seconds_left(self) -> float:
        """Wall seconds until the deadline, infinite without one."""
        return max(0.0, self.deadline - time.perf_counter())

    @property
    def is_late(self) -> bool:
        """Whether time is over."""
        return time.perf_counter() >= self.deadline

    def check(self) -> None:
        """Raise `OutOfTime` when time is over."""
        if self.is_late:
            raise OutOfTime

    def note(self, bound: float, objective: float) -> None:
        """Record bound and objective when either moved, and print them if that was asked for."""
        row = (self.seconds, bound, objective)
        if self._rows and self._rows[-1][1:] == row[1:]:
            return
        self._rows.append(row)
        if self.verbose:
            gap = 100 * relative_gap(objective, bound)
            print(f"{row[0]:8.2f} s  bound {bound:.9g}  objective {objective:.9g}  {gap:.4f} %")

    def result(
        self,
        instance: InstanceT,
        schedule: ScheduleT | None,
        bound: float,
        *,
        method: str,
        bound_kind: BoundKind,
        late: bool,
        rounding: float = 0.0,
        margin: float = 0.0,
        **rest: Any,
    ) -> Result[InstanceT, ScheduleT]:
        """The outcome: a replayed schedule (None without a finite one) and a bound.

        `late`, `rounding`, `margin` are those of `termination`; `rest` goes to `Result` as it is.
        """
        objective = np.inf if schedule is None else schedule.objective
        self.note(bound, objective)
        reason = termination(
            objective, bound, self.gap, late=late, rounding=rounding, margin=margin
        )
        if interrupt.asked() and reason not in (Termination.OPTIMAL, Termination.INFEASIBLE):
            reason = Termination.INTERRUPTED
        return Result(
            instance=instance,
            schedule=schedule,
            bound=bound,
            bound_kind=bound_kind,
            termination=reason,
            method=method,
            parameters=self.parameters,
            seconds=self.seconds,
            progress=pd.DataFrame(self._rows, columns=["seconds", "bound", "objective"]),
            **rest,
        )
