"""Bounds on online rules beside the clairvoyant bound, over seeded COMLLM episodes.

An episode is one draw of servers and tasks. The online bound holds over the servers of an episode
in expectation over tasks; costs and clairvoyant bounds are measured on the episode's own tasks, and
the luck that these had is taken off (`formulations.online.control`), so that both are about the
same expectation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import formulations
from formulations.online import METHODS, online_bound
from formulations.online.control import Control, control_for
from mecopt.bench.columns import Column, fixed, percent
from mecopt.bench.online import Bounds, Draw, counting, over
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.by_name import POLICIES
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.schedule import Schedule
from mecopt.statistics import gap_to_bound

#: The online rule whose luck is taken off the clairvoyant bound of an episode.
COMPANION = "priced"


def check_preset(preset: str) -> None:
    """Raise ValueError unless the preset is one of COMLLM's."""
    comllm.parameters(preset)


def bounds(
    preset: str,
    seeds: range,
    *,
    method: str = METHODS[0],
    replicates: int,
    samples: int,
    with_online: bool = True,
    time_limit_s: float = 10.0,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Bounds:
    """Both bounds on a preset of COMLLM.

    Parameters
    ----------
    preset : str
    seeds : range
        Of servers and tasks, one episode each.
    method, replicates, samples
        See `formulations.online.online_bound`.
    with_online : bool
    time_limit_s : float
        For the clairvoyant bound of an episode.
    on_progress : callable
        Told (what, steps done, all).
    """
    steps = replicates + 1 if with_online else 1
    total = steps * len(seeds)

    def one(n: int, seed: int) -> Draw:
        instance = comllm.generate(preset, seed)
        on_progress(f"{preset}-{seed}: clairvoyant", n * steps, total)
        solved = formulations.solve(instance, time_limit=time_limit_s)
        schedule = rollout(instance, POLICIES.make(COMPANION, preset=preset, seed=seed))
        control = control_for(instance)
        lucky = solved.bound / instance.meta["slot_s"] - control.luck_slots(schedule)
        clairvoyant = [lucky / control.system.expected_tasks]
        if not with_online:
            return clairvoyant, None
        bound = online_bound(
            instance,
            method=method,
            replicates=replicates,
            samples=samples,
            on_progress=counting(on_progress, f"{preset}-{seed}: online", n * steps + 1, total),
        )
        return clairvoyant, bound

    return over(seeds, one)


# ------------------------------------------------------------------------------------- scorecard
#: In `instance.meta`: how many sampled worlds the online bound of an episode has.
_ASKED = "online_bound"
#: What a scorecard shows where it was asked for.
COLUMNS = (
    Column("gap_to_online", "gap to online bound, %", percent, interval=True),
    Column("not_knowing", "not knowing the future, %", percent, ("page", "record")),
    Column("online_bound_slots", "online bound, slots", fixed(4), ("record",)),
    Column("online_bound_lower_95_slots", "at least (95 %), slots", fixed(4), ("record",)),
)


def asked(instance: OffloadingInstance, worlds: int | None) -> OffloadingInstance:
    """The instance, with the wish for an online bound in its meta data where there is one."""
    return instance if not worlds else replace(instance, meta={**instance.meta, _ASKED: worlds})


def described(instance: OffloadingInstance) -> dict[str, Any]:
    """Columns of ``instances``: the online bound, slots per episode, where it was asked for."""
    if _ASKED not in instance.meta:
        return {}
    found = online_bound(instance, replicates=instance.meta[_ASKED])
    return {
        "online_slots": found.estimate_slots,
        "online_lower_95_slots": found.lower_95_slots,
        "online_tasks": found.expected_tasks,
        "online_method": found.method,
        "online_seconds": found.seconds,
    }


@lru_cache(maxsize=4)
def _control(preset: str, seed: int, changes: tuple[tuple[str, Any], ...]) -> Control:
    return control_for(comllm.generate(preset, seed, **dict(changes)))


def measured(schedule: Schedule, solved: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of ``results``: a rule's distance to the online bound, and that to the other one.

    Both are for cost and clairvoyant bound with the luck of this episode taken off.
    """
    instance = schedule.instance
    if _ASKED not in instance.meta:
        return {}
    given = instance.meta["parameters"]
    changes = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in given.items())
    control = _control(instance.meta["preset"], instance.meta["seed"], changes)
    luck = control.luck_slots(schedule)
    bound, slot_s = solved["online_slots"], solved["slot_s"]
    cost = schedule.objective / slot_s - luck
    clairvoyant = solved["bound_s"] * instance.n_tasks / slot_s - luck
    return {
        "gap_to_online": gap_to_bound(cost, bound),
        "not_knowing": gap_to_bound(bound, clairvoyant),
        "online_bound_slots": bound / solved["online_tasks"],
        "online_bound_lower_95_slots": solved["online_lower_95_slots"] / solved["online_tasks"],
    }
