"""Compile the kernels of the caching family once, outside every clock."""

from __future__ import annotations

from formulations.caching.decomposition import solve_decomposition
from mecopt.caching import rollout
from mecopt.caching.policies import by_name as policies
from mecopt.caching.scenarios import t2drl


def warm_up() -> None:
    """Solve and roll out a small instance of each kind of coupling."""
    for preset in ("ten", "backhaul", "forwarding"):
        episode = t2drl.generate(preset, 0, agents=4, servers=2, slots=12)
        solve_decomposition(episode, time_limit=2.0, gap=0.0)
        for name in policies.NAMES:
            rollout(episode, policies.make(name))
