"""Compatibility, seats and link cost: the optimum, its prices, and the clocks per server."""

import itertools

import numpy as np
import pytest

from formulations.market import assignment
from mechanisms import buyer_vcg, generalised_trade_reduction, rules, server_clocks
from mechanisms.audit.checks import infeasibilities, utilities
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

# One seat at each server, cost 0. Surplus: user 0: 8 at A, 5 at B; user 1: 6 at A, B out of reach.
TWO = Market.of(
    [9, 8],
    [0, 0],
    price_range=(0, 10),
    compatible=[[True, True], [True, False]],
    link_cost=[[1, 4], [2, 0]],
)


def brute_force(market):
    """Most welfare over every way to serve buyers."""
    best = 0
    choices = range(-1, market.n_sellers)
    for server in itertools.product(choices, repeat=market.n_buyers):
        used = np.bincount([j for j in server if j >= 0], minlength=market.n_sellers)
        if (used > market.seats).any():
            continue
        if market.memory is not None:
            load = np.zeros(market.n_sellers)
            for i, j in enumerate(server):
                if j >= 0:
                    load[j] += market.memory[i]
            if (load > market.server_memory).any():
                continue
        pairs = [(i, j) for i, j in enumerate(server) if j >= 0]
        if market.compatible is None or all(market.compatible[i, j] for i, j in pairs):
            best = max(best, sum(int(market.surplus[i, j]) for i, j in pairs))
    return best


def test_the_optimum_and_its_prices_by_hand():
    """0 at B (5) and 1 at A (6): W* = 11 > 8. A must cost at least 8 - 5 = 3 and at most 6."""
    best = assignment.solve(TWO)
    assert best.server.tolist() == [1, 0] and best.welfare == 11 * HALF_UNITS and best.proved
    assert (best.lowest_price / HALF_UNITS).tolist() == [3, 0]
    # With A at 6, user 0 would have 8 - 6 = 2 there: B may cost up to 5 - 2 = 3.
    assert (best.highest_price / HALF_UNITS).tolist() == [6, 3]


def test_buyer_vcg_charges_the_harm_done_to_others():
    """Without user 1 user 0 would have 8 instead of 5: user 1 pays 3, user 0 harms nobody."""
    outcome = buyer_vcg.run(TWO)
    assert (outcome.payment / HALF_UNITS).tolist() == [0, 3]


def test_lowest_prices_equal_the_externality():
    """Leonard (1983): lowest competitive price = W*(others without i) - others' welfare with i."""
    for seed in range(15):
        market = markets.generate("graph", seed, n=6, servers=2)
        best, outcome = assignment.solve(market), buyer_vcg.run(market)
        for i in np.flatnonzero(outcome.buyer_units):
            without = market.with_report("buyer", int(i), 0)
            alone = assignment.solve(without).welfare
            own = int(market.surplus[i, best.server[i]])
            fee = int(outcome.payment[i] - market.reserve[best.server[i]])
            assert fee == alone - (best.welfare - own)


@pytest.mark.parametrize("memory", [False, True])
def test_optimum_equals_brute_force(memory):
    """LP (seats) and MILP (memory) on 4 users and 2 servers."""
    rng = np.random.default_rng(3)
    for seed in range(12):
        market = markets.generate("graph", seed, n=4, servers=2)
        if memory:
            market = market.replace(
                memory=rng.integers(1, 5, 4), server_memory=rng.integers(3, 8, 2)
            )
        best = assignment.solve(market)
        assert best.welfare == brute_force(market)
        assert best.lp_bound >= best.welfare - 1e-3
        assert best.method == ("milp" if memory else "lp")


def test_prices_refuse_an_assignment_that_is_not_optimal():
    """User 0 at A and user 1 nowhere has welfare 8 of 11: no prices support it."""
    wrong = np.array([0, -1])
    assert assignment.lowest_surplus_prices(TWO.surplus, TWO.seats, wrong) is None
    assert assignment.highest_surplus_prices(TWO.surplus, TWO.seats, wrong) is None


@pytest.mark.parametrize("scaling", [False, True])
def test_server_clocks_keep_their_bound(scaling):
    """W >= W* - s n, strong budget, nobody pays more than its surplus, nothing incompatible."""
    for seed, ticks in itertools.product(range(25), (5, 20, 100, 3000)):
        market = markets.generate("graph", seed, n=20, servers=3)
        best = assignment.solve(market)
        outcome = server_clocks.run(market, ticks=ticks, scaling=scaling)
        served = np.flatnonzero(outcome.server >= 0)
        welfare = int(market.surplus[served, outcome.server[served]].sum())
        assert welfare >= best.welfare - outcome.parameters["step"] * market.n_buyers
        assert int(outcome.payment.sum()) == int(outcome.receipt.sum())
        assert all((u >= 0).all() for u in utilities(market, outcome))
        assert not infeasibilities(market, outcome)


def test_unsold_seats_stay_at_cost():
    """One user, two seats at cost 2: nobody pushes, the price is the cost."""
    market = Market.of([9], [2], price_range=(0, 10), seats=[2], link_cost=[[1]])
    outcome = server_clocks.run(market, ticks=10)
    assert outcome.payment[0] == outcome.server_price[0] == 2 * HALF_UNITS


def test_a_server_without_seats_serves_nobody():
    """Capacity zero is legal and sells nothing."""
    market = Market.of([9, 8], [2, 1], price_range=(0, 10), seats=[0, 1], link_cost=[[0, 0]] * 2)
    for outcome in (server_clocks.run(market), buyer_vcg.run(market)):
        assert outcome.seller_units.tolist() == [0, 1] and outcome.server.tolist() == [1, -1]
    # Nobody competes with the one seller who has a seat.
    assert generalised_trade_reduction.run(market).trades == 0


def test_memory_is_beyond_prices():
    """A knapsack has no competitive prices: the priced rules say so instead of guessing."""
    market = Market.of([9], [2], memory_gb=[1], server_memory_gb=[2])
    for rule in (buyer_vcg.run, server_clocks.run, generalised_trade_reduction.run):
        with pytest.raises(ValueError, match="the market has memory limits"):
            rule(market)


@pytest.mark.parametrize("name", [n for n in rules.NAMES if n not in rules.GRAPH_NAMES])
def test_one_good_rules_refuse_graphs(name):
    """A single pair of clocks, or one price, cannot clear compatibility."""
    with pytest.raises(ValueError, match="rule for one good"):
        rules.run(name, TWO)
