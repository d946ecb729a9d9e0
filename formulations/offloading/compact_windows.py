"""Earliest and latest times of every stage, for the compact model of
`formulations.offloading.compact`.

Windows fix arrival orders and keep the big-M constants small. They hold in some optimal decision:
running late where that can help nobody is replaced by a drop, which costs no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import INFINITE_NS, UNLIMITED

_WINDOW_ROUNDS = 8

#: Called again and again by what may take long; raises `OutOfTime` when time is over.
Check = Callable[[], None]


def endless() -> None:
    """The check of work that has all the time it needs."""


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


class Relations:
    """Which stages may meet at a resource, and in which order (uses the windows so far)."""

    def __init__(self, x: OffloadingInstance) -> None:
        n = len(x.service_ns)
        self.x = x
        self.task = x.task_of_option[x.option_of_stage]
        self.on: list[NDArray[np.int64]] = [
            np.flatnonzero(x.stage_resource == r) for r in range(x.n_resources)
        ]
        self.pred = [x.pred[x.pred_ptr[s] : x.pred_ptr[s + 1]].tolist() for s in range(n)]
        self.topological = list(TopologicalSorter(dict(enumerate(self.pred))).static_order())
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


def find_windows(x: OffloadingInstance, check: Check = endless) -> Windows:
    """Windows by rounds: arrivals bound waits (work that may be ahead), waits bound arrivals."""
    relations, terminal, n = Relations(x), is_terminal(x), len(x.service_ns)
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
        arrival, finish = _latest(x, relations, w, check)
        alive = w.alive.copy()
        alive[x.option_of_stage[arrival < earliest]] = False
        useful = late_useful & alive & _holds_up_others(x, relations, w, terminal, check)
        same = np.array_equal(arrival, w.latest_arrival) and np.array_equal(useful, w.late_useful)
        w = Windows(earliest, arrival, w.earliest_finish, finish, alive, useful)
        if same:
            break
    return w


def _latest(
    x: OffloadingInstance, relations: Relations, w: Windows, check: Check
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One round of latest arrivals and finishes."""
    arrival, finish = w.latest_arrival.copy(), w.latest_finish.copy()
    for s in relations.topological:
        check()
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


def _longest_wait(x: OffloadingInstance, relations: Relations, w: Windows, s: int) -> int:
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
    x: OffloadingInstance,
    relations: Relations,
    w: Windows,
    terminal: NDArray[np.bool_],
    check: Check,
) -> NDArray[np.bool_]:
    """(O,) options with a stage that can hold up another task where delays can help a third."""
    out = np.zeros(x.n_options, dtype=np.bool_)
    for r in np.flatnonzero(~terminal & (x.capacity != UNLIMITED)):
        for s in relations.on[r].tolist():
            check()
            option = x.option_of_stage[s]
            out[option] |= any(
                relations.task[s] != relations.task[t] and relations.may_hold_up(w, s, t)
                for t in relations.on[r].tolist()
                if w.alive[x.option_of_stage[t]]
            )
    return out
