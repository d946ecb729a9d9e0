"""Seconds to verify an honest caching certificate beside those of its solve.

    python -m benchmarks.trust.verify_time [--cases 30x5,40x40,200x500] [--presets ten,base,big]
        [--seeds 0:2] [--limit 40] [--name trust_verify_time]

Cases are pairs x slots of preset `big` on one server, sizes drawn exact to the MB, so that the
knapsacks of slots are as hard as they get; presets are those of T2DRL.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import formulations
from benchmarks.common import write
from mecopt.caching import CachingInstance
from mecopt.caching.scenarios import t2drl
from mecopt.certificates import verify as certificate


def exact_to_the_mb(case: str, seed: int) -> CachingInstance:
    """An instance of ``PAIRSxSLOTS`` whose sizes share no unit."""
    pairs, slots = map(int, case.split("x"))
    x = t2drl.generate("big", seed, agents=pairs, servers=1, slots=slots)
    rng = np.random.default_rng([11, seed])
    return replace(x, memory_mb=x.memory_mb + rng.integers(-999, 1000, size=pairs))


def measure(case: str, x: CachingInstance, seed: int, limit: float, path: Path) -> dict[str, Any]:
    """Solve, save, verify."""
    begin, cpu = time.perf_counter(), time.process_time()
    result = formulations.solve(x, time_limit=limit)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    certificate.save(path, result)
    begin = time.process_time()
    verdict = certificate.verify(path, time_limit=600)
    return {
        "case": case,
        "seed": seed,
        "gap": result.gap,
        "leaves": verdict.leaves,
        "certificate_mb": path.stat().st_size / 1e6,
        "solve_seconds": wall,
        "solve_cpu_seconds": cpu,
        "verify_seconds": verdict.seconds,
        "verify_cpu_seconds": time.process_time() - begin,
        "accepted": verdict.ok,
        "problems": verdict.problems,
    }


def main() -> None:
    """Measure every case and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="30x5,40x40,200x500")
    parser.add_argument("--presets", default="ten,base,big,backhaul,forwarding")
    parser.add_argument("--seeds", default="0:2", metavar="A:B")
    parser.add_argument("--limit", type=float, default=40.0, help="seconds of a solve")
    parser.add_argument("--name", default="trust/verify_time", help="of the result")
    asked = parser.parse_args()
    formulations.warm_up("caching")
    first, end = map(int, asked.seeds.split(":"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in [c for c in (asked.cases + "," + asked.presets).split(",") if c]:
            for seed in range(first, end):
                by_size = case[0].isdigit()
                x = exact_to_the_mb(case, seed) if by_size else t2drl.generate(case, seed)
                rows.append(measure(case, x, seed, asked.limit, Path(folder) / "certificate.json"))
                print(rows[-1], flush=True)
    ratio = [row["verify_seconds"] / row["solve_seconds"] for row in rows]
    accepted = all(row["accepted"] for row in rows)
    path = write(
        asked.name,
        {"all_accepted": accepted, "worst_verify_per_solve": max(ratio), "rows": rows},
    )
    print(path, "all accepted:", accepted, "worst verify / solve:", max(ratio))


if __name__ == "__main__":
    main()
