"""What the exact routes of snapshots share: a model is solved, what it decides is replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations import highs
from formulations.accuracy_delay.accuracy import infeasible, reachable_accuracy
from formulations.claims import Claim, settle
from formulations.dual.progress import Progress
from mecopt.accuracy_delay.assignment import Assignment, replay
from mecopt.accuracy_delay.instance import LOCAL, UNITS_PER_NS, IntArray, QuerySnapshot
from mecopt.accuracy_delay.policies.greedy import decide
from mecopt.accuracy_delay.policies.local_search import Search
from mecopt.result import BoundKind, Result

#: CPU seconds per variable until HiGHS looks at the clock, measured on one core with some to spare.
_SECONDS_PER_VARIABLE = 1e-4


def most_queries(x: QuerySnapshot) -> list[int]:
    """(M,) queries that each server could serve at most."""
    return np.minimum(x.room, x.reachable.sum(axis=0)).tolist()


def require_equal(x: QuerySnapshot, method: str) -> None:
    """Refuse optimal shares, whose uploads are no linear function of a decision."""
    if x.shares != "equal":
        raise ValueError(
            f"method: {method} needs equal shares of bandwidth, the snapshot has {x.shares!r}; "
            "use plans or perspective"
        )


@dataclass(frozen=True, eq=False)
class Route:
    """A labelled model: its name, how large it is and how it is built.

    The model has binary variables ``x``, indexed by user and server first.
    """

    method: str
    size: Callable[[QuerySnapshot], highs.Size]
    build: Callable[[QuerySnapshot], pyo.ConcreteModel]


def solve_model(
    instance: QuerySnapshot, route: Route, progress: Progress
) -> Result[QuerySnapshot, Assignment]:
    """Build a labelled model, solve it with HiGHS and replay the better of two decisions.

    The other decision is GOA's with local search, so that there always is one. A model that cannot
    be built within the time limit is not built.
    """
    require_equal(instance, route.method)
    best = reachable_accuracy(instance)
    if not best.is_feasible:
        return infeasible(progress, instance, best, route.method, BoundKind.SOLVER_CLAIMED)
    search = first_decisions(instance, best, progress)
    held, floor = replay(instance, search.choice), easy_bound_s(instance)
    size = route.size(instance)
    if size.variables * _SECONDS_PER_VARIABLE > progress.seconds_left:
        details = {"status": size.not_built()}
        return _finish(progress, held, floor, route.method, details, late=True)
    model = route.build(instance)
    solver = highs.interface(gap=progress.gap, seed=progress.seed)
    found = highs.solve_model(solver, model, progress.seconds_left, progress.verbose)
    replayed = None
    if found.incumbent_objective is not None:
        try:
            other = replay(instance, _choice(model, instance))
        except ValueError:  # it breaks a constraint
            replayed = np.inf
        else:
            replayed = other.objective
            held = min(other, held, key=lambda decision: decision.objective)
    reason = found.termination_condition.name
    details = highs.counters(found, model) | {"status": reason}
    claimed = -np.inf if found.objective_bound is None else found.objective_bound
    claimed = np.inf if reason in highs.INFEASIBLE else claimed
    claim = Claim(details["solver"], claimed, found.incumbent_objective)
    bound, refused = settle(claim, floor=floor, known=held.objective, replayed=replayed)
    late = reason == highs.LATE
    return _finish(progress, held, bound, route.method, details | refused, late=late)


def _choice(model: pyo.ConcreteModel, x: QuerySnapshot) -> IntArray:
    """The incumbent's server of every user."""
    choice = np.full(x.n_users, LOCAL, dtype=np.int64)
    for (i, j, *_), variable in model.x.items():
        if variable.value > 0.5:
            choice[i] = j
    return choice


def _finish(
    progress: Progress,
    held: Assignment,
    bound: float,
    method: str,
    details: Mapping[str, Any],
    *,
    late: bool,
) -> Result[QuerySnapshot, Assignment]:
    return progress.result(
        held.instance,
        held,
        bound,
        method=method,
        bound_kind=BoundKind.SOLVER_CLAIMED,
        late=late,
        rounding=1e-9,
        details=details,
    )


def easy_bound_s(x: QuerySnapshot) -> float:
    """A lower bound without any search: every query at its best place as if it were alone there."""
    # With optimal shares the upload is the square of a rounded root, in 2^-20 ns.
    square = np.floor(x.root.astype(np.float64) ** 2 * (1.0 - 1e-15) / UNITS_PER_NS)
    alone = x.linear_ns + square + x.queue_ns - x.worth_ns[:, None]
    alone = np.where(x.reachable & (x.room > 0), alone, np.inf)
    return float(np.minimum(alone.min(axis=1), x.local_ns).sum()) * 1e-9


def first_decisions(x: QuerySnapshot, best: Assignment, progress: Progress) -> Search:
    """A search that holds the most accurate decision and GOA's, improved if there is time."""
    search = Search(x, best.choice, progress.seed)
    if not progress.is_late:
        search.offer(decide(x, progress.deadline), progress.deadline)
    return search
