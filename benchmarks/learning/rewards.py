"""Readings of LACS where its paper is silent: gap of each reading's greedy teacher, tuning seeds.

    python -m benchmarks.learning.rewards [--seeds 1000:1012]

K = 3 and sizes x U[0.5, 1.5] throughout; costs are averaged over four draws of the sampled tasks,
as training averages over many. Lambda is 0.3, for each sampled task (sum) or for their mean; tasks
"alone" each meet the state after the decision, "queued" ones stand behind those before them. Bounds
are those of `formulations.solve` (10 s, gap 1e-4). Writes ``results/learning_rewards.json`` and
``.md``.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import formulations
from benchmarks.common import RESULTS, write
from learning.offloading.rewards.lacs import Lacs
from learning.offloading.rewards.teachers import GreedyTeacher
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from mecopt.statistics import bootstrap_interval, gap_to_bound

PRESETS = ("paper", "busy", "large")
DRAWS = 4
#: Description -> parameters of `Lacs`.
ALONE: dict[str, Any] = {"average": True, "spacing_slots": 0.0, "queued": False}
READINGS: dict[str, dict[str, Any]] = {
    "without impact (lambda = 0)": {"weight": 0.0},
    "mean, 2 apart, queued": {"average": True},
    "mean, 2 apart, alone": {"average": True, "queued": False},
    "sum, 2 apart, queued": {},
    "sum, 2 apart, alone": {"queued": False},
    "mean, alone, at once": {**ALONE, "delay_slots": 0.0},
    "mean, alone, 1 after": {**ALONE, "delay_slots": 1.0},
    "mean, alone, 1.5 after": {**ALONE, "delay_slots": 1.5},
    "mean, alone, 1.75 after": {**ALONE, "delay_slots": 1.75},
    "mean, alone, 2 after": {**ALONE, "delay_slots": 2.0},
    "mean, alone, uniform within 3": {**ALONE, "horizon_slots": 3.0},
    "mean, alone, uniform within 4": {**ALONE, "horizon_slots": 4.0},
}


class Mean:
    """Mean of a reward over several draws."""

    name = "mean"

    def __init__(self, **parameters: Any) -> None:
        self._parts = [Lacs(seed=seed, **parameters) for seed in range(DRAWS)]

    def reset(self, instance: OffloadingInstance) -> None:
        for part in self._parts:
            part.reset(instance)

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        return np.mean([part.cost_slots(observation) for part in self._parts], axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1000:1012")
    arguments = parser.parse_args()
    seeds = range(*map(int, arguments.seeds.split(":")))
    worlds = {p: [comllm.generate(p, seed) for seed in seeds] for p in PRESETS}
    bounds = {
        p: [formulations.solve(x, time_limit=10.0, gap=1e-4).bound for x in worlds[p]]
        for p in PRESETS
    }
    rows = []
    for text, parameters in READINGS.items():
        teacher = GreedyTeacher(Mean(**parameters))
        gaps = {
            p: [
                100 * gap_to_bound(rollout(x, teacher).objective, bound)
                for x, bound in zip(worlds[p], bounds[p], strict=True)
            ]
            for p in PRESETS
        }
        rows += [
            {"reading": text, "preset": p, "seed": seed, "gap_percent": gap}
            for p in PRESETS
            for seed, gap in zip(seeds, gaps[p], strict=True)
        ]
        print(text, {p: round(float(np.mean(g)), 2) for p, g in gaps.items()}, flush=True)
    found = pd.DataFrame(rows)
    write("learning_rewards", {"seeds": arguments.seeds, "draws": DRAWS}, records=found)
    (RESULTS / "learning_rewards.md").write_text(page(found, arguments.seeds))


def page(rows: pd.DataFrame, seeds: str) -> str:
    """Table of the readings: mean gap and its 95 % interval over instances."""

    def cell(gaps: pd.Series) -> str:
        low, high = bootstrap_interval(gaps)
        return f"{np.mean(gaps):.2f} ({low:.2f} to {high:.2f})"

    lines = [
        "# Readings of LACS",
        "",
        "Gap of the greedy teacher of each reading to the certified bound, %, tuning seeds "
        f"{seeds}, with 95 % bootstrap intervals over instances",
        "(`python -m benchmarks.learning.rewards`; docs/learning.md says what the words mean).",
        "",
        f"| reading | {' | '.join(PRESETS)} |",
        "|---|" + "--:|" * len(PRESETS),
    ]
    for reading, mine in rows.groupby("reading", sort=False):
        cells = " | ".join(cell(mine["gap_percent"][mine["preset"] == p]) for p in PRESETS)
        lines.append(f"| {reading} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
