"""HiGHS for every exact route: one thread, silent, with one rule for gaps, seeds and time.

Programs given as arrays go through `run`, labelled Pyomo models through `interface` and
`solve_model`. `make` gives a bare solver to code that reads duals.

Integer programs of every caller are solved with the settings of `INTEGER`; linear programs with
HiGHS' own, as what is made of their duals is recomputed. What HiGHS then claims is weighed by
`formulations.claims`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

import highspy
import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import TerminationCondition

from formulations.claims import gave_up
from formulations.dual import interrupt

#: Options for integer programs. Presolve is off: with it HiGHS 1.14 claims wrong optima for one in
#: twelve of our tiny big-M models with a shared link, and versions up to 1.15 for models of queues
#: (ERGO-Code/HiGHS issues 1725, 3073, 3094). It does not pay here either: network models are solved
#: as fast or faster without. Tight tolerances: ages and levels are whole numbers, and times differ
#: by whole nanoseconds; looser ones would let a big constant cheat.
INTEGER: dict[str, Any] = {
    "presolve": "off",
    "primal_feasibility_tolerance": 1e-9,
    "mip_feasibility_tolerance": 1e-9,
}

#: Pyomo's names of reasons to stop: time, and that there is no solution.
LATE, INFEASIBLE = "maxTimeLimit", ("provenInfeasible", "infeasibleOrUnbounded")

_hush_lock = Lock()
_is_hushed = False


def _hush() -> None:
    """Make the first solver of the process unheard: HiGHS 1.16 prints a banner when it is made.

    No option silences it, and it would spoil output that is written to the standard output.
    """
    global _is_hushed
    with _hush_lock:
        if _is_hushed:
            return
        _is_hushed = True
        try:
            kept = os.dup(1)
        except OSError:  # no standard output to keep clean
            return
        sys.stdout.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            highspy.Highs()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)


def make(**options: Any) -> Any:
    """A silent `highspy.Highs` on one thread with some options set."""
    _hush()
    solver = highspy.Highs()
    for name, value in {"output_flag": False, "threads": 1, **options}.items():
        solver.setOptionValue(name, value)
    return solver


def _half(gap: float) -> float:
    """HiGHS' gap, which it measures against the incumbent; half is left for rounding."""
    return 0.5 * gap / (1 + gap)


def _seed(seed: int) -> int:
    """HiGHS takes seeds below 2^31."""
    return int(seed) % 2**31


class Size(NamedTuple):
    """Number of variables and constraints of a model."""

    variables: int
    constraints: int

    def __str__(self) -> str:
        return f"{self.variables:,} variables and {self.constraints:,} constraints"

    def not_built(self, about: str = "") -> str:
        """The status of a solve that has no time for a model of this size."""
        return f"model not built: {about}{self} are too many for the time limit"


def program(
    entries: Sequence[tuple[NDArray, NDArray, NDArray]],
    cost: NDArray,
    upper: NDArray,
    row_lower: NDArray,
    row_upper: NDArray,
) -> highspy.HighsLp:
    """A linear program over columns in [0, upper], its matrix given as (rows, columns, values)."""
    rows, columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    order = np.lexsort((rows, columns))
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = len(row_lower), len(cost)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), upper
    lp.row_lower_, lp.row_upper_ = row_lower, row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=len(cost)))])
    lp.a_matrix_.start_ = starts.astype(np.int32)
    lp.a_matrix_.index_ = rows[order].astype(np.int32)
    lp.a_matrix_.value_ = values[order].astype(np.float64)
    return lp


def make_integer(lp: highspy.HighsLp, first: int, end: int) -> None:
    """Make the columns [first, end) of a program integer."""
    kinds = [highspy.HighsVarType.kContinuous] * lp.num_col_
    kinds[first:end] = [highspy.HighsVarType.kInteger] * (end - first)
    lp.integrality_ = kinds


#: How HiGHS may stop: of its own accord (infeasible programs, too), by our clock, or because a
#: person asked to stop.
_ENDS = (
    highspy.HighsModelStatus.kOptimal,
    highspy.HighsModelStatus.kTimeLimit,
    highspy.HighsModelStatus.kInterrupt,
    highspy.HighsModelStatus.kInfeasible,
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What HiGHS says.

    Its incumbent (None without one), that one's cost, its bound (infinite where it says that there
    is no solution), whether it stopped for time, and counters.
    """

    values: NDArray[np.float64] | None
    objective: float
    bound: float
    late: bool
    details: Mapping[str, Any]


def run(
    lp: highspy.HighsLp,
    *,
    time_limit: float = np.inf,
    gap: float,
    absolute_gap: float = 0.0,
    seed: int = 0,
    verbose: bool = False,
    start: tuple[NDArray[np.int32], NDArray[np.float64]] | None = None,
) -> Outcome:
    """Solve a program, from the values of some columns if they are given.

    Where HiGHS stops for a reason other than optimality, infeasibility or time, it says nothing: no
    values, no bound, and why in ``details["refused"]``.
    """
    solver = make(
        output_flag=verbose,
        random_seed=_seed(seed),
        mip_rel_gap=_half(gap),
        mip_abs_gap=absolute_gap,
        time_limit=float(time_limit),
        **(INTEGER if len(lp.integrality_) else {}),
    )
    solver.passModel(lp)
    if start is not None:
        solver.setSolution(len(start[0]), *start)
    with interrupt.cancelling(solver):
        solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    has_solution = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    details = {
        "solver": f"HiGHS {solver.version()}",
        "status": solver.modelStatusToString(status),
        "variables": lp.num_col_,
        "constraints": lp.num_row_,
        "nodes": int(info.mip_node_count),
    }
    if status not in _ENDS:
        odd = gave_up(details["solver"], details["status"])
        return Outcome(None, np.inf, -np.inf, False, {**details, **odd})
    values = np.asarray(solver.getSolution().col_value) if has_solution else None
    objective = float(info.objective_function_value)
    kinds = highspy.HighsModelStatus
    bound = np.inf if status == kinds.kInfeasible else float(info.mip_dual_bound)
    return Outcome(values, objective, bound, status == kinds.kTimeLimit, details)


def interface(*, gap: float, seed: int, **settings: Any) -> Any:
    """Pyomo's persistent interface to HiGHS for integer programs; `settings` are more options."""
    _hush()
    # It warns of interrupts; we look at the reason ourselves.
    logging.getLogger("pyomo.contrib.solver.solvers.highs").setLevel(logging.ERROR)
    solver = SolverFactory("highs")
    solver.config.load_solutions = False
    solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.threads = 1
    solver.config.rel_gap = _half(gap)
    solver.config.abs_gap = 0.0
    solver.config.solver_options = {"random_seed": _seed(seed), **INTEGER, **settings}
    return solver


def took(solver: Any, model: pyo.ConcreteModel) -> bool:
    """Whether HiGHS has all rows of a model.

    It leaves out rows with numbers beyond 10^15 without a word, and then speaks of another model.
    """
    rows: int = solver._solver_model.getNumRow()
    return rows == model.nconstraints()


def solve_model(solver: Any, model: pyo.ConcreteModel, time_limit: float, verbose: bool) -> Any:
    """Pyomo's results of an interface; the incumbent, if there is one, is in the variables."""
    solver.config.time_limit = time_limit
    if solver._solver_model is None:
        solver.set_instance(model)
    with interrupt.cancelling(solver._solver_model):
        found = solver.solve(model, tee=verbose)
    if interrupt.asked() and found.termination_condition is TerminationCondition.unknown:
        found.termination_condition = TerminationCondition.maxTimeLimit
    if found.incumbent_objective is not None:
        found.solution_loader.load_vars()
    return found


def counters(found: Any, model: pyo.ConcreteModel) -> dict[str, Any]:
    """Version, size of the model and nodes, as in `Outcome.details`."""
    return {
        "solver": "HiGHS " + ".".join(map(str, found.solver_version)),
        "variables": model.nvariables(),
        "constraints": model.nconstraints(),
        "nodes": int(found.extra_info.mip_node_count),
    }
