"""Rules to compare with: device only, nearest, least loaded, random, a threshold on u."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt.accuracy_delay.instance import LOCAL, IntArray, QuerySnapshot
from mecopt.checks import check_seed


class _Forgetful:
    """A rule that has nothing to prepare."""

    def reset(self, instance: QuerySnapshot) -> None:
        """Nothing to prepare."""


@dataclass
class AllLocal(_Forgetful):
    """Every query stays on the device."""

    name: str = "all-local"

    def act(self, instance: QuerySnapshot) -> IntArray:
        return np.full(instance.n_users, LOCAL, dtype=np.int64)


@dataclass
class Nearest(_Forgetful):
    """Every query goes to the server of its fastest link that has room."""

    name: str = "nearest"

    def act(self, instance: QuerySnapshot) -> IntArray:
        return _in_turn(instance, lambda i, count: instance.upload_s[i])


@dataclass
class LeastLoaded(_Forgetful):
    """Every query goes to the server in reach with the fewest queries, the shorter queue first."""

    name: str = "least-loaded"

    def act(self, instance: QuerySnapshot) -> IntArray:
        tie = instance.queue_s / (2.0 * max(instance.queue_s.max(), 1e-9))
        return _in_turn(instance, lambda i, count: count + tie)


@dataclass
class Random(_Forgetful):
    """Uniform over the device and the servers in reach; equal seeds give equal decisions."""

    seed: int = 0
    name: str = "random"

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def act(self, instance: QuerySnapshot) -> IntArray:
        rng = np.random.default_rng([self.seed, int(instance.content_hash[:15], 16)])
        draw = rng.random((instance.n_users, instance.n_servers))
        away = rng.random(instance.n_users) * (instance.reachable.sum(axis=1) + 1) >= 1.0
        return _in_turn(instance, lambda i, count: draw[i], away)


@dataclass
class Threshold(_Forgetful):
    """Queries whose uncertainty is at least `threshold` go to the nearest server with room."""

    threshold: float = 0.5
    name: str = "threshold"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold = {self.threshold} must be between 0 and 1")

    def act(self, instance: QuerySnapshot) -> IntArray:
        away = instance.uncertainty >= self.threshold
        return _in_turn(instance, lambda i, count: instance.upload_s[i], away)


def _in_turn(
    instance: QuerySnapshot,
    order: Callable[[int, IntArray], NDArray[np.float64]],
    away: NDArray[np.bool_] | None = None,
) -> IntArray:
    """Users in turn take the server of least order(i, count) that they reach and that has room.

    `count` holds the queries at each server so far; users outside `away` stay on the device.
    """
    choice = np.full(instance.n_users, LOCAL, dtype=np.int64)
    count = np.zeros(instance.n_servers, dtype=np.int64)
    for i in range(instance.n_users):
        possible = instance.reachable[i] & (count < instance.room)
        if possible.any() and (away is None or away[i]):
            j = int(np.argmin(np.where(possible, order(i, count), np.inf)))
            choice[i] = j
            count[j] += 1
    return choice
