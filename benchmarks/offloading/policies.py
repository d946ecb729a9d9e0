"""Every policy on every COMLLM preset: gap to the certified bound, and decision time.

    python -m benchmarks.offloading.policies [--presets paper,...] [--seeds 0:10] [--name NAME]

Bounds are those of `solve_plans` (gap 0.1 %, 10 s), intervals are bootstraps over instances, times
are CPU ms per decision on one thread, observation included (median over seeds of p50 and p99).
The anchor is the one-step oracle on the paper's preset, seeds 0:20. Writes
``benchmarks/results/NAME.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, write
from formulations.offloading.decomposition import solve_plans
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies import tuned
from mecopt.offloading.replay import rollout, timed_rollout
from mecopt.offloading.scenarios import comllm
from mecopt.statistics import bootstrap_interval, gap_to_bound

ANCHOR_SEEDS = range(20)
#: Largest mean gap to the bound, %, of look-ahead and of the priced rule.
TARGETS = {"paper": 2.2, "busy": 3.7, "large": 6.0}


def measure(preset: str, seeds: range) -> list[dict[str, Any]]:
    """One row per policy on one preset."""
    instances = [comllm.generate(preset, seed) for seed in seeds]
    solved = [solve_plans(x, gap=1e-3, time_limit=10.0) for x in instances]
    slot_s = comllm.parameters(preset).slot_s
    rows = []
    for name in policies.NAMES:
        # Compile outside the timing.
        rollout(comllm.generate(preset, 0, slots=5), policies.make(name, preset=preset))
        gaps, costs, drops, p50, p99 = [], [], [], [], []
        for x, result in zip(instances, solved, strict=True):
            schedule, cpu_s = timed_rollout(x, policies.make(name, preset=preset))
            gaps.append(100 * gap_to_bound(schedule.objective, result.bound))
            costs.append(schedule.mean_cost_s / slot_s)
            drops.append(schedule.drop_rate)
            p50.append(1e3 * np.percentile(cpu_s, 50))
            p99.append(1e3 * np.percentile(cpu_s, 99))
        rows.append(
            {
                "preset": preset,
                "policy": name,
                "mean_cost_slots": float(np.mean(costs)),
                "drop_rate": float(np.mean(drops)),
                "gap_percent": float(np.mean(gaps)),
                "gap_interval_percent": bootstrap_interval(gaps),
                "bound_gap_percent": float(np.mean([100 * r.gap for r in solved])),
                "target_percent": TARGETS.get(preset) if name in ("priced", "lookahead") else None,
                "decision_ms_p50": float(np.median(p50)),
                "decision_ms_p99": float(np.median(p99)),
            }
        )
        print(_line(rows[-1]), flush=True)
    return rows


def anchor() -> dict[str, Any]:
    """The one-step oracle on the paper's preset: 2.95 +- 0.05 slots, no drops."""
    runs = [rollout(comllm.generate("paper", s), policies.make("one-step-oracle"))
            for s in ANCHOR_SEEDS]  # fmt: skip
    slots = [s.mean_cost_s / comllm.parameters("paper").slot_s for s in runs]
    return {
        "seeds": len(runs),
        "mean_cost_slots": float(np.mean(slots)),
        "interval_slots": bootstrap_interval(slots),
        "drops": int(sum((s.status != 0).sum() for s in runs)),
    }


def _line(row: dict[str, Any]) -> str:
    low, high = row["gap_interval_percent"]
    target = "" if row["target_percent"] is None else f"{row['target_percent']:g}"
    return (
        f"| {row['preset']} | {row['policy']} | {row['mean_cost_slots']:.3f} "
        f"| {100 * row['drop_rate']:.2f} | {row['gap_percent']:.2f} ({low:.2f} to {high:.2f}) "
        f"| {target} | {row['decision_ms_p50']:.3f} | {row['decision_ms_p99']:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default=",".join(comllm.PRESETS))
    parser.add_argument("--seeds", default="0:10")
    parser.add_argument("--name", default="policies", help="of the result files")
    arguments = parser.parse_args()
    seeds = range(*map(int, arguments.seeds.split(":")))
    rows = [row for p in arguments.presets.split(",") for row in measure(p, seeds)]
    found = anchor()
    body = {
        "seeds": [seeds.start, seeds.stop],
        "lookahead": {
            p: tuned.lookahead_numbers(p)._asdict() for p in arguments.presets.split(",")
        },
        "anchor": found,
        "rows": rows,
    }
    write(arguments.name, body)
    low, high = found["interval_slots"]
    lines = [
        "# Policies: gap to the certified bound",
        "",
        f"Seeds {arguments.seeds}; 95 % bootstrap intervals over instances; one thread. One-step "
        f"oracle, preset paper, {found['seeds']} seeds: {found['mean_cost_slots']:.3f} slots "
        f"({low:.3f} to {high:.3f}), {found['drops']} drops.",
        "",
        "| preset | policy | cost, slots | late or dropped, % | gap to bound, % (95 %) | target, % "
        "| decision p50, ms | p99, ms |",
        "|---|---|---|---|---|---|---|---|",
        *map(_line, rows),
    ]
    (RESULTS / f"{arguments.name}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
