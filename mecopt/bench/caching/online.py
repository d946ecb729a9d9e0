"""Bounds on online rules beside the clairvoyant bound, over seeded episodes of T2DRL's caches.

An episode is one draw of agents, popularity and requests. The online bound holds for the agents and
popularity of an episode in expectation over requests; costs and clairvoyant bounds are measured on
the episode's own requests, and the luck that these had is taken off
(`formulations.online.caching.control`), so that both are about the same expectation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import formulations
from formulations.online import OnlineBound
from formulations.online.caching import METHODS as METHODS
from formulations.online.caching import bound_of, control
from formulations.online.caching.alone import Values
from formulations.online.caching.route import EVALUATIONS, SHARED, tables_of
from formulations.online.caching.rule import values_of
from formulations.online.caching.system import system_of
from mecopt.bench.columns import Column, fixed, percent
from mecopt.bench.online import Bounds, Draw, counting, over
from mecopt.caching.instance import CachingInstance
from mecopt.caching.plan import CachingPlan
from mecopt.caching.policies.by_name import POLICIES
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl, trace
from mecopt.statistics import gap_to_bound

#: The online rule whose luck is taken off the clairvoyant bound of an episode.
COMPANION = "rolling"


def check_preset(preset: str) -> None:
    """Raise ValueError unless an online bound of the preset can be worked out.

    Its requests must have a law that is known, and servers must not serve each other's.
    """
    if preset == trace.PRESET:
        raise ValueError(
            f"preset: requests of {preset!r} come from recorded data, they have no law that an "
            "online bound could know"
        )
    if t2drl.parameters(preset).hop_share is not None:
        raise ValueError(
            f"preset: servers of {preset!r} serve each other's requests, which the online bound "
            "does not cover"
        )


def bounds(
    preset: str,
    seeds: range,
    *,
    method: str = METHODS[0],
    replicates: int,
    samples: int | None = None,
    with_online: bool = True,
    time_limit_s: float = 10.0,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Bounds:
    """Both bounds on a preset of T2DRL's caches, in cost per episode.

    Parameters
    ----------
    preset : str
    seeds : range
        Of agents, popularity and requests, one episode each.
    method, replicates
        See `formulations.online.caching.online_bound`.
    samples : None
        There is nothing to sample but worlds.
    with_online : bool
    time_limit_s : float
        For the clairvoyant bound of an episode.
    on_progress : callable
        Told (what, steps done, all).

    Raises
    ------
    ValueError
        If the preset has no such bound, or `samples` is given.
    """
    if samples is not None:
        raise ValueError(f"samples = {samples}: bounds of caching sample worlds only")
    check_preset(preset)
    steps = 1 + (EVALUATIONS + replicates if with_online else 0)
    total = steps * len(seeds)

    def one(n: int, seed: int) -> Draw:
        instance = t2drl.generate(preset, seed)
        on_progress(f"{preset}-{seed}: clairvoyant", n * steps, total)
        proven = formulations.solve(instance, time_limit=time_limit_s).bound
        if not with_online:
            return [proven], None
        told = counting(on_progress, f"{preset}-{seed}: online", n * steps + 1, total)
        values = tables_of(system_of(instance), method=method, on_progress=told)
        plan = rollout(instance, POLICIES.make(COMPANION, preset=preset, seed=seed))
        luck = control.luck_of(values, plan)
        return [proven - luck], _bound(instance, values, method, replicates, told)

    return over(seeds, one)


def _bound(
    instance: CachingInstance,
    values: Values,
    method: str,
    replicates: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OnlineBound:
    """The bound of an episode's system, whose tables are there already."""
    meta = instance.meta
    found = bound_of(
        values.system,
        method=method,
        replicates=replicates,
        entropy=(meta["seed"], 0),
        values=values,
        on_progress=on_progress,
    )
    about = {key: meta[key] for key in ("scenario", "preset", "seed", "changes")}
    return replace(found, provenance={**found.provenance, **about})


# ------------------------------------------------------------------------------------- scorecard
#: In `instance.meta`: how many sampled worlds the online bound of an episode has.
_ASKED = "online_bound"
#: What a scorecard shows where it was asked for.
COLUMNS = (
    Column("gap_to_online", "gap to online bound, %", percent, interval=True),
    Column("not_knowing", "not knowing the future, %", percent, ("page", "record")),
    Column("online_bound", "online bound", fixed(1), ("record",)),
    Column("online_bound_lower_95", "at least (95 %)", fixed(1), ("record",)),
)


def check_asked(presets: tuple[str, ...], worlds: int | None) -> None:
    """Raise ValueError where a scorecard cannot show the online bound that was asked for."""
    for preset in presets if worlds else ():
        check_preset(preset)
        if t2drl.parameters(preset).backhaul_share is not None:
            raise ValueError(
                f"online_bound: the link of {preset!r} is drawn with its requests, no law of the "
                "requests is left once it is known (mecopt bound takes links as given)"
            )


def asked(instance: CachingInstance, worlds: int | None) -> CachingInstance:
    """The instance, with the wish for an online bound in its meta data where there is one."""
    return instance if not worlds else replace(instance, meta={**instance.meta, _ASKED: worlds})


def described(instance: CachingInstance) -> dict[str, Any]:
    """Columns of ``instances``: the online bound of an episode, where it was asked for."""
    if _ASKED not in instance.meta:
        return {}
    values = values_of(instance)
    found = _bound(instance, values, SHARED, instance.meta[_ASKED])
    return {
        "online_bound": found.estimate_slots,
        "online_bound_lower_95": found.lower_95_slots,
        "online_method": found.method,
    }


def measured(plan: CachingPlan, solved: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of ``results``: a rule's distance to the online bound, and that to the other one.

    Both are for cost and clairvoyant bound with the luck of this episode taken off.
    """
    if _ASKED not in plan.instance.meta:
        return {}
    luck = control.luck_of(values_of(plan.instance), plan)
    bound = solved["online_bound"]
    return {
        "gap_to_online": gap_to_bound(plan.objective - luck, bound),
        "not_knowing": gap_to_bound(bound, solved["bound"] - luck),
        "online_bound": bound,
        "online_bound_lower_95": solved["online_bound_lower_95"],
    }
