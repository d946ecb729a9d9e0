"""The LACS reward of COMLLM, and its compiled cost of sampled future tasks.

`learning.offloading.rewards.rewards` says what is printed of it and what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.offloading.rewards.rewards import own_cost_slots, slot_ns
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies import worlds
from mecopt.offloading.projection import believe, enter, estimate, project
from mecopt.offloading.status import NEVER


@njit(cache=True)
def _impact(world, memory, choice, active, up, times, task, now, n, queued, out):
    """Cost in ns of each sampled task under each option of `task`, written to `out` (n + 1, K).

    The sampled tasks of task k are tasks ``k + n, k + 2 n, ...`` of the world. `choice` is scratch
    for theirs and holds those of the committed tasks.
    """
    arrays, believed = world.arrays, world.believed
    option_ptr, release = arrays.option_ptr, arrays.release
    free, heap_t, heap_s = memory.free[0], memory.heap_t[0], memory.heap_s[0]
    waiting, ready, entries = memory.slot_waiting, memory.slot_ready, memory.entries
    n_options = option_ptr[task + 1] - option_ptr[task]
    for a in range(n_options + 1):
        choice[task] = a if a < n_options else -1
        for i in range(out.shape[1]):
            k = task + n * (1 + i)
            size = believe(
                arrays, believed, choice, active, now, times, free, heap_t, heap_s, waiting, ready
            )
            for before in range(i + 1):
                if before > 0 and not queued:
                    break
                j = task + n * before
                if choice[j] >= 0:
                    size = enter(arrays, choice, j, heap_t, heap_s, size, waiting, ready)
            memory.free[1, :] = free
            project(
                arrays,
                believed,
                choice,
                memory.free[1],
                heap_t,
                heap_s,
                size,
                waiting,
                ready,
                entries,
            )
            # The one-step oracle that may drop: cheapest option on time, ties to the first.
            best, choice[k] = world.drop[k], -1
            for o in range(option_ptr[k], option_ptr[k + 1]):
                end = estimate(
                    arrays, believed, o, release[k], free, entries, up, memory.units, memory.ends
                )
                if end < NEVER and end - release[k] <= world.deadline[k]:
                    cost = world.weight[k] * (end - release[k]) + world.fixed[o]
                    if cost < best:
                        best, choice[k] = cost, o - option_ptr[k]
            out[a, i] = best


@dataclass
class Lacs:
    """LACS; ``weight=0`` is its ablation, the cost of the task alone.

    Parameters
    ----------
    samples : int
        K, sampled future tasks per state, >= 1 (P).
    weight : float
        lambda >= 0 (P).
    size_range : tuple of float
        Range of the factor on the current task's size (P).
    average : bool
        C_impact is the mean over sampled tasks, not their sum.
    delay_slots : float
        From the decision to the first sampled release (D).
    spacing_slots : float
        From one sampled release to the next (D).
    queued : bool
        Each sampled task queues behind those before it; without, each meets the state alone (D).
    horizon_slots : float, optional
        Releases are drawn uniformly within this many slots instead (D).
    seed : int
        Of sizes and releases; they are the same for all options of a state.

    Raises
    ------
    ValueError
        A parameter out of range.
    """

    samples: int = 3
    weight: float = 0.3
    size_range: tuple[float, float] = (0.5, 1.5)
    average: bool = False
    delay_slots: float = 2.0
    spacing_slots: float = 2.0
    queued: bool = True
    horizon_slots: float | None = None
    seed: int = 0
    name: str = "lacs"
    _world: worlds.World | None = field(default=None, repr=False)
    _dearest_ns: float = field(default=np.inf, repr=False)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples = {self.samples} must be >= 1")
        for name in ("weight", "delay_slots", "spacing_slots"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} = {value} must be >= 0")
        low, high = self.size_range
        if not 0 < low <= high < np.inf:
            raise ValueError(f"size_range = {self.size_range} must be positive and increasing")
        if self.horizon_slots is not None and not 0 < self.horizon_slots < np.inf:
            raise ValueError(f"horizon_slots = {self.horizon_slots} must be > 0")

    def reset(self, instance: OffloadingInstance) -> None:
        """Draw the sampled tasks of every task of the instance."""
        n, copies = instance.n_tasks, self.samples
        self._slot_ns = slot_ns(instance)
        rng = np.random.default_rng([self.seed, int(instance.content_hash[:15], 16)])
        delay = self.delay_slots + self.spacing_slots * np.arange(copies)
        offset = np.repeat(delay[:, None], n, axis=1)
        if self.horizon_slots is not None:
            offset = np.sort(rng.uniform(0, self.horizon_slots, size=(copies, n)), axis=0)
        factor = rng.uniform(*self.size_range, size=(copies, n))
        # One numbering of the instance and `samples` copies of its tasks, later and of other sizes.
        world = worlds.combine([instance] * (1 + copies))
        self._dearest_ns = 0.5 * worlds.forbidden_ns([instance])  # beyond: a forbidden drop
        stages = instance.arrays.task_of_stage
        believed = world.believed.reshape(1 + copies, -1).astype(np.float64)
        believed[1:] *= factor[:, stages]
        release = world.arrays.release.reshape(1 + copies, -1).astype(np.float64)
        release[1:] += offset * self._slot_ns
        arrays = world.arrays._replace(release=np.rint(release).astype(np.int64).ravel())
        self._world = world._replace(
            arrays=arrays, believed=np.rint(believed).astype(np.int64).ravel()
        )
        widest = int(np.diff(instance.stage_ptr).max())
        self._memory = worlds.scratch(self._world, widest * (n + 1 + copies) + 1)
        self._choice = np.full(n * (1 + copies), -1, dtype=np.int64)

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) J(a) + lambda C_impact(s, a) in slots, the drop last."""
        if self._world is None:
            raise RuntimeError("reset() must be called before cost_slots()")
        cost = own_cost_slots(observation, self._slot_ns)
        if self.weight == 0:
            return cost
        n = observation.instance.n_tasks
        self._choice[:n] = observation.choice
        out = np.empty((len(cost), self.samples))
        _impact(
            self._world,
            self._memory,
            self._choice,
            observation.active,
            observation.up,
            observation.times,
            observation.task,
            observation.now_ns,
            n,
            self.queued,
            out,
        )
        impact = np.where(out < self._dearest_ns, out, np.inf).sum(axis=1) / self._slot_ns
        return cost + self.weight * (impact / self.samples if self.average else impact)
