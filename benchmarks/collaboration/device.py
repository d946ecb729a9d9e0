"""Exported agents on one core: time of a decision, and memory of the process.

    python -m benchmarks.collaboration.device --policy runs/mappo-onnx [--seeds 0:8]

Stands in for the small computer of the paper's prototype. Nothing but the exported folder, numba,
NumPy and onnxruntime is needed; that torch was not imported is checked.
"""

from __future__ import annotations

import argparse
import resource
import sys

import numpy as np

from benchmarks.common import write
from learning import zoo
from mecopt.bench.reading import parse_range
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.metrics import run_policy


def main() -> None:
    """Roll out, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--policy", required=True, help="folder of exported agents")
    parser.add_argument("--seeds", default="0:8")
    asked = parser.parse_args()
    policy = zoo.load("offloading", "device", asked.policy)
    run_policy(ledrl.generate("paper", 1000, slots=10), policy)  # compiled
    rows = []
    for seed in range(*parse_range(asked.seeds, "seeds")):
        _, figures = run_policy(ledrl.generate("paper", seed), policy)
        rows.append([figures["decision_seconds_p50"], figures["decision_seconds_p99"]])
    p50, p99 = np.array(rows).T
    body = {
        "trained": policy.trained,
        "prior": policy.prior,
        "decision_seconds_p50": float(np.median(p50)),
        "decision_seconds_p99": float(p99.max()),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "torch_imported": "torch" in sys.modules,
    }
    print(body)
    print(write(f"collaboration/device_{policy.trained}", body))


if __name__ == "__main__":
    main()
