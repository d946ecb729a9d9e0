"""How far rules are from the best rule that cannot see the future, on a resampled trace.

    python -m benchmarks.offloading.online_traces [--trace azure-conv] [--window 0:600]
        [--worlds 10] [--seed 0] [--time-limit 60] [--data-dir DIR]

The law is `mecopt.offloading.scenarios.resampled`, made from the window's own statistics. The
online bound has so many worlds, the rules and the clairvoyant bound as many others. Intervals are
95 % bootstrap intervals over both. Goes on where ``results/online_traces.parquet`` ends, world by
world, and writes ``results/online_traces.json``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import RESULTS, write
from formulations.online.bound import student_95
from formulations.online.penalties.route import FUTURES, bound_world, shape_for
from formulations.online.penalties.traces import ResampledTrace
from mecopt.bench.offloading.online_traces import gap, measured
from mecopt.bench.reading import parse_names, parse_window
from mecopt.offloading.scenarios.resampled import trace_law

RULES = ("one-step-oracle", "one-step-oracle-drop", "priced", "lookahead", "least-loaded")
NAME = "online_traces"


def unit(law: ResampledTrace, world: int, rules: tuple[str, ...], args: Any) -> dict[str, Any]:
    """One world of the bound, and one of the rules; s per request."""
    begin = time.perf_counter()
    number, limit = (args.seed, world), args.time_limit
    figure, result = bound_world(law, shape_for(law), FUTURES, number, limit, gap=args.gap)
    seconds = time.perf_counter() - begin
    costs = measured(law, world, rules, time_limit_s=limit, gap=args.gap, data_dir=args.data_dir)
    return {
        "trace": args.trace,
        "seed": args.seed,
        "world": world,
        "online": figure / law.expected_tasks,
        "gap_of_inner_bound": result.gap,
        "seconds": seconds,
        **{f"cost of {name}": cost for name, cost in costs.items()},
    }


def summary(rows: pd.DataFrame, law: ResampledTrace) -> dict[str, Any]:
    """Bounds, s per request, and what lies above them, per cent with intervals."""
    bound = rows["online"]
    error = float(bound.std(ddof=1)) / np.sqrt(len(rows)) if len(rows) > 1 else float("nan")
    names = [c.removeprefix("cost of ") for c in rows if c.startswith("cost of ")]
    clairvoyant = rows["cost of clairvoyant"]
    degrees = max(1, len(rows) - 1)
    return {
        "law": dict(law.provenance),
        "worlds": len(rows),
        "online_s": bound.mean(),
        "online_lower_95_s": bound.mean() - student_95(degrees) * error,
        "clairvoyant_s": clairvoyant.mean(),
        "price_of_not_knowing_percent": percent(gap(bound, clairvoyant)),
        "gap_of_inner_bounds_percent": 100 * rows["gap_of_inner_bound"].mean(),
        "seconds_per_world": rows["seconds"].mean(),
        "rules": {
            name: {
                "cost_s": rows[f"cost of {name}"].mean(),
                "above_online_percent": percent(gap(rows[f"cost of {name}"], bound)),
                "above_clairvoyant_percent": percent(
                    gap(rows[f"cost of {name}"] / clairvoyant, np.ones(1))
                ),
            }
            for name in names
            if name != "clairvoyant"
        },
    }


def percent(values: tuple[float, ...]) -> list[float]:
    """Shares in per cent."""
    return [100 * v for v in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", default="azure-conv")
    parser.add_argument("--window", default="0:600")
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--gap", type=float, default=3e-4)
    parser.add_argument("--data-dir")
    args = parser.parse_args()
    formulations.warm_up()
    window = parse_window(args.window)
    law = ResampledTrace(trace_law(args.trace, window, args.seed, data_dir=args.data_dir))
    path = RESULTS / f"{NAME}.parquet"
    rows = pd.read_parquet(path).to_dict("records") if path.exists() else []
    done = {(row["trace"], row["seed"], row["world"]) for row in rows}
    for world in range(args.worlds):
        if (args.trace, args.seed, world) in done:
            continue
        rows.append(unit(law, world, parse_names(args.rules), args))
        print(rows[-1], flush=True)
        table = pd.DataFrame(rows)
        mine = table[(table["trace"] == args.trace) & (table["seed"] == args.seed)]
        write(NAME, {"time_limit_s": args.time_limit, "gap": args.gap, **summary(mine, law)}, table)


if __name__ == "__main__":
    main()
