"""Exact methods on the same instances and time limit, each in a process of its own.

    python -m benchmarks.offloading.compare_solvers [--time-limit 60] [--quick]

Every schedule is replayed by the core; no solver's own objective enters the table. Writes
``benchmarks/results/compare_solvers.json``, its records and ``.md``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS, origin, write
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.result import relative_gap

SOLVERS = {
    "milp (HiGHS)": "highspy",
    "milp (SCIP)": "pyscipopt",
    "CP-SAT": "ortools",
    "plans": "formulations.offloading.decomposition",
}
#: Slots that give about 10, 20 and 40 tasks with three users.
SLOTS = {10: 11, 20: 22, 40: 44}
GAP = 1e-6


def solve_one(solver: str, path: str, time_limit: float) -> dict[str, Any]:
    """What one solver answers, in this process: choice, bound in s, seconds."""
    instance = OffloadingInstance.load(path)
    begin = time.perf_counter()
    if solver == "milp (SCIP)":
        from benchmarks.offloading.models_scip import solve_scip

        begin = time.perf_counter()
        choice, bound = solve_scip(instance, time_limit, GAP)
        return {"choice": choice, "bound": bound, "seconds": time.perf_counter() - begin}
    if solver == "CP-SAT":
        from benchmarks.offloading.models_cpsat import solve_cpsat

        begin = time.perf_counter()
        choice, bound = solve_cpsat(instance, time_limit, GAP)
        return {"choice": choice, "bound": bound, "seconds": time.perf_counter() - begin}
    if solver == "plans":
        from formulations.offloading.decomposition import solve_plans as solve
    else:
        from formulations.offloading.compact import solve_milp as solve
    result = solve(instance, time_limit=time_limit, gap=GAP)
    found = None if result.schedule is None else result.schedule.choice.tolist()
    return {"choice": found, "bound": result.bound, "seconds": result.seconds}


def compare(tasks: list[int], seeds: int, time_limit: float) -> list[dict[str, Any]]:
    """One row per preset, size, seed and solver."""
    rows = []
    for preset in ("paper", "slow-servers"):
        for about in tasks:
            for seed in range(seeds):
                instance = comllm.generate(preset, seed, users=3, servers=3, slots=SLOTS[about])
                for solver in SOLVERS:
                    row = {"preset": preset, "about": about, "seed": seed, "solver": solver}
                    row |= {"tasks": instance.n_tasks, **answer(instance, solver, time_limit)}
                    rows.append(row)
                    print(_line(row), flush=True)
    return rows


def answer(instance: OffloadingInstance, solver: str, time_limit: float) -> dict[str, Any]:
    """Run a solver in a fresh process and replay what it chose."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = f"{folder}/instance.json", f"{folder}/answer.json"
        instance.save(path)
        command = [sys.executable, "-m", "benchmarks.offloading.compare_solvers", "--one", solver]
        command += ["--instance", path, "--answer", out, "--time-limit", str(time_limit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return {"error": done.stderr.strip().splitlines()[-1]}
        got = json.loads(Path(out).read_text())
    chosen = got["choice"]
    objective = np.inf if chosen is None else replay(instance, np.array(chosen)).objective
    gap = relative_gap(objective, got["bound"])
    return {**got, "objective": objective, "gap": gap, "instance_hash": instance.content_hash}


def _line(row: dict[str, Any]) -> str:
    head = f"| {row['preset']} | {row['tasks']} | {row['seed']} | {row['solver']} |"
    if "error" in row:
        return f"{head} {row['error']} | | | |"
    return (
        f"{head} {row['objective']:.6f} | {row['bound']:.6f} | {100 * row['gap']:.4f} | "
        f"{row['seconds']:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds per solve")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per preset and size")
    parser.add_argument("--quick", action="store_true", help="10 s, one seed, 10 and 20 tasks")
    parser.add_argument("--one", choices=SOLVERS, help=argparse.SUPPRESS)
    parser.add_argument("--instance", help=argparse.SUPPRESS)
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        got = solve_one(args.one, args.instance, args.time_limit)
        Path(args.answer).write_text(json.dumps(got))
        return
    for solver, module in list(SOLVERS.items()):
        if importlib.util.find_spec(module) is None:
            print(f"{solver}: {module} is not installed, left out")
            del SOLVERS[solver]
    limit, seeds, tasks = args.time_limit, args.seeds, list(SLOTS)
    if args.quick:
        limit, seeds, tasks = 10.0, 1, [10, 20]
    rows = compare(tasks, seeds, limit)
    head = "| preset | tasks | seed | solver | objective, s | bound, s | gap, % | seconds |\n"
    head += "|---|---|---|---|---|---|---|---|\n"
    facts = {"time_limit_s": limit, "gap": GAP}
    name = "compare_solvers_quick" if args.quick else "compare_solvers"
    write(name, facts, records=pd.DataFrame(rows))
    table = head + "\n".join(_line(row) for row in rows)
    (RESULTS / f"{name}.md").write_text(f"{table}\n\n{json.dumps(facts | origin())}\n")


if __name__ == "__main__":
    main()
