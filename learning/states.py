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
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mecopt import policies
from mecopt.kernel import NEVER
from mecopt.observation import Observation, OnlineSystem
from mecopt.offloading import INFINITE_NS, OffloadingInstance
from mecopt.policies.protocol import Policy
from mecopt.projection import wait_free

#: Columns of one row, before the servers' ones.
_SCALARS = (
    "size_mbit",
    "uplink_wait_slots",
    "device_wait_slots",
    "device_ghz",
    "density",
    "arrival_probability",
    "mean_size_mbit",
    "users",
    "slot_s",
    "deadline_slots",
    "drop_cost_slots",
)
_PER_SERVER = ("server_ghz", "rate_mbps", "wait_slots")
_FIRST = len(_SCALARS)

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
        last column is the drop (`mecopt.observation.Observation.cost_s` says the same in s).
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
class _Layout(NamedTuple):
    """What is the same for every task of an instance."""

    constants: NDArray[np.float64]  # device_ghz, density, load, ... as in _SCALARS[3:]
    n_servers: int
    preset: str
    seed: int


_layouts: WeakKeyDictionary[OffloadingInstance, _Layout] = WeakKeyDictionary()


def _layout(instance: OffloadingInstance) -> _Layout:
    found = _layouts.get(instance)
    if found is None:
        found = _layouts[instance] = _read_layout(instance)
    return found


def _read_layout(x: OffloadingInstance) -> _Layout:
    parameters = x.meta.get("parameters", {})
    needed = ("device_ghz", "density_gcycles_per_mbit", "arrival_probability", "task_mbit")
    missing = [name for name in needed if name not in parameters]
    if missing or "slot_s" not in x.meta:
        name = f"parameters[{missing[0]!r}]" if missing else "slot_s"
        raise ValueError(f"instance.meta: {name} is missing; states are those of scenario comllm")
    per_task = np.diff(x.option_ptr)
    if np.ptp(per_task) or per_task[0] < 2:
        raise ValueError("instance: every task needs the options local, server 0, server 1, ...")
    n_servers = int(per_task[0]) - 1
    if not np.array_equal(np.diff(x.stage_ptr), np.tile([1] + [2] * n_servers, x.n_tasks)):
        raise ValueError("instance: options must be one local stage, then upload and compute")
    if np.any(x.latency_weight != 1) or np.any(x.fixed_cost_ns):
        raise ValueError("instance: states know no latency weights or fixed costs")
    slot_s = float(x.meta["slot_s"])
    constants = [
        float(parameters["device_ghz"]),
        float(parameters["density_gcycles_per_mbit"]),
        float(parameters["arrival_probability"]),
        float(np.mean(parameters["task_mbit"])),
        float(len(x.owner_names)),
        slot_s,
    ]
    seed = x.meta.get("seed", -1)
    return _Layout(np.array(constants), n_servers, str(x.meta.get("preset", "")), int(seed))


@njit(cache=True)
def _fill(
    arrays, believed, completion, free, entries, task, now, deadline, drop, never, constants, row
):
    """Write one state: scalars, then GHz, Mbps, wait and presence (0 or 1) of each server."""
    device_ghz, density, slot_s = constants[0], constants[1], constants[5]
    slot = slot_s * 1e9
    o = arrays.option_ptr[task]
    n_servers = arrays.option_ptr[task + 1] - o - 1
    s = arrays.stage_ptr[o]
    local = believed[s] * 1e-9  # s on the device
    size = local * device_ghz / density
    row[0] = size
    uplink = arrays.resource[arrays.stage_ptr[o + 1]]
    units = np.empty(arrays.free_ptr[uplink + 1] - arrays.free_ptr[uplink], dtype=np.int64)
    free_at = wait_free(arrays.free_ptr, uplink, now, free, entries, units)
    uplink_wait = max(0, free_at - now)
    row[1] = uplink_wait / slot
    row[2] = (completion[0] - now - believed[s]) / slot
    row[3:9] = constants
    row[9] = np.inf if deadline >= never else deadline / slot
    row[10] = np.inf if drop >= never else drop / slot
    for j in range(n_servers):
        s = arrays.stage_ptr[o + 1 + j]
        present = completion[1 + j] < NEVER
        row[11 + j] = density * size / (believed[s + 1] * 1e-9)
        row[11 + n_servers + j] = size / (believed[s] * 1e-9)
        wait = completion[1 + j] - now - uplink_wait - believed[s] - believed[s + 1]
        row[11 + 2 * n_servers + j] = wait / slot if present else np.nan
        row[11 + 3 * n_servers + j] = 1.0 if present else 0.0


def _write(observation: Observation, layout: _Layout, row: NDArray[np.float64]) -> None:
    x, task = observation.instance, observation.task
    _fill(
        x.arrays,
        x.believed_ns,
        observation.completion_ns,
        observation.free_ns,
        observation.entries,
        task,
        observation.now_ns,
        x.deadline_ns[task],
        x.drop_cost_ns[task],
        INFINITE_NS,
        layout.constants,
        row,
    )


def _from_rows(
    rows: NDArray[np.float64],
    n_servers: int,
    preset: tuple[str, ...],
    seed: NDArray[np.int64],
    task: NDArray[np.int64],
) -> States:
    """States whose arrays are views of `rows` (B, scalars + 4 J)."""
    edge = [_FIRST + i * n_servers for i in range(5)]
    r = rows.T
    return States(  # type: ignore[call-arg]
        *r[:5],
        rows[:, edge[0] : edge[1]],
        rows[:, edge[1] : edge[2]],
        rows[:, edge[2] : edge[3]],
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
    layout = _layout(observation.instance)
    rows = np.empty((1, _FIRST + 4 * layout.n_servers))
    _write(observation, layout, rows[0])
    seed, task = np.array([layout.seed]), np.array([observation.task])
    return _from_rows(rows, layout.n_servers, (layout.preset,), seed, task)


def to_choice(option: int, n_servers: int) -> int:
    """Choice of the instance for an option index: the index itself, -1 for the drop."""
    return -1 if option == n_servers + 1 else option


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
        Who acts; a name is one of `mecopt.policies.NAMES`.
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
        yield from _visit_one(instance, policy, set(wanted.tolist()), int(wanted[-1]))


def _visit_one(
    instance: OffloadingInstance, policy: Policy, wanted: set[int], last: int
) -> Iterator[Observation]:
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
    parts: list[States] = []
    rows: list[NDArray[np.float64]] = []
    tasks: list[int] = []
    current: OffloadingInstance | None = None

    def close() -> None:
        if current is not None:
            layout, n = _layout(current), len(rows)
            seeds = np.full(n, layout.seed)
            preset = (layout.preset,) * n
            parts.append(
                _from_rows(np.array(rows), layout.n_servers, preset, seeds, np.array(tasks))
            )

    for observation in observations:
        if observation.instance is not current:
            close()
            current = observation.instance
            rows, tasks = [], []
        layout = _layout(observation.instance)
        row = np.empty(_FIRST + 4 * layout.n_servers)
        _write(observation, layout, row)
        rows.append(row)
        tasks.append(observation.task)
    close()
    return concat(parts)
