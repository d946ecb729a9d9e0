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
    from mecopt.scenarios import comllm

    tiny = comllm.generate("slow-servers", 0, users=2, servers=2, slots=6)
    solve(tiny, time_limit=2.0, gap=0.0)
