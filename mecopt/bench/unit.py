"""One unit of work of any family: make an instance, solve it, play policies, check the bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from time import perf_counter
from typing import Any, TypeVar

import pandas as pd

import formulations
from mecopt.bench import identity
from mecopt.bench.suite import Suite, Unit
from mecopt.result import Replayed, Result
from mecopt.statistics import gap_to_bound, gap_to_incumbent

ScheduleT = TypeVar("ScheduleT", bound=Replayed)


class BrokenBound(RuntimeError):
    """A replayed schedule is cheaper than a bound that was called proven."""


@cache
def _warm(family: str) -> None:
    """Compile or load a family's kernels once per process, outside every clock."""
    formulations.warm_up(family)


def run_unit(suite: Suite, unit: Unit) -> dict[str, Any]:
    """Do one unit of work.

    Returns
    -------
    dict
        Lists of rows under the names of `mecopt.bench.run_folder.TABLES`, JSON-able, and
        ``identity``: what they were made from.

    Raises
    ------
    BrokenBound
        If any schedule costs less than the bound.
    """
    family = suite.family
    _warm(family.name)
    begin = perf_counter()
    instance = suite.instance(unit)
    result = formulations.solve(
        instance,
        method=suite.method,
        time_limit=suite.time_limit_s,
        gap=suite.gap,
        seed=unit.seed,
    )
    schedules, figures = {}, {}
    notes = [*getattr(instance, "meta", {}).get("notes", ())]
    for name in dict.fromkeys([*suite.policies, family.reference]):
        policy = suite.policy(name, unit)
        notes += seen_before(name, policy, unit.seed)
        schedules[name], figures[name] = family.play(instance, policy)
    best_name, best = best_schedule(result, schedules)
    check_bound(unit, result, best)
    reference = schedules[family.reference]
    where: dict[str, Any] = {"preset": unit.preset, "seed": unit.seed}
    costs = {"bound": result.bound, "incumbent": best.objective}
    solved = {
        "instance_hash": instance.content_hash,
        **costs,
        "incumbent_from": best_name,
        "gap": gap_to_bound(best.objective, result.bound),
        "bound_kind": str(result.bound_kind),
        "termination": str(result.termination),
        "method": result.method,
        "seconds": result.seconds,
        "notes": "; ".join(notes),
        **family.describe(result, best, reference),
    }
    results = [
        {
            **where,
            "policy": name,
            "instance_hash": instance.content_hash,
            "cost": schedules[name].objective,
            **costs,
            "gap_to_bound": gap_to_bound(schedules[name].objective, result.bound),
            "gap_to_incumbent": gap_to_incumbent(schedules[name].objective, best.objective),
            **figures[name],
            **family.measure(schedules[name], solved),
        }
        for name in suite.policies
    ]
    timelines = pd.DataFrame()
    if unit.seed == suite.seeds[0]:
        shown = {"best known": best, suite.policies[0]: schedules[suite.policies[0]]}
        timelines = family.timelines(result, shown)
    return {
        "identity": identity.of_run(suite) | identity.of_instance(suite, instance),
        "results": results,
        "instances": [{**where, **solved, "unit_seconds": perf_counter() - begin}],
        "progress": _columns(result.progress, where),
        "timelines": _columns(timelines, where),
    }


#: What was done on each part of the seeds.
_DONE = {"tune": "tuned", "train": "trained"}


def seen_before(name: str, policy: Any, seed: int) -> list[str]:
    """A note for each range of seeds that a policy was tuned or trained on and that this one is in.

    A policy says so by `seen_seeds`, a mapping from ``"tune"`` and ``"train"`` to first and last.
    """
    seen: Mapping[str, Sequence[int]] = getattr(policy, "seen_seeds", None) or {}
    return [
        f"{name} was {_DONE[part]} on seeds {first} to {last}, which this benchmark uses: its "
        "figures are not those of unseen episodes"
        for part, (first, last) in seen.items()
        if first <= seed <= last
    ]


def _columns(frame: pd.DataFrame, where: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a table as lists, with the same preset and seed in every row."""
    lists: dict[str, Any] = {str(name): frame[name].tolist() for name in frame}
    return lists | {name: [value] * len(frame) for name, value in where.items()}


def best_schedule(result: Result, schedules: Mapping[str, ScheduleT]) -> tuple[str, ScheduleT]:
    """The cheapest schedule anybody found, and who found it."""
    found = {} if result.schedule is None else {"solver": result.schedule}
    found.update(schedules)
    name = min(found, key=lambda key: found[key].objective)
    return name, found[name]


def check_bound(unit: Unit, result: Result, best: Replayed) -> None:
    """Raise BrokenBound when the best schedule costs less than the bound."""
    slack = 1e-9 * max(1.0, abs(result.bound))
    if not result.bound <= best.objective + slack:  # a bound that is no number is refused too
        unit_of_cost = result.instance.cost_unit
        raise BrokenBound(
            f"{unit.key}: the {result.bound_kind} bound {result.bound!r}{unit_of_cost} is above a "
            f"replayed schedule of {best.objective!r}{unit_of_cost}; please report this instance"
        )
