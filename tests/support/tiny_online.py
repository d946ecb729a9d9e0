"""Tiny systems with finitely many tasks, whose best online rule can be enumerated."""

from __future__ import annotations

import numpy as np

from formulations.online.tasks import System, Tasks, finite_system
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task


def tiny_system(seed: int) -> System:
    """Seeded: two users, one or two servers, three slots (four with one type of task).

    Times are multiples of 1/8 slot, a deadline of 2 or 3 slots makes lateness common.
    """
    rng = np.random.default_rng([30_015, seed])
    slots, types, servers = [(3, 2, 1), (3, 1, 2), (4, 1, 1)][seed % 3]

    def eighths(low: int, high: int, *shape: int) -> np.ndarray:
        return rng.integers(low, high, size=shape) / 8

    weight = rng.dirichlet(np.ones(types))
    tasks = Tasks(
        weight,
        eighths(2, 16, types, servers),
        eighths(1, 14, types, servers),
        eighths(6, 24, types),
    )
    return finite_system(
        tasks,
        users=2,
        slots=slots,
        arrival_probability=float(rng.uniform(0.3, 1.0)),
        deadline_slots=float(rng.integers(2, 4)),
        drop_cost_slots=float(rng.integers(3, 7)),
    )


def instance_of(system: System, tasks: Tasks, history: np.ndarray) -> OffloadingInstance:
    """The tasks of a history, a slot being one second."""
    resources = [Resource(f"{kind} {u}") for kind in ("uplink", "device") for u in range(2)]
    resources += [Resource(f"server {j}") for j in range(system.servers)]
    released = []
    for slot, user, kind, _ in history.T:
        options = [Option("local", [Stage(f"device {user}", tasks.local[kind])])]
        for j in range(system.servers):
            upload = Stage(f"uplink {user}", tasks.upload[kind, j])
            options.append(Option(f"{j}", [upload, Stage(f"server {j}", tasks.compute[kind, j])]))
        released.append(
            Task(
                float(slot),
                options,
                f"user {user}",
                deadline_s=system.deadline_slots,
                drop_cost_s=system.drop_cost_slots,
            )
        )
    return OffloadingInstance.from_tasks(resources, released)
