"""Settings of a training compared on tuning seeds, so that test seeds stay unseen.

    python -m benchmarks.learning.tuning --trained RUN [RUN ...]

Each RUN is a training folder (`mecopt train NAME --out RUN --set FIELD=VALUE`). Its policy plays
episodes of tuning seeds; what its settings change from the shipped recipe stands beside the
figures. Results go to ``results/learning_tuning.json``, its records and ``.md``; rows of earlier
calls are kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import RESULTS, exists, read, records, write
from benchmarks.page import table
from learning import recipes as trainers
from learning.offloading import zoo
from learning.offloading.states.batch_rollout import rollout_batch
from learning.runs import folder as training_run
from mecopt.offloading.scenarios import comllm
from mecopt.statistics import bootstrap_interval, gap_to_bound

#: Preset and servers of the episodes; seeds are tuning seeds.
SETTINGS = (("paper", 6), ("busy", 6), ("large", 6), ("slow-servers", 6), ("paper", 11))
SEEDS = range(1020, 1036)
TARGET = "learning_tuning"
RECIPES = {"sft": "sft-lookahead", "grpo": "grpo-lookahead"}


def bounds(known: dict[str, float]) -> dict[str, float]:
    """Certified bounds in s by instance hash; what is missing is solved."""
    for preset, servers in SETTINGS:
        for seed in SEEDS:
            x = comllm.generate(preset, seed, servers=servers)
            if x.content_hash not in known:
                known[x.content_hash] = formulations.solve(x, time_limit=15.0, gap=1e-4).bound
    return known


def changes(parameters: dict[str, Any]) -> dict[str, Any]:
    """Settings that differ from those of the closest recipe; where it started is left out."""
    recipe = RECIPES[parameters["kind"]]
    if parameters["kind"] == "sft" and parameters["settings"]["labels"] == "one-step":
        recipe = "sft"
    usual = json.loads(json.dumps(asdict(trainers.settings(recipe))))
    found = parameters["settings"]
    changed = {k: v for k, v in found.items() if usual.get(k) != v and k != "start"}
    return {"recipe": recipe, "changes": changed}


def measure(folder: Path, known: dict[str, float]) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a training was, and its gaps on the tuning episodes."""
    parameters, manifest, _ = training_run.read(folder)
    policy: Any = zoo.load("checkpoint", folder)
    digest = training_run.digest(folder)
    episodes = []
    for preset, servers in SETTINGS:
        worlds = [comllm.generate(preset, s, servers=servers) for s in SEEDS]
        where = {"checkpoint_sha256": digest, "preset": preset, "servers": servers}
        for seed, s in zip(SEEDS, rollout_batch(worlds, policy), strict=True):
            gap = 100 * gap_to_bound(s.objective, known[s.instance.content_hash])
            episodes.append({**where, "seed": seed, "gap_percent": gap})
    row = {
        **changes(parameters),
        "seed": parameters["seed"],
        "cpu_seconds": manifest["cpu_seconds"],
        "checkpoint_sha256": digest,
    }
    return row, pd.DataFrame(episodes)


def page(rows: list[dict[str, Any]], episodes: pd.DataFrame) -> str:
    """Table of every row."""
    by_setting = episodes.set_index(["checkpoint_sha256", "preset", "servers"]).sort_index()

    def cell(row: dict[str, Any], setting: tuple[str, int]) -> str:
        gaps = by_setting.loc[(row["checkpoint_sha256"], *setting), "gap_percent"]
        low, high = bootstrap_interval(gaps)
        return f"{np.mean(gaps):.2f} ({low:.2f} to {high:.2f})"

    where = [f"{preset}, {servers}" for preset, servers in SETTINGS]
    lines = [
        f"| {r['recipe']} | {', '.join(f'{k} = {v}' for k, v in r['changes'].items()) or '-'} "
        f"| {r['cpu_seconds']:.0f} | " + " | ".join(cell(r, s) for s in SETTINGS) + " |"
        for r in rows
    ]
    head = "| recipe | changed | CPU s | " + " | ".join(where) + " |"
    return (
        "# Settings compared on tuning seeds\n\n"
        f"Gap to the certified bound, %, seeds {SEEDS.start}:{SEEDS.stop}, 95 % intervals over "
        "episodes; one training seed each\n(`python -m benchmarks.learning.tuning`).\n\n"
        + table(head, lines)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", nargs="+", type=Path, required=True, metavar="RUN")
    arguments = parser.parse_args()
    rows, episodes, solved = [], pd.DataFrame(), {}
    if exists(TARGET):
        rows, episodes = read(TARGET)["rows"], records(TARGET)
        solved = records(TARGET, "bounds").set_index("instance_hash")["bound_s"].to_dict()
    known = bounds(solved)
    for folder in arguments.trained:
        row, played = measure(folder, known)
        digest = row["checkpoint_sha256"]
        rows = [r for r in rows if r["checkpoint_sha256"] != digest] + [row]
        if len(episodes):
            episodes = episodes[episodes["checkpoint_sha256"] != digest]
        episodes = pd.concat([episodes, played], ignore_index=True)
        means = played.groupby(["preset", "servers"])["gap_percent"].mean().to_dict()
        print(row["recipe"], row["changes"], means, flush=True)
    table_of_bounds = pd.DataFrame({"instance_hash": list(known), "bound_s": list(known.values())})
    write(TARGET, {"rows": rows}, records=episodes, bounds=table_of_bounds)
    (RESULTS / f"{TARGET}.md").write_text(page(rows, episodes))


if __name__ == "__main__":
    main()
