"""Trained agents of failing nodes: several trainings of each, on test episodes.

    python -m benchmarks.collaboration.learned [--trainings 0:5] [--ablations 0:2]
    python -m benchmarks.collaboration.learned --ship 0       # ship the checkpoints of a training

Trains what is missing into ``runs/collaboration`` (resumed when interrupted), equal budgets of
decisions for all, and plays every policy greedily on test episodes 0:8 of preset ``paper``, with
failure rates of links as printed and of 0.25. Writes ``results/collaboration/learned.json``: means
over episodes, with 95 % intervals over trainings, and differences to MAPPO under the same
conditions, paired by training.
Records are one row per training and part, the table ``progress`` has the curves.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.collaboration.rules import PARTS
from benchmarks.common import interval, write
from learning import recipes
from learning.collaboration import zoo
from learning.collaboration.agent import make_prior
from learning.collaboration.player import Player
from learning.collaboration.policy import LearnedPolicy, load
from learning.collaboration.process.simulator import Simulator
from learning.collaboration.training.base import told_by
from learning.runs import folder as training_run
from mecopt.bench.reading import parse_range
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.metrics import run_policy

RUNS = Path("runs/collaboration")
SEEDS = range(8)
#: What is trained: name -> recipe, changes of its settings. Ablations of LeDRL follow it.
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "mappo": ("mappo", {}),
    "vdn": ("vdn", {}),
    "masac": ("masac", {}),
    "ledrl": ("ledrl", {}),
    "ledrl, rule prior": ("ledrl", {"prior": "rule"}),
    "ledrl, no prior": ("ledrl", {"prior": "none"}),
    "ledrl, MLP": ("ledrl", {"alignment": "mlp"}),
    "ledrl, no evaluator": ("ledrl", {"memory": False}),
    "mappo, chances not worked out": ("mappo", {"view": "raw"}),
    "ledrl, chances not worked out": ("ledrl", {"view": "raw"}),
    "mappo, all routes seen": ("mappo", {"view": "routes"}),
    "mappo, hops cost nothing": ("mappo", {"hop_reward": 0.0}),
    "ledrl, rule prior, hops cost nothing": ("ledrl", {"prior": "rule", "hop_reward": 0.0}),
    "mappo, never drops": ("mappo", {"drop_hopeless": False}),
    "ledrl, rule prior, never drops": ("ledrl", {"prior": "rule", "drop_hopeless": False}),
}
#: Those with as many trainings as are asked for; the others are ablations with fewer.
MAIN = (
    *("mappo", "vdn", "masac", "ledrl", "ledrl, rule prior"),
    *("mappo, never drops", "ledrl, rule prior, never drops"),
)
#: What differences are to.
BASE = "mappo"


def trained(name: str, seed: int) -> Path:
    """The finished training of a learner."""
    recipe, changes = LEARNERS[name]
    folder = RUNS / f"{name.replace(', ', '-').replace(' ', '-').lower()}-{seed}"
    return recipes.train(recipe, folder, seed=seed, changes=changes)


@torch.inference_mode()
def successes(policy: LearnedPolicy, episodes: list[OffloadingInstance]) -> list[float]:
    """Share of tasks on time in every episode, as `mecopt.rollout` has it."""
    simulator = Simulator(
        episodes, places=len(episodes), view=policy.view, drop_hopeless=policy.drop_hopeless
    )
    shape = policy.net.shape
    player = Player(simulator, shape, make_prior(policy.prior, evaluator=shape.memory))
    share = np.full(len(episodes), np.nan)
    while np.isnan(share).any():
        player.step(policy.net(told_by(player.look())).argmax(dim=1).numpy())
        ended = simulator.over & np.isnan(share)
        tasks, on_time = simulator.finished[ended].T
        share[ended] = on_time / tasks
    return [float(x) for x in share]


def measured(name: str, seed: int, parts: dict[str, list[OffloadingInstance]]) -> dict[str, Any]:
    """One row per part for a training, and its curve."""
    folder = trained(name, seed)
    _, manifest, progress = training_run.read(folder)
    policy = load(folder)
    rows = []
    for part, episodes in parts.items():
        share = successes(policy, episodes)
        row = {"learner": name, "training": seed, "part": part, "success": float(np.mean(share))}
        rows.append(row | {"cpu_seconds": manifest["cpu_seconds"], "episodes": share})
    schedule, figures = run_policy(parts["paper"][0], policy)
    assert abs(1 - schedule.drop_rate - rows[0]["episodes"][0]) < 1e-9, "simulator and rollout"
    times = {p: figures[f"decision_seconds_{p}"] for p in ("p50", "p99")}
    shown = {row["part"]: round(100 * row["success"], 2) for row in rows}
    print(name, seed, shown, f"{manifest['cpu_seconds']:.0f} s", flush=True)
    curve = progress.assign(learner=name, training=seed)
    return {"rows": [row | times for row in rows], "curve": curve}


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Means with intervals over trainings, by part and learner."""
    out: dict[str, Any] = {}
    for part, of in rows.groupby("part", sort=False):
        wide = of.pivot(index="training", columns="learner", values="success")
        out[str(part)] = {
            name: {
                "success": [float(wide[name].mean()), *interval(wide[name].dropna())],
                "points_above_mappo": _difference(100 * (wide[name] - wide[_base(name)])),
                "percent_above_mappo": _difference(100 * (wide[name] / wide[_base(name)] - 1)),
                "trainings": int(wide[name].count()),
            }
            for name in dict.fromkeys(of["learner"])
        }
    return out


def _base(name: str) -> str:
    """MAPPO under the same conditions: what a learner is compared with."""
    recipe, _, conditions = name.partition(", ")
    same = f"{BASE}, {conditions}"
    return same if recipe == "ledrl" and same in LEARNERS else BASE


def _difference(values: pd.Series) -> list[float]:
    known = values.dropna()
    return [float(known.mean()), *interval(known)]


def main() -> None:
    """Train, play, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", default="0:5")
    parser.add_argument("--ablations", default="0:2")
    parser.add_argument("--ship", type=int)
    asked = parser.parse_args()
    if asked.ship is not None:
        for name in zoo.NAMES:
            target = Path(zoo.__file__).parent / "checkpoints" / name
            for file in ("model.safetensors", "mecopt.json"):
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(trained(name, asked.ship) / "checkpoint" / file, target / file)
        return
    trainings = range(*parse_range(asked.trainings, "trainings"))
    ablations = range(*parse_range(asked.ablations, "ablations"))
    parts = {
        part: [ledrl.generate("paper", seed, **changes) for seed in SEEDS]
        for part, changes in PARTS.items()
    }
    done = [
        measured(name, seed, parts)
        for name in LEARNERS
        for seed in (trainings if name in MAIN else ablations)
    ]
    rows = pd.DataFrame([row for of in done for row in of["rows"]])
    body = {
        "seeds": [SEEDS.start, SEEDS.stop],
        "decisions": recipes.settings(BASE).decisions,
        "parts": summary(rows),
        "training_cpu_seconds": rows.groupby("learner", sort=False)["cpu_seconds"].mean().to_dict(),
        "decision_seconds_p50": rows.groupby("learner", sort=False)["p50"].median().to_dict(),
        "decision_seconds_p99": rows.groupby("learner", sort=False)["p99"].max().to_dict(),
    }
    curves = pd.concat([of["curve"] for of in done], ignore_index=True)
    print(write("collaboration/learned", body, rows, progress=curves), flush=True)


if __name__ == "__main__":
    main()
