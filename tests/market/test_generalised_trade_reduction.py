"""Generalised trade reduction: by hand, and every report of every trader on small lattices."""

import numpy as np
import pytest

from formulations.market import assignment
from mechanisms import generalised_trade_reduction, trade_reduction
from mechanisms.audit.checks import budget_verdict, infeasibilities, utilities
from mechanisms.audit.incentives import best_response
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

LATTICE = [tenth * HALF_UNITS // 2 for tenth in range(9)]  # 0, 0.5, ..., 4


def lattice_graph(seed):
    """Up to five users and four servers, prices 0 to 4; seats, link costs of 0 or 1, both, none."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 6), rng.integers(1, 5)
    seats = rng.integers(1, 4, m) if seed % 4 >= 2 else np.ones(m, int)
    link_cost = rng.integers(0, 2, (n, m)) if seed % 2 else np.zeros((n, m))
    return Market.of(
        rng.integers(0, 5, n),
        rng.integers(0, 4, m),
        price_range=(0, 4),
        compatible=rng.random((n, m)) < rng.choice([0.6, 0.8, 1.0]),
        link_cost=link_cost,
        seats=seats.tolist(),
    )


def test_a_class_loses_its_dearest_seller():
    """Both servers reach both users at no cost: 9 + 8 - 2 - 3. Server 3 and user 8 are left out."""
    market = Market.of([9, 8], [2, 3], price_range=(0, 10), compatible=[[True] * 2] * 2)
    outcome = generalised_trade_reduction.run(market)
    assert outcome.server.tolist() == [0, -1]
    assert outcome.payment[0] == 8 * HALF_UNITS and outcome.receipt[0] == 3 * HALF_UNITS
    assert outcome.parameters["classes"] == ((2, 12 * HALF_UNITS, True),)


def test_prices_include_the_way():
    """As before, but server 1 is one dearer to ship from for everybody and asks one less.

    Net of shipping nothing has changed; user 0 pays 8, of which server 0's way costs nothing.
    """
    market = Market.of([9, 8], [2, 2], price_range=(0, 10), link_cost=[[0, 1], [0, 1]])
    outcome = generalised_trade_reduction.run(market)
    assert outcome.server.tolist() == [0, -1]
    assert outcome.payment[0] == 8 * HALF_UNITS and outcome.receipt[0] == 3 * HALF_UNITS


def test_competition_from_outside_saves_a_class():
    """One user, servers 2 and 5: the idle server caps the price at 5, both sides trade at it."""
    market = Market.of([9], [2, 5], price_range=(0, 10), compatible=[[True, True]])
    outcome = generalised_trade_reduction.run(market)
    assert outcome.payment.tolist() == [5 * HALF_UNITS]
    assert outcome.receipt.tolist() == [5 * HALF_UNITS, 0]


def test_a_seller_without_competition_does_not_trade():
    """A lone pair, and a lone server with two seats: no price is free of the seller's report."""
    for seats in ([1], [2]):
        market = Market.of([9, 8], [2], price_range=(0, 10), seats=seats, link_cost=[[0], [0]])
        assert generalised_trade_reduction.run(market).trades == 0


def test_all_seats_of_the_dearest_seller_go():
    """Servers 1 and 2 with two seats each, four users: 9 and 8 buy from server 1.

    Users 7 and 6 stay out with server 2: buyers pay 7, the seller gets 2 a seat.
    """
    market = Market.of(
        [9, 8, 7, 6], [1, 2], price_range=(0, 10), seats=[2, 2], link_cost=np.zeros((4, 2))
    )
    outcome = generalised_trade_reduction.run(market)
    assert outcome.server.tolist() == [0, 0, -1, -1]
    assert outcome.payment.tolist() == [7 * HALF_UNITS, 7 * HALF_UNITS, 0, 0]
    assert outcome.receipt.tolist() == [4 * HALF_UNITS, 0]


def test_one_good_is_one_class():
    """Without ties and without a seller k + 1 it is plain trade reduction."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        values, costs = rng.uniform(0.5, 1, 6).round(6), rng.uniform(0, 0.5, 4).round(6)
        market = Market.of(values, costs, price_range=(0, 1))
        ours, plain = (
            generalised_trade_reduction.run(market),
            trade_reduction.trade_reduction(market),
        )
        assert ours.payment.tolist() == plain.payment.tolist()
        assert ours.receipt.tolist() == plain.receipt.tolist()


def test_truthful_rational_and_never_a_deficit_on_small_graphs():
    """1000 graphs, over 700 with trade at the optimum: every trader, every report, half steps too.

    The classes' welfare adds up to the optimum, and with single seats a class of k trades keeps
    (1 - 1/k) of it.
    """
    with_optimum, with_trade, reduced, capped = 0, 0, 0, 0
    for seed in range(1000):
        market = lattice_graph(seed)
        outcome = generalised_trade_reduction.run(market)
        classes = outcome.parameters["classes"]
        best = assignment.solve(market, method="lp")
        assert sum(welfare for _, welfare, _ in classes) == best.welfare
        assert infeasibilities(market, outcome) == []
        buyers, sellers = utilities(market, outcome)
        assert buyers.min() >= 0 and sellers.min() >= 0
        surplus, _ = budget_verdict(outcome)
        assert surplus >= 0
        if (market.seats == 1).all():
            kept = sum(w - w / k if out else w for k, w, out in classes)
            assert int(buyers.sum() + sellers.sum()) + surplus >= kept - 1e-6
        for side, count in (("buyer", market.n_buyers), ("seller", market.n_sellers)):
            for trader in range(count):
                found = best_response(
                    generalised_trade_reduction.run, market, outcome, side, trader, LATTICE
                )
                assert found.gain <= 0, (seed, found.describe())
        with_optimum += best.welfare > 0
        with_trade += outcome.trades > 0
        reduced += sum(out and k > 1 for k, _, out in classes)
        capped += sum(not out for *_, out in classes)
    assert with_optimum > 700 and with_trade > 400 and reduced > 200 and capped > 300


def test_generic_prices_and_distances():
    """Twenty users, three sites of two providers each: no gain from 21 reports, no deficit."""
    for seed in range(10):
        sites = markets.generate("graph", seed, n=20, servers=3)
        twice = np.repeat(np.arange(3), 2)
        market = Market.of(
            sites.values / HALF_UNITS,
            np.random.default_rng(seed).uniform(0, 0.3, 6).round(6),
            price_range=(0, 1),
            seats=np.maximum(1, sites.seats[twice] // 2).tolist(),
            compatible=sites.compatible[:, twice],
            link_cost=sites.link_cost[:, twice] / HALF_UNITS,
        )
        outcome = generalised_trade_reduction.run(market)
        assert outcome.trades > 0 and budget_verdict(outcome)[0] >= 0
        assert infeasibilities(market, outcome) == []
        assert all((u >= 0).all() for u in utilities(market, outcome))
        reports = np.linspace(0, HALF_UNITS, 21).astype(int).tolist()
        for side, count in (("buyer", 20), ("seller", 6)):
            for trader in range(count):
                rule = generalised_trade_reduction.run
                assert best_response(rule, market, outcome, side, trader, reports).gain <= 0


def test_buyers_with_several_units_are_refused():
    """A user wants one seat."""
    with pytest.raises(ValueError, match="unit demand"):
        generalised_trade_reduction.run(Market.of([[9, 7]], [2], price_range=(0, 10)))
