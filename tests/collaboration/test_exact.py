"""Exact methods on tiny episodes with failures: bounds, the compact model and brute force agree."""

import numpy as np
import pytest

import mecopt
from mecopt.collaboration.expected import expected
from mecopt.collaboration.scenarios import ledrl
from tests.support.tiny import brute_force


def tiny(seed: int):
    """Three nodes, at most five tasks over 2 s, many failures, one hop."""
    for task_seed in range(100):
        x = ledrl.generate(
            "paper", seed, task_seed=task_seed, nodes=3, slots=4, places=1, most_hops=1,
            arrival_probability=(0.0, 0.6), node_failure_per_s=0.2,
        )  # fmt: skip
        if 2 <= x.n_tasks <= 5 and len(x.down_ns):
            return x
    raise AssertionError("no such episode")


@pytest.mark.parametrize("seed", range(6))
def test_agree_with_brute_force(seed: int):
    """With failures known, and on the second instance."""
    x = tiny(seed)
    for instance in (x, expected(x)):
        best, choice = brute_force(instance)
        assert mecopt.replay(instance, choice).objective == best
        for method in ("plans", "milp"):
            found = mecopt.solve(instance, method=method, gap=0.0, time_limit=20.0)
            assert found.objective == pytest.approx(best, abs=1e-9), method
            assert found.bound <= best + 1e-9
        assert np.isfinite(best) and best <= 0.0


def test_more_failures_never_help_the_clairvoyant():
    """Over the same draws, damage at a higher rate takes tasks away."""
    best = [
        brute_force(
            ledrl.generate(
                "paper",
                2,
                nodes=2,
                slots=3,
                places=1,
                most_hops=1,
                node_failure_per_s=0.0,
                execution_failure_per_s=(rate, rate),
            )  # fmt: skip
        )[0]
        for rate in (0.0, 0.3, 1.0, 5.0)
    ]
    assert best == sorted(best) and best[0] < best[-1]
