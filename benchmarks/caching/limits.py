"""By how much caching solves overrun their time limits: presets, methods and limits.

    python -m benchmarks.caching.limits [--presets ten big ...] [--methods ...] [--limits 0 1 ...]

An overrun of at most 0.5 s or 5 % is what the package promises on a machine that is otherwise idle;
CPU seconds stand beside wall seconds to tell whether it was. Results go to
``results/caching_limits.json``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import formulations
from benchmarks.common import write
from formulations import methods
from mecopt.caching import CachingInstance
from mecopt.caching.scenarios import t2drl as caching

PRESETS = ("ten", "base", "big", "backhaul", "forwarding", "base-backhaul", "base-forwarding")
#: One server of 200 pairs over 500 slots.
HUGE = "200x500"
LIMITS = (0.0, 0.1, 1.0, 10.0)


def instance(preset: str) -> CachingInstance:
    if preset == HUGE:
        return caching.generate("base", 0, agents=200, servers=1, slots=500)
    return caching.generate(preset, 0)


def measure(x: CachingInstance, preset: str, method: str, limit: float) -> dict[str, Any]:
    begin, cpu = time.perf_counter(), time.process_time()
    result = formulations.solve(x, method=method, time_limit=limit)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return {
        "preset": preset,
        "method": method,
        "time_limit": limit,
        "seconds": wall,
        "cpu_seconds": cpu,
        "overrun": wall - limit,
        "kept": wall <= limit + max(0.5, 0.05 * limit),
        "termination": str(result.termination),
        "gap_percent": 100 * result.gap,
        "status": result.details.get("status"),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", default=[*PRESETS, HUGE])
    parser.add_argument("--methods", nargs="+", default=list(methods.names("caching")))
    parser.add_argument("--limits", nargs="+", type=float, default=list(LIMITS))
    asked = parser.parse_args()
    formulations.warm_up("caching")
    rows = []
    for preset in asked.presets:
        x = instance(preset)
        for method in asked.methods:
            for limit in asked.limits:
                row = measure(x, preset, method, limit)
                rows.append(row)
                print(
                    f"{preset:16s} {method:8s} {limit:6.1f} s: {row['seconds']:7.2f} s "
                    f"(cpu {row['cpu_seconds']:.2f} s)  {'kept' if row['kept'] else 'OVER'}",
                    flush=True,
                )
    summary = {"kept": sum(row["kept"] for row in rows), "of": len(rows)}
    write("caching_limits", {"summary": summary, "rows": rows})


if __name__ == "__main__":
    main()
