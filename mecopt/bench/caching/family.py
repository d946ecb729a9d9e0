"""The caching family: T2DRL's episodes, its scorecard, page and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from mecopt import checks
from mecopt.bench.caching import online, page
from mecopt.bench.columns import DECISIONS, GAPS, Column, extra, fixed, tenths_of_percent
from mecopt.bench.families import Family, Scenario, Tables, option
from mecopt.bench.online import remark
from mecopt.bench.reading import parse_whole
from mecopt.bench.scorecard import solver_table
from mecopt.caching import (
    CachingInstance,
    CachingObservation,
    CachingPlan,
    CachingPrices,
    plan_file,
)
from mecopt.caching.instance import FORMAT
from mecopt.caching.kernel import PARTS
from mecopt.caching.policies import by_name
from mecopt.caching.policies.protocol import CachingPolicy
from mecopt.caching.rollout import timed_rollout
from mecopt.caching.scenarios import presets, t2drl, trace
from mecopt.result import Result


# ------------------------------------------------------------------------------------- scenarios
def _parameters(names: Any) -> list[tuple[Mapping[str, Any], Mapping[str, str]]]:
    printed = {name: t2drl.parameters(name) for name in names if name in t2drl.PRESETS}
    sets: list[tuple[Mapping[str, Any], Mapping[str, str]]] = []
    sets += [(printed, t2drl.TAGS)] if printed else []
    if trace.PRESET in names:
        sets.append(({trace.PRESET: trace.Parameters()}, trace.TAGS))
    return sets


@dataclass(frozen=True)
class CachingOptions:
    """What is asked of episodes beside the clairvoyant bound."""

    online_bound: int | None = option(
        "Bound rules that cannot see the future, too, in so many sampled worlds.", "N",
        read=lambda text: parse_whole(text, "online-bound"), bench_only=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.online_bound is not None:
            checks.whole("online_bound", self.online_bound, 2)


def _check(names: tuple[str, ...], options: CachingOptions) -> None:
    for name in names:
        presets.check_preset(name)
    online.check_asked(names, options.online_bound)


def _generate(
    preset: str, seed: int, options: CachingOptions, data_dir: str | None
) -> CachingInstance:
    return online.asked(presets.make(preset, seed, data_dir), options.online_bound)


T2DRL = Scenario(
    "caching",
    """Benchmark on edge caches of models: 5 servers, 100 slots (T2DRL, arXiv 2501.14205).

    Example:

        mecopt bench caching --preset ten --seeds 0:8 --policies cloud,lfu-sensible,myopic,rolling

    Bounds every episode, rolls out every policy, prints the scorecard and writes tables, pictures
    and a report to the run folder. Costs are sums over servers and slots.

        mecopt bench caching --preset ten --online-bound 8

    Shows how far each rule is from the best one that cannot see the future, too.
    """,
    presets=lambda: (*t2drl.PRESETS, trace.PRESET),
    generate=_generate,
    defaults={
        "preset": "ten",
        "solve_preset": "base",
        "seeds": "0:8",
        "policies": "cloud,fifo-sensible,lfu-sensible,least-age-sensible,myopic,rolling,priced",
        "time_limit": 90.0,
        "gap": 1e-4,
    },
    options=CachingOptions,
    check=_check,
    parameters=_parameters,
    tags_note="P printed in the paper (arXiv 2501.14205), N from a neighbouring paper, D our "
    "decision.",
    needs_data=True,
)


# ---------------------------------------------------------------------------------------- figures
class _Clock:
    """A policy that decides as another one does, and notes the wall time of each decision."""

    def __init__(self, policy: CachingPolicy) -> None:
        self.name = policy.name
        self.wall_s: list[float] = []
        self._policy = policy

    def reset(self, instance: CachingInstance) -> None:
        self._policy.reset(instance)

    def act(self, observation: CachingObservation) -> tuple[Any, Any]:
        begin = perf_counter()
        answer = self._policy.act(observation)
        self.wall_s.append(perf_counter() - begin)
        return answer


def _play(instance: CachingInstance, policy: CachingPolicy) -> tuple[CachingPlan, dict[str, Any]]:
    clock = _Clock(policy)
    plan, cpu_s = timed_rollout(instance, clock)
    return plan, {
        "decision_seconds_p50": float(np.quantile(cpu_s, 0.5)),
        "decision_seconds_p99": float(np.quantile(cpu_s, 0.99)),
        "decision_wall_seconds_p50": float(np.quantile(clock.wall_s, 0.5)),
    }


def _split(plan: CachingPlan) -> dict[str, float]:
    return {f"{page.SPLIT}{part}": value for part, value in plan.cost_split.items()}


def _describe(result: Result, best: CachingPlan, cloud: CachingPlan) -> dict[str, Any]:
    x: CachingInstance = result.instance
    return {
        "n_servers": x.n_servers,
        "n_pairs": x.n_pairs,
        "n_slots": x.n_slots,
        "n_requests": int(x.requests.sum()),
        "cloud_cost": cloud.objective,
        **_split(best),
        **online.described(x),
    }


def _timelines(result: Result, shown: Mapping[str, CachingPlan]) -> pd.DataFrame:
    parts = [_residency(plan).assign(schedule=name) for name, plan in shown.items()]
    if isinstance(result.prices, CachingPrices):
        parts.append(result.prices.table().assign(schedule="prices"))
    return pd.concat(parts, ignore_index=True)


def _residency(plan: CachingPlan) -> pd.DataFrame:
    """Residency of one server, the one with most requests: pair, model, slot, kappa, served."""
    x = plan.instance
    n = int(x.requests.sum(axis=(1, 2)).argmax())
    frame = plan.timeline()
    frame = frame[frame["server"] == x.server_names[n]]
    # One row per pair even when it is never resident, so that heat maps list every pair.
    every = pd.DataFrame(
        {
            "server": x.server_names[n],
            "pair": x.pair_names,
            "memory_gb": x.memory_mb * 1e-3,
            "requests": x.requests[n].sum(axis=1),
        }
    )
    return every.merge(frame, how="left", on=["server", "pair"])


def _complete(tables: Tables) -> Tables:
    """What the best plan saves against cloud only, and what nobody can exceed."""
    known = tables["instances"]
    cloud = known["cloud_cost"].clip(lower=1e-9)
    saved, most = (1.0 - known[column] / cloud for column in ("incumbent", "bound"))
    return {**tables, "instances": known.assign(saved=saved, most=most)}


def _remark(tables: Tables) -> str:
    solver = solver_table(tables["instances"], FAMILY)
    saved, most = (" / ".join(map(tenths_of_percent, solver[key])) for key in ("saved", "most"))
    text = (
        f"The best plan known costs {saved} % less than cloud only; more than {most} % is "
        "impossible."
    )
    return " ".join(filter(None, (text, remark(tables))))


def _solution(plan: CachingPlan | None) -> dict[str, Any]:
    return {
        "cost_split": None if plan is None else plan.cost_split,
        "edge_share": None if plan is None else plan.edge_share,
    }


def _measure(plan: CachingPlan, solved: Mapping[str, Any]) -> dict[str, Any]:
    return {"edge_share": plan.edge_share, **_split(plan), **online.measured(plan, solved)}


FAMILY = Family(
    name="caching",
    instance=CachingInstance,
    format=FORMAT,
    policies=by_name.POLICIES,
    play=_play,
    reference="cloud",
    scenarios=(T2DRL,),
    columns=(
        Column("cost", "cost", fixed(1)),
        *GAPS,
        *online.COLUMNS,
        Column("edge_share", "served at the edge, %", tenths_of_percent),
        Column("bound", "bound", fixed(1), ("record",)),
        Column("incumbent", "best known", fixed(1), ("record",)),
        extra("extra over best"),
        *(
            Column(f"{page.SPLIT}{part}", part, fixed(0), ("page", "record"), group="cost_split")
            for part in (*PARTS, "overflow", "hops")
        ),
        *DECISIONS,
    ),
    size=("n_requests", "requests"),
    describe=_describe,
    sources=lambda instance: instance.meta.get("data", {}),
    measure=_measure,
    solution=_solution,
    save_schedule=plan_file.save,
    timelines=_timelines,
    complete=_complete,
    instance_columns=(
        Column("saved", "best plan below cloud only, %", tenths_of_percent),
        Column("most", "proven maximum, %", tenths_of_percent),
    ),
    pictures=page.pictures,
    template="report_caching.html",
    context=page.context,
    remark=_remark,
    cost_words="Costs are sums over servers and slots.",
)
