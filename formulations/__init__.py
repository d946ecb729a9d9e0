"""What is optimal: exact models, certified bounds, and the schedules that meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from mecopt.caching import CachingInstance, CachingPlan
    from mecopt.offloading.instance import OffloadingInstance
    from mecopt.offloading.schedule import Schedule
    from mecopt.result import Result

METHODS = ("plans", "milp")
CACHING_METHODS = ("plans", "network", "big-m")


@overload
def solve(
    instance: OffloadingInstance,
    *,
    method: str = "plans",
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[OffloadingInstance, Schedule]: ...


@overload
def solve(
    instance: CachingInstance,
    *,
    method: str = "plans",
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[CachingInstance, CachingPlan]: ...


def solve(
    instance: OffloadingInstance | CachingInstance,
    *,
    method: str = "plans",
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[Any, Any]:
    """Solve an instance of any family.

    Parameters
    ----------
    instance : OffloadingInstance or CachingInstance
    method : str
        "plans": plan decomposition (certified bound, any size). Small offloading instances:
        "milp", the compact MILP for HiGHS; small caching instances: "network", the time-expanded
        network MILP, or "big-m". A MILP's bound is the solver's claim.
    time_limit : float, optional
        Wall seconds; 60 unless said (caching: 90).
    gap : float
        Relative gap to stop at.
    seed : int
    verbose : bool

    Raises
    ------
    ValueError
        Unknown method, negative `time_limit` or `gap`.
    """
    from mecopt.caching import CachingInstance

    asked: dict[str, Any] = {
        "time_limit": time_limit,
        "gap": gap,
        "seed": seed,
        "verbose": verbose,
    }
    methods = CACHING_METHODS if isinstance(instance, CachingInstance) else METHODS
    if method not in methods:
        raise ValueError(f"method: unknown {method!r}, one of {', '.join(methods)}")
    if isinstance(instance, CachingInstance):
        if method == "plans":
            from formulations.caching.decomposition import solve_decomposition

            return solve_decomposition(instance, **asked)
        if method == "network":
            from formulations.caching.network import solve_network

            return solve_network(instance, **asked)
        from formulations.caching.big_m import solve_big_m

        return solve_big_m(instance, **asked)
    if method == "milp":
        from formulations.offloading.compact import solve_milp

        return solve_milp(instance, **asked)
    from formulations.offloading.decomposition import solve_plans

    return solve_plans(instance, **asked)


def warm_up() -> None:
    """Compile, or load from disk, every kernel that `solve` and rollouts use for offloading."""
    from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
    from mecopt.offloading.policies import by_name as policies
    from mecopt.offloading.replay import rollout
    from mecopt.offloading.scenarios import comllm

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


def warm_up_caching() -> None:
    """The same for the caching family, whose kernels are others."""
    from mecopt.caching import rollout
    from mecopt.caching.policies import by_name as policies
    from mecopt.caching.scenarios import t2drl as caching

    for preset in ("ten", "backhaul", "forwarding"):
        episode = caching.generate(preset, 0, agents=4, servers=2, slots=12)
        solve(episode, time_limit=2.0, gap=0.0)
        for name in policies.NAMES:
            rollout(episode, policies.make(name))
