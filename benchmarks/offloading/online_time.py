"""How long an online bound takes: both methods at their defaults, one draw of servers per preset.

    python -m benchmarks.offloading.online_time [--presets paper,...] [--seed 100]

CPU seconds of one core beside wall seconds; kernels are compiled before. Writes
``results/online_time.json``.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.common import write
from formulations.online import METHODS, online_bound
from mecopt.bench.reading import parse_names
from mecopt.offloading.scenarios import comllm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default=",".join(comllm.PRESETS))
    parser.add_argument("--seed", type=int, default=100)
    args = parser.parse_args()
    for method in METHODS:
        online_bound(comllm.generate("paper", 0, slots=2), method=method, replicates=2, samples=3)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for preset in parse_names(args.presets):
        instance = comllm.generate(preset, args.seed)
        found[preset] = {}
        for method in METHODS:
            begin, begin_cpu = time.perf_counter(), time.process_time()
            bound = online_bound(instance, method=method)
            found[preset][method] = {
                "seconds": time.perf_counter() - begin,
                "cpu_seconds": time.process_time() - begin_cpu,
                "bound_slots": bound.estimate_per_task_slots,
                "bound_lower_95_slots": bound.lower_95_per_task_slots,
            }
            print(preset, method, found[preset][method], flush=True)
        write("online_time", {"seed": args.seed, "presets": found})


if __name__ == "__main__":
    main()
