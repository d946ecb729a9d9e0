"""Growth of the caching decomposition: up to 200 pairs and 500 slots on one server.

    python -m benchmarks.caching.growth [--limit SECONDS]

Each size runs in its own process, so that peak memory is its own. Sizes beyond the presets keep
the preset's ratio of memory and energy to demand: capacity and budget grow with the pairs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time

import formulations
from benchmarks.common import write
from mecopt.caching.scenarios import t2drl as caching

#: (pairs, slots)
SIZES = [(10, 50), (25, 100), (50, 200), (100, 300), (200, 500)]


def one(pairs: int, slots: int, limit: float) -> None:
    """Solve one size and print a JSON line."""
    formulations.warm_up("caching")
    begin = time.perf_counter()
    x = caching.generate("base", 0, agents=pairs, servers=1, slots=slots)
    factor = max(1, pairs // 25)
    x = dataclasses.replace(
        x,
        capacity_mb=x.capacity_mb * factor,
        energy_budget_10j=x.energy_budget_10j * factor,
    )
    made = time.perf_counter() - begin
    cpu = time.process_time()
    result = formulations.solve(x, time_limit=limit)
    rows = result.progress
    row = {
        "pairs": pairs,
        "slots": slots,
        "requests": int(x.requests.sum()),
        "choices": result.details["choices"],
        "time_limit": limit,
        "generate_seconds": made,
        "seconds": result.seconds,
        "cpu_seconds": time.process_time() - cpu,
        "first_bound_seconds": float(rows.seconds.iloc[0]),
        "gap_percent": 100 * result.gap,
        "first_gap_percent": 100 * float(rows.objective.iloc[0] / rows.bound.iloc[0] - 1),
        "objective": result.objective,
        "bound": result.bound,
        "iterations": result.details["iterations"],
        "moves": result.details["moves"],
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(json.dumps(row))


def main() -> None:
    """Run every size and write results/caching_growth.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of the largest size")
    parser.add_argument("--one", nargs=3, metavar=("PAIRS", "SLOTS", "LIMIT"))
    asked = parser.parse_args()
    if asked.one:
        one(int(asked.one[0]), int(asked.one[1]), float(asked.one[2]))
        return
    rows = []
    for pairs, slots in SIZES:
        limit = asked.limit * min(1.0, max(0.1, pairs * slots / 20_000))
        command = [sys.executable, "-m", "benchmarks.caching.growth", "--one"]
        command += [str(pairs), str(slots), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
        write("caching_growth", {"rows": rows})


if __name__ == "__main__":
    main()
