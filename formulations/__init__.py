"""What is optimal: exact models, certified bounds, and the schedules that meet them."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

from formulations import methods
from mecopt.result import InstanceT, Result

__all__ = ["methods", "solve", "warm_up"]


def solve(
    instance: InstanceT,
    *,
    method: str | None = None,
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[InstanceT, Any]:
    """Solve an instance of any family.

    Parameters
    ----------
    instance : OffloadingInstance, CachingInstance, or of a registered family
    method : str, optional
        One of ``methods.names(instance.family)``; unless said the first, which has a certified
        bound at any size: "plans", the plan decomposition. Small offloading instances: "milp", the
        compact MILP for HiGHS; small caching instances: "network", the time-expanded network MILP,
        or "big-m". A MILP's bound is the solver's claim.
    time_limit : float, optional
        Wall seconds, building models included. Zero asks for a bound and a schedule that takes no
        search. Unless said the certified method takes at most that of `methods.METHODS`, the others
        what they need.
    gap : float
        Relative gap to stop at. Zero asks for all that arithmetic can give: what rounding leaves
        counts as closed (docs/bounds.md).
    seed : int
    verbose : bool

    Raises
    ------
    ValueError
        If `instance` is none, the method is unknown, `time_limit` or `seed` is negative, or `gap`
        is negative or infinite.
    RuntimeError
        If the bound lies above the cost of the replayed schedule: one of them is wrong.
    """
    run = methods.solver(methods.family_of(instance), method)
    result = run(instance, time_limit=time_limit, gap=gap, seed=seed, verbose=verbose)
    # A bound that is no number is refused too.
    if not result.bound <= result.objective + 1e-9 * max(1.0, abs(result.objective)):
        raise RuntimeError(
            f"{result.method}: the {result.bound_kind} bound {result.bound!r} is above a replayed "
            f"schedule of {result.objective!r}; please report this instance "
            f"({result.instance.content_hash})"
        )
    return result


def warm_up(family: str = "offloading") -> None:
    """Compile, or load from disk, every kernel that `solve` and rollouts use for a family.

    Raises
    ------
    ValueError
        If the family is unknown.
    """
    where = methods.routes(family).warm_up
    if where:
        resolve_name(where)()
