"""Every method against enumeration, and what they say where there is no answer."""

import numpy as np
import pytest

from formulations import solve
from mecopt.accuracy_delay import rollout
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.scenarios import goa
from tests.support.tiny_snapshots import brute_force, tiny_snapshot


@pytest.mark.parametrize("seed", range(60))
def test_plans_meet_enumeration(seed):
    """Objective and certified bound meet the least of all decisions; infeasible is an answer."""
    x = tiny_snapshot(seed)
    best = brute_force(x)
    result = solve(x, gap=1e-9, time_limit=20)
    if np.isinf(best):
        assert result.termination == "infeasible" and result.schedule is None
    else:
        assert result.termination == "optimal"
        assert result.objective == pytest.approx(best, abs=1e-9)
        assert result.bound <= best
        assert result.bound == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("method", ["counts", "big-m", "perspective"])
@pytest.mark.parametrize("seed", range(12))
def test_other_methods_meet_enumeration(method, seed):
    """Models with equal shares are exact; the relaxation lies below."""
    x = tiny_snapshot(seed, "equal")
    best = brute_force(x)
    result = solve(x, method=method, gap=1e-9, time_limit=20)
    if np.isinf(best):
        assert result.termination == "infeasible"
        return
    assert result.bound <= best + 1e-6
    if method != "perspective":
        assert result.objective == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_the_perspective_relaxation_bounds_optimal_shares(seed):
    """The cone program lies below every decision, and below the exact optimum."""
    x = tiny_snapshot(seed, "optimal")
    result = solve(x, method="perspective", time_limit=20)
    assert result.bound <= brute_force(x) + 1e-6
    assert result.bound_kind == "solver-claimed" or result.termination == "infeasible"


def test_the_perspective_relaxation_is_close():
    """10 users, optimum 4.9748 s: the bound is within 1 % although most numbers y are zero."""
    x = goa.generate(10, 0, shares="optimal")
    best = solve(x, gap=1e-6, time_limit=10)
    bound = solve(x, method="perspective", time_limit=20).bound
    assert best.objective == pytest.approx(4.9748, abs=1e-4)
    assert 0.99 * best.objective <= bound <= best.objective


def test_what_cannot_be_reached_is_said():
    """No decision has an accuracy of 0.99 where servers are right in 9 of 10 cases."""
    result = solve(goa.generate(6, 0, least_accuracy=0.99))
    assert result.termination == "infeasible"
    assert "least_accuracy = 0.99 is out of reach" in result.details["why"]
    assert result.details["best_accuracy"] == pytest.approx(0.9, abs=0.01)


def test_models_with_equal_shares_refuse_others():
    """One line with the method and what to use."""
    for method in ("counts", "big-m"):
        with pytest.raises(ValueError, match=f"method: {method} needs equal shares"):
            solve(goa.generate(5, 0, shares="optimal"), method=method)


def test_no_rule_beats_the_bound():
    """Eight rules on snapshots of 30 users."""
    for seed in range(3):
        x = goa.generate(30, seed)
        bound = solve(x, time_limit=5, gap=1e-6).bound
        for name in by_name.NAMES:
            assert bound <= rollout(x, by_name.make(name)).objective + 1e-9
