"""What the exact routes of snapshots share: a model is solved, what it decides is replayed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyomo.environ as pyo

from formulations import highs
from formulations.accuracy_delay.accuracy import infeasible, most_accurate
from formulations.dual.progress import Progress
from mecopt.accuracy_delay.assignment import Assignment, replay
from mecopt.accuracy_delay.instance import IntArray, QuerySnapshot
from mecopt.accuracy_delay.policies.greedy import decide
from mecopt.accuracy_delay.policies.local_search import Search
from mecopt.result import BoundKind, Result


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


def solve_model(
    instance: QuerySnapshot,
    build: Callable[[QuerySnapshot], pyo.ConcreteModel],
    read: Callable[[pyo.ConcreteModel, QuerySnapshot], IntArray],
    progress: Progress,
    *,
    method: str,
    verbose: bool,
) -> Result[QuerySnapshot, Assignment]:
    """Build a labelled model, solve it with HiGHS and replay the better of two decisions.

    The other decision is GOA's with local search, so that there always is one.
    """
    best = most_accurate(instance)
    if not best.is_feasible:
        require_equal(instance, method)
        return infeasible(progress, instance, best, method, BoundKind.SOLVER_CLAIMED)
    search = Search(instance, best.choice, progress.seed)
    search.offer(decide(instance))
    model = build(instance)
    solver = highs.interface(gap=progress.gap, seed=progress.seed)
    found = highs.solve_model(solver, model, progress.seconds_left, verbose)
    held = replay(instance, search.choice)
    if found.incumbent_objective is not None:
        other = replay(instance, read(model, instance))
        held = other if other.objective < held.objective else held
    # Delays are not negative, so no objective lies below the worth of all queries.
    least = -float(instance.worth_ns.sum()) * 1e-9
    claimed = least if found.objective_bound is None else max(found.objective_bound, least)
    return progress.result(
        instance,
        held,
        min(claimed, held.objective),
        method=method,
        bound_kind=BoundKind.SOLVER_CLAIMED,
        late=True,  # HiGHS stops for its gap or for time
        rounding=1e-9,
        details=highs.counters(found, model) | {"status": found.termination_condition.name},
    )
