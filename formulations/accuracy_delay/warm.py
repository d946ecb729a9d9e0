"""Compile the kernels of the accuracy-delay family and load cvxpy once, outside every clock."""

from __future__ import annotations

from formulations.accuracy_delay.decomposition import solve_plans
from formulations.accuracy_delay.perspective import solve_perspective
from mecopt.accuracy_delay import rollout
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.scenarios import goa


def warm_up() -> None:
    """Solve and roll out a small snapshot of each kind of shares."""
    for shares in ("equal", "optimal"):
        snapshot = goa.generate(6, 0, shares=shares, least_accuracy=0.7)
        solve_plans(snapshot, time_limit=1.0)
        solve_perspective(snapshot, time_limit=1.0)
        for name in by_name.NAMES:
            rollout(snapshot, by_name.make(name))
