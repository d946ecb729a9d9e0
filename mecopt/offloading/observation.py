"""What an online policy sees when a task is released, and the system that lets it see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading import events, projection
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.status import DROPPED as LOST
from mecopt.offloading.status import NEVER, ON_TIME
from mecopt.offloading.units import INFINITE_NS


@dataclass(frozen=True, eq=False)
class Observation:
    """One decision state. Everything here is believed; the future is not in it.

    Parameters
    ----------
    instance : OffloadingInstance
        For names, options and *believed* times of the released task and of committed ones.
    task : int
        The released task.
    now_ns : int
        Its release time, ns.
    choice : (K,) int64
        Choices made so far (entries of later tasks mean nothing).
    active : (n,) int64
        Committed tasks that are not over.
    up : (R,) bool
        Whether each resource is up now.
    free_ns : (units,) int64
        When each unit is believed free of work in service.
    entries : tuple of arrays
        Per resource, the committed stages in order of arrival
        (`mecopt.offloading.projection.project`).
    times : tuple of arrays
        Stage times of committed tasks as the realised world knows them; readers must not use
        entries later than `now_ns` (`mecopt.offloading.projection.believe` does not).
    """

    instance: OffloadingInstance
    task: int
    now_ns: int
    choice: NDArray[np.int64]
    active: NDArray[np.int64]
    up: NDArray[np.bool_]
    free_ns: NDArray[np.int64]
    entries: tuple[NDArray, ...]
    times: tuple[NDArray, ...]

    @property
    def n_options(self) -> int:
        x = self.instance
        return int(x.option_ptr[self.task + 1] - x.option_ptr[self.task])

    @cached_property
    def completion_ns(self) -> NDArray[np.int64]:
        """(n,) believed completion of each option; `NEVER` through a resource that is down."""
        x, options = self.instance, self.instance.options_of(self.task)
        longest = int(np.diff(x.stage_ptr[options.start : options.stop + 1]).max())
        out = np.empty(self.n_options, dtype=np.int64)
        projection.estimate_all(
            x.arrays,
            x.believed_ns,
            self.task,
            self.now_ns,
            self.free_ns,
            self.entries,
            self.up,
            np.empty(x.most_units, dtype=np.int64),
            np.empty(longest, dtype=np.int64),
            out,
        )
        return out

    @property
    def latency_s(self) -> NDArray[np.float64]:
        """(n,) believed latency of each option in s, infinite through a resource that is down."""
        known = self.completion_ns < NEVER
        return np.where(known, (self.completion_ns - self.now_ns) * 1e-9, np.inf)

    @property
    def drop_cost_s(self) -> float:
        """Cost of dropping the task, s."""
        cost = self.instance.drop_cost_ns[self.task]
        return np.inf if cost >= INFINITE_NS else float(cost) * 1e-9

    @property
    def run_cost_s(self) -> NDArray[np.float64]:
        """(n,) weighted latency plus fixed cost in s, even when late.

        Infinite through a resource that is down, even where latency costs nothing.
        """
        x, options = self.instance, self.instance.options_of(self.task)
        fixed = x.fixed_cost_ns[options.start : options.stop] * 1e-9
        latency = self.latency_s
        weighted = np.full(len(latency), np.inf)
        np.multiply(x.latency_weight[self.task], latency, out=weighted, where=latency < np.inf)
        return weighted + fixed

    @property
    def cost_s(self) -> NDArray[np.float64]:
        """(n,) believed cost in s: `run_cost_s` within the deadline, else the drop cost."""
        deadline = self.instance.deadline_ns[self.task]
        late = self.completion_ns - self.now_ns > deadline
        return np.where(late, self.drop_cost_s, self.run_cost_s)

    @property
    def backlog_s(self) -> NDArray[np.float64]:
        """(R,) wait at the back of each queue, all committed work included, s."""
        x = self.instance
        wait = np.empty(x.n_resources)
        scratch = np.empty(int(np.diff(x.arrays.free_ptr).max(initial=1)), dtype=np.int64)
        projection.backlogs(x.arrays, self.now_ns, self.free_ns, self.entries, scratch, wait)
        return wait


class OnlineSystem:
    """The realised world of a rollout; `observe` tells only what a policy may know."""

    def __init__(self, instance: OffloadingInstance) -> None:
        x, a = instance, instance.arrays
        slots, n = int(a.slot_ptr[-1]), instance.n_tasks
        self._x = x
        self._choice = np.full(n, -1, dtype=np.int64)
        self._status = np.zeros(n, dtype=np.int8)
        self._completion = np.zeros(n, dtype=np.int64)
        self._lost = np.zeros(n, dtype=np.int64)
        # Arrival, start and finish of stages, and when a task was lost.
        stages = (np.full(slots, NEVER, dtype=np.int64) for _ in range(3))
        self._times = (*stages, self._lost)
        self._active = np.empty(n, dtype=np.int64)
        self._n_active = 0
        self._state = (
            np.zeros(int(a.free_ptr[-1]), dtype=np.int64),
            a.down_ptr[:-1].copy(),
            np.empty(slots + 1, dtype=np.int64),
            np.empty(slots + 1, dtype=np.int32),
            np.zeros(1, dtype=np.int64),
            np.zeros(slots, dtype=np.int32),
            np.zeros(slots, dtype=np.int64),
        )
        # Scratch of the believed world, reused by every observation: unit times, heap, joins.
        self._believed = (
            np.zeros(int(a.free_ptr[-1]), dtype=np.int64),
            np.empty(slots + 1, dtype=np.int64),
            np.empty(slots + 1, dtype=np.int32),
            np.zeros(slots, dtype=np.int32),
            np.zeros(slots, dtype=np.int64),
        )
        self._entries = projection.entries_for(instance.n_resources, slots + 1)

    def advance(self, task: int) -> None:
        """Let the realised world run up to the release of `task`, arrivals then included."""
        now = int(self._x.release_ns[task])
        if self._x.needs_events:
            # Failures can cancel queued work: replay what is committed, up to now.
            self._completion[:] = NEVER
            events.replay_events(
                self._x.arrays,
                self._x.service_ns,
                self._choice,
                now,
                *self._times[:3],
                self._completion,
                self._status,
            )
        else:
            self._process(now)
        self._n_active = projection.still_active(
            self._active, self._n_active, now, self._status, self._completion, self._lost
        )

    def _process(self, now: int) -> None:
        projection.advance(
            self._x.arrays,
            self._x.service_ns,
            self._choice,
            now,
            self._state,
            self._times,
            self._status,
            self._completion,
        )

    def observe(self, task: int) -> Observation:
        """The decision state of a released task. Valid until the next `advance`."""
        x, a = self._x, self._x.arrays
        now = int(x.release_ns[task])
        active = self._active[: self._n_active].copy()
        size = projection.believe(
            a, x.believed_ns, self._choice, active, now, self._times, *self._believed
        )
        units_and_heap, joins = self._believed[:3], self._believed[3:]
        free = units_and_heap[0].copy()
        projection.project(
            a, x.believed_ns, self._choice, *units_and_heap, size, *joins, self._entries
        )
        up = self._up(now)
        return Observation(x, task, now, self._choice, active, up, free, self._entries, self._times)

    def _up(self, now: int) -> NDArray[np.bool_]:
        x = self._x
        up = np.ones(x.n_resources, dtype=np.bool_)
        if len(x.down_ns):
            down = (x.down_ns[:, 0] <= now) & (now < x.down_ns[:, 1])
            which = np.repeat(np.arange(x.n_resources), np.diff(x.down_ptr))
            up[which[down]] = False
        return up

    def commit(self, task: int, choice: int) -> None:
        """Carry out a decision."""
        self._choice[task] = choice
        if choice < 0:
            self._status[task] = LOST
            return
        self._status[task] = ON_TIME
        self._active[self._n_active] = task
        self._n_active += 1
        if self._x.needs_events:
            return
        _, _, heap_t, heap_s, size_box, waiting, ready = self._state
        size_box[0] = projection.enter(
            self._x.arrays, self._choice, task, heap_t, heap_s, size_box[0], waiting, ready
        )
        self._process(int(self._x.release_ns[task]))
