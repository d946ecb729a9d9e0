"""What every family's rows of a benchmark share: the best schedule of all, and bounds that hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pandas as pd

from mecopt.bench.suite import Unit
from mecopt.result import Replayed, Result

ScheduleT = TypeVar("ScheduleT", bound=Replayed)


class BrokenBound(RuntimeError):
    """A replayed schedule is cheaper than a bound that was called proven."""


def columns(frame: pd.DataFrame, where: Mapping[str, Any]) -> dict[str, Any]:
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
    if result.bound > best.objective + slack:
        unit_of_cost = result.instance.cost_unit
        raise BrokenBound(
            f"{unit.key}: the {result.bound_kind} bound {result.bound!r}{unit_of_cost} is above a "
            f"replayed schedule of {best.objective!r}{unit_of_cost}; please report this instance"
        )
