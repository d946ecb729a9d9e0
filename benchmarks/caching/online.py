"""How far caching rules are from the best rule that cannot see the future.

    python -m benchmarks.caching.online [--presets ten,...] [--seeds 100:108] [--name NAME]

A seed is a draw of agents and popularity. For each the online bound is estimated in `WORLDS`
sampled worlds, every rule plays `EPISODES` draws of requests with the luck of each taken off, and
the clairvoyant bound is that of `formulations.solve` on the first `CLAIRVOYANT` of them, with the
luck of the companion taken off. A rule's distance is the mean over draws of agents of (cost -
bound) / bound, with a bootstrap interval over draws: it covers the sampling of both. Rules are
paired: the same agents, requests and tables. Writes ``results/NAME.json`` and ``.parquet`` after
every draw, and goes on where they end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import RESULTS, interval, write
from formulations.online.caching import bound_of, control
from formulations.online.caching.route import ALONE, EVALUATIONS, POINTS, crowded, tables_of
from formulations.online.caching.rule import PairValues
from formulations.online.caching.system import system_of
from mecopt.bench.caching.online import COMPANION
from mecopt.bench.reading import parse_names, parse_range
from mecopt.caching.policies.by_name import POLICIES
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl

WORLDS, EPISODES, CLAIRVOYANT = 4, 4, 2
RULES = ("pair-values", "rolling", "priced", "t2drl", "ppo", "myopic")
#: Seconds for the clairvoyant bound of an episode.
SECONDS = {"ten": 6.0}
_SECONDS = 15.0


def measure(preset: str, seed: int, rules: Sequence[str]) -> dict[str, Any]:
    """One row: bounds and luckless costs of rules over one draw of agents."""
    system = t2drl.generate(preset, seed)
    episodes = [t2drl.redrawn(system, e) for e in range(EPISODES)]
    begin = time.perf_counter()
    alone = tables_of(system_of(system), method=ALONE)
    middle = time.perf_counter()
    values = crowded(alone)
    found = bound_of(values.system, replicates=WORLDS, entropy=(seed,), values=values)
    end = time.perf_counter()
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
        cost, luck = [], []
        for e, instance in enumerate(episodes):
            is_known = rule == PairValues.name
            policy: Any = (
                PairValues(values) if is_known else POLICIES.make(rule, preset=preset, seed=e)
            )
            plan = rollout(instance, policy)
            cost.append(plan.objective)
            luck.append(control.luck_of(values, plan))
        row[f"cost of {rule}"] = float(np.mean(cost) - np.mean(luck))
        row[f"raw cost of {rule}"] = float(np.mean(cost))
        if rule == COMPANION:
            lucky = luck
    limit = SECONDS.get(preset, _SECONDS)
    proven = [formulations.solve(x, time_limit=limit).bound for x in episodes[:CLAIRVOYANT]]
    row["clairvoyant"] = float(np.mean(np.array(proven) - lucky[:CLAIRVOYANT]))
    return row


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
        cost = rows[column]
        gap = 100 * (cost / bound - 1)
        # Of the distance to the clairvoyant bound, what no rule can avoid.
        share = 100 * (bound - seen) / (cost - seen)
        rules[column.removeprefix("cost of ")] = {
            "cost": cost.mean(),
            "above_online_percent": gap.mean(),
            "interval_percent": interval(gap),
            "above_clairvoyant_percent": 100 * (cost / seen - 1).mean(),
            "explained_percent": 100 * (bound.mean() - seen.mean()) / (cost.mean() - seen.mean()),
            "explained_interval_percent": interval(share),
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
            **{"worlds": WORLDS, "episodes": EPISODES, "clairvoyant_episodes": CLAIRVOYANT},
            **{"points": POINTS, "evaluations": EVALUATIONS},
        }
        write(args.name, {"settings": settings, "seeds": args.seeds, "presets": found}, table)


if __name__ == "__main__":
    main()
