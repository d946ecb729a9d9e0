r"""Rewards of single decisions: LACS as printed, and what every reward of this package is.

COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148) rewards a decision a in state s by

.. math::

    \text{[lacs]}\quad r(s, a) = -\bigl(J(a) + \lambda\, C_\text{impact}(s, a)\bigr),

J(a) = cost of the task given the work committed now (the drop cost when late), and C_impact made of
:math:`c_i(s \oplus a)`, i = 1..K, what the one-step oracle pays for sampled future task i in the
state after a. K = 3, :math:`\lambda` = 0.3 and sizes of the current task x U[0.5, 1.5] are printed
(P). Whose the sampled tasks are and when they are released is not. Here (D) they belong to the
user of the current task, over the same links, `spacing_slots` apart, each in the queue of those
before it.

With releases two slots apart, the printed mean :math:`C_\text{impact} = \frac1K \sum_i c_i` weighs
a sampled task by 0.1 and teaches little; :math:`C_\text{impact} = \sum_i c_i`, :math:`\lambda` for
each sampled task, is the default (D). ``average=True`` is the mean, best with each task alone 1.5
slots after the decision. `benchmarks/learning/rewards.py` compares the readings on tuning seeds.

All options of a state are costed at once, so a reward is a pure function of the answer and a row of
costs (`reward_of_answer`), and group advantages can be exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.offloading.states import decision_states as states
from learning.offloading.states.decision_states import States
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies import rollouts
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.projection import believe, enter, estimate, project

#: What an answer that names no valid option costs beyond a drop, slots (D): 25 where a drop is 20.
UNPARSABLE_EXTRA_SLOTS = 5.0
#: Costs from here on stand for a drop that is forbidden, ns.
_FORBIDDEN_NS = 1e14


class Reward(Protocol):
    """A reward of decisions: minus a cost in slots of every option of a state."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def reset(self, instance: OffloadingInstance) -> None:
        """Called once per instance, before its first state."""

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) cost of each option in slots, the drop last; infinite where absent."""


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
                if end - release[k] <= world.deadline[k]:
                    cost = world.weight[k] * (end - release[k]) + world.fixed[o]
                    if cost < best:
                        best, choice[k] = cost, o - option_ptr[k]
            out[a, i] = best


@dataclass
class Lacs:
    """LACS (module docstring); ``weight=0`` is its ablation, the cost of the task alone.

    Parameters
    ----------
    samples : int
        K, sampled future tasks per state, >= 1 (P).
    weight : float
        lambda >= 0 (P).
    size_range : tuple of float
        Range of the factor on the current task's size (P).
    average : bool
        C_impact is the mean over sampled tasks, not their sum (module docstring).
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
        A parameter out of range; at `reset`, an instance whose meta has no ``slot_s``.
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
    _world: rollouts.World | None = field(default=None, repr=False)

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
        world = rollouts.combine([instance] * (1 + copies))
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
        self._memory = rollouts.scratch(self._world, widest * (n + 1 + copies) + 1)
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
        impact = np.where(out < _FORBIDDEN_NS, out, np.inf).sum(axis=1) / self._slot_ns
        return cost + self.weight * (impact / self.samples if self.average else impact)


def slot_ns(instance: OffloadingInstance) -> float:
    """Slot length in ns.

    Raises
    ------
    ValueError
        If the instance's meta has no ``slot_s``.
    """
    if "slot_s" not in instance.meta:
        raise ValueError("instance.meta: slot_s is missing; rewards are counted in slots")
    return float(instance.meta["slot_s"]) * 1e9


def own_cost_slots(observation: Observation, slot: float) -> NDArray[np.float64]:
    """(n + 1,) J(a): cost of each option given the work committed now, the drop last, slots."""
    reachable = np.isfinite(observation.latency_s)
    cost = np.where(reachable, observation.cost_s, np.inf)
    return np.append(cost, observation.drop_cost_s) * 1e9 / slot


# ------------------------------------------------------------------------------------ collection
def collect(
    instances: Iterable[OffloadingInstance],
    reward: Reward,
    behaviour: str | Policy = "one-step-oracle",
    *,
    per_instance: int | None = None,
    seed: int = 0,
) -> tuple[States, NDArray[np.float64]]:
    """States of a behaviour's trajectories (`learning.offloading.states.decision_states.visit`),
    and their costs.

    Returns
    -------
    states : States
    cost : (B, J + 2) float64
        Slots; option order of `learning.offloading.states.decision_states`, infinite where absent.

    Raises
    ------
    ValueError
        No instances, or a reward that is NaN (`check_costs`).
    """
    rows: list[NDArray[np.float64]] = []

    def costed() -> Iterator[Observation]:
        current = None
        for observation in states.visit(instances, behaviour, per_instance=per_instance, seed=seed):
            if observation.instance is not current:
                current = observation.instance
                reward.reset(current)
            rows.append(reward.cost_slots(observation))
            yield observation

    found = states.gather(costed())
    cost = np.full((len(found), found.n_servers + 2), np.inf)
    for i, row in enumerate(rows):
        cost[i, : len(row) - 1] = row[:-1]
        cost[i, -1] = row[-1]
    check_costs(cost, reward.name)
    return found, cost


def check_costs(cost: NDArray[np.float64], name: str = "cost") -> None:
    """Refuse costs that cannot be learned from.

    Raises
    ------
    ValueError
        No rows, a NaN, minus infinity, or a state without a possible option.
    """
    if cost.ndim != 2 or len(cost) == 0:
        raise ValueError(f"{name}: shape {cost.shape}, needs (states, options) with states")
    bad = np.argwhere(np.isnan(cost) | np.isneginf(cost))
    if len(bad):
        b, a = (int(i) for i in bad[0])
        raise ValueError(f"{name}: cost of option {a} of state {b} is {cost[b, a]}")
    hopeless = np.flatnonzero(~np.isfinite(cost).any(axis=1))
    if len(hopeless):
        raise ValueError(f"{name}: state {hopeless[0]} has no possible option")


# ------------------------------------------------------------------------- rewards of answers
def unparsable_cost_slots(cost: Sequence[float]) -> float:
    """Cost of an answer that names no valid option: it does nothing, as a drop, and costs more.

    Where dropping is forbidden it costs more than the dearest option.

    Parameters
    ----------
    cost : sequence of float
        Of the options, the drop last; slots.
    """
    drop = cost[-1] if np.isfinite(cost[-1]) else max(c for c in cost if np.isfinite(c))
    return float(drop) + UNPARSABLE_EXTRA_SLOTS


def reward_of_answer(answer: str, options: Sequence[str], cost: Sequence[float]) -> float:
    """Reward of one answer, slots.

    Parameters
    ----------
    answer : str
        What the model said, without surrounding blanks.
    options : sequence of str
        The valid answers, the drop last.
    cost : sequence of float
        Cost of each of them.

    Raises
    ------
    ValueError
        If a cost is NaN: TRL takes a reward that is NaN for one that was not given, and goes on.

    >>> reward_of_answer("s03", ["s00", "s03", "drop"], [4.5, 2.25, 20.0])
    -2.25
    >>> reward_of_answer("s07", ["s00", "s03", "drop"], [4.5, 2.25, 20.0])
    -25.0
    """
    if any(np.isnan(cost)):
        raise ValueError(f"cost = {list(cost)} holds a NaN, answer {answer!r} has no reward")
    found = {text: value for text, value in zip(options, cost, strict=True) if np.isfinite(value)}
    said = answer.strip()
    return -float(found[said] if said in found else unparsable_cost_slots(cost))


@dataclass(frozen=True)
class Spread:
    """How far rewards differ within groups of answers to the same state.

    Parameters
    ----------
    mean_slots : float
        Mean over groups of the largest minus the least reward, slots.
    share_without : float
        Share of groups whose answers all earn the same (no gradient).
    """

    mean_slots: float
    share_without: float


def spread(rewards: NDArray[np.float64]) -> Spread:
    """Spread of (groups, answers) rewards.

    >>> spread(np.array([[-3.0, -5.0], [-2.0, -2.0]]))
    Spread(mean_slots=1.0, share_without=0.5)
    """
    width = np.ptp(rewards, axis=1)
    return Spread(float(width.mean()), float((width <= 1e-9).mean()))
