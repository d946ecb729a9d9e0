"""Growth: gap, time and memory from 200 to 50,000 tasks, and the 60 x 30 x 300 instance.

    python -m benchmarks.offloading.growth [--quick]

The paper's network over longer and longer horizons, then 60 users and 30 servers over 300 slots.
Each size runs in its own process, so that peak memory is its own; one core; gap asked 0.1 %.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import formulations
from benchmarks.common import write
from mecopt.offloading.scenarios import comllm

#: (users, servers, slots, time limit in s)
SIZES = [
    (6, 6, 100, 10.0),
    (6, 6, 300, 20.0),
    (6, 6, 1000, 40.0),
    (6, 6, 3000, 80.0),
    (6, 6, 10000, 160.0),
    (6, 6, 27500, 300.0),
    (60, 30, 300, 120.0),
]


def one(users: int, servers: int, slots: int, time_limit: float) -> None:
    """Solve one size and print a JSON line."""
    formulations.warm_up()
    begin = time.perf_counter()
    x = comllm.generate("paper", 0, users=users, servers=servers, slots=slots)
    generated = time.perf_counter() - begin
    result = formulations.solve(x, gap=1e-3, time_limit=time_limit)
    first = result.progress[
        (result.progress.objective - result.progress.bound) <= 0.01 * result.progress.bound
    ]
    print(
        json.dumps(
            {
                "users": users,
                "servers": servers,
                "slots": slots,
                "tasks": x.n_tasks,
                "options": x.n_options,
                "generate_seconds": generated,
                "seconds": result.seconds,
                "seconds_to_1_percent": float(first.seconds.min()) if len(first) else None,
                "gap_percent": 100 * result.gap,
                "objective": result.objective,
                "bound": result.bound,
                "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
            }
        )
    )


def main(quick: bool) -> None:
    """Run every size and write results/growth.json."""
    rows = []
    for size in SIZES[:3] if quick else SIZES:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.offloading.growth", "--one", *map(str, size)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    write("growth-quick" if quick else "growth", {"rows": rows})


if __name__ == "__main__":
    if "--one" in sys.argv:
        u, s, n, limit = sys.argv[2:6]
        one(int(u), int(s), int(n), float(limit))
    else:
        main("--quick" in sys.argv[1:])
