"""What the compact model of `formulations.offloading.compact` is indexed over: steps and stations.

A *step* (task, position) gathers the stages at one position of a task's options: only one option
is chosen, so they share one start variable. A *station* is a resource between two of its down
intervals: work that arrives in different up-windows never meets, so each window is a queue of its
own. All times here are integer nanoseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.compact_windows import (
    Check,
    Relations,
    Windows,
    cost_rises,
    endless,
    find_windows,
    is_terminal,
)
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import INFINITE_NS, UNLIMITED

#: With at most this many quanta in the horizon, ties are modelled exactly.
_FINE_GRID = 10_000


@dataclass(frozen=True)
class Step:
    """Stages at one position of the options of a task.

    Parameters
    ----------
    task, position : int
    stages : dict
        Global option index -> global stage index, for the options that have the position.
    kind : str
        How its arrival is known: ``"release"`` (a source in every option), ``"follow"`` (the
        finish of the same step in every option) or ``"join"`` (depends on the option).
    follows : int
        Index of the step it follows; -1 unless `kind` is ``"follow"``.
    """

    task: int
    position: int
    stages: dict[int, int]
    kind: str
    follows: int


@dataclass(frozen=True)
class Station:
    """A resource in one of its windows [start_ns, end_ns); `up` says whether it works then."""

    resource: int
    start_ns: int
    end_ns: int
    up: bool


@dataclass(frozen=True, eq=False)
class Layout:
    """Index sets and constants of the compact model of one instance."""

    instance: OffloadingInstance
    windows: Windows
    steps: tuple[Step, ...]
    stations: tuple[Station, ...]
    terminal: NDArray[np.bool_]
    cost_rises: NDArray[np.bool_]
    #: (i, j, r): step i can hold up step j at resource r; the value says whether i surely comes
    #: first there.
    rivals: dict[tuple[int, int, int], bool]
    #: Length of one model unit of time, ns, and the least difference of two times, in units.
    unit_ns: float
    strict: float

    @cached_property
    def steps_of(self) -> list[list[int]]:
        """Indices of the steps of each task, by position."""
        out: list[list[int]] = [[] for _ in range(self.instance.n_tasks)]
        for i, step in enumerate(self.steps):
            out[step.task].append(i)
        return out

    @cached_property
    def unknown_orders(self) -> list[tuple[int, int]]:
        """Pairs i < j of steps whose arrival order depends on the decision."""
        unknown = [(i, j) for (i, j, _), known in self.rivals.items() if not known]
        return sorted({(min(pair), max(pair)) for pair in unknown})

    def before(self, i: int) -> dict[int, list[int]]:
        """Steps that precede step i, by option."""
        x, step = self.instance, self.steps[i]
        first = self.steps_of[step.task][0]
        return {
            o: [first + int(p - x.stage_ptr[o]) for p in x.pred[x.pred_ptr[s] : x.pred_ptr[s + 1]]]
            for o, s in step.stages.items()
        }

    @cached_property
    def visits(self) -> dict[int, dict[int, list[int]]]:
        """Stations each step may visit, each with the options (global) that lead there."""
        out: dict[int, dict[int, list[int]]] = {}
        x, w = self.instance, self.windows
        for i, step in enumerate(self.steps):
            out[i] = {}
            for n, station in enumerate(self.stations):
                options = [
                    o
                    for o, s in step.stages.items()
                    if x.stage_resource[s] == station.resource
                    and w.earliest_arrival[s] < station.end_ns
                    and w.latest_arrival[s] >= station.start_ns
                ]
                if options:
                    out[i][n] = options
        return out

    @cached_property
    def can_be_lost(self) -> NDArray[np.bool_]:
        """(steps,) whether the task can be lost at the step (resources that go down)."""
        x = self.instance
        has_down = np.diff(x.down_ptr) > 0
        return np.array(
            [
                bool(x.drop_cost_ns[step.task] < INFINITE_NS)
                and any(has_down[x.stage_resource[s]] for s in step.stages.values())
                for step in self.steps
            ]
        )

    @cached_property
    def has_windows(self) -> NDArray[np.bool_]:
        """(steps,) whether presence at a station needs binaries of its own."""
        x = self.instance
        has_down = np.diff(x.down_ptr) > 0
        out = np.zeros(len(self.steps), dtype=np.bool_)
        for indices in self.steps_of:
            for n, i in enumerate(indices):
                here = any(has_down[x.stage_resource[s]] for s in self.steps[i].stages.values())
                out[i] = here or self.can_be_lost[indices[:n]].any()
        return out

    @cached_property
    def last_steps(self) -> list[list[int]]:
        """Steps of each task that no other step follows in every option."""
        out = []
        for indices in self.steps_of:
            followed = {self.steps[i].follows for i in indices}
            out.append([i for i in indices if i not in followed])
        return out

    @cached_property
    def latest(self) -> NDArray[np.int64]:
        """(steps, 2) latest arrival and finish, whatever is chosen, ns."""
        x, w = self.instance, self.windows
        out = np.zeros((len(self.steps), 2), dtype=np.int64)
        for i, step in enumerate(self.steps):
            stages = list(step.stages.values())
            release = int(x.release_ns[step.task])
            if step.kind == "follow":
                out[i, 0] = out[step.follows, 1]
            elif step.kind == "join":
                out[i, 0] = max([release, *w.latest_arrival[stages]])
            else:
                out[i, 0] = release
            out[i, 1] = max([int(out[i, 0]), *w.latest_finish[stages]])
        return out


def lay_out(x: OffloadingInstance, check: Check = endless) -> Layout:
    """Preprocess an instance for the compact model; `check` is called all along."""
    w, relations = find_windows(x, check), Relations(x)
    steps = _steps(x, w, relations)
    rivals: dict[tuple[int, int, int], bool] = {}
    step_of = {s: i for i, step in enumerate(steps) for s in step.stages.values()}
    for r in np.flatnonzero(x.capacity != UNLIMITED).tolist():
        stages = [s for s in relations.on[r].tolist() if s in step_of]
        for s in stages:
            check()
            for t in stages:
                if relations.may_hold_up(w, s, t):
                    key = step_of[s], step_of[t], r
                    rivals[key] = rivals.get(key, True)
        for s in stages:
            check()
            for t in stages:
                key = step_of[s], step_of[t], r
                if key in rivals and relations.compatible(s, t):
                    rivals[key] &= relations.surely_before(w, s, t)
    unit, strict = _units(x, w)
    return Layout(x, w, steps, _stations(x), is_terminal(x), cost_rises(x), rivals, unit, strict)


def expected_size(x: OffloadingInstance) -> tuple[int, int]:
    """About how many variables and constraints the compact model has, in no time.

    Counts pairs of steps that can meet at a resource when every task is on time.
    """
    k = x.task_of_option[x.option_of_stage]
    position = np.arange(len(x.service_ns)) - x.stage_ptr[x.option_of_stage]
    step = k * (int(position.max()) + 1) + position  # a number for each step
    span = int(step.max()) + 1
    last = np.where(x.deadline_ns < INFINITE_NS, x.release_ns + x.deadline_ns, NEVER)
    limited = x.capacity[x.stage_resource] != UNLIMITED
    visits, at = np.unique(
        x.stage_resource[limited].astype(np.int64) * span + step[limited], return_index=True
    )
    task = k[limited][at]
    pairs = 0
    for here in np.split(task, np.flatnonzero(np.diff(visits // span)) + 1):
        gone = np.sort(last[here])
        before = np.searchsorted(gone, x.release_ns[here], side="right")  # gone when it comes
        pairs += len(here) * (len(here) - 1) // 2 - int(before.sum())
    steps = len(np.unique(step))
    variables = x.n_options + 3 * x.n_tasks + 2 * steps + pairs // 4
    return variables, 4 * x.n_tasks + 3 * steps + 3 * pairs


def _steps(x: OffloadingInstance, w: Windows, relations: Relations) -> tuple[Step, ...]:
    steps: list[Step] = []
    for k in range(x.n_tasks):
        options = [o for o in x.options_of(k) if w.alive[o]]
        width = max((int(x.stage_ptr[o + 1] - x.stage_ptr[o]) for o in options), default=0)
        first = len(steps)
        for position in range(width):
            stages = {
                o: int(x.stage_ptr[o]) + position
                for o in options
                if x.stage_ptr[o] + position < x.stage_ptr[o + 1]
            }
            before = {
                tuple(p - int(x.stage_ptr[o]) for p in relations.pred[s]) for o, s in stages.items()
            }
            kind, follows = "join", -1
            if before == {()}:
                kind = "release"
            elif len(before) == 1 and len(next(iter(before))) == 1:
                (earlier,) = next(iter(before))
                if earlier < position:
                    kind, follows = "follow", first + earlier
            steps.append(Step(k, position, stages, kind, follows))
    return tuple(steps)


def _stations(x: OffloadingInstance) -> tuple[Station, ...]:
    out = []
    for r in range(x.n_resources):
        free_from = 0
        for start, end in x.down_ns[x.down_ptr[r] : x.down_ptr[r + 1]].tolist():
            out.append(Station(r, free_from, start, True))
            out.append(Station(r, start, end, False))
            free_from = end
        out.append(Station(r, free_from, NEVER, True))
    return tuple(out)


def _units(x: OffloadingInstance, w: Windows) -> tuple[float, float]:
    """Model unit of time in ns, and the strictness of "later than" in units.

    On a coarse grid the unit is the greatest common divisor of all times and ties are exact.
    Otherwise a nanosecond is below a solver's tolerance: ties may fall either way in the model,
    which keeps the bound valid, and the replay decides.
    """
    finite = x.deadline_ns[x.deadline_ns < INFINITE_NS]
    times = np.concatenate([x.release_ns, x.service_ns, x.down_ns.ravel(), finite])
    quantum = max(1, math.gcd(*times.tolist()))
    used = w.alive[x.option_of_stage]
    horizon = max([1, *w.latest_finish[used].tolist()])
    if horizon <= _FINE_GRID * quantum:
        return float(quantum), 1.0
    return horizon / 100.0, 0.0
