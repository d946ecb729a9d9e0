"""Certified gaps of the caching decomposition, by preset; every certificate is verified.

    python -m benchmarks.caching.gaps [--presets ten base ...] [--seeds N] [--limit SECONDS]

Two threads on two cores; CPU seconds beside wall seconds, as other work may share the machine: a
run of `big`, which has one server and so one thread, that got much less CPU than its limit says
nothing about the method. The time excludes compilation. Results go to
``results/caching_gaps_PRESET.json``.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import formulations
from benchmarks.common import interval, write
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl as caching
from mecopt.certificates import verify as certificate

#: Seeds and time limit (s) of every preset.
PLAN = {
    "ten": (8, 90.0),
    "base": (8, 100.0),
    "big": (8, 40.0),
    "backhaul": (8, 40.0),
    "forwarding": (8, 200.0),
    "sticky": (8, 45.0),
    "fast": (8, 45.0),
    "base-backhaul": (8, 100.0),
}


def measure(preset: str, seed: int, limit: float) -> dict[str, Any]:
    """Solve, certify, verify."""
    x = caching.generate(preset, seed)
    cpu = time.process_time()
    result = formulations.solve(x, time_limit=limit)
    cpu = time.process_time() - cpu
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.json.gz"
        certificate.save(path, result)
        verdict = certificate.verify(path, time_limit=600)
        size = path.stat().st_size
    if not verdict.ok:
        raise SystemExit(f"certificate rejected: {verdict.problems}")
    rows = result.progress
    gaps = (rows.objective - rows.bound) / rows.bound
    return {
        "preset": preset,
        "seed": seed,
        "objective": result.objective,
        "bound": result.bound,
        "gap_percent": 100 * result.gap,
        "termination": str(result.termination),
        "seconds": result.seconds,
        "cpu_seconds": cpu,
        "time_limit": limit,
        "seconds_to_1_percent": first(rows, gaps <= 1e-2),
        "seconds_to_0.3_percent": first(rows, gaps <= 3e-3),
        "myopic": rollout(x, Myopic()).objective,
        "cloud": float((x.requests * x.cloud_cost[None, :, None]).sum()),
        "verify_seconds": verdict.seconds,
        "certificate_bytes": size,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "details": dict(result.details),
        "instance_hash": x.content_hash,
    }


def first(rows: Any, reached: Any) -> float | None:
    """Seconds until a gap was reached, None if it was not."""
    return float(rows.seconds[reached].min()) if reached.any() else None


def main() -> None:
    """Measure and write one file per preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", default=list(PLAN))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--limit", type=float)
    asked = parser.parse_args()
    formulations.warm_up("caching")
    for preset in asked.presets:
        seeds, limit = PLAN[preset]
        seeds, limit = asked.seeds or seeds, asked.limit or limit
        rows = []
        for seed in range(seeds):
            rows.append(measure(preset, seed, limit))
            row = rows[-1]
            print(
                f"{preset:10s} {seed}  gap {row['gap_percent']:.5f} %  {row['seconds']:.1f} s "
                f"(cpu {row['cpu_seconds']:.1f} s)  verify {row['verify_seconds']:.1f} s",
                flush=True,
            )
            gaps = [r["gap_percent"] for r in rows]
            summary = {
                "mean_gap_percent": float(np.mean(gaps)),
                "interval_percent": interval(gaps),
                "worst_gap_percent": max(gaps),
                "worst_seconds": max(r["seconds"] for r in rows),
                "mean_cpu_seconds": float(np.mean([r["cpu_seconds"] for r in rows])),
                "least_cpu_seconds": min(r["cpu_seconds"] for r in rows),
            }
            write(f"caching_gaps_{preset}", {"summary": summary, "rows": rows})


if __name__ == "__main__":
    main()
