"""What a solve returns: a schedule, the interval it proves, and why it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd


class Instance(Protocol):
    """What a result needs of an instance, of whatever family."""

    @property
    def family(self) -> str: ...

    @property
    def content_hash(self) -> str: ...

    @property
    def cost_unit(self) -> str: ...

    @property
    def meta(self) -> Mapping[str, Any]: ...

    def spread(self, cost: float) -> str: ...


class Replayed(Protocol):
    """What a result needs of a replayed decision: `Schedule`, `CachingPlan`."""

    @property
    def objective(self) -> float: ...


InstanceT = TypeVar("InstanceT", bound=Instance)
ScheduleT = TypeVar("ScheduleT", bound=Replayed)


class Termination(StrEnum):
    """Why a solve stopped, apart from the numbers."""

    OPTIMAL = "optimal"  # the gap is within what was asked for, or all that is left is rounding
    TIME_LIMIT = "time-limit"  # an incumbent and a bound, gap still open
    TIME_LIMIT_NO_INCUMBENT = "time-limit-no-incumbent"  # a bound alone
    STALLED = "stalled"  # the method has nothing left to try before time ran out; gap still open
    INTERRUPTED = "interrupted"  # a person asked to stop; what was found by then
    INFEASIBLE = "infeasible"  # proven: no decision meets the deadlines that must be met


class BoundKind(StrEnum):
    """How far a bound may be trusted."""

    CERTIFIED = "certified"  # follows from prices or replays that `mecopt verify` can recompute
    SOLVER_CLAIMED = "solver-claimed"  # a MILP solver's own word


def relative_gap(objective: float, bound: float) -> float:
    """(objective - bound) / max(|bound|, 1e-9); infinite without an incumbent."""
    if not np.isfinite(objective):
        return float("inf")
    return (objective - bound) / max(abs(bound), 1e-9)


@dataclass(frozen=True, eq=False)
class Result(Generic[InstanceT, ScheduleT]):
    """Outcome of `solve`, for every family.

    Parameters
    ----------
    instance : OffloadingInstance or CachingInstance
    schedule : Schedule, CachingPlan or None
        The incumbent, replayed by the core; None without one.
    bound : float
        Proven lower bound on the sum of costs, in the unit of the objective (infinite when
        infeasible).
    bound_kind : BoundKind
    termination : Termination
    method : str
    parameters : mapping
        What the solve was asked for.
    seconds : float
        Wall time without compilation.
    prices : Prices, CachingPrices or None
        Dual prices of server time, or of memory and energy, from methods that have them.
    proof : object or None
        What `mecopt.certificates.verify` needs to write a certificate; None when the
        bound is a claim.
    progress : DataFrame
        Columns seconds, bound, objective.
    details : mapping
        Counters of the method (nodes, iterations, ...).
    """

    instance: InstanceT
    schedule: ScheduleT | None
    bound: float
    bound_kind: BoundKind
    termination: Termination
    method: str
    parameters: Mapping[str, Any]
    seconds: float
    prices: Any = None
    proof: Any = None
    progress: pd.DataFrame = field(default_factory=pd.DataFrame)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def objective(self) -> float:
        """Sum of costs of the incumbent's replay; infinite without one."""
        return float("inf") if self.schedule is None else self.schedule.objective

    @property
    def gap(self) -> float:
        """Relative gap (see `relative_gap`)."""
        return relative_gap(self.objective, self.bound)

    def summary(self) -> str:
        """A few lines a person can read."""
        unit = self.instance.cost_unit
        if self.termination == Termination.INFEASIBLE:
            why = self.details.get("why", "no decision meets what must be met")
            return f"{self.method}: infeasible after {self.seconds:.2f} s\n  {why}"
        lines = [
            f"{self.method}: {self.termination} after {self.seconds:.2f} s",
            f"  objective {self.objective:.9g}{unit} {self.instance.spread(self.objective)}",
            f"  bound     {self.bound:.9g}{unit} ({self.bound_kind})",
            f"  gap       {100 * self.gap:.4g} %"
            + (f"  (absolute {self.objective - self.bound:.3g}{unit})" if self.bound <= 0 else ""),
        ]
        return "\n".join(lines)
