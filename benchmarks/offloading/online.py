"""How far rules are from the best rule that cannot see the future, on every COMLLM preset.

    python -m benchmarks.offloading.online [--presets paper,...] [--seeds 100:120] [--name NAME]

A seed is a draw of servers. Over its servers the online bound is estimated (`REPLICATES` figures
of `SAMPLES` tasks a slot), every rule plays `EPISODES` draws of tasks with the luck of each taken
off, and the clairvoyant bound is that of `formulations.solve` on the first of them, with the luck
of the companion taken off. A rule's distance is the mean over draws of servers of (cost - bound) /
bound, with a bootstrap interval over draws: it covers the sampling of both. Rules are paired: the
same servers, tasks and tables. Writes ``results/NAME.json`` and ``.parquet`` after every draw, and
goes on where they end; ``--add A,B`` plays further rules against the bounds that they hold.
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
from formulations.online import online_bound
from formulations.online.control import control_for
from mecopt.bench.offloading.online import COMPANION
from mecopt.bench.reading import parse_names, parse_range
from mecopt.offloading.policies.by_name import POLICIES
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

REPLICATES, SAMPLES, EPISODES = 2, 31, 2
RULES = ("one-step-oracle", "priced", "user-values", "own-values", "lookahead", "sft-lookahead")


def measure(preset: str, seed: int, rules: Sequence[str], known: dict[str, Any]) -> dict[str, Any]:
    """One row: bounds and luckless costs of rules over one draw of servers, slots per task."""
    row = dict(known)
    instances = [comllm.generate(preset, seed, task_seed=e) for e in range(EPISODES)]
    slot_s = instances[0].meta["slot_s"]
    companion = rollout(instances[0], POLICIES.make(COMPANION, preset=preset, seed=seed))
    control = control_for(instances[0])
    tasks = control.system.expected_tasks
    if not known:
        begin = time.perf_counter()
        shared = online_bound(instances[0], replicates=REPLICATES, samples=SAMPLES)
        end = time.perf_counter()
        solved = formulations.solve(instances[0], time_limit=2.0)
        row = {
            "preset": preset,
            "seed": seed,
            "bound": shared.estimate_per_task_slots,
            "bound_lower_95": shared.lower_95_per_task_slots,
            "alone": float(np.mean(shared.provenance["without_sharing_slots"])) / tasks,
            "seconds": end - begin,
            "clairvoyant": (solved.bound / slot_s - control.luck_slots(companion)) / tasks,
        }
    for rule in rules:
        cost = []
        for instance in instances:
            schedule = rollout(instance, POLICIES.make(rule, preset=preset, seed=seed))
            cost.append((schedule.objective / slot_s - control.luck_slots(schedule)) / tasks)
        row[f"cost of {rule}"] = float(np.mean(cost))
    return row


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Distances of every rule on one preset, %, and what they are made of."""
    out: dict[str, Any] = {
        "draws_of_servers": len(rows),
        "bound_slots": rows["bound"].mean(),
        "alone_slots": rows["alone"].mean(),
        "clairvoyant_slots": rows["clairvoyant"].mean(),
        "sharing_percent": 100 * (rows["bound"] / rows["alone"] - 1).mean(),
        "price_of_not_knowing_percent": 100
        * (rows["bound"].mean() / rows["clairvoyant"].mean() - 1),
        "seconds_per_draw": rows["seconds"].mean(),
    }
    rules = {}
    for column in (c for c in rows if c.startswith("cost of ")):
        gap = (100 * (rows[column] / rows["bound"] - 1)).dropna()
        if not len(gap):  # of a rule that is being added
            continue
        rules[column.removeprefix("cost of ")] = {
            "cost_slots": rows[column].mean(),
            "above_online_percent": gap.mean(),
            "interval_percent": interval(gap),
            "above_alone_percent": 100 * (rows[column] / rows["alone"] - 1).mean(),
            "above_clairvoyant_percent": 100 * (rows[column].mean() / out["clairvoyant_slots"] - 1),
        }
    return out | {"rules": rules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default=",".join(comllm.PRESETS))
    parser.add_argument("--seeds", default="100:120")
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--add", default="")
    parser.add_argument("--name", default="online")
    args = parser.parse_args()
    presets, rules = parse_names(args.presets), parse_names(args.add or args.rules)
    path = RESULTS / f"{args.name}.parquet"
    old = pd.read_parquet(path).to_dict("records") if path.exists() else []
    units = [(preset, seed) for seed in range(*parse_range(args.seeds)) for preset in presets]
    done = [(row["preset"], row["seed"]) for row in old]
    rows = dict(zip(done, old, strict=True))
    for unit in done if args.add else [u for u in units if u not in done]:
        rows[unit] = measure(*unit, rules, rows.get(unit, {}))
        print(*unit, {k: v for k, v in rows[unit].items() if k.startswith(("bound", "cost"))})
        table = pd.DataFrame(list(rows.values()))
        found = {p: summary(part) for p, part in table.groupby("preset", sort=False)}
        settings = {"replicates": REPLICATES, "samples": SAMPLES, "episodes": EPISODES}
        write(args.name, {"settings": settings, "seeds": args.seeds, "presets": found}, table)


if __name__ == "__main__":
    main()
