"""The Pyomo model of `formulations.offloading.compact`: its constraints by label."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.offloading import compact_layout as milp
from formulations.offloading.compact_windows import Check, endless
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import INFINITE_NS

Rows = dict[str, dict[Any, Any]]


def build_model(layout: milp.Layout, check: Check = endless) -> pyo.ConcreteModel:
    """The whole model, times and costs in units of `layout.unit_ns`; it calls `check` all along."""
    m = pyo.ConcreteModel("offloading")
    _variables(m, layout)
    waiting = (partial(_fifo, check=check), partial(_no_idling, check=check))
    for block in (_choices, _times, *waiting, _costs, _down):
        for label, rows in block(m, layout).items():
            setattr(m, label, _constraint(rows, check))
    m.exclude = pyo.ConstraintList()
    x = layout.instance
    cost = np.where(x.drop_cost_ns < INFINITE_NS, x.drop_cost_ns / layout.unit_ns, np.inf)
    m.cost = pyo.Objective(
        expr=sum(
            float(x.latency_weight[k]) * m.L[k]
            + m.F[k]
            + (float(cost[k]) * (m.d[k] + _failed(m, layout, k)) if np.isfinite(cost[k]) else 0)
            for k in range(x.n_tasks)
        )
    )
    return m


def _constraint(rows: dict[Any, Any], check: Check) -> pyo.Constraint:
    def row(_: Any, *key: Any) -> Any:
        check()
        return rows[key if len(key) > 1 else key[0]]

    return pyo.Constraint(list(rows), rule=row)


def _variables(m: pyo.ConcreteModel, layout: milp.Layout) -> None:
    x, w, unit = layout.instance, layout.windows, layout.unit_ns
    release = x.release_ns / unit
    tasks, steps = range(x.n_tasks), range(len(layout.steps))
    m.x = pyo.Var([int(o) for o in np.flatnonzero(w.alive)], domain=pyo.Binary)
    m.d = pyo.Var(tasks, domain=pyo.Binary)
    for k in tasks:
        if x.drop_cost_ns[k] >= INFINITE_NS:
            m.d[k].fix(0)
    late = [k for k in tasks if any(w.late_useful[o] for o in x.options_of(k))]
    m.late = pyo.Var(late, domain=pyo.Binary)
    m.lost = pyo.Var(np.flatnonzero(layout.can_be_lost).tolist(), domain=pyo.Binary)
    bounds = {
        i: (float(release[step.task]), float(layout.latest[i, 1]) / unit)
        for i, step in enumerate(layout.steps)
    }
    joins = [i for i in steps if layout.steps[i].kind == "join"]
    m.a = pyo.Var(joins, bounds=lambda _, i: bounds[i])
    m.b = pyo.Var(steps, bounds=lambda _, i: bounds[i])
    m.f = pyo.Var(steps, bounds=lambda _, i: bounds[i])
    m.L = pyo.Var(tasks, bounds=(0, None))
    m.F = pyo.Var(tasks)
    m.z = pyo.Var(
        [(i, q) for i in steps if layout.has_windows[i] for q in layout.visits[i]],
        domain=pyo.Binary,
    )
    m.first = pyo.Var(layout.unknown_orders, domain=pyo.Binary)
    rivals = _rivals_at_stations(layout)
    waits = _waits(layout)
    m.held = pyo.Var(
        [(j, i, q) for j, i, q in rivals if i in waits and not _is_terminal(layout, q)],
        domain=pyo.Binary,
    )
    m.still = pyo.Var(
        [(j, i, q) for j, i, q in rivals if x.capacity[layout.stations[q].resource] > 1],
        domain=pyo.Binary,
    )
    m.prompt = pyo.Var(waits, domain=pyo.Binary)
    m.last = pyo.Var(
        [(i, j, o) for i in joins for o, before in layout.before(i).items() for j in before],
        domain=pyo.Binary,
    )
    strict_late = [k for k in late if not all(layout.cost_rises[o] for o in x.options_of(k))]
    m.proof = pyo.Var([i for k in strict_late for i in layout.last_steps[k]], domain=pyo.Binary)


def _is_terminal(layout: milp.Layout, q: int) -> bool:
    return bool(layout.terminal[layout.stations[q].resource])


def _waits(layout: milp.Layout) -> list[int]:
    """Steps that may visit a station where idling must be forbidden."""
    return [
        i for i, visits in layout.visits.items() if not all(_is_terminal(layout, q) for q in visits)
    ]


def _rivals_at_stations(layout: milp.Layout) -> list[tuple[int, int, int]]:
    """(j, i, q): step j can hold up step i at station q."""
    return [
        (j, i, q)
        for j, i, r in layout.rivals
        for q in layout.visits[i]
        if q in layout.visits[j] and layout.stations[q].up and layout.stations[q].resource == r
    ]


# ------------------------------------------------------------------------------ expressions
def _arrival(m: pyo.ConcreteModel, layout: milp.Layout, i: int) -> Any:
    step = layout.steps[i]
    if step.kind == "release":
        return float(layout.instance.release_ns[step.task]) / layout.unit_ns
    return m.f[step.follows] if step.kind == "follow" else m.a[i]


def _lost_before(m: pyo.ConcreteModel, layout: milp.Layout, i: int) -> Any:
    step = layout.steps[i]
    earlier = layout.steps_of[step.task][: step.position]
    return sum(m.lost[j] for j in earlier if j in m.lost)


def _failed(m: pyo.ConcreteModel, layout: milp.Layout, k: int) -> Any:
    lost = sum(m.lost[i] for i in layout.steps_of[k] if i in m.lost)
    return lost + sum(m.late[n] for n in (k,) if n in m.late)


def _present(m: pyo.ConcreteModel, layout: milp.Layout, i: int, q: int) -> Any:
    return m.z[i, q] if (i, q) in m.z else sum(m.x[o] for o in layout.visits[i][q])


def _precedes(m: pyo.ConcreteModel, layout: milp.Layout, j: int, i: int, q: int) -> Any:
    if layout.rivals[j, i, layout.stations[q].resource]:
        return 1
    return m.first[j, i] if j < i else 1 - m.first[i, j]


# ------------------------------------------------------------------------------ constraints
def _choices(m: pyo.ConcreteModel, layout: milp.Layout) -> Rows:
    x, w = layout.instance, layout.windows
    choice, useful = {}, {}
    for k in range(x.n_tasks):
        chosen = [m.x[o] for o in x.options_of(k) if w.alive[o]]
        choice[k] = sum(chosen) + m.d[k] == 1
        failed = _failed(m, layout, k)
        if not isinstance(failed, int):
            useful[k, "run"] = failed <= sum(chosen)
        if k in m.late:
            worth = [m.x[o] for o in x.options_of(k) if w.late_useful[o]]
            useful[k, "late"] = m.late[k] <= sum(worth)
    return {"choice": choice, "late_useful": useful}


def _times(m: pyo.ConcreteModel, layout: milp.Layout) -> Rows:
    x, unit = layout.instance, layout.unit_ns
    out: Rows = {
        key: {} for key in ["service", "after", "join", "join_source", "join_last", "join_some"]
    }
    for i, step in enumerate(layout.steps):
        served = sum(float(x.service_ns[s]) / unit * m.x[o] for o, s in step.stages.items())
        out["service"][i] = m.f[i] == m.b[i] + served
        out["after"][i] = m.b[i] >= _arrival(m, layout, i)
        if step.kind != "join":
            continue
        release = float(x.release_ns[step.task]) / unit
        big = float(layout.latest[i, 0]) / unit - release
        before = layout.before(i)
        fed = sum(m.x[o] for o, steps in before.items() if steps)
        out["join_source"][i] = m.a[i] <= release + big * fed
        for o, steps in before.items():
            if steps:
                out["join_some"][i, o] = sum(m.last[i, j, o] for j in steps) >= m.x[o]
            for j in steps:
                late = float(layout.latest[j, 1]) / unit - release
                out["join"][i, j, o] = m.a[i] >= m.f[j] - late * (1 - m.x[o])
                out["join_last"][i, j, o] = m.a[i] <= m.f[j] + big * (1 - m.last[i, j, o])
    return out


def _fifo(m: pyo.ConcreteModel, layout: milp.Layout, check: Check) -> Rows:
    x, unit = layout.instance, layout.unit_ns
    release = np.array([x.release_ns[step.task] for step in layout.steps]) / unit
    latest = layout.latest / unit
    out: Rows = {key: {} for key in ["order", "order_strict", "queue", "running"]}
    for i, j in layout.unknown_orders:
        check()
        a_i, a_j = _arrival(m, layout, i), _arrival(m, layout, j)
        ahead = float(latest[i, 0] - release[j])
        behind = float(latest[j, 0] - release[i]) + layout.strict
        out["order"][i, j] = a_i <= a_j + max(0.0, ahead) * (1 - m.first[i, j])
        out["order_strict"][i, j] = a_j + layout.strict <= a_i + max(0.0, behind) * m.first[i, j]
    running: dict[tuple[int, int], Any] = {}
    for j, i, q in _rivals_at_stations(layout):
        check()
        here = _present(m, layout, i, q) + _present(m, layout, j, q)
        slack = 3 - _precedes(m, layout, j, i, q) - here
        if (j, i, q) in m.still:
            slack = slack + m.still[j, i, q]
            running[i, q] = running.get((i, q), 0) + m.still[j, i, q]
        out["queue"][j, i, q] = m.b[i] >= m.f[j] - float(latest[j, 1] - release[i]) * slack
    for (i, q), sum_still in running.items():
        capacity = int(x.capacity[layout.stations[q].resource])
        out["running"][i, q] = sum_still <= capacity - 1
    return out


def _no_idling(m: pyo.ConcreteModel, layout: milp.Layout, check: Check) -> Rows:
    x, unit = layout.instance, layout.unit_ns
    out: Rows = {
        key: {} for key in ["no_wait", "busy", "busy_until", "busy_here", "busy_before", "absent"]
    }
    held_by: dict[tuple[int, int], Any] = {}
    for j, i, q in m.held:
        check()
        held = m.held[j, i, q]
        held_by[i, q] = held_by.get((i, q), 0) + held
        start_j = float(x.release_ns[layout.steps[j].task]) / unit
        big = float(layout.latest[i, 1]) / unit - start_j
        out["busy_until"][j, i, q] = m.b[i] <= m.f[j] + max(0.0, big) * (1 - held)
        out["busy_here"][j, i, q] = held <= _present(m, layout, j, q)
        before = _precedes(m, layout, j, i, q)
        if not isinstance(before, int):
            out["busy_before"][j, i, q] = held <= before
    for i in m.prompt:
        step = layout.steps[i]
        big = float(layout.latest[i, 1] - x.release_ns[step.task]) / unit
        out["no_wait"][i] = m.b[i] <= _arrival(m, layout, i) + big * (1 - m.prompt[i])
        out["absent"][i] = m.prompt[i] >= 1 - sum(m.x[o] for o in step.stages)
        for q in layout.visits[i]:
            if _is_terminal(layout, q) or not layout.stations[q].up:
                continue
            capacity = int(x.capacity[layout.stations[q].resource])
            need = 1 if (i, q) not in held_by else capacity
            wait = need * (_present(m, layout, i, q) - m.prompt[i])
            out["busy"][i, q] = held_by.get((i, q), 0) >= wait
    return out


def _costs(m: pyo.ConcreteModel, layout: milp.Layout) -> Rows:
    x, w, unit = layout.instance, layout.windows, layout.unit_ns
    keys = "deadline late_is_late late_proof latency latency_floor fixed fixed_floor"
    out: Rows = {key: {} for key in keys.split()}
    shortest = w.earliest_finish - x.release_ns[x.task_of_option[x.option_of_stage]]
    least = np.maximum.reduceat(shortest, x.stage_ptr[:-1]) / unit
    for k in range(x.n_tasks):
        options = [o for o in x.options_of(k) if w.alive[o]]
        failed = _failed(m, layout, k)
        release = float(x.release_ns[k]) / unit
        due = (
            release + float(x.deadline_ns[k]) / unit
            if x.deadline_ns[k] < INFINITE_NS
            else float("inf")
        )
        for i in layout.last_steps[k]:
            latest = float(layout.latest[i, 1]) / unit
            out["latency"][i] = m.L[k] >= m.f[i] - release - (latest - release) * failed
            if latest > due:
                out["deadline"][i] = m.f[i] <= due + (latest - due) * failed
            if i in m.proof:
                big = due + layout.strict - release
                out["late_proof"][i] = m.f[i] >= due + layout.strict - big * (1 - m.proof[i])
        if any(i in m.proof for i in layout.last_steps[k]):
            proofs = sum(m.proof[i] for i in layout.last_steps[k])
            free = sum(m.x[o] for o in options if layout.cost_rises[o])
            out["late_is_late"][k] = proofs >= m.late[k] - free
        fixed = {o: float(x.fixed_cost_ns[o]) / unit for o in options}
        highest = max([0.0, *fixed.values()])
        lowest = min([0.0, *fixed.values()])
        floor = sum(float(least[o]) * m.x[o] for o in options)
        longest = max([0.0, *(float(least[o]) for o in options)])
        out["latency_floor"][k] = m.L[k] >= floor - longest * failed
        out["fixed"][k] = m.F[k] >= sum(fixed[o] * m.x[o] for o in options) - highest * failed
        out["fixed_floor"][k] = m.F[k] >= lowest * (1 - m.d[k] - failed)
    return out


def _down(m: pyo.ConcreteModel, layout: milp.Layout) -> Rows:
    x, unit, delta = layout.instance, layout.unit_ns, layout.strict
    keys = "window_here window_some window_alive window_from window_until down survive loss"
    out: Rows = {key: {} for key in [*keys.split(), "loss_here"]}
    for i in np.flatnonzero(layout.has_windows).tolist():
        step, visits = layout.steps[i], layout.visits[i]
        arrival, lost_before = _arrival(m, layout, i), _lost_before(m, layout, i)
        release = float(x.release_ns[step.task]) / unit
        latest_a, latest_f = (float(t) / unit for t in layout.latest[i])
        lost = sum(m.lost[n] for n in (i,) if n in m.lost)
        for r in sorted({int(x.stage_resource[s]) for s in step.stages.values()}):
            stations = [q for q in visits if layout.stations[q].resource == r]
            there = sum(m.x[o] for o, s in step.stages.items() if x.stage_resource[s] == r)
            here = sum(m.z[i, q] for q in stations)
            out["window_here"][i, r] = here <= there
            out["window_some"][i, r] = here >= there - lost_before
        out["window_alive"][i] = sum(m.z[i, q] for q in visits) <= 1 - lost_before
        ends: Any = 0
        for q in visits:
            station, z = layout.stations[q], m.z[i, q]
            begin, end = station.start_ns / unit, station.end_ns / unit
            if begin > release:
                out["window_from"][i, q] = arrival >= begin - (begin - release) * (1 - z)
            if station.end_ns == NEVER:
                continue
            ends = ends + z
            out["window_until"][i, q] = arrival <= end - delta + max(
                0.0, latest_a - end + delta
            ) * (1 - z)
            if not station.up:
                out["down"][i, q] = lost >= z
                continue
            out["survive"][i, q] = m.f[i] <= end + max(0.0, latest_f - end) * (1 - z + lost)
            if i in m.lost:
                big = end + delta - release
                out["loss"][i, q] = m.f[i] >= end + delta - big * (2 - z - lost)
        if i in m.lost:
            out["loss_here"][i] = lost <= ends
    return out
