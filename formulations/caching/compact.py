"""What the exact caching routes share: a model is solved, what it decides is replayed.

Building counts as time: a model that cannot be built and begun within the limit is not built, and
what is returned is the start (`formulations.caching.start`) and the size it would have had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations import highs
from formulations.caching import sizes
from formulations.caching.blocks import Blocks, IntArray, build
from formulations.caching.start import first_bound, first_plan
from formulations.claims import Claim, settle
from formulations.dual.progress import Progress
from formulations.dual.stopping import OutOfTime
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


def rows(index: Any, rule: Callable[..., Any], deadline: float) -> pyo.Constraint:
    """Constraints of a model that is given up at the deadline (`OutOfTime`)."""

    def timed(_: Any, *key: int) -> Any:
        if time.perf_counter() > deadline:
            raise OutOfTime
        return rule(*key)

    return pyo.Constraint(index, rule=timed)


@dataclass(frozen=True, eq=False)
class Route:
    """One solve by an exact route: what was asked for, and what is known from the start."""

    instance: CachingInstance
    method: str
    progress: Progress
    verbose: bool
    blocks: Blocks = field(init=False)
    plan: CachingPlan = field(init=False)
    floor: float = field(init=False)

    def __post_init__(self) -> None:
        blocks = build(self.instance)
        for name, value in {
            "blocks": blocks,
            "plan": first_plan(self.instance),
            "floor": max(first_bound(blocks), 0.0),  # costs are not negative
        }.items():
            object.__setattr__(self, name, value)
        self.progress.note(self.floor, self.plan.objective)

    def has_time(self, seconds: float) -> bool:
        """Whether something that takes so long ends before the deadline."""
        return seconds <= self.progress.seconds_left

    def not_built(self, size: highs.Size) -> Result[CachingInstance, CachingPlan]:
        """The start, where a model of this size is too large for the time there is."""
        details = {
            "variables": size.variables,
            "constraints": size.constraints,
            "nodes": 0,
            "status": size.not_built(),
        }
        return self._finish(self.plan, self.floor, details, late=True)

    def result(
        self, decision: Decision | None, claim: Claim, details: Mapping[str, Any], *, late: bool
    ) -> Result[CachingInstance, CachingPlan]:
        """The cheaper of start and replayed decision, with the claimed bound if that stands."""
        plan, replayed = self.plan, None
        if decision is not None:
            picked, flow = decision
            shape = self.instance.requests.shape
            flows = np.moveaxis(flow.reshape(*shape, 3), -1, 1)
            try:
                own = replay(self.instance, (picked > 0).reshape(shape), flows)
            except ValueError:  # it breaks a constraint
                replayed = np.inf
            else:
                replayed = own.objective
                plan = min(own, plan, key=lambda p: p.objective)
        bound, refused = settle(claim, floor=self.floor, known=plan.objective, replayed=replayed)
        return self._finish(plan, bound, {**details, **refused}, late=late)

    def _finish(
        self, plan: CachingPlan, bound: float, details: Mapping[str, Any], *, late: bool
    ) -> Result[CachingInstance, CachingPlan]:
        return self.progress.result(
            self.instance,
            plan,
            bound,
            method=self.method,
            bound_kind=BoundKind.SOLVER_CLAIMED,
            late=late,
            rounding=1e-12,
            details=details,
        )


def solve_model(
    route: Route,
    size: highs.Size,
    build_model: Callable[[CachingInstance, float], pyo.ConcreteModel],
    read: Callable[[pyo.ConcreteModel, CachingInstance], Decision],
) -> Result[CachingInstance, CachingPlan]:
    """Build a labelled model up to a deadline, solve it with HiGHS and `read` its incumbent."""
    x, progress = route.instance, route.progress
    if not route.has_time(sizes.LABELLED * size.variables):
        return route.not_built(size)
    begin = time.perf_counter()
    try:
        model = build_model(x, progress.deadline)
    except OutOfTime:
        return route.not_built(size)
    if not route.has_time(sizes.AFTER_LABELLED * (time.perf_counter() - begin)):
        return route.not_built(size)
    solver = highs.interface(gap=progress.gap, seed=progress.seed)
    solver.set_instance(model)
    found = highs.solve_model(solver, model, progress.seconds_left, route.verbose)
    decision = None if found.incumbent_objective is None else read(model, x)
    reason = found.termination_condition.name
    details = highs.counters(found, model) | {"status": reason}
    bound = -np.inf if found.objective_bound is None else found.objective_bound
    bound = np.inf if reason in highs.INFEASIBLE else bound
    claim = Claim(details["solver"], bound, found.incumbent_objective)
    return route.result(decision, claim, details, late=reason == highs.LATE)
