"""Brute force over all assignments, the compact model and the decomposition agree."""

import pytest

import formulations
from mecopt.certificates import verify
from mecopt.offloading.replay import replay
from tests.support.tiny import brute_force
from tests.support.tiny_graphs import tiny_episode


# Two hundred more: benchmarks/task_graphs/exact.py.
@pytest.mark.parametrize("seed", [1, 2, 3, 5, 6, 8, 9, 10, 11, 20, 22, 24])
def test_brute_force_milp_and_plans_agree(seed):
    """One to three tasks on two or three nodes, one to three subtasks; replay = objective."""
    x = tiny_episode(seed).instance
    best, _ = brute_force(x)
    for method in ("plans", "milp"):
        result = formulations.solve(x, method=method, gap=1e-9, time_limit=60.0)
        assert result.objective == pytest.approx(best, abs=1e-6)
        assert result.bound <= best + 1e-6
        assert replay(x, result.schedule.choice).objective == pytest.approx(best, abs=1e-6)
        if method == "plans":
            assert result.bound == pytest.approx(best, abs=1e-6)


def test_a_bound_on_task_graphs_is_verified(tmp_path):
    """The checker knows nothing of plans: an episode is an offloading instance to it."""
    result = formulations.solve(tiny_episode(1).instance, gap=1e-9, time_limit=60.0)
    verify.save(tmp_path / "proof.json", result)
    assert verify.verify(tmp_path / "proof.json").ok
