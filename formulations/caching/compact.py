"""HiGHS on the caching programs: settings, outcome, and the result that follows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecopt.caching import CachingInstance, CachingPlan, replay
from mecopt.result import BoundKind, Result, Termination, relative_gap


@dataclass(frozen=True, eq=False)
class Outcome:
    """What HiGHS says: values of its incumbent (None without one), bound, size, seconds."""

    values: NDArray[np.float64] | None
    bound: float
    seconds: float
    details: Mapping[str, Any]


def check_arguments(time_limit: float | None, gap: float) -> None:
    """Raises ValueError naming the argument that is out of range."""
    if time_limit is not None and not time_limit >= 0:
        raise ValueError(f"time_limit = {time_limit} must be >= 0")
    if not 0 <= gap < np.inf:
        raise ValueError(f"gap = {gap} must be >= 0 and finite")


def run_highs(
    lp: highspy.HighsLp,
    *,
    time_limit: float | None,
    gap: float,
    seed: int = 0,
    verbose: bool = False,
    start: tuple[NDArray[np.int32], NDArray[np.float64]] | None = None,
) -> Outcome:
    """Solve a program on one thread, from the values of some columns if they are given.

    Raises
    ------
    ValueError
        If `time_limit` or `gap` is out of range.
    RuntimeError
        If HiGHS stops for a reason other than optimality or time.
    """
    check_arguments(time_limit, gap)
    begin = time.perf_counter()
    solver = highspy.Highs()
    # HiGHS measures its gap against the incumbent; half of it is left for rounding.
    options = {
        "output_flag": verbose,
        "threads": 1,
        "random_seed": seed,
        "mip_rel_gap": 0.5 * gap / (1 + gap),
        "mip_abs_gap": 0.0,
    }
    if time_limit is not None:
        options["time_limit"] = time_limit
    for name, value in options.items():
        solver.setOptionValue(name, value)
    solver.passModel(lp)
    if start is not None:
        solver.setSolution(len(start[0]), *start)
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit):
        raise RuntimeError(f"HiGHS stopped with {solver.modelStatusToString(status)}")
    has_solution = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    values = np.asarray(solver.getSolution().col_value) if has_solution else None
    details = {
        "solver": f"HiGHS {solver.version()}",
        "status": solver.modelStatusToString(status),
        "variables": lp.num_col_,
        "constraints": lp.num_row_,
        "nodes": int(info.mip_node_count),
    }
    return Outcome(values, float(info.mip_dual_bound), time.perf_counter() - begin, details)


def to_result(
    instance: CachingInstance,
    found: Outcome,
    decision: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    *,
    method: str,
    parameters: Mapping[str, Any],
) -> Result[CachingInstance, CachingPlan]:
    """The core's replay of choices (Q T,) and flows (Q T, 3), with the solver's claimed bound."""
    plan = None
    if decision is not None:
        picked, flow = decision
        shape = instance.requests.shape
        flows = np.moveaxis(flow.reshape(*shape, 3), -1, 1)
        plan = replay(instance, (picked > 0).reshape(shape), flows)
    objective = np.inf if plan is None else plan.objective
    bound = min(max(found.bound, 0.0), objective)  # costs are not negative
    if relative_gap(objective, bound) <= parameters["gap"] + 1e-12:
        termination = Termination.OPTIMAL
    elif plan is None:
        termination = Termination.TIME_LIMIT_NO_INCUMBENT
    else:
        termination = Termination.TIME_LIMIT
    rows = {"seconds": [found.seconds], "bound": [bound], "objective": [objective]}
    return Result(
        instance=instance,
        schedule=plan,
        bound=bound,
        bound_kind=BoundKind.SOLVER_CLAIMED,
        termination=termination,
        method=method,
        parameters=parameters,
        seconds=found.seconds,
        progress=pd.DataFrame(rows),
        details=found.details,
    )
