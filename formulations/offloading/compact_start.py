"""Values of every variable of the compact model for a given decision: a MIP start."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from formulations.offloading import compact_layout as milp
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import DROPPED, UNLIMITED


@dataclass(frozen=True, eq=False)
class _Run:
    """Times of all steps (ns), station of each step (-1 if absent), and whether it is lost."""

    option: list[int]
    arrival: NDArray[np.int64]
    start: NDArray[np.int64]
    finish: NDArray[np.int64]
    station: NDArray[np.int64]
    lost: NDArray[np.bool_]
    late: list[bool]


def set_values(m: pyo.ConcreteModel, layout: milp.Layout, choice: NDArray[np.int64]) -> None:
    """Give the model's variables the values that a decision implies.

    Tasks that would be late where lateness is useless are dropped instead, which costs no more.
    """
    x, w = layout.instance, layout.windows
    choice = choice.copy()
    while True:
        run = _simulate(layout, choice)
        bad = [
            k
            for k, o in enumerate(run.option)
            if o >= 0 and (not w.alive[o] or (run.late[k] and not w.late_useful[o]))
        ]
        if not bad:
            break
        choice[bad] = DROPPED
    unit = layout.unit_ns
    for o in m.x:
        m.x[o] = int(run.option[x.task_of_option[o]] == o)
    for k in m.d:
        o, steps = run.option[k], layout.steps_of[k]
        on_time = o >= 0 and not run.late[k] and not run.lost[steps].any()
        m.d[k] = int(o < 0)
        m.F[k] = float(x.fixed_cost_ns[o]) / unit if on_time else 0.0
        done = max(run.finish[steps], default=x.release_ns[k])
        m.L[k] = float(done - x.release_ns[k]) / unit if on_time else 0.0
    for k in m.late:
        m.late[k] = int(run.late[k])
    _set_steps(m, layout, run)
    _set_pairs(m, run)


def _set_steps(m: pyo.ConcreteModel, layout: milp.Layout, run: _Run) -> None:
    x, unit = layout.instance, layout.unit_ns
    for i in m.b:
        m.b[i] = float(run.start[i]) / unit
        m.f[i] = float(run.finish[i]) / unit
    for i in m.a:
        m.a[i] = float(run.arrival[i]) / unit
    for i in m.lost:
        m.lost[i] = int(run.lost[i])
    for i, q in m.z:
        m.z[i, q] = int(run.station[i] == q)
    for i in m.prompt:
        m.prompt[i] = int(run.start[i] == run.arrival[i])
    for i, j, o in m.last:
        chosen = run.option[layout.steps[i].task] == o
        m.last[i, j, o] = int(chosen and run.finish[j] == run.arrival[i])
    for i in m.proof:
        k = layout.steps[i].task
        m.proof[i] = int(run.finish[i] - x.release_ns[k] > x.deadline_ns[k])


def _set_pairs(m: pyo.ConcreteModel, run: _Run) -> None:
    def ahead(j: int, i: int) -> bool:
        return (run.arrival[j], j) < (run.arrival[i], i)

    for i, j in m.first:
        m.first[i, j] = int(ahead(i, j))
    for var, waits in ((m.still, False), (m.held, True)):
        for j, i, q in var:
            holds = run.station[j] == q == run.station[i] and ahead(j, i)
            if waits:
                holds &= run.finish[j] >= run.start[i] > run.arrival[i]
            else:
                holds &= run.finish[j] > run.start[i]
            var[j, i, q] = int(holds)


def _simulate(layout: milp.Layout, choice: NDArray[np.int64]) -> _Run:
    """Replay over steps, with the model's values for steps that are absent."""
    x, n = layout.instance, len(layout.steps)
    option = [int(x.option_ptr[k] + c) if c >= 0 else -1 for k, c in enumerate(choice)]
    arrival = np.array([x.release_ns[step.task] for step in layout.steps], dtype=np.int64)
    start, finish = arrival.copy(), arrival.copy()
    station, lost = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    feeds: list[list[int]] = [[] for _ in range(n)]
    waiting = np.zeros(n, dtype=np.int64)
    for i, step in enumerate(layout.steps):
        for j in _feeding(layout, i, option[step.task]):
            feeds[j].append(i)
            waiting[i] += 1
    queues: dict[int, list[int]] = {}
    ready = [(int(arrival[i]), i) for i in range(n) if waiting[i] == 0]
    heapq.heapify(ready)
    while ready:
        now, i = heapq.heappop(ready)
        step = layout.steps[i]
        k = step.task
        start[i] = now
        stage = step.stages.get(option[k])
        service = 0 if stage is None else int(x.service_ns[stage])
        if stage is not None and not lost[layout.steps_of[k]].any():
            q = _station_at(layout, int(x.stage_resource[stage]), now)
            station[i] = q
            here, place = queues.setdefault(q, []), layout.stations[q]
            capacity = int(x.capacity[place.resource])
            if place.up and capacity != UNLIMITED and len(here) >= capacity:
                start[i] = max(now, sorted(here)[-capacity])
            here.append(int(start[i]) + service)
            lost[i] = not place.up or start[i] + service > place.end_ns
        finish[i] = start[i] + service
        for j in feeds[i]:
            waiting[j] -= 1
            arrival[j] = max(arrival[j], finish[i])
            if waiting[j] == 0:
                heapq.heappush(ready, (int(arrival[j]), j))
    late = []
    for k, steps in enumerate(layout.steps_of):
        latency = max(finish[steps], default=NEVER) - x.release_ns[k]
        runs = option[k] >= 0 and not lost[steps].any()
        late.append(bool(runs and latency > x.deadline_ns[k]))
    return _Run(option, arrival, start, finish, station, lost, late)


def _feeding(layout: milp.Layout, i: int, option: int) -> list[int]:
    """Steps whose finish is step i's arrival under the chosen option."""
    step = layout.steps[i]
    if step.kind == "follow":
        return [step.follows]
    return [] if step.kind == "release" else layout.before(i).get(option, [])


def _station_at(layout: milp.Layout, resource: int, now: int) -> int:
    for q, station in enumerate(layout.stations):
        if station.resource == resource and station.start_ns <= now < station.end_ns:
            return q
    raise AssertionError(f"no station of resource {resource} at {now} ns")
