"""The system of independent users that online bounds are about, and the tasks drawn for a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import comllm

#: Services are taken this much shorter than drawn: instances round each to whole nanoseconds.
ROUNDING_SLOTS = 1e-8


@dataclass(frozen=True, eq=False)
class Tasks:
    """A finite distribution of the task that may arrive in a slot.

    Parameters
    ----------
    weight : (N,) float64
        Probabilities, given that a task arrives.
    upload, compute : (N, J) float64
        Time on the uplink to each server and on that server, slots.
    local : (N,) float64
        Time on the user's device, slots.

    Raises
    ------
    ValueError
        Names what has a wrong shape or value.
    """

    weight: NDArray[np.float64]
    upload: NDArray[np.float64]
    compute: NDArray[np.float64]
    local: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = np.shape(self.upload)
        if len(shape) != 2 or not shape[0]:
            raise ValueError(f"upload must be (tasks, servers), has shape {shape}")
        for name, wanted in (("weight", shape[:1]), ("compute", shape), ("local", shape[:1])):
            if np.shape(getattr(self, name)) != wanted:
                raise ValueError(
                    f"{name} must have shape {wanted}, has {np.shape(getattr(self, name))}"
                )
        for name in ("weight", "upload", "compute", "local"):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            checks.refuse(~((given >= 0) & np.isfinite(given)), name, given, "must be >= 0")
            object.__setattr__(self, name, checks.frozen(given, np.float64))
        if abs(self.weight.sum() - 1) > 1e-9:
            raise ValueError(f"weight: sums to {self.weight.sum()}, not to 1")


@dataclass(frozen=True)
class System:
    """Users that release tasks by chance, slot by slot, over servers that they share.

    Parameters
    ----------
    users, slots, servers : int
    arrival_probability : float
        Per user and slot.
    deadline_slots, drop_cost_slots : float
    draw : callable
        (N, rng) -> `Tasks` of one stage: N of them, each distributed as a task is; where the
        distribution is finite all of it, whatever N.
    is_finite : bool
        Whether `draw` gives the distribution itself, so that nothing is sampled.
    least_upload_slots : float
        No upload takes less: before, no server can have work.

    Raises
    ------
    ValueError
        Names what cannot be bounded, such as a deadline without end.
    """

    users: int
    slots: int
    servers: int
    arrival_probability: float
    deadline_slots: float
    drop_cost_slots: float
    draw: Callable[[int, np.random.Generator], Tasks]
    is_finite: bool = False
    least_upload_slots: float = 0.0

    def __post_init__(self) -> None:
        for name in ("users", "slots", "servers"):
            checks.whole(name, getattr(self, name), 1)
        if not 0 < self.arrival_probability <= 1:
            raise ValueError(f"arrival_probability = {self.arrival_probability} must be in (0, 1]")
        for name in ("deadline_slots", "drop_cost_slots"):
            value = getattr(self, name)
            if not 1 <= value < np.inf:
                raise ValueError(f"{name} = {value} must be finite and at least one slot")

    @property
    def expected_tasks(self) -> float:
        return self.users * self.slots * self.arrival_probability


def system_of(instance: OffloadingInstance) -> tuple[System, NDArray[np.float64]]:
    """The generator of a COMLLM episode, over the servers that the episode has.

    Returns
    -------
    System
    (J,) float64
        Server speeds, GHz.

    Raises
    ------
    ValueError
        If the instance is of a scenario whose later tasks are not drawn from a known distribution.
    """
    scenario = getattr(instance, "meta", {}).get("scenario")
    if scenario != "comllm":
        raise ValueError(
            f"instance: scenario {scenario!r} has no generator with a known distribution of tasks; "
            "online_bound is for comllm (windows of traces: formulations.online.penalties.traces)"
        )
    given = instance.meta["parameters"]
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    p = comllm.Parameters(**fields)
    ghz = comllm_speeds(p, instance.meta["seed"])
    return comllm_system(p, ghz), ghz


def comllm_speeds(p: comllm.Parameters, seed: int) -> NDArray[np.float64]:
    """(J,) GHz of the servers of an episode, as `comllm.generate` draws them."""
    return np.random.default_rng([0, seed]).uniform(*p.server_ghz, size=p.servers)


def comllm_system(p: comllm.Parameters, ghz: NDArray[np.float64]) -> System:
    """COMLLM's setting over given servers.

    Sizes and rates are uniform; a stage's tasks are points of a lattice in the unit cube, shifted
    at random, so that each alone is uniform and together they fill the cube evenly.
    """

    def draw(n: int, rng: np.random.Generator) -> Tasks:
        unit = shifted_lattice(n, 1 + p.servers, rng)
        low, high = p.task_mbit
        mbit = low + (high - low) * unit[:, 0]
        low, high = p.uplink_mbps
        mbps = low + (high - low) * unit[:, 1:]
        gcycles = p.density_gcycles_per_mbit * mbit
        upload = mbit[:, None] / mbps / p.slot_s
        compute = gcycles[:, None] / ghz / p.slot_s
        local = gcycles / p.device_ghz / p.slot_s
        return Tasks(
            np.full(n, 1 / n),
            upload - ROUNDING_SLOTS,
            compute - ROUNDING_SLOTS,
            local - ROUNDING_SLOTS,
        )

    return System(
        p.users,
        p.slots,
        p.servers,
        p.arrival_probability,
        p.deadline_slots,
        p.drop_cost_slots,
        draw,
        least_upload_slots=p.task_mbit[0] / p.uplink_mbps[1] / p.slot_s - ROUNDING_SLOTS,
    )


def finite_system(
    tasks: Tasks,
    *,
    users: int,
    slots: int,
    arrival_probability: float,
    deadline_slots: float,
    drop_cost_slots: float,
) -> System:
    """A system whose tasks have finitely many values, each with its probability."""
    return System(
        users,
        slots,
        tasks.upload.shape[1],
        arrival_probability,
        deadline_slots,
        drop_cost_slots,
        lambda n, rng: tasks,
        is_finite=True,
        least_upload_slots=float(tasks.upload.min()),
    )


def shifted_lattice(n: int, dimensions: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, dimensions) points of a Korobov lattice with a random shift; each is uniform by itself.

    The generator of the lattice is the integer nearest to 0.3819 n without a common factor
    (n / golden ratio squared, good in the first two coordinates).
    """
    a = next(k for k in range(round(0.381966 * n), n + 2) if np.gcd(k, n) == 1 or n < 4)
    power = [pow(a, k, n) for k in range(dimensions)]
    points = np.arange(n)[:, None] * np.array(power) / n
    return (points + rng.random(dimensions)) % 1.0
