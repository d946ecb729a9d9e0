"""Markets made from caching instances: values by hand, and prices that are dual prices."""

import numpy as np
import pytest
from scipy.optimize import linprog

from mechanisms import rules
from mecopt.caching import CachingInstance, Pair, replay
from mecopt.caching.scenarios import t2drl as caching
from mecopt.market.from_caching import best_saving, from_caching
from mecopt.market.units import HALF_UNITS


def two_agents():
    """2 GB and 4 GB in a server of 5 GB; perfect accuracy, so nothing but margins counts.

    Slot 0: 3 and 2 requests. Serving all of the first saves 3 (1 - 0.2) - 0.4 = 2.0, 1.0 per GB;
    of the second 2 (3 - 1) - 0.8 = 3.2, 0.8 per GB. Slot 1: 1 and 1 requests.
    """
    common = dict(thoughts=1, accuracy=1.0)
    return CachingInstance.from_pairs(
        [[[3, 1], [2, 1]]],
        [
            Pair("first", 2.0, 100.0, cloud_cost=1.0, compute_cost=0.2, switch_cost=0.4, **common),
            Pair("second", 4.0, 300.0, cloud_cost=3.0, edge_cost=1.0, switch_cost=0.8, **common),
        ],
        capacity_gb=[5.0],
        energy_budget_j=[700.0],
    )


def test_memory_by_hand():
    """Two units at 1.0 and four at 0.8 are wanted, five are sold."""
    market = from_caching(two_agents(), server=0, slot=0)
    assert (market.values / HALF_UNITS).tolist() == pytest.approx([1.0] * 2 + [0.8] * 4)
    assert market.n_sellers == 5
    assert market.meta["pair"] == [0, 0, 1, 1, 1, 1]
    assert market.buyer_names[2] == "second, unit 1"


def test_a_resident_pair_does_not_pay_for_loading():
    """With the first pair resident before slot 1, its one request saves 0.8 instead of 0.4."""
    instance = two_agents()
    plan = replay(instance, [[[1, 0], [0, 0]]], [[[3, 0], [0, 0]]])
    before = plan.a[0, :, 0], plan.kappa[0, :, 0]
    assert best_saving(instance, 0, 1, before) == pytest.approx(0.8, abs=1e-6)
    market = from_caching(instance, server=0, slot=1, plan=plan)
    assert (market.values / HALF_UNITS)[0] == pytest.approx(0.8 / 2, abs=1e-6)


def test_energy_by_hand():
    """Three requests of 100 J at 0.8 are three units; the second pair is not resident."""
    instance = two_agents()
    plan = replay(instance, [[[1, 0], [0, 0]]], [[[3, 0], [0, 0]]])
    market = from_caching(instance, server=0, slot=0, plan=plan, resource="energy")
    assert (market.values / HALF_UNITS).tolist() == pytest.approx([0.8] * 3)
    assert market.n_sellers == 7


def relaxed_dual(instance, server, slot):
    """Dual price of a GB in the slot's knapsack with fractional residency (HiGHS)."""
    nothing = np.zeros(instance.n_pairs, bool), np.zeros(instance.n_pairs, np.int64)
    saved = [
        best_saving(instance, p, instance.requests[server, p, slot], nothing)
        for p in range(instance.n_pairs)
    ]
    answer = linprog(
        -np.array(saved),
        A_ub=[instance.memory_mb / 1e3],
        b_ub=[instance.capacity_mb[server] / 1e3],
        bounds=[(0, float(m <= instance.capacity_mb[server])) for m in instance.memory_mb],
    )
    return -float(answer.ineqlin.marginals[0])


@pytest.mark.parametrize("seed", range(8))
def test_clearing_price_is_the_dual_price_of_the_relaxed_slot(seed):
    """The price at which the units clear is a dual price of memory, to a minor unit.

    Preset `fast`, where a cold context is warm after a request or two and serving pays at once.
    """
    instance = caching.generate(
        "fast", seed, servers=1, slots=4, capacity_gb=23.0, requests_per_agent=3.0
    )
    for slot in range(4):
        market = from_caching(instance, server=0, slot=slot)
        falling = np.append(np.sort(market.values)[::-1], 0) / HALF_UNITS
        last_in, first_out = falling[market.n_sellers - 1 : market.n_sellers + 1]
        dual = relaxed_dual(instance, 0, slot)
        assert first_out - 1e-6 <= dual <= last_in + 1e-6
        price = rules.run("k-double-0", market).prices[0]
        assert first_out - 1e-6 <= price <= last_in + 1e-6
        assert dual > 0


@pytest.mark.parametrize("rule", ["dda-unit-clamped", "mcafee", "vcg"])
def test_rules_for_unit_demand_take_it(rule):
    """The double Dutch auction and its neighbours clear it and nobody pays more than a value."""
    instance = caching.generate("fast", 0, servers=1, slots=3)
    market = from_caching(instance, server=0, slot=2, reserve=0.001)
    outcome = rules.run(rule, market)
    assert outcome.trades > 0
    assert (outcome.payment <= market.values).all()


def test_cold_contexts_do_not_pay_at_once():
    """In `ten` a cold context costs more than the cloud: a market of one slot does not start.

    Warming up is an investment in later slots, which the slot's values do not hold.
    """
    instance = caching.generate("ten", 0, servers=1, slots=1)
    assert instance.requests.sum() > 0
    with pytest.raises(ValueError, match="nobody would save"):
        from_caching(instance, server=0, slot=0)


def test_nobody_buys_in_an_empty_slot():
    """Without requests there is no market, and the error says where."""
    instance = caching.generate("ten", 0, servers=1, slots=2, requests_per_agent=1e-9)
    with pytest.raises(ValueError, match="server 0, slot 1: nobody would save"):
        from_caching(instance, server=0, slot=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"server": 1, "slot": 0}, "server = 1 must be between 0 and 0"),
        ({"server": 0, "slot": -1}, "slot = -1"),
        ({"server": 0, "slot": 0, "resource": "bandwidth"}, "resource = 'bandwidth'"),
        ({"server": 0, "slot": 0, "reserve": -0.5}, "reserve"),
    ],
)
def test_bad_arguments(arguments, message):
    """Each error names the argument and its value."""
    with pytest.raises(ValueError, match=message):
        from_caching(two_agents(), **arguments)


def test_forwarding_is_refused():
    """A request that may be served next door has no single server to pay."""
    with pytest.raises(ValueError, match="forwarding"):
        from_caching(caching.generate("forwarding", 0, slots=2), server=0, slot=0)
