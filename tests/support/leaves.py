"""Tiny instances and leaves of proof trees that strain the relaxation; a certificate by hand.

A leaf restricts every task to some of its alternatives. Its Lagrangian value must never exceed the
least replay over the decisions inside it. The instances here have what could break that: unlimited
resources with down intervals on the way to a server, private resources before them, tasks that
must run, late tasks that hold up a rival, stages cancelled by a loss elsewhere in a DAG.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.branch import Allowed
from formulations.offloading.pricing.oracle import Oracle
from mecopt.certificates.offloading.leaf import Alternatives
from mecopt.certificates.scales import PRICE_SCALE
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.offloading.units import INFINITE_NS, UNLIMITED

_GRID_S = 0.1

_CHAINS = (
    ("cpu",),
    ("cpu", "radio", "edge"),
    ("cpu", "delay", "edge"),
    ("cpu", "edge"),
    ("cpu", "edge", "link"),
    ("radio", "edge"),
    ("delay", "edge"),
    ("link", "edge"),
    ("edge", "delay", "edge"),
    ("cpu", "broken"),
    ("broken", "edge"),
    ("edge",),
)


def leaf_instance(seed: int, *, dag: bool | None = None) -> OffloadingInstance:
    """Seeded instance of two to five tasks, one to three options each.

    Resources: a private ``cpu`` per owner, the shared ``link`` and ``edge`` (capacity 1 or 2), the
    unlimited ``delay``, the unlimited ``radio`` and the limited ``broken``, both often down.
    """
    rng = np.random.default_rng([50_240, seed])
    has_dag = rng.random() < 0.4 if dag is None else dag
    owners = int(rng.integers(1, 4))
    resources = [
        *(Resource(f"cpu {u}") for u in range(owners)),
        Resource("link", int(rng.choice([1, 2]))),
        Resource("edge", int(rng.choice([1, 1, 2]))),
        Resource("delay", UNLIMITED),
        Resource("radio", UNLIMITED, down_s=_down(rng, 0.6)),
        Resource("broken", down_s=_down(rng, 0.4)),
    ]
    n_tasks = int(rng.integers(2, 6))
    release = np.sort(rng.integers(0, rng.choice([1, 6, 20]), size=n_tasks))
    tasks = []
    for k in range(n_tasks):
        owner = int(rng.integers(0, owners))
        options = [_option(rng, f"way {i}", owner, has_dag) for i in range(rng.integers(1, 4))]
        must_run = rng.random() < 0.2
        tight = rng.random() < (0.2 if must_run else 0.5)
        tasks.append(
            Task(
                release_s=_GRID_S * release[k],
                options=options,
                owner=f"user {owner}",
                deadline_s=_GRID_S * int(rng.integers(3, 40)) if tight else np.inf,
                drop_cost_s=np.inf if must_run else _GRID_S * int(rng.integers(0, 60)),
                latency_weight=float(rng.choice([0.5, 1.0, 1.0, 2.0])),
            )
        )
    return OffloadingInstance.from_tasks(resources, tasks)


def _down(rng: np.random.Generator, share: float) -> list[tuple[float, float]]:
    """Now and then a down interval, often a long one from the beginning."""
    if rng.random() >= share:
        return []
    start = int(rng.choice([0, int(rng.integers(0, 15))]))
    return [(_GRID_S * start, _GRID_S * (start + int(rng.integers(1, 40))))]


def _option(rng: np.random.Generator, name: str, owner: int, has_dag: bool) -> Option:
    """A chain from the list above, or a DAG of two to four of the resources."""

    def stage(where: str, after: tuple[int, ...] | None = None) -> Stage:
        resource = f"cpu {owner}" if where == "cpu" else where
        return Stage(resource, _GRID_S * int(rng.choice([1, 2, 5, 10, 20])), after=after)

    fixed = _GRID_S * int(rng.integers(-5, 6)) if rng.random() < 0.3 else 0.0
    if not has_dag or rng.random() < 0.5:
        chain = _CHAINS[int(rng.integers(len(_CHAINS)))]
        return Option(name, [stage(where) for where in chain], fixed_cost_s=fixed)
    stages = []
    for i in range(int(rng.integers(2, 5))):
        after = tuple(p for p in range(i) if rng.random() < 0.4)
        private = [] if after else ["cpu"] * 3
        places: list[str] = ["link", "edge", "delay", "radio", "broken", *private]
        stages.append(stage(str(rng.choice(places)), after))
    return Option(name, stages, fixed_cost_s=fixed)


def random_leaf(rng: np.random.Generator, instance: OffloadingInstance) -> Alternatives:
    """A nonempty choice of alternatives per task, one only for more than half of the tasks."""
    leaf: Alternatives = []
    for every in root_of(instance):
        size = 1 if rng.random() < 0.6 else int(rng.integers(1, len(every) + 1))
        kept = rng.choice(len(every), size=size, replace=False)
        leaf.append(tuple(every[i] for i in sorted(kept)))
    return leaf


def root_of(instance: OffloadingInstance) -> Alternatives:
    """Every option of every task, and the drop wherever it is not forbidden."""
    x = instance
    out: Alternatives = []
    for k in range(x.n_tasks):
        options = tuple(range(int(x.option_ptr[k]), int(x.option_ptr[k + 1])))
        out.append(options if x.drop_cost_ns[k] >= INFINITE_NS else (*options, -1))
    return out


def allowed_of(instance: OffloadingInstance, leaf: Alternatives) -> Allowed:
    """The same alternatives as the flags that the pricing kernels read."""
    option = np.zeros(instance.n_options, dtype=np.uint8)
    option[[o for options in leaf for o in options if o >= 0]] = 1
    drop = np.array([-1 in options for options in leaf], dtype=np.uint8)
    return Allowed(option, drop)


def least_replay(instance: OffloadingInstance, leaf: Alternatives) -> float:
    """Least objective (s) over all decisions inside a leaf; infinite when none is feasible."""
    first = instance.option_ptr[:-1]
    return min(
        replay(instance, np.where(np.array(c) >= 0, np.array(c) - first, -1)).objective
        for c in product(*leaf)
    )


def random_prices(rng: np.random.Generator, oracle: Oracle) -> NDArray[np.float64]:
    """Grid prices (rows,) below 2, often zero; the last bucket of a resource is free."""
    grid = rng.integers(0, 2 * PRICE_SCALE, size=oracle.n_rows)
    grid[rng.random(oracle.n_rows) < rng.choice([0.0, 0.5, 0.9, 1.0])] = 0
    prices = grid / PRICE_SCALE
    prices[oracle.blocks.stride - 1 :: oracle.blocks.stride] = 0.0
    return prices


def table_of(oracle: Oracle, prices: NDArray[np.float64]) -> dict[int, dict[int, int]]:
    """The same prices as certificates hold them: resource -> {bucket: price on the grid}."""
    stride = oracle.blocks.stride
    out = {}
    for r, first in enumerate(oracle.rows):
        if first >= 0:
            row = prices[first : first + stride] * PRICE_SCALE
            out[r] = {int(b): int(row[b]) for b in np.flatnonzero(row)}
    return {r: buckets for r, buckets in out.items() if buckets}


def server_instance() -> OffloadingInstance:
    """Two owners' tasks of 1 s on a server, after a private uplink and a delay of 0 s.

    The optimum queues: 1 + 2 = 3 s. Drops cost 9 s.
    """
    options = [
        Option("offload", [Stage(f"uplink {u}", 0), Stage("delay", 0), Stage("server", 1)])
        for u in "ab"
    ]
    resources = [Resource("server"), Resource("uplink a"), Resource("uplink b")]
    return OffloadingInstance.from_tasks(
        [*resources, Resource("delay", UNLIMITED)],
        [Task(0.0, [o], owner=u, drop_cost_s=9.0) for o, u in zip(options, "ab", strict=True)],
    )


def by_hand(**changes: Any) -> dict[str, Any]:
    """A certificate that another tool could write: price 1 of the server in the first second.

    Buckets last 2^27 ns = 0.134217728 s. Seven of them end at 0.939524096 s. Each task pays at
    most: starting at 0 costs 1 + 0.939524096, waiting never pays more than it saves; capacity
    costs 0.939524096: 2 x 1.939524096 - 0.939524096 = 2.939524096 >= 2.93.
    """
    body: dict[str, Any] = {
        "instance": server_instance().to_document(),
        "choice": [0, 0],
        "objective": 3.0,
        "bound": 2.93,
        "bucket_shift": 27,
        "price_scale": PRICE_SCALE,
        "prices": [{"0": [[b, PRICE_SCALE] for b in range(7)]}],
        "tree": [{"prices": 0}],
    }
    return {**body, **changes}
