"""How far caching rules are from the best rule that cannot see the future.

    python -m benchmarks.caching.online [--presets ten,...] [--seeds 100:108] [--name NAME]

A seed is a draw of agents and popularity. For each the online bound is estimated in `WORLDS`
sampled worlds. The rules play the same worlds, and `formulations.solve` bounds what can be done in
them when all is known: of all costs the luck is taken off (of the clairvoyant bound that of the
companion), and distances are differences within worlds, which vary far less than costs do. In its
own world nothing can be below the bound, not even a rule that sees the future; that is looked for
on `EPISODES` other draws of requests (``fresh``). A distance is the mean over draws of agents
of (cost - bound) / bound, with a bootstrap interval over draws: it covers the sampling of both.
Writes ``results/NAME.json`` and ``.parquet`` after every draw, and goes on where they end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import RESULTS, interval, write
from formulations.online.caching import bound_of, control
from formulations.online.caching.alone import Values
from formulations.online.caching.route import (
    ALONE,
    EVALUATIONS,
    POINTS,
    crowded,
    tables_of,
    world_requests,
)
from formulations.online.caching.rule import PairValues
from formulations.online.caching.system import system_of
from mecopt.bench.caching.online import COMPANION
from mecopt.bench.reading import parse_names, parse_range
from mecopt.caching.policies.by_name import POLICIES
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl

WORLDS, EPISODES = 4, 2
RULES = ("pair-values", "rolling", "priced", "t2drl", "myopic")
#: Seconds for the clairvoyant bound of an episode.
SECONDS = {"ten": 6.0}
_SECONDS = 8.0


def measure(preset: str, seed: int, rules: Sequence[str]) -> dict[str, Any]:
    """One row: bounds and luckless costs of rules over one draw of agents."""
    system = t2drl.generate(preset, seed)
    begin = time.perf_counter()
    alone = tables_of(system_of(system), method=ALONE)
    middle = time.perf_counter()
    values = crowded(alone)
    found = bound_of(values.system, replicates=WORLDS, entropy=(seed,), values=values)
    end = time.perf_counter()
    played = [
        replace(system, requests=world_requests(values.system, (seed, r))) for r in range(WORLDS)
    ]
    fresh = [t2drl.redrawn(system, e) for e in range(EPISODES)]
    row: dict[str, Any] = {
        "preset": preset,
        "seed": seed,
        "bound": found.estimate_slots,
        "bound_lower_95": found.lower_95_slots,
        "alone": alone.bound,
        "seconds": end - begin,
        "alone_seconds": middle - begin,
    }
    for rule in rules:
        for name, instances in (("cost", played), ("fresh cost", fresh)):
            cost, luck = [], []
            for e, instance in enumerate(instances):
                plan = rollout(instance, _policy(rule, preset, e, values))
                cost.append(plan.objective)
                luck.append(control.luck_of(values, plan))
            row[f"{name} of {rule}"] = float(np.mean(cost) - np.mean(luck))
            if (rule, name) == (COMPANION, "cost"):
                lucky = luck
    limit = SECONDS.get(preset, _SECONDS)
    proven = [formulations.solve(x, time_limit=limit).bound for x in played]
    row["clairvoyant"] = float(np.mean(proven) - np.mean(lucky))
    return row


def _policy(rule: str, preset: str, seed: int, values: Values) -> Any:
    if rule == PairValues.name:
        return PairValues(values)
    return POLICIES.make(rule, preset=preset, seed=seed)


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Distances of every rule on one preset, %, and what they are made of."""
    bound, seen = rows["bound"], rows["clairvoyant"]
    out: dict[str, Any] = {
        "draws_of_agents": len(rows),
        "bound_cost": bound.mean(),
        "alone_cost": rows["alone"].mean(),
        "clairvoyant_cost": seen.mean(),
        "price_of_not_knowing_percent": 100 * (bound / seen - 1).mean(),
        "price_interval_percent": interval(100 * (bound / seen - 1)),
        "seconds_per_draw": rows["seconds"].mean(),
        "alone_seconds_per_draw": rows["alone_seconds"].mean(),
    }
    rules = {}
    for column in (c for c in rows if c.startswith("cost of ")):
        cost, gap = rows[column], 100 * (rows[column] / bound - 1)
        fresh = 100 * (rows[f"fresh {column}"] / bound - 1)
        # Of the distance to the clairvoyant bound, what no rule can avoid.
        share = 100 * (bound - seen) / (cost - seen)
        rules[column.removeprefix("cost of ")] = {
            "cost": cost.mean(),
            "above_online_percent": gap.mean(),
            "interval_percent": interval(gap),
            "above_clairvoyant_percent": 100 * (cost / seen - 1).mean(),
            "explained_percent": 100 * (bound.mean() - seen.mean()) / (cost.mean() - seen.mean()),
            "explained_interval_percent": interval(share),
            "fresh_above_online_percent": fresh.mean(),
            "fresh_interval_percent": interval(fresh),
        }
    return out | {"rules": rules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default="ten,sticky,base")
    parser.add_argument("--seeds", default="100:108")
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--name", default="online_caching")
    args = parser.parse_args()
    presets, rules = parse_names(args.presets), parse_names(args.rules)
    path = RESULTS / f"{args.name}.parquet"
    old = pd.read_parquet(path).to_dict("records") if path.exists() else []
    units = [(preset, seed) for preset in presets for seed in range(*parse_range(args.seeds))]
    rows = {(row["preset"], row["seed"]): row for row in old}
    for unit in (u for u in units if u not in rows):
        rows[unit] = measure(*unit, rules)
        print(*unit, {k: round(v, 1) for k, v in rows[unit].items() if not isinstance(v, str)})
        table = pd.DataFrame(list(rows.values()))
        found = {p: summary(part) for p, part in table.groupby("preset", sort=False)}
        settings = {
            **{"worlds": WORLDS, "fresh_episodes": EPISODES},
            **{"points": POINTS, "evaluations": EVALUATIONS},
        }
        write(args.name, {"settings": settings, "seeds": args.seeds, "presets": found}, table)


if __name__ == "__main__":
    main()
