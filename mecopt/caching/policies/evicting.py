"""Caches of the textbook: FIFO, LFU and least age of thoughts, in literal and sensible versions.

A request for a pair that is not resident loads it; the cache makes room by its rule. The literal
versions are what their names say: whatever is resident is served at the edge while energy lasts,
cold or not, and every miss is admitted. The sensible ones serve at the edge only when that is
cheaper than the cloud in this slot, and admit only what they would serve (the load itself is not
weighed). Requests are served where they are born.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation

IntArray = NDArray[np.int64]


@dataclass
class Shelf:
    """What an evicting cache knows of one server; arrays (P,)."""

    resident: NDArray[np.bool_]
    kappa: IntArray
    loaded: IntArray  # slot of the last load
    count: IntArray  # requests seen so far, those of this slot included


def first_in(shelf: Shelf) -> IntArray:
    """FIFO: what was loaded first goes first."""
    return shelf.loaded


def least_frequent(shelf: Shelf) -> IntArray:
    """LFU: what was asked for least goes first."""
    return shelf.count


def least_age(shelf: Shelf) -> IntArray:
    """Least age of thoughts: the coldest context goes first."""
    return shelf.kappa


#: What goes first, by name.
RULES: dict[str, Callable[[Shelf], IntArray]] = {
    "fifo": first_in,
    "lfu": least_frequent,
    "least-age": least_age,
}


@dataclass
class Evicting:
    """A cache that loads what is asked for and evicts by a rule.

    Misses are loaded in order of requests, most first. LFU admits a pair only in place of pairs
    that were asked for less.

    Parameters
    ----------
    rule : str
        A key of `RULES`.
    sensible : bool
        Whether requests are served at the edge only when that is cheaper than the cloud.
    """

    rule: str
    sensible: bool = False
    _loaded: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    _count: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule: unknown {self.rule!r}, one of {', '.join(RULES)}")

    @property
    def name(self) -> str:
        """``fifo``, or ``fifo-sensible``."""
        return f"{self.rule}-sensible" if self.sensible else self.rule

    def reset(self, instance: CachingInstance) -> None:
        shape = (instance.n_servers, instance.n_pairs)
        self._loaded = np.zeros(shape, dtype=np.int64)
        self._count = np.zeros(shape, dtype=np.int64)

    def act(self, observation: CachingObservation) -> tuple[ArrayLike, ArrayLike]:
        seen = observation
        self._count += seen.requests
        a = seen.resident.copy()
        x = np.zeros_like(seen.requests)
        for n in range(len(a)):
            shelf = Shelf(a[n], seen.kappa[n], self._loaded[n], self._count[n])
            self._load(seen, n, shelf)
            x[n] = self._serve(seen, n, shelf)
        return a, x

    def _load(self, seen: CachingObservation, n: int, shelf: Shelf) -> None:
        """Make what was asked for resident, in place."""
        i = seen.instance
        room = int(i.capacity_mb[n] - i.memory_mb[shelf.resident].sum())
        fresh = np.zeros(i.n_pairs, dtype=bool)
        asked = seen.requests[n]
        for p in np.argsort(-asked, kind="stable"):
            if asked[p] == 0:
                break
            if shelf.resident[p]:
                continue
            if self.sensible and _cheapest(i, int(p), 0, int(asked[p])) == 0:
                continue
            rank = RULES[self.rule](shelf)
            leaving = shelf.resident & ~fresh
            if self.rule == "lfu":
                leaving &= rank < rank[p]
            order = [q for q in np.argsort(rank, kind="stable") if leaving[q]]
            freed = np.cumsum([0, *i.memory_mb[order]])
            enough = np.flatnonzero(room + freed >= i.memory_mb[p])
            if len(enough) == 0:
                continue
            gone = order[: enough[0]]
            shelf.resident[gone] = False
            shelf.resident[p] = fresh[p] = True
            shelf.loaded[p] = seen.slot
            room += int(freed[enough[0]] - i.memory_mb[p])

    def _serve(self, seen: CachingObservation, n: int, shelf: Shelf) -> IntArray:
        """Requests served of each pair; what would be evicted last is served first."""
        i = seen.instance
        left = int(i.energy_budget_10j[n])
        served = np.zeros(i.n_pairs, dtype=np.int64)
        for p in np.argsort(-RULES[self.rule](shelf), kind="stable"):
            if not shelf.resident[p]:
                continue
            each = int(i.energy_10j[p])
            most = int(min(seen.requests[n, p], left // each if each else left + 10**9))
            if self.sensible:
                age = int(shelf.kappa[p]) if seen.resident[n, p] else 0
                most = _cheapest(i, int(p), age, most)
            served[p] = most
            left -= most * each
        return served


def _cheapest(i: CachingInstance, p: int, age: int, most: int) -> int:
    """How many of `most` requests cost least at the edge, the others in the cloud."""
    x = np.arange(most + 1)
    kappa = np.clip(age + i.thoughts[p] * x - i.vanish[p], 0, i.kappa_max[p])
    return int(np.argmin(x * (i.serve_cost[p] + i.accuracy_cost[p, kappa] - i.cloud_cost[p])))
