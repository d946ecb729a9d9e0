"""Offloading as a constraint program for CP-SAT: optional intervals, FIFO order, integer ns.

Runs in a process of its own: ortools and highspy cannot be imported together. It uses the windows
and arrival orders of `formulations.offloading.compact_layout`, so both exact models start from the
same knowledge. Covers chains on resources of capacity 1 or unlimited, without down intervals,
latency weight 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from formulations.offloading import compact_layout as milp
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import DROPPED, INFINITE_NS, UNLIMITED


def solve_cpsat(
    instance: OffloadingInstance, time_limit: float, gap: float
) -> tuple[list[int] | None, float]:
    """Choice (None without an incumbent) and lower bound in s.

    Raises
    ------
    ValueError
        If the instance has a feature the model does not cover.
    """
    x = instance
    covered = x.is_chain and not len(x.down_ns) and bool(np.all(x.latency_weight == 1.0))
    if not covered or not np.isin(x.capacity, (1, UNLIMITED)).all():
        raise ValueError("instance: CP-SAT model covers plain chains on single servers only")
    layout = milp.lay_out(x)
    model = cp_model.CpModel()
    option = {int(o): model.new_bool_var(f"x{o}") for o in np.flatnonzero(layout.windows.alive)}
    times = _times(model, layout, option)
    _fifo(model, layout, option, times)
    model.minimize(sum(_cost(model, layout, option, times, k) for k in range(x.n_tasks)))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit
    solver.parameters.num_workers = 1
    solver.parameters.relative_gap_limit = 0.5 * gap
    status = solver.solve(model)
    bound = solver.best_objective_bound * 1e-9
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, bound
    choice = [DROPPED] * x.n_tasks
    for o, chosen in option.items():
        if solver.boolean_value(chosen):
            k = int(x.task_of_option[o])
            choice[k] = o - int(x.option_ptr[k])
    return choice, bound


def _times(
    model: cp_model.CpModel, layout: milp.Layout, option: dict[int, Any]
) -> list[tuple[Any, Any, Any]]:
    """(arrival, start, finish) of every step, ns."""
    x = layout.instance
    times: list[tuple[Any, Any, Any]] = []
    for i, step in enumerate(layout.steps):
        release, latest = int(x.release_ns[step.task]), int(layout.latest[i, 1])
        start = model.new_int_var(release, latest, f"start{i}")
        finish = model.new_int_var(release, latest, f"finish{i}")
        served = sum(int(x.service_ns[s]) * option[o] for o, s in step.stages.items())
        model.add(finish == start + served)
        times.append((release if step.kind == "release" else times[step.follows][2], start, finish))
    return times


def _fifo(
    model: cp_model.CpModel,
    layout: milp.Layout,
    option: dict[int, Any],
    times: list[tuple[Any, Any, Any]],
) -> None:
    """Each start is the latest of the arrival and the finishes ahead; servers never overlap."""
    x = layout.instance
    here: dict[tuple[int, int], Any] = {}
    intervals: dict[int, list[Any]] = {}
    for i, step in enumerate(layout.steps):
        arrival, start, finish = times[i]
        release, latest = int(x.release_ns[step.task]), int(layout.latest[i, 1])
        for r in {int(x.stage_resource[s]) for s in step.stages.values()}:
            leads = [option[o] for o, s in step.stages.items() if x.stage_resource[s] == r]
            here[i, r] = model.new_bool_var(f"here{i},{r}")
            model.add(sum(leads) == here[i, r])
            if x.capacity[r] == 1:
                size = model.new_int_var(0, latest - release, f"size{i},{r}")
                interval = model.new_optional_interval_var(start, size, finish, here[i, r], "")
                intervals.setdefault(r, []).append(interval)
    first = {}
    for i, j in layout.unknown_orders:
        first[i, j] = model.new_bool_var(f"first{i},{j}")
        model.add(times[i][0] <= times[j][0]).only_enforce_if(first[i, j])
        model.add(times[j][0] + 1 <= times[i][0]).only_enforce_if(~first[i, j])
    ahead: dict[int, list[Any]] = {i: [] for i in range(len(layout.steps))}
    for (j, i, r), known in layout.rivals.items():
        conditions = [here[i, r], here[j, r]]
        if not known:
            conditions.append(first[j, i] if j < i else ~first[i, j])
        holds = model.new_bool_var("")
        model.add_bool_and(conditions).only_enforce_if(holds)
        model.add_bool_or([holds, *(~c for c in conditions)])
        until = model.new_int_var(0, int(layout.latest[j, 1]), "")
        model.add(until == times[j][2]).only_enforce_if(holds)
        model.add(until == 0).only_enforce_if(~holds)
        ahead[i].append(until)
    for i, (arrival, start, _) in enumerate(times):
        model.add_max_equality(start, [arrival, *ahead[i]])
    for both in intervals.values():
        model.add_no_overlap(both)


def _cost(
    model: cp_model.CpModel,
    layout: milp.Layout,
    option: dict[int, Any],
    times: list[tuple[Any, Any, Any]],
    k: int,
) -> Any:
    """Cost of a task, ns."""
    x, w = layout.instance, layout.windows
    alive = [o for o in x.options_of(k) if w.alive[o]]
    release, deadline, drop = (int(v[k]) for v in (x.release_ns, x.deadline_ns, x.drop_cost_ns))
    on_time, late, dropped = (model.new_bool_var(f"{name}{k}") for name in ("on", "late", "drop"))
    model.add_exactly_one(on_time, late, dropped)
    model.add_exactly_one(dropped, *(option[o] for o in alive))
    worth = [option[o] for o in alive if w.late_useful[o]]
    model.add(late <= sum(worth))
    if drop >= INFINITE_NS:
        model.add(dropped == 0)
        drop = 0
    if not alive:
        return drop * dropped
    fixed = {o: int(x.fixed_cost_ns[o]) for o in alive}
    last = layout.steps_of[k][-1]
    finish, latest = times[last][2], int(layout.latest[last, 1])
    if deadline < INFINITE_NS:
        model.add(finish <= release + deadline).only_enforce_if(on_time)
        model.add(finish >= release + deadline + 1).only_enforce_if(late)
    low, high = min([0, *fixed.values()]), latest - release + max([0, *fixed.values()])
    paid = model.new_int_var(low, high, f"paid{k}")
    spent = finish - release + sum(fixed[o] * option[o] for o in alive)
    model.add(paid == spent).only_enforce_if(on_time)
    model.add(paid == 0).only_enforce_if(~on_time)
    # Implied, and what its linear relaxation needs: no option is quicker than its empty network.
    ends = {o: w.earliest_finish[x.stage_ptr[o + 1] - 1] for o in alive}
    floor = {o: int(ends[o]) - release + fixed[o] for o in alive}
    worst = max([0, *floor.values()])
    model.add(paid >= sum(floor[o] * option[o] for o in alive) - worst * late)
    return paid + drop * (late + dropped)
