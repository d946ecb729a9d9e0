"""Rows of a benchmark on caching instances: costs by part, gaps, edge share, decision times."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from mecopt.bench.incumbent import best_schedule, check_bound, columns
from mecopt.bench.suite import Suite, Unit
from mecopt.caching import CachingInstance, CachingObservation, CachingPlan, CachingPrices
from mecopt.caching.policies import by_name as rules
from mecopt.caching.policies.protocol import CachingPolicy
from mecopt.caching.rollout import timed_rollout
from mecopt.result import Result
from mecopt.statistics import gap_to_bound, gap_to_incumbent

#: Columns that hold one part of a policy's cost begin with this.
SPLIT = "part_"
#: Always rolled out: what everything is compared with in words.
REFERENCE = "cloud"


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


def rows(suite: Suite, unit: Unit, instance: CachingInstance, result: Result) -> dict[str, Any]:
    """Tables of a solved caching instance, policies rolled out.

    Raises
    ------
    BrokenBound
        If any plan costs less than the bound.
    """
    plans: dict[str, CachingPlan] = {}
    measured: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys([*suite.policies, REFERENCE]):
        policy = rules.make(
            name, preset=unit.preset, seed=unit.seed, checkpoint=suite.checkpoint_folder(name)
        )
        clock = _Clock(policy)
        plans[name], cpu_s = timed_rollout(instance, clock)
        measured[name] = {
            "decision_seconds_p50": float(np.quantile(cpu_s, 0.5)),
            "decision_seconds_p99": float(np.quantile(cpu_s, 0.99)),
            "decision_wall_seconds_p50": float(np.quantile(clock.wall_s, 0.5)),
        }
    best_name, best = best_schedule(result, plans)
    check_bound(unit, result, best)
    where: dict[str, Any] = {"preset": unit.preset, "seed": unit.seed}
    row = {
        "instance_hash": instance.content_hash,
        "n_servers": instance.n_servers,
        "n_pairs": instance.n_pairs,
        "n_slots": instance.n_slots,
        "n_requests": int(instance.requests.sum()),
        "bound": result.bound,
        "incumbent": best.objective,
        "incumbent_from": best_name,
        "cloud_cost": plans[REFERENCE].objective,
        "gap": gap_to_bound(best.objective, result.bound),
        "bound_kind": str(result.bound_kind),
        "termination": str(result.termination),
        "method": result.method,
        "seconds": result.seconds,
        **_split(best),
    }
    found = [
        {
            **where,
            "policy": name,
            "instance_hash": instance.content_hash,
            "cost": plans[name].objective,
            "bound": result.bound,
            "incumbent": best.objective,
            "gap_to_bound": gap_to_bound(plans[name].objective, result.bound),
            "gap_to_incumbent": gap_to_incumbent(plans[name].objective, best.objective),
            "edge_share": plans[name].edge_share,
            **_split(plans[name]),
            **measured[name],
        }
        for name in suite.policies
    ]
    timelines = pd.DataFrame()
    if unit.seed == suite.seeds[0]:
        shown = {"best known": best, suite.policies[0]: plans[suite.policies[0]]}
        parts = [_residency(plan).assign(schedule=name) for name, plan in shown.items()]
        timelines = pd.concat([*parts, _prices(result)], ignore_index=True)
    return {
        "results": found,
        "instances": [{**where, **row}],
        "progress": columns(result.progress, where),
        "timelines": columns(timelines, where),
    }


def _split(plan: CachingPlan) -> dict[str, float]:
    return {f"{SPLIT}{part}": value for part, value in plan.cost_split.items()}


def _residency(plan: CachingPlan) -> pd.DataFrame:
    """Residency of one server, the one with most requests: pair, model, slot, kappa, served."""
    n = int(plan.instance.requests.sum(axis=(1, 2)).argmax())
    x = plan.instance
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


def _prices(result: Result) -> pd.DataFrame:
    """Dual prices by server and slot, as rows of schedule ``"prices"``; none without."""
    if not isinstance(result.prices, CachingPrices):
        return pd.DataFrame()
    return result.prices.table().assign(schedule="prices")
