"""What the compact model of `formulations.offloading` is indexed over: steps, stations, windows.

A *step* (task, position) gathers the stages at one position of a task's options: only one option
is chosen, so they share one start variable. A *station* is a resource between two of its down
intervals: work that arrives in different up-windows never meets, so each window is a queue of its
own. *Windows* are earliest and latest arrivals and finishes; they fix arrival orders and keep the
big-M constants small. All times here are integer nanoseconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mecopt.kernel import NEVER
from mecopt.offloading import INFINITE_NS, UNLIMITED, OffloadingInstance

#: With at most this many quanta in the horizon, ties are modelled exactly.
_FINE_GRID = 10_000
_WINDOW_ROUNDS = 8


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
class Windows:
    """Earliest and latest times of every stage in some optimal decision, ns.

    `alive` (O,) are options that such a decision can use, `late_useful` (O,) options worth running
    late: those that hold up somebody on a resource from which work goes on.
    """

    earliest_arrival: NDArray[np.int64]
    latest_arrival: NDArray[np.int64]
    earliest_finish: NDArray[np.int64]
    latest_finish: NDArray[np.int64]
    alive: NDArray[np.bool_]
    late_useful: NDArray[np.bool_]


def cost_rises(x: OffloadingInstance) -> NDArray[np.bool_]:
    """(O,) whether finishing later never makes a task cheaper under an option.

    False where a finish within the deadline may cost more than the drop, so that being late, or
    lost, on purpose would pay.
    """
    k = x.task_of_option
    drop, deadline = x.drop_cost_ns[k], x.deadline_ns[k]
    has_down = np.diff(x.down_ptr) > 0
    touches_down = np.bincount(x.option_of_stage, has_down[x.stage_resource], x.n_options) > 0
    forbidden = drop >= INFINITE_NS
    endless = deadline >= INFINITE_NS
    dearest = x.latency_weight[k] * np.where(endless, 0, deadline) + x.fixed_cost_ns
    return forbidden | np.where(endless, ~touches_down, dearest <= drop)


def is_terminal(x: OffloadingInstance) -> NDArray[np.bool_]:
    """(R,) resources where idling helps nobody: nothing goes on from there and costs rise."""
    goes_on = np.zeros(len(x.service_ns), dtype=np.bool_)
    goes_on[x.pred] = True
    goes_on |= ~cost_rises(x)[x.option_of_stage]
    terminal = np.ones(x.n_resources, dtype=np.bool_)
    terminal[x.stage_resource[goes_on]] = False
    return terminal


class _Relations:
    """Which stages may meet at a resource, and in which order (uses the windows so far)."""

    def __init__(self, x: OffloadingInstance) -> None:
        n = len(x.service_ns)
        self.x = x
        self.task = x.task_of_option[x.option_of_stage]
        self.on: list[NDArray[np.int64]] = [
            np.flatnonzero(x.stage_resource == r) for r in range(x.n_resources)
        ]
        self.pred = [x.pred[x.pred_ptr[s] : x.pred_ptr[s + 1]].tolist() for s in range(n)]
        self.topological = _topological(self.pred)
        self.ancestors: list[set[int]] = [set() for _ in range(n)]
        for s in self.topological:
            for p in self.pred[s]:
                self.ancestors[s] |= self.ancestors[p] | {p}

    def compatible(self, s: int, t: int) -> bool:
        """Can both be in a queue at once? Not if they belong to rival options or one feeds one."""
        if self.task[s] != self.task[t]:
            return True
        same = self.x.option_of_stage[s] == self.x.option_of_stage[t]
        return bool(same) and s not in self.ancestors[t] and t not in self.ancestors[s] and s != t

    @staticmethod
    def surely_before(w: Windows, s: int, t: int) -> bool:
        """s arrives before t in every decision (ties by task and stage, the order of indices)."""
        gap = int(w.earliest_arrival[t]) - int(w.latest_arrival[s])
        return gap > 0 or (gap == 0 and s < t)

    def may_hold_up(self, w: Windows, s: int, t: int) -> bool:
        """Can s arrive before t and still be there when t arrives?"""
        return (
            bool(w.latest_finish[s] > w.earliest_arrival[t])
            and not self.surely_before(w, t, s)
            and self.compatible(s, t)
        )


def _topological(pred: list[list[int]]) -> list[int]:
    order: list[int] = []
    seen: set[int] = set()
    for first in range(len(pred)):
        stack = [first]
        while stack:
            s = stack[-1]
            waiting = [p for p in pred[s] if p not in seen]
            if waiting:
                stack.extend(waiting)
            else:
                stack.pop()
                if s not in seen:
                    seen.add(s)
                    order.append(s)
    return order


def find_windows(x: OffloadingInstance) -> Windows:
    """Windows by rounds: arrivals bound waits (work that may be ahead), waits bound arrivals."""
    relations, terminal, n = _Relations(x), is_terminal(x), len(x.service_ns)
    far = np.full(n, NEVER, dtype=np.int64)
    earliest = x.release_ns[relations.task].copy()
    for s in relations.topological:
        for p in relations.pred[s]:
            earliest[s] = max(earliest[s], earliest[p] + x.service_ns[p])
    may_be_late = (x.drop_cost_ns < INFINITE_NS) & (x.deadline_ns < INFINITE_NS)
    late_useful = may_be_late[x.task_of_option]
    alive = np.ones(x.n_options, dtype=np.bool_)
    w = Windows(earliest, far, earliest + x.service_ns, far.copy(), alive, late_useful)
    for _ in range(_WINDOW_ROUNDS):
        arrival, finish = _latest(x, relations, w)
        alive = w.alive.copy()
        alive[x.option_of_stage[arrival < earliest]] = False
        useful = late_useful & alive & _holds_up_others(x, relations, w, terminal)
        same = np.array_equal(arrival, w.latest_arrival) and np.array_equal(useful, w.late_useful)
        w = Windows(earliest, arrival, w.earliest_finish, finish, alive, useful)
        if same:
            break
    return w


def _latest(
    x: OffloadingInstance, relations: _Relations, w: Windows
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One round of latest arrivals and finishes."""
    arrival, finish = w.latest_arrival.copy(), w.latest_finish.copy()
    for s in relations.topological:
        before = [int(finish[p]) for p in relations.pred[s]]
        release = int(x.release_ns[relations.task[s]])
        arrival[s] = min(int(arrival[s]), max([release, *before]))
        latest = int(arrival[s]) + _longest_wait(x, relations, w, s) + int(x.service_ns[s])
        finish[s] = min(int(finish[s]), latest)
    has_down = np.diff(x.down_ptr) > 0
    for s in reversed(relations.topological):
        option, task = x.option_of_stage[s], relations.task[s]
        stages = range(x.stage_ptr[option], x.stage_ptr[option + 1])
        # On time or not at all: the deadline bounds every stage. A lost task has no deadline.
        if not w.late_useful[option] and not has_down[x.stage_resource[stages]].any():
            due = int(x.release_ns[task]) + min(int(x.deadline_ns[task]), NEVER // 2)
            finish[s] = min(int(finish[s]), due)
            arrival[s] = min(int(arrival[s]), int(finish[s]) - int(x.service_ns[s]))
            for p in relations.pred[s]:
                finish[p] = min(int(finish[p]), int(arrival[s]))
    return arrival, finish


def _longest_wait(x: OffloadingInstance, relations: _Relations, w: Windows, s: int) -> int:
    """Most work that can be ahead of stage s, shared by the units of its resource, ns."""
    r = int(x.stage_resource[s])
    if x.capacity[r] == UNLIMITED:
        return 0
    ahead: dict[int, list[int]] = defaultdict(list)
    for t in relations.on[r].tolist():
        option = int(x.option_of_stage[t])
        if w.alive[option] and relations.may_hold_up(w, t, s):
            ahead[option].append(int(x.service_ns[t]))
    most: dict[int, tuple[int, int]] = {}
    for option, services in ahead.items():
        k = int(x.task_of_option[option])
        work, count = most.get(k, (0, 0))
        most[k] = max(work, sum(services)), max(count, len(services))
    if sum(count for _, count in most.values()) < x.capacity[r]:
        return 0
    return sum(work for work, _ in most.values()) // int(x.capacity[r])


def _holds_up_others(
    x: OffloadingInstance, relations: _Relations, w: Windows, terminal: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(O,) options with a stage that can hold up another task where delays can help a third."""
    out = np.zeros(x.n_options, dtype=np.bool_)
    for r in np.flatnonzero(~terminal & (x.capacity != UNLIMITED)):
        for s in relations.on[r].tolist():
            option = x.option_of_stage[s]
            out[option] |= any(
                relations.task[s] != relations.task[t] and relations.may_hold_up(w, s, t)
                for t in relations.on[r].tolist()
                if w.alive[x.option_of_stage[t]]
            )
    return out


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


def lay_out(x: OffloadingInstance) -> Layout:
    """Preprocess an instance for the compact model."""
    w, relations = find_windows(x), _Relations(x)
    steps = _steps(x, w, relations)
    rivals: dict[tuple[int, int, int], bool] = {}
    step_of = {s: i for i, step in enumerate(steps) for s in step.stages.values()}
    for r in np.flatnonzero(x.capacity != UNLIMITED).tolist():
        stages = [s for s in relations.on[r].tolist() if s in step_of]
        for s in stages:
            for t in stages:
                if relations.may_hold_up(w, s, t):
                    key = step_of[s], step_of[t], r
                    rivals[key] = rivals.get(key, True)
        for s in stages:
            for t in stages:
                key = step_of[s], step_of[t], r
                if key in rivals and relations.compatible(s, t):
                    rivals[key] &= relations.surely_before(w, s, t)
    unit, strict = _units(x, w)
    return Layout(x, w, steps, _stations(x), is_terminal(x), cost_rises(x), rivals, unit, strict)


def _steps(x: OffloadingInstance, w: Windows, relations: _Relations) -> tuple[Step, ...]:
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
