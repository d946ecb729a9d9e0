"""Offloading as a Gymnasium environment: one step is one decision, one episode is one instance.

    >>> import gymnasium, learning.offloading.training.environment
    >>> env = gymnasium.make("mecopt/Offloading-v0", presets=("paper",), servers=(3, 6))
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(0)

Any `OffloadingInstance` will do: pass a function of a numpy Generator that returns one
(``gymnasium.make("mecopt/Offloading-v0", instances=my_function)``), or use `OffloadingEnv`.

**Observation**: flat float32 vector, the three numbers of `option_features.Load`, then the rows of
`option_features.COLUMNS` for `max_options` options (padded with zeros) and for dropping.
`split` takes it apart. Only what an online policy may know is in it.

**Action**: row to take; the last one drops the task. `action_masks` tells which rows exist; a row
that does not is carried out as a drop (where dropping is forbidden: as the option that is done
first) and counted in ``info["invalid"]``. What is no row at all (-3, 2.7, 99) is a `ValueError`.

**Reward**: minus the cost that the decision adds, in slots, by replay with realised times: own
latency (or drop cost) plus the delay it inflicts on tasks already decided. Over an episode of all
users the rewards add up to minus `Schedule.objective`, exactly.

**Whose decisions**: all users' by default. The next state then belongs to another user and tells
nothing of the queues just filled, so temporal-difference learning hardly sees consequences. With
``single_user=True`` an episode follows one user, drawn at random, and `others` decides for the
rest: states are then linked by the user's own queues, which is what trains DQN and PPO here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from learning import seeds as seed_parts
from learning.offloading.states.option_features import CEILING, COLUMNS, PRESENT, Load, Reader
from learning.offloading.training.environment_kernel import cost_of_first
from learning.runs.settings import at_least
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.replay import replay, run_kernel
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.units import DEFAULT_SLOT_S, DROPPED, INFINITE_NS

#: Draws the instance of an episode.
Sampler = Callable[[np.random.Generator], OffloadingInstance]

#: Load figures are clipped here.
LOAD_CEILING = 100.0
#: Largest number of servers that COMLLM's paper tests, and the local option.
DEFAULT_MAX_OPTIONS = 12
N_LOAD = len(Load._fields)


@dataclass(frozen=True)
class ComllmSampler:
    """Draws COMLLM episodes of mixed presets and sizes.

    Parameters
    ----------
    presets : tuple of str
    servers : tuple of int
        Numbers of servers, equally likely.
    first_seed, seeds : int
        Instance seeds are drawn from ``first_seed : first_seed + seeds``, all of them training
        seeds (`learning.seeds`).

    Raises
    ------
    ValueError
        Unknown preset (at the first draw), nothing to draw from, fewer than one server, or seeds
        that are not for training.
    """

    presets: tuple[str, ...] = ("paper", "busy", "large")
    servers: tuple[int, ...] = (6,)
    first_seed: int = seed_parts.FIRST_TRAINING
    seeds: int = 1_000_000

    def __post_init__(self) -> None:
        if not self.presets:
            raise ValueError("presets: is empty")
        if not self.servers or min(self.servers) < 1:
            raise ValueError(f"servers = {self.servers} must be numbers >= 1")
        at_least(self, seeds=1)
        seed_parts.check([self.first_seed, self.first_seed + self.seeds - 1], "train")

    def __call__(self, rng: np.random.Generator) -> OffloadingInstance:
        """The instance of one episode."""
        preset = self.presets[int(rng.integers(len(self.presets)))]
        servers = self.servers[int(rng.integers(len(self.servers)))]
        seed = self.first_seed + int(rng.integers(self.seeds))
        return comllm.generate(preset, seed, servers=servers)


def observation_size(max_options: int) -> int:
    """Length of the observation vector."""
    return N_LOAD + (max_options + 1) * len(COLUMNS)


def split(observation: NDArray) -> tuple[NDArray, NDArray]:
    """Take observation vectors (..., n) apart: options (..., max_options + 1, columns), load."""
    rows = observation[..., N_LOAD:]
    return rows.reshape(*rows.shape[:-1], -1, len(COLUMNS)), observation[..., :N_LOAD]


def join(options: NDArray, load: NDArray, max_options: int) -> NDArray[np.float32]:
    """Observation vectors of option rows (..., n + 1, columns), the last row being the drop.

    Raises
    ------
    ValueError
        If there are more than `max_options` options.
    """
    n = options.shape[-2] - 1
    if n > max_options:
        raise ValueError(f"max_options = {max_options}: a task has {n} options")
    out = np.zeros((*options.shape[:-2], observation_size(max_options)), dtype=np.float32)
    out[..., :N_LOAD] = np.minimum(load, LOAD_CEILING)
    rows, _ = split(out)  # a view
    rows[..., :n, :] = options[..., :n, :]
    rows[..., -1, :] = options[..., n, :]
    return out


class OffloadingEnv(gymnasium.Env):
    """One decision per step over sampled offloading instances (see the module's description).

    Parameters
    ----------
    instances : callable, sequence of OffloadingInstance, or OffloadingInstance
        Function of a numpy Generator, or instances of which each reset draws one.
    max_options : int
        Most options of any task, >= 1.
    single_user : bool
        Follow one user per episode; `others` decides for the rest.
    others : Policy, optional
        The one-step oracle that may drop unless given.
    load : Load, optional
        What is known of the arrivals; without it COMLLM episodes tell, others do not.

    Raises
    ------
    ValueError
        No instances, `max_options` below 1; at `reset`, an instance whose tasks have more options,
        or whose tasks can fail or be late while the cost of that is infinite.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance,
        *,
        max_options: int = DEFAULT_MAX_OPTIONS,
        single_user: bool = False,
        others: Policy | None = None,
        load: Load | None = None,
    ) -> None:
        if max_options < 1:
            raise ValueError(f"max_options = {max_options} must be >= 1")
        self._draw = sampler_of(instances)
        self._single_user, self._given_load = single_user, load
        self._others = OneStepOracleDrop() if others is None else others
        self.max_options = max_options
        size = (observation_size(max_options),)
        self.observation_space = gymnasium.spaces.Box(-CEILING, LOAD_CEILING, size, np.float32)
        self.action_space = gymnasium.spaces.Discrete(max_options + 1)

    # ------------------------------------------------------------------ gymnasium's interface
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw an instance and go to its first decision.

        ``options={"user": u}`` follows that owner instead of a drawn one (with ``single_user``).
        """
        super().reset(seed=seed)
        x = self._draw(self.np_random)
        check_instance(x, self.max_options)
        self._x, self._system, self._reader = x, OnlineSystem(x), Reader(x, self._given_load)
        self._choice = np.full(x.n_tasks, DROPPED, dtype=np.int64)
        self._slot_s = float(x.meta.get("slot_s", DEFAULT_SLOT_S))
        self._mine = np.ones(x.n_tasks, dtype=bool)
        if self._single_user:
            known = np.unique(x.owner)
            user = (options or {}).get("user", self.np_random.choice(known))
            if user not in known:
                raise ValueError(f"options: user = {user!r} has no task")
            self._mine = x.owner == user
            self._others.reset(x)
        self._task, self._invalid, self._cost_slots = -1, 0, 0.0
        self._next()
        return self._row, self._info()

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Carry a decision out and go to the next one.

        Raises
        ------
        RuntimeError
            After the end of an episode.
        ValueError
            If the action is no whole number from 0 to `max_options`.
        """
        if self._task >= self._x.n_tasks:
            raise RuntimeError("the episode is over: call reset()")
        self._commit(self._choice_of(int(whole_actions(action, (), self.max_options))))
        cost = self._decided_cost_slots(self._task + 1)
        reward = self._cost_slots - cost
        self._cost_slots = cost
        self._next()
        return self._row, reward, self._task >= self._x.n_tasks, False, self._info()

    def action_masks(self) -> NDArray[np.bool_]:
        """(max_options + 1,) rows that may be taken now (the name sb3-contrib looks for)."""
        return split(self._row)[0][:, PRESENT] > 0

    # ------------------------------------------------------------------ inside
    def _next(self) -> None:
        """Go on to the next task of the followed user (or of anybody) and describe it."""
        x = self._x
        self._task += 1
        while self._task < x.n_tasks:
            self._system.advance(self._task)
            observation = self._system.observe(self._task)
            if self._mine[self._task]:
                self._observation = observation
                rows = self._reader.options(observation)
                self._row = join(rows, self._reader.load, self.max_options)
                if self._single_user:
                    self._cost_slots = self._decided_cost_slots(self._task)
                return
            self._commit(self._others.act(observation))
            self._task += 1
        self._row = np.zeros(observation_size(self.max_options), dtype=np.float32)

    def _choice_of(self, action: int) -> int:
        """Choice of the instance for an action, the stand-in for one that does not exist."""
        if self.action_masks()[action]:
            return DROPPED if action == self.max_options else action
        self._invalid += 1
        may_drop = np.isfinite(self._observation.drop_cost_s)
        return DROPPED if may_drop else int(np.argmin(self._observation.completion_ns))

    def _commit(self, choice: int) -> None:
        self._system.commit(self._task, choice)
        self._choice[self._task] = choice

    def _decided_cost_slots(self, n: int) -> float:
        """Replayed cost of the first n tasks when only they are carried out."""
        x = self._x
        _, _, _, completion, status = run_kernel(x, self._choice)
        prices = x.deadline_ns, x.drop_cost_ns, x.latency_weight, x.fixed_cost_ns
        cost_ns = cost_of_first(n, x.arrays, self._choice, completion, status, *prices)
        return cost_ns * 1e-9 / self._slot_s

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {"invalid": self._invalid, "task": self._task}
        if self._task >= self._x.n_tasks:
            info["schedule"] = replay(self._x, self._choice)
        return info


def whole_actions(actions: Any, shape: tuple[int, ...], last: int) -> NDArray[np.int64]:
    """Actions as whole numbers from 0 to `last`.

    Raises
    ------
    ValueError
        If they have another shape, are no whole numbers, or are none of these.
    """
    given = np.asarray(actions)
    if given.shape != shape:
        raise ValueError(f"action: shape {given.shape}, expected {shape}")
    if given.dtype.kind not in "iu":
        raise ValueError(f"action = {actions} must be a whole number, has type {given.dtype}")
    bad = given[(given < 0) | (given > last)]
    if bad.size:
        raise ValueError(f"action = {bad.flat[0]} must be in 0..{last}")
    return given.astype(np.int64)


def sampler_of(instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance) -> Sampler:
    """A function that draws instances: the one given, or one of those listed.

    Raises
    ------
    ValueError
        If the list is empty.
    """
    if callable(instances):
        return instances
    listed = [instances] if isinstance(instances, OffloadingInstance) else list(instances)
    if not listed:
        raise ValueError("instances: is empty")
    return lambda rng: listed[int(rng.integers(len(listed)))]


def check_instance(x: OffloadingInstance, max_options: int) -> None:
    """Refuse an instance that has more options, or costs that are no finite reward.

    Raises
    ------
    ValueError
        If one task has more than `max_options`, or can fail or be late at an infinite cost.
    """
    most = int(np.diff(x.option_ptr).max())
    if most > max_options:
        raise ValueError(f"max_options = {max_options}: a task has {most} options")
    unbounded = x.drop_cost_ns >= INFINITE_NS
    if unbounded.any() and (len(x.down_ns) or np.any(x.deadline_ns[unbounded] < INFINITE_NS)):
        k = int(np.flatnonzero(unbounded)[0])
        raise ValueError(
            f"instance: {x.task_names[k]} has an infinite drop cost and can be late or fail; "
            "rewards must be finite"
        )


def make(
    presets: Sequence[str] = ComllmSampler.presets,
    servers: Sequence[int] = ComllmSampler.servers,
    *,
    instances: Sampler | Sequence[OffloadingInstance] | None = None,
    **settings: Any,
) -> OffloadingEnv:
    """What ``gymnasium.make("mecopt/Offloading-v0", ...)`` calls.

    Parameters
    ----------
    presets, servers
        Of `ComllmSampler`, when no `instances` are given.
    instances, **settings
        Of `OffloadingEnv`.
    """
    if instances is None:
        instances = ComllmSampler(tuple(presets), tuple(servers))
    return OffloadingEnv(instances, **settings)


if "mecopt/Offloading-v0" not in gymnasium.registry:
    gymnasium.register(
        "mecopt/Offloading-v0",
        entry_point="learning.offloading.training.environment:make",
        vector_entry_point="learning.offloading.training.environment_vector:make_vec",
    )
