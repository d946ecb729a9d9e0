"""A replay memory of decisions, in the order in which each environment made them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.player import Arrays


class Replay:
    """The last `room` decisions of each of E environments.

    Parameters
    ----------
    room : int
    """

    def __init__(self, room: int) -> None:
        self.room, self.count = room, 0
        self.told: Arrays = {}
        self.more: Arrays = {}

    def add(self, told: Arrays, **more: NDArray) -> None:
        """One decision of each environment: what was told (E, ...), and figures (E,)."""
        if not self.told:
            for kept, new in ((self.told, told), (self.more, more)):
                for name, a in new.items():
                    kept[name] = np.zeros((self.room, *a.shape), dtype=a.dtype)
        at = self.count % self.room
        for kept, new in ((self.told, told), (self.more, more)):
            for name, a in new.items():
                kept[name][at] = a
        self.count += 1

    def drawn(
        self, rng: np.random.Generator, n: int, ahead: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Times and environments (n,) of decisions that at least `ahead` others follow."""
        kept = min(self.count, self.room)
        first = self.count - kept
        time = rng.integers(first, self.count - ahead, size=n) % self.room
        return time, rng.integers(self.more["action"].shape[1], size=n)

    def at(self, time: NDArray[np.int64], environment: NDArray[np.int64]) -> Arrays:
        """What was told at decisions of any shape (...)."""
        return {name: a[time % self.room, environment] for name, a in self.told.items()}

    def __getitem__(self, name: str) -> NDArray:
        return self.more[name]
