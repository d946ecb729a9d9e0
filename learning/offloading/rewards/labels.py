"""Labels of decision states: what every option would cost, in slots, by several teachers.

A label is a cost vector, (J + 2,) in the order of options, so it knows ties and near-ties; only
differences count. `soft` turns it into a distribution.

* ``one-step``: cost of each option given the work committed now (the COMLLM paper's teacher).
* ``lookahead``: mean cost of everybody when each option is tried against sampled futures
  (`mecopt.offloading.policies.lookahead`); about 1.5 ms a state.
* ``user-values``: own cost plus the value of the queues an option leaves to its user
  (`learning.offloading.rewards.user_values`); no sampling, microseconds.
* ``server-aware``: the mean of the two (`learning.offloading.rewards.server_aware`).
* ``values-lookahead``: of everybody, played for two slots over sampled futures in which all follow
  the values of the episode's own servers (`learning.offloading.rewards.values_lookahead`); COMLLM
  only, about a quarter of a second an episode and 1 ms a state.
* ``clairvoyant``: regret against the schedule of the plan decomposition, which knows the future:
  what the schedule would cost more if this task alone took the option, by replay.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

import formulations
from learning.offloading.rewards import rewards, user_values
from learning.offloading.rewards.server_aware import ServerAware
from learning.offloading.rewards.values_lookahead import ValuesRollout
from learning.offloading.states import decision_states as decision_states
from learning.offloading.states.decision_states import States
from mecopt import files
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios.futures import generated_futures

METHODS = (
    "one-step",
    "lookahead",
    "user-values",
    "server-aware",
    "values-lookahead",
    "clairvoyant",
)


@dataclass(frozen=True, eq=False)
class Labelled:
    """States and their labels.

    Parameters
    ----------
    states : States
    cost_slots : (B, J + 2) float64
        Infinite for options that do not exist.
    method : str
        One of `METHODS`.
    bound_slots : (B,) float64
        Certified lower bound on the mean cost per task of the instance a state is from; NaN where
        none was computed.
    """

    states: States
    cost_slots: NDArray[np.float64]
    method: str
    bound_slots: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = (len(self.states), self.states.n_servers + 2)
        if self.cost_slots.shape != shape:
            raise ValueError(f"cost_slots: shape {self.cost_slots.shape}, expected {shape}")

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: slice | NDArray[np.int64]) -> Labelled:
        return Labelled(
            self.states[index], self.cost_slots[index], self.method, self.bound_slots[index]
        )


def concat(parts: Sequence[Labelled]) -> Labelled:
    """Labelled states one after the other; all of one method.

    Raises
    ------
    ValueError
        If there is nothing to join, or the methods differ.
    """
    methods = {p.method for p in parts}
    if len(methods) != 1:
        raise ValueError(f"parts: {len(parts)} of the methods {sorted(methods)}, expected one")
    joined = decision_states.concat(p.states for p in parts)
    cost = [_widened(p.cost_slots, joined.n_servers) for p in parts]
    bound = np.concatenate([p.bound_slots for p in parts])
    return Labelled(joined, np.concatenate(cost), methods.pop(), bound)


def _widened(cost: NDArray[np.float64], n_servers: int) -> NDArray[np.float64]:
    """Cost vectors with columns of absent servers before the drop."""
    absent = np.full((len(cost), n_servers + 2 - cost.shape[1]), np.inf)
    return np.hstack([cost[:, :-1], absent, cost[:, -1:]])


def write(labelled: Labelled, path: Path) -> None:
    """Keep labelled states in one file, whole or not at all."""
    s = labelled.states
    arrays = {f.name: np.asarray(getattr(s, f.name)) for f in fields(States)}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        cost_slots=labelled.cost_slots,
        bound_slots=labelled.bound_slots,
        method=labelled.method,
        **arrays,  # type: ignore[arg-type]
    )
    files.write_bytes(path, buffer.getvalue())


def read(path: Path) -> Labelled:
    """Read the labelled states that `write` kept.

    Raises
    ------
    ValueError
        If the file is damaged, or holds anything but arrays of numbers and text.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays: dict[str, Any] = {f.name: kept[f.name] for f in fields(States)}
            arrays["preset"] = tuple(arrays["preset"].tolist())
            cost, bound = kept["cost_slots"], kept["bound_slots"]
            return Labelled(States(**arrays), cost, str(kept["method"]), bound)
    except (AttributeError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise ValueError(f"{path}: no labelled states ({error})") from None


def soft(cost_slots: NDArray[np.float64], temperature_slots: float) -> NDArray[np.float64]:
    """(B, J + 2) softmax(-cost / temperature).

    Raises
    ------
    ValueError
        If the temperature is not positive, or a state has no option of finite cost.
    """
    if not temperature_slots > 0:
        raise ValueError(f"temperature_slots = {temperature_slots} must be > 0")
    least = cost_slots.min(axis=1, keepdims=True, initial=np.inf)
    if not np.isfinite(least).all():
        raise ValueError("cost_slots: a state has no option of finite cost")
    weight = np.exp((least - cost_slots) / temperature_slots)
    return weight / weight.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------------------------- the teachers
def one_step(states: States) -> Labelled:
    """States with their one-step costs (free of charge)."""
    return Labelled(states, states.one_step_cost_slots, "one-step", _unknown(len(states)))


def by_user_values(instance: OffloadingInstance, behaviour: str | Policy) -> Labelled:
    """States of a trajectory of `behaviour`, labelled by user values."""
    grid = user_values.solve(user_values.parameters_of(instance))
    seen = decision_states.collect([instance], behaviour)
    cost = user_values.cost_vectors(seen, grid)
    return Labelled(seen, cost, "user-values", _unknown(len(seen)))


def by_server_aware(
    instance: OffloadingInstance,
    behaviour: str | Policy,
    *,
    per_instance: int | None = None,
    seed: int = 0,
) -> Labelled:
    """States of a trajectory of `behaviour`, labelled by user values and sampled futures.

    `by_values_lookahead` has the same parameters.

    Parameters
    ----------
    instance : OffloadingInstance
    behaviour : str or Policy
    per_instance : int, optional
        States drawn from the trajectory; all of them unless given.
    seed : int
        Of the futures and of that draw.
    """
    return _by_reward(instance, ServerAware(seed=seed), behaviour, per_instance, seed)


def by_values_lookahead(
    instance: OffloadingInstance,
    behaviour: str | Policy,
    *,
    per_instance: int | None = None,
    seed: int = 0,
) -> Labelled:
    """States of a trajectory of `behaviour`, labelled by futures that follow `own-values`."""
    return _by_reward(instance, ValuesRollout(seed=seed), behaviour, per_instance, seed)


def _by_reward(
    instance: OffloadingInstance,
    teacher: rewards.Reward,
    behaviour: str | Policy,
    per_instance: int | None,
    seed: int,
) -> Labelled:
    seen, cost = rewards.collect(
        [instance], teacher, behaviour, per_instance=per_instance, seed=seed
    )
    return Labelled(seen, cost, teacher.name, _unknown(len(seen)))


def by_lookahead(
    instance: OffloadingInstance,
    behaviour: str | Policy = "lookahead",
    *,
    samples: int | None = None,
    horizon_s: float | None = None,
    seed: int = 0,
) -> Labelled:
    """States of a trajectory of `behaviour`, labelled by rollouts of sampled futures.

    Parameters
    ----------
    instance : OffloadingInstance
    behaviour : str or Policy
        ``"lookahead"`` follows the labels themselves.
    samples : int, optional
        Futures per decision; those tuned for the preset unless given.
    horizon_s : float, optional
        How far they are played, s; tuned likewise.
    seed : int
        Of the futures.
    """
    teacher = _Remembering(samples, horizon_s, generated_futures(seed))
    follow = teacher if behaviour == "lookahead" else behaviour
    seen, cost = rewards.collect([instance], teacher, follow, seed=seed)
    return Labelled(seen, cost, "lookahead", _unknown(len(seen)))


@dataclass
class _Remembering(Lookahead):
    """Look-ahead that prices a decision once, whether it labels or acts."""

    def reset(self, instance: OffloadingInstance) -> None:
        super().reset(instance)
        self._slot_s = float(instance.meta["slot_s"])
        self._priced: tuple[int, NDArray[np.float64]] = (-1, np.empty(0))

    def candidate_costs(self, observation: Observation) -> NDArray[np.float64]:
        if self._priced[0] != observation.task:
            self._priced = (observation.task, super().candidate_costs(observation))
        return self._priced[1].copy()

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        return self.candidate_costs(observation) / self._slot_s


def by_schedule(
    instance: OffloadingInstance, *, time_limit: float = 10.0, gap: float = 1e-4
) -> Labelled:
    """States along the best schedule of plan decomposition, labelled by regret through replay.

    The option the schedule takes costs 0. A label knows the future of its instance, so no policy
    can follow these labels to the letter.

    Parameters
    ----------
    instance : OffloadingInstance
    time_limit, gap : float
        Of `formulations.solve`.
    """
    result = formulations.solve(instance, time_limit=time_limit, gap=gap)
    if result.schedule is None:
        raise ValueError(f"instance {instance!r}: no schedule of finite cost is known")
    choice = result.schedule.choice
    seen = decision_states.collect([instance], _Scripted(choice))
    slot_s = float(instance.meta["slot_s"])
    cost = np.empty((len(seen), seen.n_servers + 2))
    for k in range(len(seen)):
        other = choice.copy()
        for option in range(seen.n_servers + 2):
            other[k] = decision_states.to_choice(option, seen.n_servers)
            cost[k, option] = replay(instance, other).objective - result.schedule.objective
    bound = np.full(len(seen), result.bound / instance.n_tasks / slot_s)
    return Labelled(seen, cost / slot_s, "clairvoyant", bound)


@dataclass
class _Scripted:
    """The policy that plays a given schedule."""

    choice: NDArray[np.int64]
    name: str = "schedule"

    def reset(self, instance: OffloadingInstance) -> None: ...

    def act(self, observation: Observation) -> int:
        return int(self.choice[observation.task])


@dataclass
class Exploring:
    """A policy that takes a random option now and then, so that training sees other states.

    Parameters
    ----------
    policy : Policy
    share : float
        Probability of a random option (never the drop).
    seed : int
    """

    policy: Policy
    share: float
    seed: int = 0
    name: str = "exploring"

    def reset(self, instance: OffloadingInstance) -> None:
        """Equal instances and seeds give equal trajectories."""
        self.policy.reset(instance)
        digest = int(instance.content_hash[:15], 16)
        self._rng = np.random.default_rng([self.seed, digest])

    def act(self, observation: Observation) -> int:
        """The policy's choice, or any option."""
        if self._rng.random() < self.share:
            return int(self._rng.integers(observation.n_options))
        return self.policy.act(observation)


def _unknown(n: int) -> NDArray[np.float64]:
    return np.full(n, np.nan)
