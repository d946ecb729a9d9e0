"""Compile the kernels of the offloading family once, outside every clock."""

from __future__ import annotations

import numpy as np

from formulations.offloading.decomposition import solve_plans
from formulations.offloading.pricing.oracle import Oracle, root_branch
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


def warm_up() -> None:
    """Solve and roll out two small instances: a radio cell, and a task graph with failures."""
    episode = comllm.generate("very-slow-servers", 0, users=3, servers=2, slots=15)
    solve_plans(episode, gap=0.0)
    for name in policies.NAMES:
        rollout(episode, policies.make(name))
    # A task graph over a resource that fails: the event kernel.
    stages = [Stage("gpu", 0.1), Stage("cpu", 0.1, after=()), Stage("gpu", 0.1, after=(0, 1))]
    graph = OffloadingInstance.from_tasks(
        [Resource("gpu", down_s=[(1.0, 2.0)]), Resource("cpu")],
        [Task(0.0, [Option("both", stages)], deadline_s=1.0, drop_cost_s=2.0)],
    )
    solve_plans(graph, gap=0.0)
    # Two that share a machine which does not fail: pricing without private resources.
    halves = [Stage("gpu", 0.1), Stage("gpu", 0.2, after=()), Stage("cpu", 0.1, after=(0, 1))]
    options = [Option("both", halves), Option("cpu", [Stage("cpu", 0.5)])]
    shared = OffloadingInstance.from_tasks(
        [Resource("gpu"), Resource("cpu")],
        [Task(0.0, options, owner=owner) for owner in ("a", "b", "c")],
    )
    solve_plans(shared, gap=0.0)
    oracle = Oracle(shared)
    oracle.forced(np.zeros(oracle.n_rows), root_branch(shared), 0, np.inf)
    rollout(graph, policies.make("one-step-oracle"))
