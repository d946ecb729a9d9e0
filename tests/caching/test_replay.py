"""Replay of caching decisions: the arithmetic of every part of the cost, and what is refused."""

import numpy as np
import pytest

from mecopt.caching import Backhaul, CachingInstance, Forwarding, Pair, replay
from tests.support.tiny_caching import KINDS, brute_force, tiny_instance

PAIR = Pair(
    "chat",
    memory_gb=6,
    energy_j=50,
    thoughts=3,
    accuracy=0.5,
    cloud_cost=1.25,
    vanish=1,
    kappa_max=7,
    beta=0.5,
    edge_cost=0.25,
    compute_cost=0.125,
    switch_cost=0.5,
)


def one_server(requests, **changes):
    return CachingInstance.from_pairs(
        np.array([[requests]]), [PAIR], capacity_gb=[8], energy_budget_j=[150], **changes
    )


def test_costs_and_ages_of_one_pair():
    """Requests 2, 0, 3, 1; served 2, 0, 2, -, resident in the first three slots.

    kappa: 0 + 6 - 1 = 5; 5 - 1 = 4; 4 + 6 - 1 = 9, clipped to 7; then gone.
    Accuracy of a request at kappa: 2.5 x 0.5 / (kappa log 2).
    """
    plan = replay(one_server([2, 0, 3, 1]), [[[1, 1, 1, 0]]], [[[2, 0, 2, 0]]])
    assert plan.kappa.tolist() == [[[5, 4, 7, 0]]]
    split = plan.cost_split
    assert split["switching"] == 0.5
    assert split["transmission"] == 4 * 0.25 and split["compute"] == 4 * 0.125
    accuracy = 2 * 1.25 / (5 * np.log(2)) + 2 * 1.25 / (7 * np.log(2))
    assert split["accuracy"] == pytest.approx(accuracy, abs=1e-8)
    assert split["cloud"] == 2 * 1.25
    assert plan.objective == pytest.approx(sum(split.values()), abs=1e-12)
    assert plan.edge_share == 4 / 6


def test_every_load_is_paid_and_starts_cold():
    """Resident, away, resident again: two loads, and the age starts from zero."""
    plan = replay(one_server([1, 0, 1]), [[[1, 0, 1]]], [[[1, 0, 1]]])
    assert plan.cost_split["switching"] == 1.0
    assert plan.kappa.tolist() == [[[2, 0, 2]]]


def test_cold_service_pays_the_clipped_accuracy():
    """One request adds 3 thoughts, 4 vanish: kappa 0, so 2.5 x 0.5 / 0.05 = 25."""
    from dataclasses import replace

    x = CachingInstance.from_pairs(
        np.array([[[1]]]), [replace(PAIR, vanish=4)], capacity_gb=[8], energy_budget_j=[150]
    )
    assert replay(x, [[[1]]], [[[1]]]).cost_split["accuracy"] == 25.0


def test_all_in_the_cloud():
    plan = replay(one_server([2, 0, 3]), np.zeros((1, 1, 3)) > 0, np.zeros((1, 1, 3), dtype=int))
    assert plan.objective == 5 * 1.25 and plan.edge_share == 0.0


def test_overflow_of_a_shared_link():
    """10 tokens a request; 2 + 1 go to the cloud, the link carries 25: 5 over, 0.1 each."""
    x = CachingInstance.from_pairs(
        np.array([[[2]], [[1]]]),
        [PAIR],
        capacity_gb=[8, 8],
        energy_budget_j=[150, 150],
        coupling=Backhaul([10], [25], 0.1),
    )
    plan = replay(x, np.zeros((2, 1, 1)) > 0, np.zeros((2, 1, 1), dtype=int))
    assert plan.cost_split["overflow"] == pytest.approx(0.5, abs=1e-8)


def test_requests_served_next_door():
    """Server 1 serves its own request and one of server 0: one hop, one load, kappa 0 + 6 - 1."""
    x = CachingInstance.from_pairs(
        np.array([[[2]], [[1]]]),
        [PAIR],
        capacity_gb=[8, 8],
        energy_budget_j=[150, 150],
        coupling=Forwarding([0.375]),
    )
    flow = np.zeros((2, 3, 1, 1), dtype=int)
    flow[1, 1], flow[1, 0] = 1, 1
    plan = replay(x, [[[0]], [[1]]], flow)
    assert plan.cost_split["hops"] == 0.375
    assert plan.cost_split["cloud"] == 1.25
    assert plan.kappa[1, 0, 0] == 5
    assert plan.to_cloud.tolist() == [[[1]], [[0]]]


def flow_of(n, j, amount=1):
    flow = np.zeros((2, 3, 1, 1), dtype=int)
    flow[n, j] = amount
    return flow


@pytest.mark.parametrize(
    ("a", "x", "message"),
    [
        ([[[1, 1]]], [[[3, 0]]], r"requests - x\[0, 0, 0\] = -1 more are served than were born"),
        ([[[0, 1]]], [[[1, 0]]], r"x\[0, 0, 0\] = 1 is served by a pair that is not resident"),
        ([[[1, 1]]], [[[0, 4]]], r"energy of x \[server, slot\]\[0, 1\] = 20 x 10 J is more"),
        ([[[1, 1]]], [[[0, -1]]], r"x\[0, 1, 0, 1\] = -1 is negative"),
        ([[[1, 2]]], [[[0, 0]]], r"a\[0, 0, 1\] = 2 must be 0 or 1"),
        ([[[1]]], [[[0, 0]]], r"a must have shape \(1, 1, 2\), has \(1, 1, 1\)"),
        ([[[1, 1]]], [[[0]]], r"x must have shape \(1, 1, 2\), has \(1, 1, 1\)"),
        ([[[1, 1]]], [[[0.0, 1.0]]], "x: must hold whole numbers, has dtype float64"),
    ],
)
def test_decisions_that_break_a_constraint_are_refused(a, x, message):
    with pytest.raises(ValueError, match=message):
        replay(one_server([2, 4]), a, x)


def test_memory_is_a_hard_limit():
    x = CachingInstance.from_pairs(
        np.ones((1, 2, 1), dtype=int),
        [PAIR, Pair("code", memory_gb=3, energy_j=10, thoughts=1, accuracy=0.5, cloud_cost=1)],
        capacity_gb=[8],
        energy_budget_j=[150],
    )
    with pytest.raises(ValueError, match=r"\[0, 0\] = 9000 MB is more than the capacity"):
        replay(x, [[[1], [1]]], [[[0], [0]]])


@pytest.mark.parametrize(
    ("flow", "coupling", "message"),
    [
        (flow_of(1, 0), None, "is served next door, without a forwarding coupling"),
        (flow_of(0, 0), Forwarding([0.1]), "there is no server -1"),
        (flow_of(1, 2), Forwarding([0.1]), "there is no server 2"),
        (flow_of(1, 0, 3), Forwarding([0.1]), "more are served than were born"),
    ],
)
def test_impossible_flows_are_refused(flow, coupling, message):
    x = CachingInstance.from_pairs(
        np.array([[[2]], [[1]]]),
        [PAIR],
        capacity_gb=[8, 8],
        energy_budget_j=[150, 150],
        coupling=coupling,
    )
    with pytest.raises(ValueError, match=message):
        replay(x, [[[1]], [[1]]], flow)


@pytest.mark.parametrize("kind", KINDS)
def test_random_decisions_cost_at_least_the_brute_force_optimum(kind):
    rng = np.random.default_rng(0)
    tried = 0
    for seed in range(20):
        x = tiny_instance(seed, **KINDS[kind])
        best = brute_force(x).objective
        for _ in range(20):
            a = rng.random(x.requests.shape) < 0.5
            served = np.where(a, rng.integers(0, x.requests + 1), 0)
            try:
                plan = replay(x, a, served)
            except ValueError:
                continue
            tried += 1
            assert plan.objective >= best - 1e-9
    assert tried > 50


def test_objective_is_the_sum_of_parts_in_exact_arithmetic():
    """Costs are multiples of 2^-30: the float sum equals the sum of whole numbers."""
    from mecopt.caching.scenarios import t2drl as caching

    x = caching.generate("ten", 0)
    a = np.zeros(x.requests.shape, dtype=bool)
    small = np.argsort(x.memory_mb)[:3]
    a[:, small] = True
    room = x.energy_budget_10j[0] // (3 * x.energy_10j)
    served = np.where(a, np.minimum(x.requests, room[:, None]), 0)
    plan = replay(x, a, served)
    scale = 2**30
    table = [[int(v * scale) for v in row] for row in x.accuracy_cost]
    total = 0
    for n, p, t in np.argwhere(served > 0):
        total += int(served[n, p, t]) * table[p][plan.kappa[n, p, t]]
    count = served.sum(axis=(0, 2)).tolist()
    cloud = (x.requests - served).sum(axis=(0, 2)).tolist()
    for p in range(x.n_pairs):
        total += count[p] * int(x.serve_cost[p] * scale) + cloud[p] * int(x.cloud_cost[p] * scale)
    total += 5 * sum(int(x.switch_cost[p] * scale) for p in small)
    assert plan.objective == total / scale
