"""Every caching policy on every preset: mean cost over seeds, and distance to the best of them.

    python -m benchmarks.caching.policies [--seeds 0:8] [--presets base,ten,...]

Costs are sums over servers and slots, replayed by the core. No bound is computed here (`mecopt
bench caching` does): the distance is to the cheapest policy, `rolling-rates` included, which is
told the true rates. Seeds are disjoint from the tuning seeds 1000:1012.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.common import interval, write
from mecopt.bench.reading import parse_range
from mecopt.caching.policies import by_name as policies
from mecopt.caching.rollout import timed_rollout
from mecopt.caching.scenarios import t2drl as caching


def measure(preset: str, seeds: range) -> list[dict]:
    """One row per policy: mean cost with interval, relative to cloud, edge share, decision time."""
    instances = [caching.generate(preset, seed) for seed in seeds]
    rows = []
    for name in policies.NAMES:
        timed_rollout(instances[0], policies.make(name))  # compiled outside the clock
        runs = [timed_rollout(x, policies.make(name)) for x in instances]
        cost = [plan.objective for plan, _ in runs]
        rows.append(
            {
                "preset": preset,
                "policy": name,
                "seeds": len(seeds),
                "cost": float(np.mean(cost)),
                "interval": interval(cost),
                "costs": cost,
                "edge_share": float(np.mean([plan.edge_share for plan, _ in runs])),
                "decision_seconds_p50": float(np.median(np.concatenate([s for _, s in runs]))),
            }
        )
    cloud = next(row["cost"] for row in rows if row["policy"] == "cloud")
    best = min(row["cost"] for row in rows)
    for row in rows:
        row["below_cloud"] = 1.0 - row["cost"] / cloud
        row["above_best_policy"] = row["cost"] / best - 1.0
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:8")
    parser.add_argument("--presets", default=",".join(caching.PRESETS))
    arguments = parser.parse_args()
    begin, rows = time.process_time(), []
    for preset in arguments.presets.split(","):
        rows += measure(preset, range(*parse_range(arguments.seeds)))
        for row in rows[-len(policies.NAMES) :]:
            print(
                f"{preset:16} {row['policy']:20} {row['cost']:10.1f} "
                f"{100 * row['below_cloud']:7.1f} % below cloud "
                f"{100 * row['above_best_policy']:7.1f} % above the best policy",
                flush=True,
            )
    write("caching_policies", {"cpu_seconds": time.process_time() - begin, "rows": rows})


if __name__ == "__main__":
    main()
