"""What is optimal: exact models, certified bounds, and the schedules that meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mecopt.offloading import OffloadingInstance
    from mecopt.result import Result

METHODS = ("plans", "milp")


def solve(
    instance: OffloadingInstance,
    *,
    method: str = "plans",
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result:
    """Solve an offloading instance.

    Parameters
    ----------
    instance : OffloadingInstance
    method : {"plans", "milp"}
        Plan decomposition (certified bound, any size) or the compact MILP for HiGHS (small
        instances; its bound is the solver's claim).
    time_limit : float, optional
        Wall seconds; 60 unless said.
    gap : float
        Relative gap to stop at.
    seed : int
    verbose : bool

    Raises
    ------
    ValueError
        Unknown method, negative `time_limit` or `gap`.
    """
    if method not in METHODS:
        raise ValueError(f"method: unknown {method!r}, one of {', '.join(METHODS)}")
    if method == "milp":
        from formulations.offloading import solve_milp

        return solve_milp(instance, time_limit=time_limit, gap=gap, seed=seed, verbose=verbose)
    from formulations.plans import solve_plans

    return solve_plans(instance, time_limit=time_limit, gap=gap, seed=seed, verbose=verbose)


def warm_up() -> None:
    """Compile, or load from the on-disk cache, every kernel that `solve` and rollouts use."""
    from mecopt import policies
    from mecopt.offloading import OffloadingInstance, Option, Resource, Stage, Task
    from mecopt.scenarios import comllm
    from mecopt.simulate import rollout

    episode = comllm.generate("very-slow-servers", 0, users=3, servers=2, slots=15)
    solve(episode, time_limit=60.0, gap=0.0)
    for name in policies.NAMES:
        rollout(episode, policies.make(name))
    # A task graph over a resource that fails: the event kernel.
    stages = [Stage("gpu", 0.1), Stage("cpu", 0.1, after=()), Stage("gpu", 0.1, after=(0, 1))]
    graph = OffloadingInstance.from_tasks(
        [Resource("gpu", down_s=[(1.0, 2.0)]), Resource("cpu")],
        [Task(0.0, [Option("both", stages)], deadline_s=1.0, drop_cost_s=2.0)],
    )
    solve(graph, time_limit=60.0, gap=0.0)
    rollout(graph, policies.make("one-step-oracle"))
