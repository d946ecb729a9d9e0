"""An instance that no scenario makes: three resources, tasks that count differently."""

import numpy as np

from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task

#: A laptop, the link to a box at the edge, and the box.
RESOURCES = (
    Resource("laptop", kind="device"),
    Resource("link", kind="link"),
    Resource("edge box", kind="server"),
)


def own_instance(seed: int, tasks: int = 60, gap_s: float = 0.55) -> OffloadingInstance:
    """Three users share all three; three tasks in ten are urgent and count four times."""
    rng = np.random.default_rng(seed)
    release = np.cumsum(rng.exponential(gap_s, tasks))
    listed = []
    for k in range(tasks):
        work_s, megabytes = rng.uniform(0.5, 2.5), rng.uniform(0.3, 2.0)
        urgent = rng.random() < 0.3
        options = (
            Option("on the laptop", [Stage("laptop", work_s)]),
            Option(
                "at the edge", [Stage("link", 0.4 * megabytes), Stage("edge box", 0.45 * work_s)]
            ),
        )
        listed.append(
            Task(
                release_s=float(release[k]),
                options=options,
                owner=f"user {rng.integers(3)}",
                deadline_s=4.0 if urgent else 8.0,
                drop_cost_s=30.0 if urgent else 10.0,
                latency_weight=4.0 if urgent else 1.0,
            )
        )
    return OffloadingInstance.from_tasks(RESOURCES, listed)
