"""The offloading family: scenarios, also of task graphs and failing nodes, scorecard, page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mecopt import checks
from mecopt.accuracy_delay import stream
from mecopt.accuracy_delay.scenarios import goa
from mecopt.bench.collaboration import scenario as collaboration
from mecopt.bench.columns import DECISIONS, GAPS, Column, extra, fixed, percent, tenths_of_percent
from mecopt.bench.families import Family, Scenario, Tables, option
from mecopt.bench.offloading import online, page
from mecopt.bench.online import remark
from mecopt.bench.reading import parse_interval, parse_number, parse_whole, parse_window, short
from mecopt.bench.task_graphs import scenario as task_graphs
from mecopt.bench.task_graphs.page import GRAPH, graph_text
from mecopt.collaboration.network import OUTCOME
from mecopt.offloading import schedule_file
from mecopt.offloading.instance import FORMAT, OffloadingInstance
from mecopt.offloading.metrics import performance_ratio, run_policy
from mecopt.offloading.policies import by_name
from mecopt.offloading.scenarios import comllm, trace_parameters, traces
from mecopt.offloading.schedule import Schedule
from mecopt.offloading.units import DEFAULT_SLOT_S
from mecopt.result import Result


def _interval_text(ends: tuple[float, float]) -> str:
    return f"{short(ends[0])}:{short(ends[1])}"


# ------------------------------------------------------------------------------------- scenarios
@dataclass(frozen=True)
class ComllmOptions:
    """What episodes have in place of their preset's."""

    servers: int | None = option(
        "Servers, in place of the preset's 6.", "N", read=lambda text: parse_whole(text, "servers")
    )
    task_mbit: tuple[float, float] | None = option(
        "Task sizes, in place of the preset's, Mbit.", "A:B",
        read=lambda text: parse_interval(text, "task-mbit"), text=_interval_text,
    )  # fmt: skip

    online_bound: int | None = option(
        "Bound rules that cannot see the future, too, in so many sampled worlds.", "N",
        read=lambda text: parse_whole(text, "online-bound"), bench_only=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.online_bound is not None:
            checks.whole("online_bound", self.online_bound, 2)
        if self.servers is not None:
            checks.whole("servers", self.servers, 1)
            object.__setattr__(self, "servers", int(self.servers))
        if self.task_mbit is not None:
            least, most = checks.pair("task_mbit", self.task_mbit)
            object.__setattr__(self, "task_mbit", (least, most))
            if not 0 < least <= most:
                raise ValueError(f"task_mbit = {self.task_mbit} must satisfy 0 < A <= B")

    @property
    def changes(self) -> dict[str, Any]:
        """Parameters in place of the preset's."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return {name: value for name, value in given.items() if name != "online_bound"}


def _comllm(
    preset: str, seed: int, options: ComllmOptions, data_dir: str | None
) -> OffloadingInstance:
    instance = comllm.generate(preset, seed, **options.changes)
    return online.asked(instance, options.online_bound)


def _check_presets(presets: tuple[str, ...], options: ComllmOptions) -> None:
    for preset in presets:
        comllm.parameters(preset)


COMLLM = Scenario(
    "comllm",
    """Benchmark on COMLLM episodes: 6 users, 6 servers, 100 slots (arXiv 2604.07148).

    Example:

        mecopt bench comllm --preset paper --seeds 100:108 --policies one-step-oracle,priced,random

    Solves every episode, rolls out every policy, prints the scorecard and writes tables, pictures
    and a report to the run folder.

        mecopt bench comllm --states 1000 --servers 8 --seed 1 --policies one-step-oracle,sft

    Asks every policy at 1000 independent states, as the paper does, and compares with its one-step
    oracle.

        mecopt bench comllm --table II --out runs/table-II

    Makes the paper's Table II: theirs, ours, difference, and gaps to bounds on episodes.

        mecopt bench comllm --preset paper --online-bound 8

    Shows how far each rule is from the best one that cannot see the future, too.
    """,
    presets=lambda: tuple(comllm.PRESETS),
    generate=_comllm,
    defaults={
        "preset": "paper",
        "solve_preset": "paper",
        "seeds": "100:108",
        "policies": "one-step-oracle,one-step-oracle-drop,priced,lookahead,nearest,least-loaded,"
        "random",
        "time_limit": 10.0,
        "gap": 1e-4,
    },
    options=ComllmOptions,
    check=_check_presets,
    parameters=lambda presets: [({p: comllm.parameters(p) for p in presets}, comllm.TAGS)],
    tags_note="P printed in the paper (arXiv 2604.07148), N from a neighbouring paper or sister "
    "code, D our decision. Where a preset differs from <code>paper</code>, the value is our "
    "decision.",
)


@dataclass(frozen=True)
class TraceOptions:
    """Which part of a trace."""

    window_s: tuple[float, float] = option(
        "Part of the trace in seconds.", "S:E", read=parse_window, text=_interval_text,
        default=(0.0, 600.0), flag="window",
    )  # fmt: skip

    def __post_init__(self) -> None:
        start, end = checks.pair("window_s", self.window_s)
        if not 0 <= start < end < float("inf"):
            raise ValueError(f"window_s = {self.window_s} must satisfy 0 <= S < E")
        object.__setattr__(self, "window_s", (start, end))


def _check_trace(presets: tuple[str, ...], options: TraceOptions) -> None:
    if len(presets) != 1:
        raise ValueError(f"presets: traces take one trace, got {presets}")


TRACES = Scenario(
    "traces",
    """Benchmark on real LLM requests over the edge sites of Melbourne.

    Example:

        mecopt bench traces --trace azure-conv --window 0:600 --policies one-step-oracle,random

    The seed places users and devices. Traces have no slots; the *_slots figures of the JSON are in
    units of 0.1 s.
    """,
    presets=lambda: ("azure-conv", "azure-code"),
    generate=lambda trace, seed, options, data_dir: traces.generate(
        trace, window=options.window_s, seed=seed, data_dir=data_dir
    ),
    defaults={
        "preset": "azure-conv",
        "solve_preset": "azure-conv",
        "seeds": "0:1",
        "policies": "one-step-oracle,one-step-oracle-drop,nearest,least-loaded,random",
        "time_limit": 60.0,
        "gap": 1e-3,
    },
    options=TraceOptions,
    check=_check_trace,
    parameters=lambda presets: [({"value": trace_parameters.parameters()}, trace_parameters.TAGS)],
    tags_note="N from a neighbouring paper or a standard, D our decision. Everything else is read "
    "from the data files that <code>mecopt data</code> lists with sources and licences.",
    preset_option="trace",
    needs_data=True,
    tuned=False,
)


@dataclass(frozen=True)
class StreamOptions:
    """What a stream of queries has in place of the defaults."""

    rate: float | None = option(
        "Queries per user and second, in place of 0.2.", "PER_SECOND",
        read=lambda text: parse_number(text, "rate"), text=short,
    )  # fmt: skip
    horizon: float | None = option(
        "Queries are asked before this time, in place of 60 s.", "SECONDS",
        read=lambda text: parse_number(text, "horizon"), text=short,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} = {value!r} must be > 0")

    @property
    def changes(self) -> dict[str, float]:
        """Arguments in place of the defaults."""
        of = {"queries_per_user_s": self.rate, "horizon_s": self.horizon}
        return {name: value for name, value in of.items() if value is not None}


def _check_users(users: tuple[str, ...], options: StreamOptions) -> None:
    for number in users:
        goa.check_users(number)


GOA_STREAM = Scenario(
    "goa-stream",
    """Benchmark on queries over time: snapshot rules as online rules (GOA, arXiv 2602.07958).

    Example:

        mecopt bench goa-stream --users 30 --seeds 0:8 --policies goa,delay-greedy,one-step-oracle

    Queries are decided together at the end of their slot; the bound knows all arrivals. The cost of
    a query is its delay less kappa times its uncertainty when it leaves the device.
    """,
    presets=lambda: tuple(str(n) for n in goa.USERS),
    generate=lambda users, seed, options, data_dir: (
        stream.generate(users, seed, **options.changes).instance
    ),
    defaults={
        "preset": "30",
        "solve_preset": "30",
        "seeds": "0:8",
        "policies": "goa,goa-local-search,delay-greedy,one-step-oracle,nearest,least-loaded,random",
        "time_limit": 20.0,
        "gap": 1e-4,
    },
    options=StreamOptions,
    check=_check_users,
    parameters=lambda users: [({n: goa.parameters(n) for n in users}, goa.TAGS)],
    tags_note="D our decision: the paper's tables are not available to us.",
    preset_option="users",
    tuned=False,
)


# ---------------------------------------------------------------------------------------- figures
def _slot_s(instance: OffloadingInstance) -> float:
    return float(instance.meta.get("slot_s", DEFAULT_SLOT_S))


def _describe(result: Result, best: Schedule, oracle: Schedule) -> dict[str, Any]:
    x: OffloadingInstance = result.instance
    return {
        "n_tasks": x.n_tasks,
        "n_resources": x.n_resources,
        "slot_s": _slot_s(x),
        "bound_s": result.bound / x.n_tasks,
        "incumbent_s": best.objective / x.n_tasks,
        "solver_objective_s": result.objective / x.n_tasks,
        "oracle_cost_s": oracle.mean_cost_s,
        **({GRAPH: graph_text(best)} if task_graphs.is_rewarded(x) else {}),
        **(collaboration.described(result) if collaboration.is_counted(x) else {}),
        **online.described(x),
    }


def _play(instance: OffloadingInstance, policy: Any) -> tuple[Schedule, dict[str, Any]]:
    schedule, figures = run_policy(instance, policy)
    if task_graphs.is_rewarded(instance):
        free_s = schedule.mean_cost_s
        schedule, of_planner = task_graphs.played(policy, schedule)
        for name in ("mean_cost_s", "mean_cost_charged_s"):
            figures[name] += schedule.mean_cost_s - free_s
        figures |= of_planner
    if collaboration.is_counted(instance):
        figures |= collaboration.played(policy, schedule)
    figures["mean_cost_charged_ms"] = figures.pop("mean_cost_charged_s") * 1e3
    figures["mean_cost_ms"] = figures.pop("mean_cost_s") * 1e3
    del figures["policy"]  # a checkpoint has the name that the suite gave it
    return schedule, figures


def _measure(schedule: Schedule, solved: Mapping[str, Any]) -> dict[str, Any]:
    if collaboration.is_counted(schedule.instance):
        return collaboration.measured(schedule, solved)
    slot_s = solved["slot_s"]
    late = np.isnan(schedule.latency_s)
    p95_s = float(np.quantile(np.where(late, np.inf, schedule.latency_s), 0.95))
    figures = {"p95_latency_ms": 1e3 * p95_s}
    if task_graphs.is_rewarded(schedule.instance):
        return figures | task_graphs.measured(schedule, solved)
    return figures | {
        "mean_cost_slots": schedule.mean_cost_s / slot_s,
        "pr": performance_ratio(solved["oracle_cost_s"], schedule.mean_cost_s),
        "bound_slots": solved["bound_s"] / slot_s,
        "incumbent_slots": solved["incumbent_s"] / slot_s,
        **online.measured(schedule, solved),
    }


def _timelines(result: Result, shown: Mapping[str, Schedule]) -> pd.DataFrame:
    rows = pd.concat([s.timeline().assign(schedule=name) for name, s in shown.items()])
    return rows[rows["resource"] != OUTCOME] if collaboration.is_counted(result.instance) else rows


def _complete(tables: Tables) -> Tables:
    """Columns that runs of older versions lack."""
    instances, results = tables["instances"], tables["results"]
    if "bound" not in instances:
        n = instances["n_tasks"]
        sums = {"bound": instances["bound_s"] * n, "incumbent": instances["incumbent_s"] * n}
        instances = instances.assign(**sums)
    if "parse_rate" not in results:
        results = results.assign(parse_rate=1.0)
    return {**tables, "instances": instances, "results": results}


#: Scenarios whose costs are times.
_TIMED = ("comllm", "traces", "goa-stream")

COLUMNS: Sequence[Column] = (
    Column("mean_cost_slots", "cost, slots", fixed(4), scenarios=("comllm",)),
    Column("mean_cost_ms", "cost, ms", fixed(1), ("console", "page"), scenarios=_TIMED),
    *task_graphs.COLUMNS,
    *collaboration.COLUMNS,
    *(replace(column, scenarios=_TIMED) for column in GAPS),
    *online.COLUMNS,
    Column(
        "p95_latency_ms",
        "latency p95, ms",
        fixed(1),
        ("page", "record"),
        scenarios=(*_TIMED, *task_graphs.REWARDED),
    ),
    Column("drop_rate", "late or dropped, %", percent, scenarios=_TIMED),
    Column(  # no ratio where costs may be negative
        "pr",
        "PR, %",
        tenths_of_percent,
        ("console", "page"),
        weight="mean_cost_ms",
        scenarios=("comllm", "traces"),
    ),  # fmt: skip
    extra("extra over best, ms", _TIMED),
    extra("reward below best, 1/1000", task_graphs.REWARDED),
    extra("on time below best, 1/1000", collaboration.COUNTED),
    Column("backlog_fairness", "backlog fairness", fixed(3), ("conduct",)),
    Column("assignment_fairness", "assignment fairness", fixed(3), ("conduct",)),
    Column("parse_rate", "answers parsed, %", tenths_of_percent, ("conduct", "record")),
    *DECISIONS,
    Column(
        "mean_cost_charged_ms",
        "cost with decision time, ms",
        fixed(1),
        ("conduct",),
        scenarios=_TIMED,
    ),
    Column("bound_slots", "bound, slots", fixed(4), ("record",)),
    Column("incumbent_slots", "best known, slots", fixed(4), ("record",)),
)

FAMILY = Family(
    name="offloading",
    instance=OffloadingInstance,
    format=FORMAT,
    policies=by_name.POLICIES,
    play=_play,
    reference="one-step-oracle",
    scenarios=(COMLLM, TRACES, GOA_STREAM, task_graphs.WIFI, collaboration.LEDRL),
    columns=tuple(COLUMNS),
    ranked_by="mean_cost_ms",
    size=("n_tasks", "tasks"),
    describe=_describe,
    sources=lambda instance: instance.meta.get("files", {}),
    measure=_measure,
    solution=lambda schedule: {"choice": None if schedule is None else schedule.choice.tolist()},
    save_schedule=schedule_file.save,
    timelines=_timelines,
    complete=_complete,
    pictures=page.pictures,
    template="report_offloading.html",
    context=page.context,
    remark=remark,
    cost_words="Cost is the mean over tasks of latency, or the drop cost of a task that is late, "
    "lost or dropped.",
)
