"""Growth of the exact search: seconds, memory and gap from 50 users and 3 servers to 2,000 and 20.

    python -m benchmarks.accuracy_delay.growth [--limit 60] [--sizes 50x3,100x5,...] [--seeds 1]

Each solve runs in a process of its own, so that peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import pandas as pd

import formulations
from benchmarks.common import write
from mecopt.accuracy_delay.scenarios import goa

SIZES = "50x3,100x5,200x5,500x10,1000x15,2000x20"
#: (shares, least accuracy)
KINDS = [("equal", 0.0), ("equal", 0.8), ("optimal", 0.0), ("optimal", 0.8)]


def one(size: str, shares: str, accuracy: float, seed: int, limit: float, gap: float) -> None:
    """Solve one snapshot and print a JSON line."""
    formulations.warm_up("accuracy_delay")
    users, servers = map(int, size.split("x"))
    x = goa.generate(users, seed, servers=servers, shares=shares, least_accuracy=accuracy)
    cpu, wall = time.process_time(), time.perf_counter()
    result = formulations.solve(x, time_limit=limit, gap=gap)
    rows = result.progress
    row = {
        "users": users,
        "servers": servers,
        "shares": shares,
        "least_accuracy": accuracy,
        "seed": seed,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "first_bound_seconds": float(rows.seconds.iloc[0]) if len(rows) else None,
        "gap_percent": 100 * result.gap,
        "objective": result.objective,
        "bound": result.bound,
        "termination": str(result.termination),
        "leaves": result.details["leaves"],
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(json.dumps(row))


def main() -> None:
    """Run every size and write results/accuracy_delay/growth.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a solve")
    parser.add_argument("--gap", type=float, default=1e-4)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        size, shares, accuracy, seed, limit, gap = asked.one
        one(size, shares, float(accuracy), int(seed), float(limit), float(gap))
        return
    rows = []
    for size in asked.sizes.split(","):
        for shares, accuracy in KINDS:
            for seed in range(asked.seeds):
                given = [size, shares, str(accuracy), str(seed), str(asked.limit), str(asked.gap)]
                command = [sys.executable, "-m", "benchmarks.accuracy_delay.growth", "--one"]
                done = subprocess.run([*command, *given], capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(done.stderr)
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1], flush=True)
    write("accuracy_delay/growth", {"limit": asked.limit, "rows": rows}, pd.DataFrame(rows))


if __name__ == "__main__":
    main()
