"""LeDRL's episodes as a scenario of the offloading family: command line, figures, columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mecopt import checks
from mecopt.bench.collaboration.bounds import rates_only
from mecopt.bench.columns import GAPS, Column, tenths_of_percent
from mecopt.bench.families import Scenario, option
from mecopt.bench.reading import parse_number, parse_whole, short
from mecopt.collaboration.charge import charged
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.schedule import Schedule
from mecopt.result import Result

#: Scenarios whose costs are tasks on time with the sign turned.
COUNTED = ("ledrl",)


@dataclass(frozen=True)
class LedrlOptions:
    """What episodes have in place of their preset's."""

    nodes: int | None = option(
        "Nodes, in place of the preset's 10.", "N", read=lambda text: parse_whole(text, "nodes")
    )
    slots: int | None = option(
        "Slots of half a second, in place of the preset's 100.", "N",
        read=lambda text: parse_whole(text, "slots"),
    )  # fmt: skip
    node_failure: float | None = option(
        "Failures of a node per second, in place of the preset's 0.01.", "PER_SECOND",
        read=lambda text: parse_number(text, "node-failure"), text=short,
    )  # fmt: skip
    link_failure: float | None = option(
        "Failures of a transfer per second, the same on every link, in place of 0 to 0.1.",
        "PER_SECOND", read=lambda text: parse_number(text, "link-failure"), text=short,
    )  # fmt: skip

    drift_nodes: int | None = option(
        "Nodes whose executions go wrong more often from the middle of the episode on, untold.",
        "N", read=lambda text: parse_whole(text, "drift-nodes"),
    )  # fmt: skip
    drift_factor: float | None = option(
        "True rate over the told one on such nodes, in place of 4.",
        "FACTOR", read=lambda text: parse_number(text, "drift-factor"), text=short,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, least in (("nodes", 1), ("slots", 1), ("drift_nodes", 0)):
            value = getattr(self, name)
            if value is not None:
                checks.whole(name, value, least)
                object.__setattr__(self, name, int(value))
        for name in ("node_failure", "link_failure"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} = {value!r} must be >= 0")

    @property
    def changes(self) -> dict[str, Any]:
        """Parameters in place of the preset's."""
        rate = self.link_failure
        of = {
            "nodes": self.nodes,
            "slots": self.slots,
            "node_failure_per_s": self.node_failure,
            "link_failure_per_s": None if rate is None else (rate, rate),
            "drift_nodes": self.drift_nodes,
            "drift_factor": self.drift_factor,
        }
        return {name: value for name, value in of.items() if value is not None}


def _check(presets: tuple[str, ...], options: LedrlOptions) -> None:
    for preset in presets:
        ledrl.parameters(preset, **options.changes)


LEDRL = Scenario(
    "ledrl",
    """Benchmark on failing nodes and tasks that travel a few hops (LeDRL, arXiv 2605.05727).

    Example:

        mecopt bench ledrl --nodes 10 --seeds 0:8 --policies ratc,expected-success,random

    Counts tasks on time. Two bounds: of who knows which nodes and stages will fail, and on average
    of who knows failure rates only.
    """,
    presets=lambda: tuple(ledrl.PRESETS),
    generate=lambda preset, seed, options, data_dir: ledrl.generate(
        preset, seed, data_dir=data_dir, **options.changes
    ),
    defaults={
        "preset": "paper",
        "solve_preset": "paper",
        "seeds": "0:8",
        "policies": "ratc,two-choice,earliest-start,agsp,expected-success,expected-lookahead,keep,"
        "random",
        "time_limit": 60.0,
        "gap": 1e-3,
    },
    options=LedrlOptions,
    check=_check,
    parameters=lambda presets: [({p: ledrl.parameters(p) for p in presets}, ledrl.TAGS)],
    tags_note="P printed in the paper (arXiv 2605.05727), N from a neighbouring paper or sister "
    "code, D our decision. Where a preset differs from <code>paper</code>, the value is our "
    "decision.",
    needs_data=True,
    tuned=False,
    cost_words="Cost is minus the share of tasks on time. The gap is to the bound that knows all "
    "failures; the bound for rules that know rates only holds for means over many episodes.",
)


# ---------------------------------------------------------------------------------------- figures
def is_counted(instance: OffloadingInstance) -> bool:
    """Whether an instance is of a scenario of this module."""
    return instance.meta.get("scenario") in COUNTED


def described(result: Result) -> dict[str, Any]:
    """Nodes, and the bound for rules that know rates only, from a solve of its own.

    It takes the time limit, gap and seed of the one before.
    """
    x: OffloadingInstance = result.instance
    asked = {name: result.parameters[name] for name in ("time_limit", "gap", "seed")}
    found = rates_only(x, **asked)
    return {
        "nodes": len(x.meta["collaboration"]["nodes"]),
        "bound_rates_only": found.bound,
        "incumbent_rates_only": found.planned,
    }


def played(policy: Any, schedule: Schedule) -> dict[str, float]:
    """Share of tasks on time with the time of a language model charged.

    A policy that waits for one keeps the wait of each decision in an attribute ``waited_s``.
    """
    waited_s = getattr(policy, "waited_s", 0.0)
    return {"success_rate_llm_time_charged": charged(schedule.instance, schedule.choice, waited_s)}


def measured(schedule: Schedule, solved: Mapping[str, Any]) -> dict[str, float]:
    """Share of tasks on time, and both bounds on it."""
    return {
        "nodes": solved["nodes"],
        "success_rate": 1.0 - schedule.drop_rate,
        "bound_success_rate": min(1.0, -solved["bound_s"]),  # safe bounds are rounded up
        "bound_success_rate_rates_only": solved["bound_rates_only"],
    }


COLUMNS: Sequence[Column] = (
    Column("nodes", "nodes", str, ("page", "record"), "same", scenarios=COUNTED),
    Column("success_rate", "on time, %", tenths_of_percent, interval=True, scenarios=COUNTED),
    Column(
        "success_rate_llm_time_charged", "model time charged, %", tenths_of_percent,
        scenarios=COUNTED,
    ),
    Column(
        "bound_success_rate_rates_only", "bound, rates known, %", tenths_of_percent,
        scenarios=COUNTED,
    ),
    Column("bound_success_rate", "bound, all known, %", tenths_of_percent, scenarios=COUNTED),
    # The interval that counts here is that of the share on time.
    *(replace(column, interval=False, scenarios=COUNTED) for column in GAPS),
)  # fmt: skip
