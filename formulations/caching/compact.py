"""What the exact caching routes share: a model is solved, what it decides is replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations import highs
from formulations.caching.blocks import IntArray
from formulations.dual.progress import Progress
from mecopt.caching import Backhaul, CachingInstance, CachingPlan, replay
from mecopt.result import BoundKind, Result

#: Choices (Q T,) and flows (Q T, 3).
Decision = tuple[IntArray, IntArray]


def add_link(
    m: pyo.ConcreteModel, x: CachingInstance, link: Backhaul, served: Mapping[Any, Any]
) -> Any:
    """Rows of the shared link, given what is `served` of each cell (n, p, t); returns its cost."""
    m.over = pyo.Var(range(x.n_slots), bounds=(0, None))
    m.link = pyo.Constraint(
        range(x.n_slots),
        rule=lambda _, t: (
            m.over[t]
            >= sum(
                int(link.tokens[p]) * (int(x.requests[n, p, t]) - served[n, p, t])
                for n in range(x.n_servers)
                for p in range(x.n_pairs)
            )
            - int(link.capacity[t])
        ),
    )
    return link.overflow_cost * sum(m.over.values())


def solve_model(
    instance: CachingInstance,
    model: pyo.ConcreteModel,
    read: Callable[[pyo.ConcreteModel, CachingInstance], Decision],
    progress: Progress,
    *,
    method: str,
    verbose: bool,
    **settings: Any,
) -> Result[CachingInstance, CachingPlan]:
    """Solve a labelled model with HiGHS and `read` its incumbent; `settings` are HiGHS' options."""
    solver = highs.interface(gap=progress.gap, seed=progress.seed, **settings)
    found = highs.solve_model(solver, model, progress.seconds_left, verbose)
    decision = None if found.incumbent_objective is None else read(model, instance)
    claimed = 0.0 if found.objective_bound is None else found.objective_bound
    details = highs.counters(found, model) | {"status": found.termination_condition.name}
    return to_result(instance, decision, claimed, details, progress, method=method)


def to_result(
    instance: CachingInstance,
    decision: Decision | None,
    claimed: float,
    details: Mapping[str, Any],
    progress: Progress,
    *,
    method: str,
) -> Result[CachingInstance, CachingPlan]:
    """A claimed bound and the replay of a decision; without one all is left to the cloud."""
    shape = instance.requests.shape
    if decision is None:
        decision = np.zeros(shape, dtype=np.int64).ravel(), np.zeros((*shape, 3), dtype=np.int64)
    picked, flow = decision
    flows = np.moveaxis(flow.reshape(*shape, 3), -1, 1)
    plan = replay(instance, (picked > 0).reshape(shape), flows)
    return progress.result(
        instance,
        plan,
        min(max(claimed, 0.0), plan.objective),  # costs are not negative
        method=method,
        bound_kind=BoundKind.SOLVER_CLAIMED,
        late=True,  # HiGHS stops for its gap or for time
        rounding=1e-12,
        details=details,
    )
