"""Network, big-M, decomposition and enumeration on the same tiny instances.

    python -m benchmarks.caching.correctness [--seeds 40]

Every kind of `tests.support.tiny_caching`: one server, two, backhaul, forwarding. Objectives are
replays.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

import formulations
from benchmarks.common import write
from mecopt.caching import replay
from tests.support.tiny_caching import KINDS, brute_force, tiny_instance

TOLERANCE = 1e-6


def main() -> None:
    """Compare and write results/caching_correctness.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="instances of each kind")
    seeds = parser.parse_args().seeds
    formulations.warm_up("caching")
    worst: dict[str, float] = dict.fromkeys(formulations.methods.names("caching"), 0.0)
    certified_gap: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    closed, seconds = Counter[str](), Counter[str]()
    failures: list[dict[str, Any]] = []
    for kind, arguments in KINDS.items():
        for seed in range(seeds):
            x = tiny_instance(seed, **arguments)
            begin = time.process_time()
            best = brute_force(x).objective
            seconds["enumeration"] += time.process_time() - begin
            for method in formulations.methods.names("caching"):
                begin = time.process_time()
                result = formulations.solve(x, method=method, gap=TOLERANCE, time_limit=10.0)
                seconds[method] += time.process_time() - begin
                plan = result.schedule
                assert plan is not None
                again = replay(x, plan.a, plan.flow).objective
                off = abs(result.objective - best) / max(best, 1e-9)
                if off > TOLERANCE or again != result.objective or result.bound > best + 1e-9:
                    failures.append({"kind": kind, "seed": seed, "method": method, "off": off})
                worst[method] = max(worst[method], off)
                if method == "plans":
                    certified_gap[kind] = max(certified_gap[kind], result.gap)
                    closed[kind] += int(result.gap <= TOLERANCE)
        print(kind, worst, len(failures), flush=True)
    path = write(
        "caching_correctness",
        {
            "instances": seeds * len(KINDS),
            "tolerance": TOLERANCE,
            "worst_relative_deviation": worst,
            "certified_closed": dict(closed),
            "worst_certified_gap": certified_gap,
            "cpu_seconds": dict(seconds),
            "failures": failures,
        },
    )
    print(path)


if __name__ == "__main__":
    main()
