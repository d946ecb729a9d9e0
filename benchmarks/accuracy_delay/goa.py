"""How far GOA and the rules it is compared with are from the best decision, and how fast GOA is.

    python -m benchmarks.accuracy_delay.goa [--seeds 20] [--users 5,10,20,30,40,50]

Over density (kappa 2 s) and over kappa (30 users): gap of every rule to the certified bound, with
95 % bootstrap intervals over snapshots (``goa-descent`` is GOA with one descent and no shakes);
then decision times at 50 users and 3 servers, and at 5,000 and 20. GOA's decisions are compared
with the loop as it is written in the paper.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import interval, write
from mecopt.accuracy_delay import rollout
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.policies.local_search import GoaLocalSearch
from mecopt.accuracy_delay.rollout import timed_rollout
from mecopt.accuracy_delay.scenarios import goa
from mecopt.statistics import gap_to_bound
from tests.accuracy_delay.test_policies import literal_goa

KAPPAS = (0.5, 1.0, 2.0, 4.0, 8.0)
#: (users, servers), kappa and repetitions of decision times; with much kappa nearly all leave.
TIMES = [(50, 3, 2.0, 200), (50, 3, 20.0, 200), (500, 10, 2.0, 20), (500, 10, 200.0, 20)]
TIMES += [(5000, 20, 2.0, 5), (5000, 20, 2000.0, 3)]


def gaps(cells: list[tuple[int, float]], seeds: int, limit: float) -> list[dict[str, Any]]:
    """One row per rule and snapshot; `cells` holds users and kappa."""
    rows = []
    for users, kappa_s in cells:
        for seed in range(seeds):
            x = goa.generate(users, seed, kappa_s=kappa_s)
            best = formulations.solve(x, gap=1e-6, time_limit=limit)
            rules = {name: by_name.make(name, seed=seed) for name in by_name.NAMES}
            rules["goa-descent"] = GoaLocalSearch("goa-descent", rounds=0)
            for name, rule in rules.items():
                found = rollout(x, rule)
                rows.append(
                    {
                        "users": users,
                        "kappa_s": kappa_s,
                        "seed": seed,
                        "policy": name,
                        "objective": found.objective,
                        "bound": best.bound,
                        "incumbent": best.objective,
                        "gap_to_bound": gap_to_bound(found.objective, best.bound),
                        "extra_ms_per_query": 1e3 * (found.objective - best.bound) / users,
                        "mean_delay_s": found.mean_delay_s,
                        "expected_accuracy": found.expected_accuracy,
                        "offloaded_share": found.offloaded_share,
                    }
                )
        print(users, kappa_s, flush=True)
    return rows


def summarised(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means and intervals per cell and rule."""
    out = []
    by = ["users", "kappa_s", "policy"]
    for key, part in pd.DataFrame(rows).groupby(by, sort=False):
        gap = 100 * part["gap_to_bound"]
        row = dict(zip(by, key, strict=True)) | {"instances": len(part)}
        row |= {"gap_percent": float(gap.mean()), "gap_interval": interval(gap)}
        row |= {"worst_gap_percent": float(gap.max()), "optimal": int((gap < 1e-3).sum())}
        for name in ("extra_ms_per_query", "mean_delay_s", "expected_accuracy", "offloaded_share"):
            row[name] = float(part[name].mean())
        out.append(row)
    return out


def times() -> list[dict[str, Any]]:
    """CPU and wall seconds of a decision: median over repetitions, by rule and size."""
    rows = []
    for users, servers, kappa_s, repetitions in TIMES:
        x = goa.generate(users, 0, servers=servers, room=users, kappa_s=kappa_s)
        for name in ("goa", "goa-local-search"):
            rule = by_name.make(name)
            # The local search is left out where it takes minutes.
            if name != "goa" and users > 500:
                continue
            runs = [timed_rollout(x, rule)[1:] for _ in range(repetitions)]
            cpu, wall = np.median(np.array(runs), axis=0)
            rows.append(
                {
                    "users": users,
                    "servers": servers,
                    "kappa_s": kappa_s,
                    "offloaded_share": rollout(x, rule).offloaded_share,
                    "policy": name,
                    "repetitions": repetitions,
                    "cpu_seconds": float(cpu),
                    "seconds": float(wall),
                }
            )
            print(rows[-1], flush=True)
    return rows


def literal(seeds: int) -> dict[str, Any]:
    """Decisions of the incremental rule and of the written loop on snapshots of all loads."""
    equal, seconds = 0, {"written": 0.0, "incremental": 0.0}
    for seed in range(seeds):
        rng = np.random.default_rng([7, seed])
        x = goa.generate(
            int(rng.integers(1, 31)), seed, servers=int(rng.integers(1, 5)),
            room=int(rng.integers(1, 15)), kappa_s=float(rng.choice(KAPPAS)),
        )  # fmt: skip
        begin = time.process_time()
        written = literal_goa(x)
        middle = time.process_time()
        chosen = by_name.make("goa").act(x)
        seconds["written"] += middle - begin
        seconds["incremental"] += time.process_time() - middle
        equal += int(np.array_equal(written, chosen))
    return {"snapshots": seeds, "identical": equal, "cpu_seconds": seconds}


def main() -> None:
    """Measure and write results/accuracy_delay/goa.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--users", default=",".join(map(str, goa.USERS)))
    parser.add_argument("--limit", type=float, default=30.0, help="seconds of a bound")
    parser.add_argument("--literal", type=int, default=100, help="snapshots of the written loop")
    asked = parser.parse_args()
    formulations.warm_up("accuracy_delay")
    for name in by_name.NAMES:
        rollout(goa.generate(3, 0), by_name.make(name))
    density = [(int(n), 2.0) for n in asked.users.split(",")]
    kappas = [(30, kappa_s) for kappa_s in KAPPAS if (30, kappa_s) not in density]
    rows = gaps(density + kappas, asked.seeds, asked.limit)
    summary = {
        "seeds": asked.seeds,
        "rows": summarised(rows),
        "times": times(),
        "written_loop": literal(asked.literal),
    }
    print(write("accuracy_delay/goa", summary, pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
