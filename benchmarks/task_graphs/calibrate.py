"""How the numbers that the paper does not print were chosen: two of its rows on tuning seeds.

    python -m benchmarks.task_graphs.calibrate [--seeds 1000:1010]

Lengths and difficulties of the steps of requests (`STEPS` in
`mecopt.task_graphs.scenarios.requests`) are scaled and shifted around those that ship, and the two
rules without a planner, local and nearest edge, are held against the paper's rows. No planner and
no scheduler is looked at, and no seed below 1000. Writes ``results/task_graphs/calibrate.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import pandas as pd

from benchmarks.common import write
from mecopt.bench.reading import parse_range
from mecopt.bench.task_graphs.paper import PAPER
from mecopt.offloading.policies import by_name
from mecopt.offloading.replay import rollout
from mecopt.task_graphs.scenarios import requests, wifi

#: Factors of lengths and shifts of difficulties; (1, 0) is what ships.
LENGTHS, SHIFTS = (0.9, 1.0, 1.1), (-0.05, 0.0, 0.05)
RULES = {row.policy: row for row in PAPER if not row.plans}


def measured(steps: Mapping[str, tuple[float, float]], seed: int) -> dict[str, float]:
    """Reward and latency of both rules on one episode."""
    with patch.dict(requests.STEPS, steps):
        x = wifi.generate("paper", seed)
    out = {}
    for name in RULES:
        schedule = rollout(x, by_name.make(name))
        out[f"{name} reward"] = -schedule.mean_cost_s
        out[f"{name} latency_s"] = float(schedule.latency_s.mean())
    return out


def main() -> None:
    """Measure every setting and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1000:1010")
    asked = parser.parse_args()
    first, last = parse_range(asked.seeds, "seeds")
    paper = {f"{name} reward": row.reward for name, row in RULES.items()}
    paper |= {f"{name} latency_s": row.latency_s for name, row in RULES.items()}
    rows: list[dict[str, Any]] = []
    for factor in LENGTHS:
        for shift in SHIFTS:
            steps = {r: (factor * t, d + shift) for r, (t, d) in requests.STEPS.items()}
            found = pd.DataFrame([measured(steps, seed) for seed in range(first, last)]).mean()
            off = {name: float(found[name] - paper[name]) for name in paper}
            # A reward of 0.01 counts as much as a second, as it does in the reward.
            distance = sum(abs(v) * (100 if "reward" in n else 1) for n, v in off.items())
            setting = {"lengths": factor, "difficulty_shift": shift, "distance": distance}
            rows.append({**setting, **{n: float(v) for n, v in found.items()}})
            print(rows[-1], flush=True)
    best = min(rows, key=lambda row: row["distance"])
    summary = {"seeds": [first, last], "paper": paper, "nearest": best, "rows": rows}
    print(write("task_graphs/calibrate", summary, pd.DataFrame(rows)), f"{best['distance']:.3f}")


if __name__ == "__main__":
    main()
