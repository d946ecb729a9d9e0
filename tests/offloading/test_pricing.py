"""Pricing of owners: hand-made prices, the exact counterpart, and weak duality of leaves."""

from __future__ import annotations

import numpy as np
import pytest

from formulations.offloading.branch import Allowed, Tightener, everything
from formulations.offloading.pricing.oracle import Oracle, root_branch
from mecopt.certificates.offloading.leaf import leaf_of
from mecopt.certificates.offloading.pricing import ExactPricer
from mecopt.certificates.offloading.structure import structure_of
from mecopt.certificates.scales import COST_SCALE
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.units import UNLIMITED
from tests.support.leaves import (
    allowed_of,
    leaf_instance,
    least_replay,
    random_leaf,
    random_prices,
    root_of,
    table_of,
)
from tests.support.tiny import brute_force, tiny_instance

SECOND = 1e9


def way(*stages: tuple[str, float]) -> Option:
    """A chain of (resource, service in s), named after its resources."""
    return Option("-".join(r for r, _ in stages), [Stage(r, s) for r, s in stages])


def root_value(instance: OffloadingInstance, shift: int, prices=None) -> float:
    """Lagrangian value of the root, s; zero prices unless given as {row: price}."""
    oracle = Oracle(instance, shift)
    vector = np.zeros(oracle.n_rows)
    for row, price in (prices or {}).items():
        vector[row] = price
    return oracle.dual_value(vector, oracle.price(vector, root_branch(instance))) / SECOND


def leaf_value(instance: OffloadingInstance, allowed: Allowed, shift: int = 30) -> float:
    """Value of a leaf at zero prices, s: compiled, and checked against the exact one."""
    oracle = Oracle(instance, shift)
    zero = np.zeros(oracle.n_rows)
    branch = Tightener(instance, oracle.blocks).branch(allowed)
    value = oracle.dual_value(zero, oracle.price(zero, branch)) / SECOND
    structure = structure_of(instance)
    leaf = [tuple(allowed.alternatives(instance, k)) for k in range(instance.n_tasks)]
    exact = ExactPricer(structure, shift, {}).value(leaf_of(structure, leaf))
    assert exact is not None
    assert value == pytest.approx(exact / COST_SCALE / SECOND, rel=1e-12)
    return value


def test_one_owner_without_prices_is_solved_exactly() -> None:
    """With private resources and the drop, the cheapest plan of a single owner is the optimum."""
    rng = np.random.default_rng(1)
    for _ in range(25):
        tasks = [
            Task(
                0.1 * k,
                [
                    way(("cpu", 0.1 * rng.integers(1, 9))),
                    way(("uplink", 0.1 * rng.integers(1, 5)), ("delay", 0.1 * rng.integers(1, 5))),
                ],
                owner="u",
                deadline_s=0.1 * int(rng.integers(4, 12)),
                drop_cost_s=0.1 * int(rng.integers(3, 20)),
            )
            for k in range(5)
        ]
        resources = [Resource("cpu"), Resource("uplink"), Resource("delay", UNLIMITED)]
        instance = OffloadingInstance.from_tasks(resources, tasks)
        assert root_value(instance, 25) == pytest.approx(brute_force(instance)[0], abs=1e-9)


def bucket_s() -> float:
    """Length of a bucket of 2^30 ns in s."""
    return 2**30 * 1e-9


def two_owners() -> OffloadingInstance:
    """Two owners' tasks on one server, one bucket (2^30 ns) of service each."""
    return OffloadingInstance.from_tasks(
        [Resource("server")],
        [Task(0.0, [way(("server", bucket_s()))], owner=u, drop_cost_s=50.0) for u in "ab"],
    )


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        # Starting at t in [0, 1] pays (1 - t) first + t second, and waits t. In buckets:
        # waiting saves 3 - 1 = 2 per bucket and costs 1, so both start at 1:
        # 2 x (1 waiting + 1 service + 1 price) - (3 + 1) capacity = 2, below 1 + 2 = 3.
        (3.0, 1.0, 2.0),
        # The price falls by 0.5 < 1, waiting does not pay: 2 x (1 + 1.5) - (1.5 + 1) = 2.5.
        (1.5, 1.0, 2.5),
        # The best prices: 2 x (1 + 1) - 1 = 3, the FIFO optimum 1 + 2.
        (1.0, 0.0, 3.0),
        # Two free seconds behind: start at once for 1 + 9, or wait one for 1 + 1 + 0.
        # 2 x 2 - 9 = -5.
        (9.0, 0.0, -5.0),
    ],
)
def test_waiting_under_two_prices(first: float, second: float, value: float) -> None:
    """A stage waits for a cheaper bucket exactly when the price falls faster than latency costs."""
    got = root_value(two_owners(), 30, {0: first, 1: second})
    assert got == pytest.approx(value * bucket_s(), rel=1e-12)


def test_price_of_a_stage_across_two_buckets() -> None:
    """A stage is charged by overlap: half of it in each bucket.

    Released at half a bucket, one bucket long, deadline one bucket: no room to wait. It costs its
    latency 1 and (0.5 x 2 + 0.5 x 4) = 3; capacity costs 2 + 4: 1 + 3 - 6 = -2 buckets.
    """
    width = bucket_s()
    instance = OffloadingInstance.from_tasks(
        [Resource("server", 1), Resource("elsewhere")],
        [
            Task(
                width / 2, [way(("server", width))], owner="a", deadline_s=width, drop_cost_s=50.0
            ),
            # The other owner never wins by using the server; it only makes it shared.
            Task(width / 2, [way(("server", width), ("elsewhere", 90.0))], "b", drop_cost_s=0.0),
        ],
    )
    assert root_value(instance, 30, {0: 2.0, 1: 4.0}) == pytest.approx(-2 * width, rel=1e-12)


def test_down_time_is_no_capacity() -> None:
    """A server that is down for a quarter of a bucket offers, and is charged for, the rest.

    The task is dropped for 5; a price of 1 on the bucket costs 0.75 buckets: 5 - 0.75 x 2^30 ns.
    """
    instance = OffloadingInstance.from_tasks(
        [Resource("server", down_s=[(0.0, bucket_s() / 4)])],
        [Task(0.0, [way(("server", 20.0))], drop_cost_s=5.0)],
    )
    assert root_value(instance, 30, {0: 1.0}) == pytest.approx(5.0 - 0.75 * bucket_s(), rel=1e-12)


@pytest.mark.parametrize("family", ["chains", "dags", "failures", "leaves", "leaf dags"])
def test_compiled_pricing_equals_exact_pricing_and_no_leaf_is_overvalued(family: str) -> None:
    """For random leaves and prices: both pricings agree, and neither exceeds the best replay."""
    infeasible = tight = 0
    for seed in range(150):
        instance = {
            "chains": lambda s: tiny_instance(s, dag=False, down=False, max_tasks=4),
            "dags": lambda s: tiny_instance(s, dag=True, down=False, max_tasks=4),
            "failures": lambda s: tiny_instance(s, dag=s % 2 == 0, down=True, max_tasks=4),
            "leaves": lambda s: leaf_instance(s, dag=False),
            "leaf dags": lambda s: leaf_instance(s, dag=True),
        }[family](seed)
        rng = np.random.default_rng(seed)
        oracle = Oracle(instance, int(rng.integers(25, 31)))
        tightener, structure = Tightener(instance, oracle.blocks), structure_of(instance)
        for leaf in (root_of(instance), random_leaf(rng, instance), random_leaf(rng, instance)):
            prices = random_prices(rng, oracle)
            priced = oracle.price(prices, tightener.branch(allowed_of(instance, leaf)))
            value = oracle.dual_value(prices, priced)
            pricer = ExactPricer(structure, oracle.shift, table_of(oracle, prices))
            scaled = pricer.value(leaf_of(structure, leaf))
            least = least_replay(instance, leaf) * SECOND
            if scaled is None:
                assert value == least == np.inf, seed
                infeasible += 1
                continue
            exact = scaled / COST_SCALE
            assert value == pytest.approx(exact, rel=1e-9, abs=1e-3), seed
            assert oracle.safe(prices, value, priced) <= exact, seed
            assert exact <= least + 1e-3, seed
            tight += exact >= least - 1e-3
    assert infeasible > 0 and tight > 10  # the families reach both ends


def test_fifo_windows_of_fixed_tasks_bind() -> None:
    """With both tasks fixed to the server the leaf costs the FIFO replay, 1 + 2 buckets.

    At zero prices the relaxation alone would let both start at once, for 1 + 1.
    """
    instance = two_owners()
    assert root_value(instance, 30) == pytest.approx(2 * bucket_s())
    fixed = everything(instance).only(instance, 0, 0).only(instance, 1, 1)
    assert leaf_value(instance, fixed) == pytest.approx(3 * bucket_s(), rel=1e-12)


def test_a_task_lost_on_the_way_claims_no_place_in_the_queue() -> None:
    """A task that must try a radio that is down never reaches the server it would hold up.

    Task 0 is lost on the radio (drop cost 1); its CPU time 2 delays task 1: 2 + 1 + 5 = 8.
    Task 2 reaches the idle edge at 2 and leaves at 3. The replay costs 1 + 8 + 3 = 12.
    Counting task 0 at the edge from 3 to 13 would claim 5 more for task 1, and prove too much.
    """
    resources = [
        Resource("cpu"),
        Resource("radio", UNLIMITED, down_s=[(0.0, 100.0)]),
        Resource("delay", UNLIMITED),
        Resource("edge"),
    ]
    instance = OffloadingInstance.from_tasks(
        resources,
        [
            Task(0.0, [way(("cpu", 2), ("radio", 1), ("edge", 10))], owner="u", drop_cost_s=1.0),
            Task(0.0, [way(("cpu", 1), ("edge", 5))], owner="u"),
            Task(0.0, [way(("delay", 2), ("edge", 1))], owner="v"),
        ],
    )
    forced = everything(instance).only(instance, 0, 0)
    least = least_replay(instance, [(0,), (1,), (2,)])
    assert least == pytest.approx(12.0)
    assert leaf_value(instance, forced) <= least + 1e-9


def test_a_cancelled_stage_occupies_no_private_resource() -> None:
    """In a DAG, a loss cancels queued stages; the owner's CPU is then free for the next task.

    Task 1 queues 20 s on the CPU behind task 0 (10 s) and fails at 2 at the broken station, so
    task 2 runs on the CPU from 10 to 11. Costs 10 + 1 + 11; the others meet FIFO at link and edge:
    task 1 holds the link until 2, task 3 leaves it at 3; task 4 holds the edge from 2 to 3, task 3
    ends at 8. In all 10 + 1 + 11 + 8 + 3 = 33. Counting the 20 s would claim task 2 ends at 31.
    """
    resources = [
        Resource("cpu"),
        Resource("link"),
        Resource("delay", UNLIMITED),
        Resource("edge"),
        Resource("broken", down_s=[(0.0, 100.0)]),
    ]
    split = Option("split", [Stage("cpu", 20), Stage("link", 2, after=()), Stage("broken", 1)])
    instance = OffloadingInstance.from_tasks(
        resources,
        [
            Task(0.0, [way(("cpu", 10))], owner="u"),
            Task(0.0, [split], owner="u", drop_cost_s=1.0),
            Task(0.0, [way(("cpu", 1))], owner="u"),
            Task(0.0, [way(("link", 1), ("edge", 5))], owner="v"),
            Task(0.0, [way(("delay", 2), ("edge", 1))], owner="w"),
        ],
    )
    forced = everything(instance).only(instance, 1, 1)
    least = least_replay(instance, [(0,), (1,), (2,), (3,), (4,)])
    assert least == pytest.approx(33.0)
    assert leaf_value(instance, forced) <= least + 1e-9


def test_too_little_room_is_made_and_changes_nothing() -> None:
    """Tables and labels that do not fit are given more room until they do; values stay."""
    instance = tiny_instance(4, dag=False, down=False, max_tasks=4)
    roomy, tight = Oracle(instance, 26), Oracle(instance, 26)
    tight._scratch = tight._scratch._replace(
        table=np.empty(1),
        free=tight._scratch.free[:1].copy(),
        cost=np.zeros(1),
        parent=np.zeros(1, dtype=np.int64),
        taken=np.zeros(1, dtype=np.int64),
    )
    prices = random_prices(np.random.default_rng(0), roomy)
    branch = root_branch(instance)
    expected, got = roomy.price(prices, branch), tight.price(prices, branch)
    assert got.value.tolist() == expected.value.tolist()
    assert got.usage.tolist() == expected.usage.tolist()
    assert len(tight._scratch.table) > 1 and len(tight._scratch.cost) > 1
