"""Decision states as arrays: what every learned policy reads, and how states are collected.

A state is what COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148) shows its policy: one task, the
user's own uplink and device, and the servers. The wait given for a server is the wait *this task*
would meet there (FIFO finish of the committed work that reaches the server no later than the
upload ends), so the latency of an option is a sum of what a state holds.

Options are numbered 0 = local, 1..J = servers in the instance's order, J + 1 = drop, in every
array and every policy of this package. `to_choice` turns them into choices of the instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.offloading.states import rows as state_rows
from learning.offloading.states.rows import SCALARS
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation, OnlineSystem
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies.protocol import Policy

_PER_SERVER = ("server_ghz", "rate_mbps", "wait_slots", "behind_slots")

#: A latency this little above the deadline is on time (times are rounded to ns), slots.
_TOLERANCE_SLOTS = 1e-6


@dataclass(frozen=True, eq=False)
class States:
    """B decision states; J = most servers of any of them (padding: NaN, `present` False).

    Parameters
    ----------
    size_mbit : (B,) float64
        Size of the task.
    uplink_wait_slots, device_wait_slots : (B,) float64
        Wait the task would meet at its user's own uplink and CPU.
    device_ghz : (B,) float64
    density : (B,) float64
        Gcycles per Mbit.
    server_ghz : (B, J) float64
    rate_mbps : (B, J) float64
        Uplink rate of this task towards each server.
    wait_slots : (B, J) float64
        Wait this task would meet at the server after its upload.
    behind_slots : (B, J) float64
        Committed work of others that this task would overtake there: they started to upload before
        it, and would arrive after it.
    present : (B, J) bool
        Whether the server exists and is up.
    arrival_probability, mean_size_mbit, users : (B,) float64
        What a policy may know of the load: arrivals per user and slot, mean task size, users.
    slot_s : (B,) float64
    deadline_slots, drop_cost_slots : (B,) float64
        Infinite where there is no deadline, or the task must not be dropped.
    preset : tuple of str
    seed, task : (B,) int64
        Where each state comes from (-1 where unknown).
    """

    size_mbit: NDArray[np.float64]
    uplink_wait_slots: NDArray[np.float64]
    device_wait_slots: NDArray[np.float64]
    device_ghz: NDArray[np.float64]
    density: NDArray[np.float64]
    server_ghz: NDArray[np.float64]
    rate_mbps: NDArray[np.float64]
    wait_slots: NDArray[np.float64]
    behind_slots: NDArray[np.float64]
    present: NDArray[np.bool_]
    arrival_probability: NDArray[np.float64]
    mean_size_mbit: NDArray[np.float64]
    users: NDArray[np.float64]
    slot_s: NDArray[np.float64]
    deadline_slots: NDArray[np.float64]
    drop_cost_slots: NDArray[np.float64]
    preset: tuple[str, ...]
    seed: NDArray[np.int64]
    task: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.size_mbit)

    @property
    def n_servers(self) -> int:
        """J: most servers of any state."""
        return self.present.shape[1]

    def __getitem__(self, index: int | slice | NDArray[Any] | Sequence[int]) -> States:
        """A part of the states, in the order of `index`; one number gives B = 1."""
        if isinstance(index, int | np.integer):
            i = int(index)
            if not -len(self) <= i < len(self):
                raise IndexError(f"state {i} of {len(self)}")
            index = slice(i, None if i == -1 else i + 1)
        which = np.arange(len(self))[index]
        arrays = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "preset"}
        return States(**arrays, preset=tuple(self.preset[i] for i in which))

    @cached_property
    def transfer_slots(self) -> NDArray[np.float64]:
        """(B, J) upload of this task to each server, without waiting."""
        return self.size_mbit[:, None] / (self.rate_mbps * self.slot_s[:, None])

    @cached_property
    def compute_slots(self) -> NDArray[np.float64]:
        """(B, J) this task on each server, without waiting."""
        gcycles = self.density * self.size_mbit
        return gcycles[:, None] / (self.server_ghz * self.slot_s[:, None])

    @cached_property
    def device_slots(self) -> NDArray[np.float64]:
        """(B,) this task on the user's own CPU, without waiting."""
        return self.density * self.size_mbit / (self.device_ghz * self.slot_s)

    @cached_property
    def latency_slots(self) -> NDArray[np.float64]:
        """(B, J + 1) local and every server: waits, upload and compute; infinite where absent."""
        wait = self.uplink_wait_slots[:, None] + self.wait_slots
        servers = np.where(self.present, wait + self.transfer_slots + self.compute_slots, np.inf)
        local = self.device_wait_slots + self.device_slots
        return np.column_stack([local, servers])

    @cached_property
    def one_step_cost_slots(self) -> NDArray[np.float64]:
        """(B, J + 2) cost of each option given the work committed now.

        Latency where that is within the deadline, else the drop cost; infinite where absent. The
        last column is the drop (`mecopt.offloading.observation.Observation.cost_s` says the same in
        s).
        """
        latency, drop = self.latency_slots, self.drop_cost_slots[:, None]
        late = latency > self.deadline_slots[:, None] + _TOLERANCE_SLOTS
        cost = np.where(late, drop, latency)
        cost[:, 1:][~self.present] = np.inf
        return np.column_stack([cost, drop])


def concat(parts: Iterable[States]) -> States:
    """States one after the other; fewer servers are padded.

    Raises
    ------
    ValueError
        If there is nothing to join.
    """
    listed = list(parts)
    if not listed:
        raise ValueError("parts: is empty")
    widest = max(p.n_servers for p in listed)
    padded = [_pad(p, widest) for p in listed]
    arrays: dict[str, Any] = {
        f.name: np.concatenate([getattr(p, f.name) for p in padded])
        for f in fields(States)
        if f.name != "preset"
    }
    return States(**arrays, preset=tuple(name for p in padded for name in p.preset))


def _pad(states: States, n_servers: int) -> States:
    missing = n_servers - states.n_servers
    if missing == 0:
        return states
    width = ((0, 0), (0, missing))
    wider: dict[str, Any] = {
        name: np.pad(getattr(states, name), width, constant_values=np.nan) for name in _PER_SERVER
    }
    return replace(states, present=np.pad(states.present, width), **wider)


# ------------------------------------------------------------------------------- one observation


def _from_rows(
    rows: NDArray[np.float64],
    n_servers: int,
    preset: tuple[str, ...],
    seed: NDArray[np.int64],
    task: NDArray[np.int64],
) -> States:
    """States whose arrays are views of `rows` (B, scalars + 5 J)."""
    edge = [len(SCALARS) + i * n_servers for i in range(6)]
    r = rows.T
    return States(  # type: ignore[call-arg]
        *r[:5],
        rows[:, edge[0] : edge[1]],
        rows[:, edge[1] : edge[2]],
        rows[:, edge[2] : edge[3]],
        rows[:, edge[4] : edge[5]],
        rows[:, edge[3] : edge[4]] > 0.5,
        *r[5:11],
        preset,
        seed,
        task,
    )


def of(observation: Observation) -> States:
    """The state (B = 1) that an observation holds.

    Raises
    ------
    ValueError
        If the instance is not of the form of scenario comllm (local, then upload and compute per
        server), or its meta does not hold the parameters that turn times into Mbit and GHz.
    """
    layout = state_rows.layout(observation.instance)
    rows = np.empty((1, state_rows.width(layout.n_servers)))
    state_rows.write(observation, layout, rows[0])
    seed, task = np.array([layout.seed]), np.array([observation.task])
    return _from_rows(rows, layout.n_servers, (layout.preset,), seed, task)


def to_choice(option: int, n_servers: int) -> int:
    """Choice of the instance for an option index: the index itself, -1 for the drop."""
    return -1 if option == n_servers + 1 else option


class OneByOne:
    """Of a policy with ``decide(states)``: a single observation is a batch of one state."""

    def act(self, observation: Observation) -> int:
        """Choice for one state."""
        state = of(observation)
        return to_choice(int(self.decide(state)[0]), state.n_servers)  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------ collection
def visit(
    instances: Iterable[OffloadingInstance],
    behaviour: str | Policy = "one-step-oracle",
    *,
    per_instance: int | None = None,
    seed: int = 0,
) -> Iterator[Observation]:
    """Observations of the trajectories of a policy; each is valid until the next is asked for.

    Parameters
    ----------
    instances : iterable of OffloadingInstance
    behaviour : str or Policy
        Who acts; a name is one of `mecopt.offloading.policies.by_name.NAMES`.
    per_instance : int, optional
        States drawn uniformly, without repetition, from each trajectory; all of them without.
    seed : int
        Of that draw, and of a named behaviour.

    Raises
    ------
    ValueError
        If `per_instance` is below 1, or the behaviour is unknown.
    """
    if per_instance is not None and per_instance < 1:
        raise ValueError(f"per_instance = {per_instance} must be >= 1")
    policy = policies.make(behaviour, seed=seed) if isinstance(behaviour, str) else behaviour
    for i, instance in enumerate(instances):
        n = instance.n_tasks
        if per_instance is None or per_instance >= n:
            wanted = np.arange(n)
        else:
            rng = np.random.default_rng([seed, i])
            wanted = np.sort(rng.choice(n, size=per_instance, replace=False))
        yield from visit_one(instance, policy, set(wanted.tolist()), int(wanted[-1]))


def visit_one(
    instance: OffloadingInstance, policy: Policy, wanted: set[int], last: int
) -> Iterator[Observation]:
    """Observations of the wanted tasks on a policy's trajectory, which ends at task `last`."""
    system = OnlineSystem(instance)
    policy.reset(instance)
    for k in range(last + 1):
        system.advance(k)
        observation = system.observe(k)
        if k in wanted:
            yield observation
        system.commit(k, policy.act(observation))


def collect(
    instances: Iterable[OffloadingInstance],
    behaviour: str | Policy = "one-step-oracle",
    *,
    per_instance: int | None = None,
    seed: int = 0,
) -> States:
    """States of the trajectories of a policy (arguments of `visit`).

    The COMLLM paper's "independent states" are drawn uniformly from decision states of trajectories
    of the one-step oracle that never drops.
    """
    return gather(visit(instances, behaviour, per_instance=per_instance, seed=seed))


def gather(observations: Iterable[Observation]) -> States:
    """States of a stream of observations, each read before the next is asked for."""
    parts = []
    for _, group in groupby(observations, key=attrgetter("instance")):
        rows, tasks = [], []
        for observation in group:
            layout = state_rows.layout(observation.instance)
            row = np.empty(state_rows.width(layout.n_servers))
            state_rows.write(observation, layout, row)
            rows.append(row)
            tasks.append(observation.task)
        n = len(rows)
        preset, seeds = (layout.preset,) * n, np.full(n, layout.seed)
        parts.append(_from_rows(np.array(rows), layout.n_servers, preset, seeds, np.array(tasks)))
    return concat(parts)
