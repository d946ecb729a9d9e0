"""Look-ahead by rollout: try each option against sampled futures and take the cheapest on average.

At every decision each option of the task (and dropping it) is committed to the believed state,
then the tasks of every sampled future are served by the one-step oracle that may drop, and the
option with the least mean cost of everybody wins: committed tasks, this task, sampled ones. The
futures are common to all options (common random numbers). This is one step of policy improvement
over the one-step oracle (Bertsekas, Tsitsiklis and Wu 1997, doi 10.1023/A:1009635226865).

Futures are *companions*: instances over the same resources whose tasks were drawn from the same
generator with other seeds. The real instance's own future is never read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies import guide, rollouts, tuned, worlds
from mecopt.offloading.scenarios.futures import Futures, generated_futures
from mecopt.offloading.status import NEVER


@dataclass
class Lookahead:
    """Rollout of sampled futures with the one-step oracle that may drop as base policy.

    Parameters
    ----------
    samples : int, optional
        Futures per decision, >= 1.
    horizon_s : float, optional
        Sampled tasks released within this many seconds are played, > 0. Samples and horizon are
        those of the instance's preset or trace (`mecopt.offloading.policies.tuned`) unless given.
    candidates : int, optional
        Only so many options are tried, those of least believed cost, >= 1; all unless given.
    futures : callable, optional
        (instance, samples) -> companions over the same resources; `generated_futures` (the
        generator named in `instance.meta`) unless given.

    Raises
    ------
    ValueError
        `samples`, `horizon_s` or `candidates` out of range; at `reset`, an instance without a known
        generator and no `futures`, or companions over other resources.
    """

    samples: int | None = None
    horizon_s: float | None = None
    futures: Futures = field(default_factory=generated_futures)
    name: str = "lookahead"
    candidates: int | None = None
    _world: worlds.World | None = field(default=None, repr=False)
    _guide: guide.Guide = field(default_factory=guide.none, repr=False)

    def __post_init__(self) -> None:
        for name in ("samples", "candidates"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} = {value} must be >= 1")
        if self.horizon_s is not None and not self.horizon_s > 0:
            raise ValueError(f"horizon_s = {self.horizon_s} must be > 0")

    def reset(self, instance: OffloadingInstance) -> None:
        numbers = tuned.lookahead_numbers(tuned.setting_of(instance.meta))
        samples = numbers.samples if self.samples is None else self.samples
        horizon_s = numbers.horizon_s if self.horizon_s is None else self.horizon_s
        self._horizon_ns = round(horizon_s * 1e9)
        companions = list(self.futures(instance, samples))
        if len(companions) != samples:
            raise ValueError(f"futures: {len(companions)} instances, samples = {samples}")
        for i, x in enumerate(companions):
            same = x.resource_names == instance.resource_names
            if not same or not np.array_equal(x.capacity, instance.capacity):
                raise ValueError(f"futures[{i}]: its resources are not those of the instance")
        self._world = worlds.combine([instance, *companions])
        self._guide = self._guide_for(instance, companions)
        edges = np.cumsum([instance.n_tasks, *(x.n_tasks for x in companions)])
        self._first, self._last = edges[:-1], edges[1:]
        # Tasks released together are decided in the order of their owners, so a future may hold
        # tasks of this very moment: those of later owners.
        order = {name: u for u, name in enumerate(instance.owner_names)}
        self._owner = [
            np.array([order.get(name, -1) for name in x.owner_names])[x.owner] for x in companions
        ]
        self._release = [x.release_ns for x in companions]
        widest = int(np.diff(self._world.arrays.stage_ptr).max())
        longest = max(self._window(x.release_ns) for x in companions)
        room = widest * (instance.n_tasks + longest + 1) + 1
        self._memory = worlds.scratch(self._world, room)

    def _guide_for(
        self, instance: OffloadingInstance, companions: list[OffloadingInstance]
    ) -> guide.Guide:
        """What the base policy knows beyond the cost of a task: nothing here."""
        return guide.none()

    def _close_ns(self, now_ns: int) -> int:
        """When a guide values the queues that are left: a whole number of slots."""
        slot_ns = self._guide.slot_ns
        return ((now_ns + self._horizon_ns) // slot_ns + 1) * slot_ns

    def _window(self, release_ns: NDArray[np.int64]) -> int:
        """Most tasks that one horizon can hold."""
        end = np.searchsorted(release_ns, release_ns + self._horizon_ns, side="right")
        return int((end - np.arange(len(release_ns))).max())

    def candidate_costs(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) mean cost in s of each option and of dropping; only differences count.

        Infinite for options that are not tried.
        """
        world, memory = self._world, self._memory
        if world is None:
            raise RuntimeError("reset() must be called before act()")
        now = observation.now_ns
        end = now + self._horizon_ns
        owner = int(observation.instance.owner[observation.task])
        n = len(self._release)
        first, last = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
        for j, (release, owners) in enumerate(zip(self._release, self._owner, strict=True)):
            lo, at, hi = np.searchsorted(release, [now, now + 1, end + 1])
            lo += np.searchsorted(owners[lo:at], owner, side="right")
            first[j], last[j] = self._first[j] + lo, self._first[j] + hi
        tried = self._tried(observation)
        found = np.empty(len(tried))
        rollouts.candidate_costs(
            world,
            memory,
            self._guide,
            observation.choice,
            observation.active,
            observation.up,
            observation.times,
            observation.task,
            now,
            tried,
            first,
            last,
            self._close_ns(now),
            found,
        )
        out = np.full(observation.n_options + 1, np.inf)
        out[tried] = found
        return out

    def _tried(self, observation: Observation) -> NDArray[np.int64]:
        """Options worth a rollout, in their order, and dropping (-1) where it is allowed."""
        tried = np.arange(observation.n_options)
        if self.candidates is not None and self.candidates < len(tried):
            cheapest = np.argsort(observation.cost_s, kind="stable")[: self.candidates]
            tried = np.sort(cheapest)
        return np.append(tried, -1) if np.isfinite(observation.drop_cost_s) else tried

    def act(self, observation: Observation) -> int:
        return self.best(observation, self.candidate_costs(observation))

    def best(self, observation: Observation, candidate_costs: NDArray[np.float64]) -> int:
        """The decision that `act` makes of its costs."""
        cost = candidate_costs.copy()
        cost[:-1][observation.completion_ns >= NEVER] = np.inf
        best = int(np.argmin(cost))
        return -1 if best == observation.n_options and np.isfinite(cost[-1]) else best
