r"""Snapshots with optimal shares: the mixed-integer convex program and its perspective relaxation.

As in `formulations.accuracy_delay.counts`, x_ijn says that user i is at server j, which serves n,
and y_jn that it serves n. With r_ij = sqrt(bits_i / rate_ij) and c_ij computing alone, uploads to
server j take (sum_i r_ij x_ijn)^2 when it serves n and 0 otherwise; the convex envelope of that is
its perspective,

.. math::

    \frac{\big(\sum_i r_{ij} x_{ijn}\big)^2}{y_{jn}} .

Objective
---------
minimise  sum_i l_i z_i + sum_ijn (n c_ij - w_i) x_ijn
          + sum_jn n q_j y_jn + (sum_i r_ij x_ijn)^2 / y_jn

Constraints
-----------
(assign)    z_i + sum_jn x_ijn = 1
(one)       sum_n y_jn <= 1
(count)     sum_i x_ijn = n y_jn
(within)    x_ijn <= y_jn
(accuracy)  sum_ijn g_ij x_ijn >= G
            x, y, z >= 0

Relaxed like this it is a second-order cone program, which cvxpy hands to Clarabel; its value bounds
every decision, by the solver's word. With equal shares r is 0 and it is a linear program.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from formulations.accuracy_delay.accuracy import infeasible, reachable_accuracy
from formulations.accuracy_delay.compact import easy_bound_s, first_decisions, most_queries
from formulations.claims import Claim, settle
from formulations.dual.progress import Progress
from mecopt.accuracy_delay.assignment import Assignment, replay
from mecopt.accuracy_delay.costs import costs_of
from mecopt.accuracy_delay.instance import ACCURACY_SCALE, LOCAL, ROOT_SCALE, QuerySnapshot
from mecopt.result import BoundKind, Result

#: What the solver's own tolerances may add to a bound, relative.
_TOLERANCE = 1e-7
#: CPU seconds per variable that cvxpy and Clarabel take at least.
_SECONDS_PER_CELL = 1e-4
#: Square root of a second in units of `QuerySnapshot.root`.
_ROOT = ROOT_SCALE * np.sqrt(1e9)


def relaxation(x: QuerySnapshot) -> tuple[cp.Problem, list[cp.Variable]]:
    """The relaxation, and per server its x (users, numbers)."""
    costs, most = costs_of(x), most_queries(x)
    z = cp.Variable(x.n_users, nonneg=True)
    total = (costs.local * 1e-9) @ z
    placed, won = z, 0.0
    rows, shares = [], []
    for j in range(x.n_servers):
        n = np.arange(1, most[j] + 1)
        reach = x.reachable[:, j]
        share = cp.Variable((x.n_users, max(most[j], 1)), nonneg=True)
        shares.append(share)
        if most[j] == 0:
            rows.append(share == 0)
            continue
        y = cp.Variable(most[j], nonneg=True)
        linear = np.where(reach, costs.linear[:, j], 0.0)
        cell = np.outer(linear, n) - costs.worth[:, None]
        total = total + cp.sum(cp.multiply(cell * 1e-9, share)) + (n * costs.queue[j] * 1e-9) @ y
        rows += [cp.sum(y) <= 1, cp.sum(share, axis=0) == cp.multiply(n, y)]
        rows.append(share <= cp.outer(reach.astype(np.float64), y))
        root = np.where(reach, costs.root[:, j], 0.0) / _ROOT
        if root.any():
            total = total + sum(cp.quad_over_lin(root @ share[:, k], y[k]) for k in range(most[j]))
        placed = placed + cp.sum(share, axis=1)
        won = won + cp.sum(cp.multiply(costs.gain[:, j] / ACCURACY_SCALE, cp.sum(share, axis=1)))
    rows.append(placed == 1)
    to_win = (x.accuracy_needed_units - int(x.accuracy_local_units.sum())) / ACCURACY_SCALE
    if to_win > 0:
        rows.append(won >= to_win)
    return cp.Problem(cp.Minimize(total), rows), shares


def solve_perspective(
    instance: QuerySnapshot,
    *,
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[QuerySnapshot, Assignment]:
    """Bound of the perspective relaxation, and the best decision that rounding it leads to.

    Parameters and errors are those of `formulations.solve`; the bound is the convex solver's word.
    """
    progress = Progress(time_limit, gap, seed, verbose)
    best = reachable_accuracy(instance)
    if not best.is_feasible:
        return infeasible(progress, instance, best, "perspective", BoundKind.SOLVER_CLAIMED)
    search = first_decisions(instance, best, progress)
    floor, cells = easy_bound_s(instance), instance.n_users * sum(most_queries(instance))
    if cells * _SECONDS_PER_CELL > progress.seconds_left:
        status = f"model not built: {cells:,} variables are too many for the time limit"
        return _finish(progress, replay(instance, search.choice), floor, status, late=True)
    problem, shares = relaxation(instance)
    left = progress.seconds_left
    options = {} if left == np.inf else {"time_limit": max(left, 1e-3)}
    try:
        # cvxpy works out the objective at Clarabel's point, which divides by numbers y of zero.
        with np.errstate(divide="ignore", invalid="ignore"):
            problem.solve(solver=cp.CLARABEL, verbose=verbose, **options)
        solved = problem.status == cp.OPTIMAL
    except cp.SolverError:
        solved = False
    bound = floor
    if solved:
        value = float(problem.solution.opt_val)
        search.offer(
            _rounded(instance, [np.asarray(share.value) for share in shares]), progress.deadline
        )
        held = replay(instance, search.choice).objective
        claim = Claim("Clarabel", value - _TOLERANCE * (1.0 + abs(value)))
        bound, refused = settle(claim, floor=floor, known=held)
        status = refused.get("refused", str(problem.status))
        search.shake(20, progress.deadline)
    else:
        status = str(problem.status)
    found = replay(instance, search.choice)
    return _finish(progress, found, bound, status, late=progress.is_late or not solved)


def _finish(
    progress: Progress, found: Assignment, bound: float, status: str, *, late: bool
) -> Result[QuerySnapshot, Assignment]:
    return progress.result(
        found.instance,
        found,
        min(bound, found.objective),
        method="perspective",
        bound_kind=BoundKind.SOLVER_CLAIMED,
        late=late,
        details={"status": status},
    )


def _rounded(x: QuerySnapshot, shares: list[NDArray[np.float64]]) -> NDArray[np.int64]:
    """Every user where most of it is, as far as there is room."""
    share = np.stack([part.sum(axis=1) for part in shares], axis=1)
    choice = np.where(share.max(axis=1) > 0.5, share.argmax(axis=1), LOCAL).astype(np.int64)
    for j in range(x.n_servers):
        there = np.flatnonzero(choice == j)
        over = len(there) - int(x.room[j])
        if over > 0:
            choice[there[np.argsort(share[there, j])[:over]]] = LOCAL
    return choice
