"""Bounds on online caching rules, against the best one of tiny systems: no sampling error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formulations.online.caching import alone, bound_of, control, exact, kernel, worlds
from formulations.online.caching.alone import Pairs, Prices, Values
from formulations.online.caching.rule import PairValues
from formulations.online.caching.system import System
from mecopt.caching import Pair
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.rollout import rollout
from tests.support.tiny_online_caching import system, tiny_system

#: Always two requests, in both phases.
TWO = [[0, 0, 1], [0, 0, 1]]


def pair(name: str, **given) -> Pair:
    """6 GB, 10 J; a request costs 5 in the cloud and 1 at the edge, a load 3; no accuracy cost."""
    at = {"memory_gb": 6.0, "energy_j": 10.0, "thoughts": 1, "accuracy": 1.0, "cloud_cost": 5.0}
    return Pair(name, **{**at, "compute_cost": 1.0, "switch_cost": 3.0, **given})


def solved(of: System, evaluations: int = 30, points: int = 5) -> Values:
    return alone.solve(of, points=points, ascent_points=3, evaluations=evaluations)


def expected_bound(of: System, values: Values, evaluations: int = 3) -> float:
    """[world] with every world in it, weighted with its probability."""
    return sum(
        chance * worlds.least_cost(values, worlds.world_of(values, requests), evaluations)
        for chance, requests in exact.worlds(of)
        if chance > 0
    )


def test_one_pair_by_hand():
    """Two requests a slot, two slots: 3 for the load and 4 x 1, less than 4 x 5 in the cloud."""
    of = system([pair("a")], [TWO], 2)
    assert exact.best_cost(of) == pytest.approx(7.0)
    assert solved(of).bound == pytest.approx(7.0)


def test_two_pairs_of_which_one_fits_by_hand():
    """6 + 6 GB in 10: one is served at 3 + 2 x 1, the other pays 2 x 5. One slot: 15 in all.

    The knapsack knows that only one fits: prices alone, 10 GB for 12, would say less.
    """
    of = system([pair("a"), pair("b")], [TWO, TWO], 1)
    assert exact.best_cost(of) == pytest.approx(15.0)
    values = solved(of, evaluations=200)
    assert values.bound == pytest.approx(15.0, abs=0.05)
    assert expected_bound(of, values) == pytest.approx(15.0, abs=0.05)


def test_known_phases_by_hand():
    """A lull has no request, a burst one; phases stay with 0.9: the load pays if it is a burst.

    Cloud 5, load and serve 4. Slot 0: request or not with 1/2, then the same phase with 0.9.
    Serve at once: 4, then 1 with 0.9. Without a request: off; 4 with 0.1. 1/2 (4.9 + 0.4) = 2.65.
    """
    of = system([pair("a")], [[[1, 0], [0, 1]]], 2, flip=0.1)
    assert exact.best_cost(of) == pytest.approx(2.65)
    assert solved(of).bound == pytest.approx(2.65)


def test_a_pair_whose_phases_are_alike_is_solved_exactly():
    """Memory for all and a belief that does not matter: [alone] is the best rule's cost."""
    for seed in range(8):
        of = tiny_system(3 * seed)
        x = replace(of.instance, capacity_mb=of.instance.capacity_mb * 9)
        x = replace(x, energy_budget_10j=x.energy_budget_10j * 99)
        of = System(x, np.repeat(of.law[:, :1], 2, axis=1), of.flip)
        at = Prices(np.zeros((2, x.n_slots)), np.zeros((1, x.n_slots)), np.zeros(x.n_slots))
        assert Pairs(of, 2).tables(at).bound == pytest.approx(exact.best_cost(of))


def test_more_beliefs_are_never_worse():
    """Grids that contain each other, ten slots: a load of 3 that pays in long bursts only."""
    of = system([pair("a", cloud_cost=2.0)], [[[0.9, 0.1], [0.2, 0.8]]], 10, flip=0.1)
    at = Prices(np.zeros((1, 10)), np.zeros((1, 10)), np.zeros(10))
    found = [Pairs(of, points).tables(at).bound for points in (2, 3, 5, 9, 17)]
    assert (np.diff(found) >= -1e-9).all()
    assert found[-1] > found[0] + 0.001


def test_never_above_the_best_online_rule():
    """200 random systems, every world of each: no sampling error, so no exception at all."""
    gained = []
    for seed in range(200):
        of = tiny_system(seed)
        best, values = exact.best_cost(of), solved(of, 12, 4)
        assert values.bound <= best + 1e-9, seed
        found = expected_bound(of, values)
        assert values.bound - 1e-9 <= found <= best + 1e-9, seed
        if best - values.bound > 1e-6:
            gained.append((found - values.bound) / (best - values.bound))
    assert np.mean(gained) > 0.1  # of what pairs alone leave


def test_any_prices_are_valid():
    """Random prices, however bad; and any tables make penalties of mean zero."""
    rng = np.random.default_rng(5)
    for seed in range(24):
        of = tiny_system(seed)
        best, x = exact.best_cost(of), of.instance
        hold = rng.uniform(0, 4, (len(of.law), x.n_slots))
        link = np.zeros(x.n_slots)
        if x.coupling is not None:
            link = rng.uniform(0, x.coupling.overflow_cost, x.n_slots)
        at = Prices(hold, rng.uniform(0, 2, (x.n_servers, x.n_slots)), link)
        values = Pairs(of, 3).tables(at)
        assert values.bound <= best + 1e-9
        assert expected_bound(of, values) <= best + 1e-9
        wild = replace(values, tables=values.tables * rng.uniform(0, 2, values.tables.shape))
        assert expected_bound(of, wild) <= best + 1e-9


def test_a_wrong_penalty_is_caught():
    """Luck under a law in which bursts bring what lulls do has a mean: the bound is exceeded."""
    caught = 0
    for seed in range(0, 30, 3):
        of = tiny_system(seed)
        values = solved(of, 12, 4)
        law = np.roll(of.law, 1, axis=2)
        wrong = replace(values, alone=values.alone._replace(law=law))
        caught += expected_bound(of, wrong) > exact.best_cost(of) + 1e-6
    assert caught


@pytest.mark.parametrize("rule", ["myopic", "pair-values"])
def test_luck_has_mean_zero(rule):
    """Over all worlds; and what is left of costs is above the bound in each of them."""
    for seed in (0, 1):
        of = tiny_system(seed)
        values, mean = solved(of, 12, 4), 0.0
        for chance, requests in exact.worlds(of):
            policy = Myopic() if rule == "myopic" else PairValues(values)
            plan = rollout(replace(of.instance, requests=requests), policy)
            luck = control.luck_of(values, plan)
            assert plan.objective - luck >= values.bound - 1e-9
            mean += chance * luck
        assert mean == pytest.approx(0.0, abs=1e-9)


def test_the_rule_with_values_is_near_the_best():
    """Within 5 % over ten systems, and never below the best rule."""
    total = {"best": 0.0, "values": 0.0}
    for seed in range(0, 30, 3):
        of = tiny_system(seed)
        values = solved(of, 20, 5)
        found = {"best": exact.best_cost(of)}
        found["values"] = sum(
            chance * rollout(replace(of.instance, requests=requests), PairValues(values)).objective
            for chance, requests in exact.worlds(of)
        )
        assert found["values"] >= found["best"] - 1e-9
        total = {name: total[name] + cost for name, cost in found.items()}
    assert total["values"] < 1.05 * total["best"]


def test_what_the_best_rules_use_is_the_slope_of_the_bound():
    """Raising the price of one residency by d raises the pairs' values by d times its use."""
    of = tiny_system(0)
    pairs = Pairs(of, 4)
    flat = np.full(len(pairs.capacity), 0.3)
    priced, step = pairs.price(flat), 1e-6
    n, q = len(pairs.capacity), 2
    resident = pairs.price(flat + step * (np.arange(n) == q)).value[: len(of.law)].sum()
    slope = (resident - priced.value[: len(of.law)].sum()) / step
    chosen = pairs._memory.most(pairs.prices_of(flat).hold)[1].ravel()[q]
    assert slope == pytest.approx(priced.usage[q] + chosen, abs=1e-4)


def test_worlds_are_drawn_from_the_law():
    """Frequencies of 4,000 worlds; a burst is followed by a burst with 1 - flip."""
    of = system([pair("a")], [[[1, 0], [0, 1]]], 2, flip=0.1)
    rng = np.random.default_rng(1)
    drawn = np.array([worlds.draw_requests(of, rng).ravel() for _ in range(4_000)])
    assert drawn[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert (drawn[:, 0] == drawn[:, 1]).mean() == pytest.approx(0.9, abs=0.02)


def test_beliefs_by_hand():
    """One request: lull 0.2, burst 0.6, b = 1/2 gives 3/4; after a flip of 0.1 it is 0.7."""
    of = system([pair("a")], [[[0.8, 0.2], [0.4, 0.6]]], 2, flip=0.1)
    of_pairs = kernel.alone_of(of, 3)
    assert kernel.followed(of_pairs, 0, 0.5, 1) == pytest.approx(0.7)
    assert kernel.followed(of_pairs, 0, 0.5, 7) == pytest.approx(0.9)  # unheard of: a burst


def test_equal_seeds_give_equal_bounds():
    of = tiny_system(1)
    one, two = (bound_of(of, replicates=3, evaluations=5) for _ in range(2))
    np.testing.assert_array_equal(one.sample_slots, two.sample_slots)
    assert one.unit == "cost"
    assert one.worlds == 3
    assert one.lower_95_slots <= one.estimate_slots


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "magic"}, "method: unknown 'magic'"),
        ({"replicates": 1}, "replicates = 1"),
        ({"points": 1}, "points = 1"),
        ({"evaluations": 0}, "evaluations = 0"),
    ],
)
def test_bad_input(given, said):
    with pytest.raises(ValueError, match=said):
        bound_of(tiny_system(0), **given)
