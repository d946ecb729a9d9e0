"""Exact routes of task graphs against enumeration, and at size.

    python -m benchmarks.task_graphs.exact [--tiny 200] [--seeds 8]

Parts: ``tiny`` (enumeration, both routes, replay), ``snapshots`` (7 users, 4 access points, one
task of up to 5 subtasks each, gap 0.1 % in 10 s), ``episodes`` (600 s, gap 1 % in 60 s).
``--parts`` names those to run; each is a result of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import solves, write
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.task_graphs.scenarios import wifi
from tests.support.tiny import brute_force
from tests.support.tiny_graphs import tiny_episode

TOLERANCE = 1e-6
#: Part -> gap to reach, and seconds for it.
AIMS = {"snapshots": (1e-3, 10.0), "episodes": (1e-2, 60.0)}


def _solved(x: OffloadingInstance, gap: float, limit: float) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = formulations.solve(x, gap=gap, time_limit=limit)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    again = np.nan
    if result.schedule is not None:
        again = replay(x, result.schedule.choice).objective
    row = {
        "preset": x.meta["preset"],
        "seed": x.meta["seed"],
        "tasks": x.n_tasks,
        "options": x.n_options,
        "objective": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        # Costs are near zero where rewards are: what a percent of them is says little.
        "gap_per_task": (result.objective - result.bound) / x.n_tasks,
        "replay_deviation": abs(again - result.objective),
        "termination": str(result.termination),
        "cpu_seconds": cpu_seconds,
        "seconds": seconds,
    }
    print(row, flush=True)
    return row


def _summary(rows: list[dict[str, Any]], gap: float) -> list[dict[str, Any]]:
    """Means, worst cases and intervals of gap and seconds by preset."""
    out = []
    for preset, part in pd.DataFrame(rows).groupby("preset", sort=False):
        out.append(
            {
                "preset": preset,
                "instances": len(part),
                "mean_tasks": part["tasks"].mean(),
                "mean_options": part["options"].mean(),
                "reached": int((part["gap"] <= gap).sum()),
                **solves(part),
                "worst_gap_per_task": part["gap_per_task"].max(),
                "worst_replay_deviation": part["replay_deviation"].max(),
            }
        )
        print(out[-1], flush=True)
    return out


def tiny(asked: argparse.Namespace) -> dict[str, Any]:
    """Enumeration, both routes and the replay on the same tiny episodes."""
    worst = {"plans": 0.0, "milp": 0.0}
    failures: list[dict[str, Any]] = []
    records = []
    for seed in range(asked.tiny):
        x = tiny_episode(seed).instance
        best, _ = brute_force(x)
        row: dict[str, Any] = {"seed": seed, "tasks": x.n_tasks, "options": x.n_options}
        for method in worst:
            begin = time.perf_counter()
            result = formulations.solve(x, method=method, gap=1e-9, time_limit=asked.limit)
            seconds = time.perf_counter() - begin
            assert result.schedule is not None
            again = replay(x, result.schedule.choice).objective
            off = max(abs(result.objective - best), abs(again - best), abs(result.bound - best))
            worst[method] = max(worst[method], off)
            row |= {f"{method}_deviation": off, f"{method}_seconds": seconds}
            if off > TOLERANCE:
                failures.append({"seed": seed, "method": method, "off": off})
        records.append({**row, "optimum": best})
        if seed % 20 == 19:
            print(seed + 1, worst, len(failures), flush=True)
    return {
        "episodes": asked.tiny,
        "tolerance_s": TOLERANCE,
        "worst_deviation_s": worst,
        "failures": failures,
        "records": records,
    }


def snapshots(asked: argparse.Namespace) -> dict[str, Any]:
    """One task of each of 7 users at 4 access points, all at once."""
    gap, limit = AIMS["snapshots"]
    rows = [_solved(wifi.generate("snapshot", s), gap, limit) for s in range(asked.seeds)]
    return {"gap": gap, "limit": limit, "rows": _summary(rows, gap), "records": rows}


def episodes(asked: argparse.Namespace) -> dict[str, Any]:
    """600 s of the paper's 5 users at 2 access points, of 7 at 4, and of a busy hall."""
    gap, limit = AIMS["episodes"]
    rows = [
        _solved(wifi.generate(preset, s), gap, limit)
        for preset in asked.presets.split(",")
        for s in range(asked.seeds)
    ]
    return {"gap": gap, "limit": limit, "rows": _summary(rows, gap), "records": rows}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "tiny": tiny,
    "snapshots": snapshots,
    "episodes": episodes,
}


def main() -> None:
    """Run the parts asked for; each writes results/task_graphs/exact_PART.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", type=int, default=200, help="tiny episodes")
    parser.add_argument("--seeds", type=int, default=8, help="snapshots, and episodes of a preset")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a tiny solve")
    parser.add_argument("--presets", default="paper,four-aps,busy", help="of episodes")
    parser.add_argument("--parts", default=",".join(PARTS))
    asked = parser.parse_args()
    formulations.warm_up("offloading")
    for name in asked.parts.split(","):
        begin = time.perf_counter()
        summary = PARTS[name](asked)
        records = pd.DataFrame(summary.pop("records"))
        summary |= {"wall_seconds": time.perf_counter() - begin}
        print(write(f"task_graphs/exact_{name}", summary, records), flush=True)


if __name__ == "__main__":
    main()
