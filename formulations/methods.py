"""How each family is solved: the one table of methods, time limits and warm-ups.

A method is a function ``solve(instance, *, time_limit, gap, seed, verbose)`` that returns a
`mecopt.result.Result`. It is named here as ``module:function`` and imported when it is asked for,
so that no family loads the solvers of another. A family from elsewhere adds itself with `register`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any


@dataclass(frozen=True)
class Routes:
    """How a family is solved.

    Parameters
    ----------
    methods : mapping
        Method -> ``module:function``, the method with the certified bound first.
    time_limit : float
        Seconds that the certified method takes at most unless told otherwise.
    warm_up : str
        ``module:function`` that compiles the family's kernels; empty when it has none.
    """

    methods: Mapping[str, str]
    time_limit: float = 60.0
    warm_up: str = ""


METHODS: dict[str, Routes] = {
    "offloading": Routes(
        {
            "plans": "formulations.offloading.decomposition:solve_plans",
            "milp": "formulations.offloading.compact:solve_milp",
        },
        time_limit=60.0,
        warm_up="formulations.offloading.warm:warm_up",
    ),
    "caching": Routes(
        {
            "plans": "formulations.caching.decomposition:solve_decomposition",
            "network": "formulations.caching.network:solve_network",
            "big-m": "formulations.caching.big_m:solve_big_m",
        },
        time_limit=90.0,
        warm_up="formulations.caching.warm:warm_up",
    ),
    "accuracy_delay": Routes(
        {
            "plans": "formulations.accuracy_delay.decomposition:solve_plans",
            "counts": "formulations.accuracy_delay.counts:solve_counts",
            "big-m": "formulations.accuracy_delay.big_m:solve_big_m",
            "perspective": "formulations.accuracy_delay.perspective:solve_perspective",
        },
        time_limit=60.0,
        warm_up="formulations.accuracy_delay.warm:warm_up",
    ),
}


def register(
    family: str, methods: Mapping[str, str], *, time_limit: float = 60.0, warm_up: str = ""
) -> None:
    """Make the methods of a further family known (see `Routes`).

    Raises
    ------
    ValueError
        If no method is given.
    """
    if not methods:
        raise ValueError(f"methods = {methods!r} of family {family!r}: at least one is needed")
    METHODS[family] = Routes(dict(methods), time_limit, warm_up)


def routes(family: str) -> Routes:
    """How a family is solved.

    Raises
    ------
    ValueError
        If the family is unknown.
    """
    if family not in METHODS:
        raise ValueError(f"family: unknown {family!r}, one of {', '.join(METHODS)}")
    return METHODS[family]


def names(family: str) -> tuple[str, ...]:
    """Methods of a family, the certified one first."""
    return tuple(routes(family).methods)


def certified(family: str) -> str:
    """The method of a family whose bound can be verified."""
    return names(family)[0]


def solver(family: str, method: str | None = None) -> Callable[..., Any]:
    """The function behind a method, by default the certified one.

    Raises
    ------
    ValueError
        If the family or the method is unknown.
    """
    known = routes(family).methods
    name = certified(family) if method is None else method
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"method: unknown {name!r}, one of {', '.join(known)}")
    return resolve_name(known[name])


def family_of(instance: Any) -> str:
    """The family of an instance.

    Raises
    ------
    ValueError
        If it is not an instance of a known family.
    """
    family = getattr(instance, "family", None)
    if isinstance(instance, type) or not isinstance(family, str):
        raise ValueError(
            f"instance = {instance!r} must be an instance of a family ({', '.join(METHODS)}): made "
            "by its scenarios or read from a file, such as "
            "mecopt.offloading.instance.OffloadingInstance or mecopt.caching.CachingInstance"
        )
    if family not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"instance.family = {family!r} has no methods, one of {known}")
    return family
