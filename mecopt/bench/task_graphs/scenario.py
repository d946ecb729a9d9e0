"""WiFi episodes as a scenario of the offloading family: command line, figures, columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mecopt import checks
from mecopt.bench.columns import GAPS, Column, fixed, tenths_of_percent
from mecopt.bench.families import Scenario, option
from mecopt.bench.reading import parse_number, parse_whole, short
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.schedule import Schedule
from mecopt.task_graphs.policies.planned_rule import charged
from mecopt.task_graphs.scenarios import wifi

#: Scenarios whose costs are rewards with the sign turned.
REWARDED = ("wifi",)


@dataclass(frozen=True)
class WifiOptions:
    """What episodes have in place of their preset's."""

    aps: int | None = option(
        "Access points, in place of the preset's 2.", "N",
        read=lambda text: parse_whole(text, "aps"),
    )  # fmt: skip
    ues: int | None = option(
        "Users, in place of the preset's 5.", "N", read=lambda text: parse_whole(text, "ues")
    )
    arrivals: float | None = option(
        "Tasks per user and second, in place of the preset's 0.1.", "PER_SECOND",
        read=lambda text: parse_number(text, "arrivals"), text=short,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("aps", "ues"):
            value = getattr(self, name)
            if value is not None:
                checks.whole(name, value, 1)
                object.__setattr__(self, name, int(value))
        if self.arrivals is not None and not 0 < self.arrivals < float("inf"):
            raise ValueError(f"arrivals = {self.arrivals!r} must be > 0")

    @property
    def changes(self) -> dict[str, Any]:
        """Parameters in place of the preset's."""
        of = {"aps": self.aps, "ues": self.ues, "arrivals_per_ue_s": self.arrivals}
        return {name: value for name, value in of.items() if value is not None}


def _check(presets: tuple[str, ...], options: WifiOptions) -> None:
    for preset in presets:
        wifi.parameters(preset, **options.changes)


WIFI = Scenario(
    "wifi",
    """Benchmark on task graphs over WiFi: planners and schedulers (arXiv 2604.21399).

    Example:

        mecopt bench wifi --aps 2 --ues 5 --seeds 0:10 --policies nearest-edge,graph-greedy

    Tasks come with a plan of up to five subtasks; every rule decides where each subtask runs. Rules
    named after a planner (graph-greedy-teacher) decide on what it believes and pay for its time.
    """,
    presets=lambda: tuple(wifi.PRESETS),
    generate=lambda preset, seed, options, data_dir: wifi.generate(preset, seed, **options.changes),
    defaults={
        "preset": "paper",
        "solve_preset": "paper",
        "seeds": "0:10",
        "policies": "whole-local,nearest-edge,graph-greedy,graph-greedy-raw,graph-greedy-distilled,"
        "graph-greedy-teacher,"
        "graph-joint,graph-lookahead",
        "time_limit": 60.0,
        "gap": 1e-3,
    },
    options=WifiOptions,
    check=_check,
    parameters=lambda presets: [({p: wifi.parameters(p) for p in presets}, wifi.TAGS)],
    tags_note="P printed in the paper (arXiv 2604.21399), D our decision. Where a preset differs "
    "from <code>paper</code>, the value is our decision.",
    tuned=False,
    cost_words="Cost is 0.01 x latency in s - expected correctness, the mean over tasks (weights "
    "of the paper): reward with its sign turned. Latency includes the time of the planner, the "
    "bound knows of none.",
)


# ---------------------------------------------------------------------------------------- figures
def is_rewarded(instance: OffloadingInstance) -> bool:
    """Whether an instance is of a scenario of this module."""
    return instance.meta.get("scenario") in REWARDED


def played(policy: Any, schedule: Schedule) -> tuple[Schedule, dict[str, Any]]:
    """The schedule with planning charged, and what the planner did.

    A rule that names no planner was shown the true plans.
    """
    n = len(schedule.choice)
    figures = {
        "planner": getattr(policy, "planner_name", "truth"),
        "planning_seconds": 0.0,
        "valid_plan_rate": 1.0,
    }
    planned = getattr(policy, "planned", None)
    if planned is not None and len(planned.plans) == n:
        schedule = charged(schedule, planned)
        figures["planning_seconds"] = float(planned.planning_s.mean())
        figures["valid_plan_rate"] = planned.valid_rate
    return schedule, figures


def measured(schedule: Schedule, solved: Mapping[str, Any]) -> dict[str, float]:
    """Reward, latency and accuracy of a schedule, means over tasks, and the bound on reward."""
    return {
        "mean_reward": -schedule.mean_cost_s,
        "mean_latency_s": float(schedule.latency_s.mean()),
        "accuracy": expected_accuracy(schedule),
        "bound_reward": -solved["bound_s"],
    }


def expected_accuracy(schedule: Schedule) -> float:
    """Mean expected correctness over tasks; NaN where it is worth nothing."""
    x = schedule.instance
    worth = float(x.meta["parameters"]["accuracy_weight"])
    option = x.option_ptr[:-1] + schedule.choice
    right = -x.fixed_cost_ns[option] * 1e-9
    return float(np.mean(right) / worth) if worth > 0 else float("nan")


COLUMNS: Sequence[Column] = (
    Column("planner", "planner", str, ("page", "record"), "same", scenarios=REWARDED),
    Column("mean_reward", "reward", fixed(4), interval=True, scenarios=REWARDED),
    Column("mean_latency_s", "latency, seconds", fixed(2), scenarios=REWARDED),
    Column("accuracy", "accuracy, %", tenths_of_percent, scenarios=REWARDED),
    Column("planning_seconds", "plan, s", fixed(2), scenarios=REWARDED),
    Column("valid_plan_rate", "valid plans, %", tenths_of_percent, scenarios=REWARDED),
    # The interval that counts here is that of the reward; two are too wide for a terminal.
    *(replace(column, interval=False, scenarios=REWARDED) for column in GAPS),
    Column("bound_reward", "bound on reward", fixed(4), ("page", "record"), scenarios=REWARDED),
)
