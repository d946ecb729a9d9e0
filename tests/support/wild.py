"""Tiny instances whose times, weights and costs lie up to fourteen orders of magnitude apart."""

from __future__ import annotations

import numpy as np

from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task

#: Largest power of ten of a cost, s: a cost in the instance is at most 1e8 s.
_DEAREST = 7.9


def wild_instance(seed: int) -> OffloadingInstance:
    """Seeded chains of two to four tasks, at most 256 decisions.

    Services share a scale between 1e-6 and 100 s, but three in ten lie anywhere in 1e-6 to 1e6 s;
    so do deadlines and every other weight. Drops and fixed costs, which may be gains, reach 1e8 s,
    and three in ten drops cost 2e6 or 5e7 s.
    """
    rng = np.random.default_rng([77, seed])

    def size(low: float = -6.0, high: float = 6.0) -> float:
        return float(10 ** rng.uniform(low, high))

    scale = size(-6, 2)
    resources = [
        Resource(f"station {r}", int(rng.choice([1, 1, 2]))) for r in range(rng.integers(1, 4))
    ]

    def stage() -> Stage:
        common = float(np.ceil(rng.uniform(0.2, 5) * 10) / 10 * scale)
        service = common if rng.random() < 0.7 else size()
        return Stage(resources[int(rng.integers(len(resources)))].name, service)

    def task() -> Task:
        options = [
            Option(
                f"option {o}",
                [stage() for _ in range(rng.integers(1, 4))],
                fixed_cost_s=float(rng.choice([0.0, 0.0, size(-6, _DEAREST), -size(-6, _DEAREST)])),
            )
            for o in range(rng.integers(1, 4))
        ]
        drop = float(rng.choice([np.inf, size(), size(-6, _DEAREST)], p=[0.15, 0.5, 0.35]))
        return Task(
            release_s=float(rng.choice([0, scale * rng.integers(0, 4)])),
            options=options,
            owner=f"user {rng.integers(3)}",
            deadline_s=float(rng.choice([np.inf, scale * rng.uniform(1, 10), size()])),
            drop_cost_s=float(rng.choice([2e6, 5e7])) if rng.random() < 0.3 else drop,
            latency_weight=float(rng.choice([1, size()])),
        )

    tasks = sorted((task() for _ in range(rng.integers(2, 5))), key=lambda t: t.release_s)
    return OffloadingInstance.from_tasks(resources, tasks, meta={"scenario": "wild", "seed": seed})
