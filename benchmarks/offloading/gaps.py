"""Certified gaps of the plan decomposition, and the time `verify` needs for its certificates.

    python -m benchmarks.offloading.gaps [--quick]

Three suites: paper, busy, large, uneven-links (10 s an episode), slow and very slow servers (60 s),
and small instances (3 users, 3 servers, up to 20 and up to 40 tasks, gap 1e-6, 60 s). One core; the
time excludes compilation. Every certificate is written and verified.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import interval, write
from mecopt.certificates import verify as certificate
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import comllm

EASY = ("paper", "busy", "large", "uneven-links")
HARD = ("slow-servers", "very-slow-servers")


def measure(instance: OffloadingInstance, gap: float, time_limit: float) -> dict[str, Any]:
    """Solve, certify, verify."""
    result = formulations.solve(instance, gap=gap, time_limit=time_limit)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.json.gz"
        certificate.save(path, result)
        verdict = certificate.verify(path, time_limit=600)
        size = path.stat().st_size
    if not verdict.ok:
        raise SystemExit(f"certificate rejected: {verdict.problems}")
    return {
        "tasks": instance.n_tasks,
        "objective": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        "termination": str(result.termination),
        "seconds": result.seconds,
        "leaves": verdict.leaves,
        "verify_seconds": verdict.seconds,
        "certificate_bytes": size,
        "instance_hash": instance.content_hash,
    }


def head(instance_tasks: int, preset: str, seed: int) -> OffloadingInstance:
    """A 3 x 3 episode with as many slots as stay within `instance_tasks` tasks."""
    slots = 1
    best = comllm.generate(preset, seed, users=3, servers=3, slots=1)
    while slots < 100:
        slots += 1
        longer = comllm.generate(preset, seed, users=3, servers=3, slots=slots)
        if longer.n_tasks > instance_tasks:
            break
        best = longer
    return best


def main(quick: bool) -> None:
    """Run the suites and write results/gaps.json with its records."""
    formulations.warm_up()
    seeds = range(2 if quick else 10)
    rows: list[dict[str, Any]] = []

    def run(
        suite: str, preset: str, seed: int, x: OffloadingInstance, gap: float, limit: float
    ) -> None:
        row = {"suite": suite, "preset": preset, "seed": seed, **measure(x, gap, limit)}
        rows.append(row)
        print(
            f"{suite:9s} {preset:18s} {seed:3d} {row['tasks']:4d} tasks"
            f"  gap {100 * row['gap']:.5f} %  {row['seconds']:.2f} s"
            f"  verify {row['verify_seconds']:.2f} s  {row['termination']}",
            flush=True,
        )

    for preset in EASY:
        for seed in seeds:
            run("episodes", preset, seed, comllm.generate(preset, seed), 5e-5, 10.0)
    for preset in HARD:
        for seed in seeds:
            run("episodes", preset, seed, comllm.generate(preset, seed), 5e-5, 60.0)
    for size in (20, 40):
        for preset in comllm.PRESETS:
            for seed in range(2 if quick else 20):
                run(f"small-{size}", preset, seed, head(size, preset, seed), 1e-6, 60.0)
    summary = {"summary": summarise(rows)}
    write("gaps-quick" if quick else "gaps", summary, records=pd.DataFrame(rows))


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line per suite and preset."""
    out = []
    for suite, preset in dict.fromkeys((r["suite"], r["preset"]) for r in rows):
        mine = [r for r in rows if (r["suite"], r["preset"]) == (suite, preset)]
        gaps = [100 * r["gap"] for r in mine]
        out.append(
            {
                "suite": suite,
                "preset": preset,
                "instances": len(mine),
                "mean_gap_percent": float(np.mean(gaps)),
                "interval_percent": interval(gaps),
                "worst_gap_percent": max(gaps),
                "proven_share_1e-6": float(np.mean([r["gap"] <= 1e-6 for r in mine])),
                "mean_seconds": float(np.mean([r["seconds"] for r in mine])),
                "worst_seconds": max(r["seconds"] for r in mine),
                "worst_verify_ratio": max(r["verify_seconds"] / r["seconds"] for r in mine),
            }
        )
    return out


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
