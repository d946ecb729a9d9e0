"""The best step of the clocks for a known distribution, against every market there can be."""

from itertools import product

import numpy as np
import pytest

from mechanisms.audit import checks
from mechanisms.double_dutch import adaptive, rule
from mechanisms.double_dutch.optimal_steps import prior, solve
from mecopt.market import Market
from mecopt.market import scenarios as markets


def everything(n, top):
    """Every market of n traders a side with whole prices up to `top`: all equally likely."""
    return [
        Market.of(prices[:n], prices[n:], price_range=(0, top))
        for prices in product(range(top + 1), repeat=2 * n)
    ]


def played(sample, policy, ticks):
    """E[welfare] / E[W*] and mean broadcasts of a policy over markets, computed one by one."""
    outcomes = [
        adaptive.run(market, policy=policy, ticks=ticks, alternation="unit") for market in sample
    ]
    best = sum(checks.optimum(market, solver=False).welfare for market in sample)
    welfare = sum(checks.welfare(m, o) for m, o in zip(sample, outcomes, strict=True))
    return welfare / best, np.mean([outcome.rounds for outcome in outcomes])


def test_one_trader_a_side_and_two_prices():
    """Value and cost are 0 or 1. The buyers' clock says 1. If the buyer stops (1/2), the sellers'
    says 0: either the seller stops as well, 2 broadcasts, or it is asked for 1, 3 broadcasts. If
    the buyer does not, its clock says 0, where the clocks meet: 2. In the mean 2.25, nothing lost.
    """
    best = solve(prior(everything(1, 1), ticks=1), [1], 0.0)
    assert best == pytest.approx((1.0, 2.25, 1.0))


@pytest.mark.parametrize("n, top, jump", [(1, 5, 1), (1, 5, 2), (2, 3, 1), (2, 3, 2), (2, 3, 3)])
def test_a_fixed_step_reaches_what_all_markets_say(n, top, jump):
    """One jump leaves no choice: the recursion is the mean over every market, to rounding."""
    sample = everything(n, top)
    found = solve(prior(sample, ticks=top), [jump], 0.01)
    assert found[:2] == pytest.approx(played(sample, adaptive.constant(jump), top), abs=1e-5)


def test_no_policy_is_better_than_the_best():
    """Over every market of two traders a side; the policies are tables of random jumps."""
    sample, cost = everything(2, 3), 0.03
    best = solve(prior(sample, ticks=3), [1, 2, 3], cost).objective
    reached = []
    for seed in range(60):
        table, rng = {}, np.random.default_rng(seed)

        def steps(state, table=table, rng=rng):
            return table.setdefault(state, int(rng.integers(1, 4)))

        welfare, broadcasts = played(sample, steps, 3)
        reached.append(welfare - cost * broadcasts)
    assert max(reached) < best + 1e-6
    assert best > max(solve(prior(sample, ticks=3), [j], cost).objective for j in (1, 2, 3))


def test_jumps_of_one_tick_are_the_unit_rule():
    """The clock of the shorter side moves: the trades of the unit rule, in no more rounds."""
    for seed in range(60):
        market = markets.generate("lattice" if seed % 2 else "balanced", seed, n=12)
        jumps = adaptive.run(market, policy=adaptive.constant(1), alternation="unit")
        unit = rule.run(market, alternation="unit", pricing="clamped")
        assert np.array_equal(jumps.buyer_units, unit.buyer_units)
        assert np.array_equal(jumps.seller_units, unit.seller_units)
        assert jumps.rounds <= unit.rounds


def test_what_cannot_be_solved():
    """Markets of different sizes, none at all, jumps of nothing, and too many states."""
    with pytest.raises(ValueError, match="another grid or size"):
        prior([markets.generate("balanced", 0, n=n) for n in (2, 3)])
    with pytest.raises(ValueError, match="no gains from trade"):
        prior([])
    known = prior([markets.generate("balanced", 0, n=60)])
    with pytest.raises(ValueError, match="states are more than"):
        solve(known, range(1, 30), 0.0)
    with pytest.raises(ValueError, match="jumps = 0"):
        solve(known, [0], 0.0)
