"""Tiny caching systems with finite laws of requests, whose best online rule can be enumerated."""

from __future__ import annotations

from typing import Any

import numpy as np

from formulations.online.caching.system import System
from mecopt.caching import Backhaul, CachingInstance, Pair

#: Servers, pairs, slots and least number of requests that a law does not know, in turns.
_SHAPES = [(1, 2, 3, 2), (2, 1, 3, 2), (1, 2, 2, 3)]


def system(pairs: list[Pair], law: Any, slots: int, *, servers: int = 1, **given: Any) -> System:
    """Servers of 10 GB and 100 J a slot unless said; `law` (servers x pairs, 2, numbers)."""
    given = {"capacity_gb": [10.0] * servers, "energy_budget_j": [100.0] * servers, **given}
    flip = given.pop("flip", 0.5)
    nothing = np.zeros((servers, len(pairs), slots), dtype=int)
    return System(CachingInstance.from_pairs(nothing, pairs, **given), np.array(law), flip)


def tiny_system(seed: int) -> System:
    """Seeded: two pairs at a server, or one at each of two; memory for one or for both."""
    rng = np.random.default_rng([30_115, seed])
    servers, n_pairs, slots, many = _SHAPES[seed % 3]
    pairs = [
        Pair(
            name=f"p{i}",
            memory_gb=float(rng.integers(3, 8)),
            energy_j=10.0 * rng.integers(0, 7),
            thoughts=int(rng.integers(1, 4)),
            accuracy=float(rng.uniform(0.2, 0.9)),
            cloud_cost=float(rng.integers(1, 9)),
            vanish=int(rng.integers(0, 3)),
            kappa_max=int(rng.integers(3, 7)),
            beta=float(rng.uniform(0.5, 0.95)),
            edge_cost=float(rng.uniform(0, 0.5)),
            compute_cost=float(rng.uniform(0, 0.5)),
            switch_cost=float(rng.uniform(0, 3)),
        )
        for i in range(n_pairs)
    ]
    coupling = None
    if servers == 2:
        tokens, capacity = rng.integers(1, 4, n_pairs), rng.integers(0, 3, slots)
        coupling = Backhaul(tokens, capacity, float(rng.uniform(0.5, 3)))
    return system(
        pairs,
        rng.dirichlet(np.ones(many), size=(servers * n_pairs, 2)),
        slots,
        servers=servers,
        flip=float(rng.uniform(0.05, 0.9)),
        capacity_gb=rng.integers(5, 13, servers).astype(float),
        energy_budget_j=10.0 * rng.integers(4, 12, servers),
        accuracy_weight=float(rng.uniform(0, 2)),
        coupling=coupling,
    )
