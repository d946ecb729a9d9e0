"""Rules for failing nodes against both bounds, with and without many failures of links.

    python -m benchmarks.collaboration.rules [--seeds 0:8] [--limit 30]

Parts: ``paper`` (10 nodes, as printed) and ``links`` (failure rate 0.25 of every link). Every rule
of `mecopt bench ledrl` is played on each episode; the bound that knows all failures and the one for
rules that know rates only take the limit each. Writes ``results/collaboration/rules_PART.json``:
means over episodes with 95 % bootstrap intervals; records are one row per rule and episode.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import pandas as pd

import formulations
from benchmarks.common import interval, write
from mecopt.bench.collaboration.bounds import rates_only
from mecopt.bench.reading import parse_range
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.metrics import run_policy
from mecopt.offloading.policies import by_name

RULES = (
    *("keep", "random", "ratc", "two-choice", "earliest-start", "agsp", "expected-success"),
    "expected-lookahead",
)
PARTS: dict[str, dict[str, Any]] = {"paper": {}, "links": {"link_failure_per_s": (0.25, 0.25)}}
#: RATC and AGSP as printed for 10 nodes (P), per cent.
PAPER = {"ratc": 45.48, "agsp": 50.01}


def episode(part: str, seed: int, limit: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Both bounds on an episode, and every rule on it; shares of tasks on time."""
    x = ledrl.generate("paper", seed, **PARTS[part])
    cpu = time.process_time()
    known = formulations.solve(x, time_limit=limit, gap=1e-3, seed=seed)
    rates = rates_only(x, time_limit=limit, gap=1e-3, seed=seed)
    solved = {
        "seed": seed,
        "tasks": x.n_tasks,
        "bound_all_known": min(1.0, -known.bound / x.n_tasks),
        "schedule_all_known": -known.objective / x.n_tasks,
        "bound_rates_known": rates.bound,
        "plan_rates_known": rates.planned,
        "cpu_seconds": time.process_time() - cpu,
    }
    rows = []
    for name in RULES:
        schedule, figures = run_policy(x, by_name.make(name, seed=seed))
        times = {p: figures[f"decision_seconds_{p}"] for p in ("p50", "p99")}
        rows.append({"policy": name, "seed": seed, "success": 1.0 - schedule.drop_rate, **times})
    print(solved, {row["policy"]: round(row["success"], 3) for row in rows}, flush=True)
    return solved, rows


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0:8")
    parser.add_argument("--limit", type=float, default=30.0, help="seconds of each bound")
    parser.add_argument("--parts", default=",".join(PARTS))
    asked = parser.parse_args()
    formulations.warm_up("offloading")
    first, last = parse_range(asked.seeds, "seeds")
    for part in asked.parts.split(","):
        done = [episode(part, seed, asked.limit) for seed in range(first, last)]
        solved = pd.DataFrame([of for of, _ in done])
        rows = pd.DataFrame([row for _, of in done for row in of])
        summary = {
            "part": part,
            "seeds": [first, last],
            "limit_s": asked.limit,
            "paper_percent": PAPER,
            "bounds": {
                name: [float(solved[name].mean()), *interval(solved[name])]
                for name in solved.columns.drop(["seed", "tasks", "cpu_seconds"])
            },
            "rules": {
                str(name): {
                    "success": [float(of["success"].mean()), *interval(of["success"])],
                    "decision_seconds_p50": float(of["p50"].median()),
                    "decision_seconds_p99": float(of["p99"].max()),
                }
                for name, of in rows.groupby("policy", sort=False)
            },
        }
        print(write(f"collaboration/rules_{part}", summary, rows, solved=solved), flush=True)


if __name__ == "__main__":
    main()
