"""COMLLM's edge network (Yang, Cheng, Zhang, arXiv 2604.07148, section "system model").

Six users and six servers; in each slot of 0.1 s a user releases a task with probability 0.3. Each
user has an uplink (FIFO) and a CPU (FIFO), each server is FIFO. Option 0 is local; option j is
"upload to server j, then compute there".

Tags: P printed in the paper, N from a neighbouring paper or sister code, D our decision.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import to_ns


@dataclass(frozen=True)
class Parameters:
    """Parameters of the COMLLM setting, with units; defaults are the paper's."""

    users: int = 6  # P
    servers: int = 6  # P
    slots: int = 100  # P
    slot_s: float = 0.1  # P
    arrival_probability: float = 0.3  # P, per user and slot
    server_ghz: tuple[float, float] = (20.0, 48.0)  # P, uniform, one value per server
    device_ghz: float = 2.5  # N
    uplink_mbps: tuple[float, float] = (10.0, 18.0)  # P (mean 14), D (width), per task and server
    task_mbit: tuple[float, float] = (2.0, 5.0)  # P
    density_gcycles_per_mbit: float = 0.297  # P
    deadline_slots: float = 10.0  # P
    drop_cost_slots: float = 20.0  # N


#: Where each number comes from; carried into reports.
TAGS = {
    **dict.fromkeys(asdict(Parameters()), "P"),
    "device_ghz": "N",
    "uplink_mbps": "P, D",
    "drop_cost_slots": "N",
}

PRESETS = {
    "paper": Parameters(),
    "busy": Parameters(arrival_probability=0.5),
    "large": Parameters(task_mbit=(4.0, 8.0)),
    "slow-servers": Parameters(server_ghz=(20.0 / 5, 48.0 / 5)),
    "very-slow-servers": Parameters(server_ghz=(20.0 / 10, 48.0 / 10)),
    "uneven-links": Parameters(uplink_mbps=(4.0, 24.0)),
}


def parameters(preset: str = "paper", **changes: object) -> Parameters:
    """Parameters of a preset, with changes.

    Raises
    ------
    ValueError
        If the preset or a parameter name is unknown.
    """
    checks.known("preset", preset, PRESETS)
    return checks.changed(PRESETS[preset], changes)


def generate(
    preset: str = "paper", seed: int = 0, *, task_seed: int | None = None, **changes: object
) -> OffloadingInstance:
    """One COMLLM episode.

    Parameters
    ----------
    preset : str
        A key of `PRESETS`.
    seed : int
        Seed of servers and tasks.
    task_seed : int, optional
        Draw other tasks over the *same* servers (what a policy that knows the generator may
        sample as a future).
    **changes
        Overrides of `Parameters` fields.

    Returns
    -------
    OffloadingInstance
        Tasks in order of (slot, user). An episode without a single arrival gets one task of the
        first user in slot 0, so that instances are never empty.
    """
    p = parameters(preset, **changes)
    checks.check_seed(seed)
    if task_seed is not None:
        checks.check_seed(task_seed, "task_seed")
    server_rng = np.random.default_rng([0, seed])
    rng = np.random.default_rng([1, seed] if task_seed is None else [2, seed, task_seed])
    ghz = server_rng.uniform(*p.server_ghz, size=p.servers)
    arrives = rng.random((p.slots, p.users)) < p.arrival_probability
    arrives[0, 0] |= not arrives.any()
    slot, user = np.nonzero(arrives)
    n, j = len(slot), p.servers
    mbit = rng.uniform(*p.task_mbit, size=n)
    mbps = rng.uniform(*p.uplink_mbps, size=(n, j))
    gcycles = p.density_gcycles_per_mbit * mbit

    # Resources: uplinks, device CPUs, servers. Options: local, then one per server.
    resource = np.empty((n, 1 + 2 * j), dtype=np.int32)
    service = np.empty((n, 1 + 2 * j))
    resource[:, 0], service[:, 0] = p.users + user, gcycles / p.device_ghz
    resource[:, 1::2], service[:, 1::2] = user[:, None], mbit[:, None] / mbps
    resource[:, 2::2], service[:, 2::2] = 2 * p.users + np.arange(j), gcycles[:, None] / ghz
    stages_per_option = np.tile([1] + [2] * j, n)
    stage_ptr = np.concatenate([[0], np.cumsum(stages_per_option)])
    second = np.tile([False] + [False, True] * j, n)
    ns = to_ns(service.ravel(), "service_s")
    return OffloadingInstance(
        resource_names=(
            *(f"uplink {u}" for u in range(p.users)),
            *(f"device {u}" for u in range(p.users)),
            *(f"server {s}" for s in range(j)),
        ),
        resource_kinds=("uplink",) * p.users + ("device",) * p.users + ("server",) * j,
        capacity=np.ones(2 * p.users + j, dtype=np.int32),
        down_ptr=np.zeros(2 * p.users + j + 1, dtype=np.int32),
        down_ns=np.empty((0, 2), dtype=np.int64),
        owner_names=tuple(f"user {u}" for u in range(p.users)),
        owner=user.astype(np.int32),
        release_ns=to_ns(slot * p.slot_s, "release_s"),
        deadline_ns=np.full(n, to_ns(p.deadline_slots * p.slot_s)),
        drop_cost_ns=np.full(n, to_ns(p.drop_cost_slots * p.slot_s)),
        latency_weight=np.ones(n),
        option_ptr=np.arange(n + 1, dtype=np.int32) * (1 + j),
        labels=("local", *(f"server {s}" for s in range(j))),
        option_label=np.tile(np.arange(1 + j), n),
        fixed_cost_ns=np.zeros(n * (1 + j), dtype=np.int64),
        stage_ptr=stage_ptr,
        stage_resource=resource.ravel(),
        service_ns=ns,
        believed_ns=ns,
        pred_ptr=np.concatenate([[0], np.cumsum(second)]),
        pred=np.flatnonzero(second).astype(np.int32) - 1,
        meta={
            "scenario": "comllm",
            "preset": preset,
            "seed": seed,
            "task_seed": task_seed,
            "slot_s": p.slot_s,
            "parameters": asdict(p),
            "tags": TAGS,
        },
    )
