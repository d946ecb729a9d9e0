"""Whether time limits hold: wall seconds against what was asked for, by size and method.

    python -m benchmarks.trust.time_limits [--families offloading] [--methods plans,milp]
        [--sizes 10,100,1000,8000,50000] [--limits 0,0.1,1,10] [--seeds 1]

Each size is a process of its own, which compiles first. A solve may run over by 0.5 s or by 5 % of
its limit, whichever is more. `gap` is asked to be 0, so that only the limit ends a solve. Writes
``benchmarks/results/trust/time_limits.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd

import formulations
from benchmarks.common import dumps, write
from formulations import methods
from mecopt.accuracy_delay.scenarios import goa
from mecopt.caching.scenarios import t2drl
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.scenarios import comllm


def episode(size: int, seed: int) -> Any:
    """The paper's network for as long as about `size` tasks take to come."""
    return comllm.generate("paper", seed, slots=max(2, round(size / 1.8)))


def graphs(size: int, seed: int) -> Any:
    """Crowded tasks over three resources, one of which fails, as chains and as small graphs."""
    resources = [Resource("a"), Resource("b", 2), Resource("c", down_s=[(5.0, 6.0)])]
    fork = [Stage("a", 0.2), Stage("b", 0.3, after=(0,)), Stage("c", 0.1, after=(0,))]
    chain = [Stage("b", 0.4), Stage("a", 0.1)]
    return OffloadingInstance.from_tasks(
        resources,
        [
            Task(
                0.1 * k,
                [Option("fork", fork), Option("chain", chain)],
                owner=f"user {(k + seed) % 7}",
                deadline_s=3.0,
                drop_cost_s=4.0,
            )
            for k in range(size)
        ],
    )


def caching(size: int, seed: int) -> Any:
    """The base preset on one server with about `size` pairs times slots."""
    pairs = max(2, round((size / 2.5) ** 0.5))
    x = t2drl.generate("base", seed, agents=pairs, servers=1, slots=max(2, round(size / pairs)))
    factor = max(1, pairs // 25)
    return dataclasses.replace(
        x,
        capacity_mb=x.capacity_mb * factor,
        energy_budget_10j=x.energy_budget_10j * factor,
    )


def snapshot(shares: str) -> Callable[[int, int], Any]:
    """Snapshots of so many users with a server for a hundred of them, and an accuracy to reach."""
    return lambda size, seed: goa.generate(
        size, seed, servers=min(20, max(3, size // 100)), shares=shares, least_accuracy=0.65
    )


#: Family -> kinds of instances: (size, seed) -> instance.
KINDS: dict[str, dict[str, Callable[[int, int], Any]]] = {
    "offloading": {"episode": episode, "graphs": graphs},
    "caching": {"base": caching},
    "accuracy_delay": {"equal": snapshot("equal"), "optimal": snapshot("optimal")},
}


def allowed(limit: float) -> float:
    """Seconds that a solve may run over."""
    return max(0.5, 0.05 * limit)


def one(family: str, kind: str, size: int, asked: argparse.Namespace) -> None:
    """Solve one size under all limits and print JSON lines."""
    formulations.warm_up(family)
    known = methods.names(family)
    for seed in range(asked.seeds):
        x = KINDS[family][kind](size, seed)
        for method in [m for m in known if not asked.methods or m in asked.methods.split(",")]:
            if method == "milp" and x.needs_events:
                continue
            if method in ("counts", "big-m") and kind == "optimal":
                continue
            for limit in map(float, asked.limits.split(",")):
                wall, cpu = time.perf_counter(), time.process_time()
                result = formulations.solve(x, method=method, time_limit=limit, gap=0.0)
                wall = time.perf_counter() - wall
                row = {
                    "family": family,
                    "kind": kind,
                    "size": size,
                    "seed": seed,
                    "method": method,
                    "asked_seconds": limit,
                    "wall_seconds": wall,
                    "cpu_seconds": time.process_time() - cpu,
                    "overrun_seconds": wall - limit,
                    "holds": wall - limit <= allowed(limit),
                    "gap_percent": 100 * result.gap if result.schedule is not None else None,
                    "has_schedule": result.schedule is not None,
                    "termination": str(result.termination),
                }
                print(json.dumps(row), flush=True)


def main() -> None:
    """Measure and write results/trust/time_limits.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--families", default=",".join(KINDS), help="by commas")
    parser.add_argument("--methods", default="", help="by commas; all of a family unless said")
    parser.add_argument("--sizes", default="10,100,1000,8000,50000", help="tasks; pairs x slots")
    parser.add_argument("--limits", default="0,0.1,1,10", help="seconds")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--name", default="trust/time_limits", help="of the result")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one[0], asked.one[1], int(asked.one[2]), asked)
        return
    rows: list[dict[str, Any]] = []
    for family in asked.families.split(","):
        if family not in KINDS:
            parser.error(f"--families: unknown {family!r}, of {', '.join(KINDS)}")
        for kind in KINDS[family]:
            for size in asked.sizes.split(","):
                same = ["--methods", asked.methods, "--limits", asked.limits]
                command = [sys.executable, "-m", "benchmarks.trust.time_limits"]
                command += ["--one", family, kind, size, *same, "--seeds", str(asked.seeds)]
                with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                    assert process.stdout is not None
                    for line in process.stdout:
                        rows.append(json.loads(line))
                        print(dumps(rows[-1]), flush=True)
                if process.returncode:
                    raise SystemExit(f"{family} {kind} {size}: exit {process.returncode}")
    frame = pd.DataFrame(rows)
    over = frame[~frame.holds]
    worst = frame.groupby(["family", "method"]).overrun_seconds.max()
    summary = {
        "solves": len(frame),
        "over": len(over),
        "without_schedule": int((~frame.has_schedule).sum()),
        "worst_overrun_seconds": {" ".join(key): float(v) for key, v in worst.items()},
        "rows": rows,
    }
    write(asked.name, summary, frame)
    print(f"{len(frame)} solves, {len(over)} over what is allowed")


if __name__ == "__main__":
    main()
