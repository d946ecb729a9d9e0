"""COMLLM episodes as arrays in slots: what the bounds read of a world and of decisions in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.online.tasks import system_of
from mecopt.offloading.instance import OffloadingInstance


@dataclass(frozen=True, eq=False)
class Episode:
    """K released tasks.

    Parameters
    ----------
    arrived : (T, U) int64
        The task that a user releases in a slot, -1 for none.
    upload, compute : (K, J) float64
    local : (K,) float64
        Times in slots, as the instance has them.
    """

    arrived: NDArray[np.int64]
    upload: NDArray[np.float64]
    compute: NDArray[np.float64]
    local: NDArray[np.float64]


def episode_of(instance: OffloadingInstance) -> Episode:
    """The world of a COMLLM instance.

    Raises
    ------
    ValueError
        If the instance is of another scenario.
    """
    system, _ = system_of(instance)
    slot_ns = instance.meta["slot_s"] * 1e9
    service = instance.service_ns.reshape(instance.n_tasks, 1 + 2 * system.servers) / slot_ns
    slot = np.rint(instance.release_ns / slot_ns).astype(np.int64)
    arrived = np.full((system.slots, system.users), -1, dtype=np.int64)
    arrived[slot, instance.owner] = np.arange(instance.n_tasks)
    return Episode(
        arrived,
        np.ascontiguousarray(service[:, 1::2]),
        np.ascontiguousarray(service[:, 2::2]),
        np.ascontiguousarray(service[:, 0]),
    )
