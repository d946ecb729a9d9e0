"""The distilled planner beside its teacher and the raw student: three trainings, held-out episodes.

    python -m benchmarks.task_graphs.planner                 # train what is missing, then measure
    python -m benchmarks.task_graphs.planner --ship 0        # ship the checkpoint of a training

Trains `mecopt train planner` with three seeds into ``runs/task-graphs`` (resumed when interrupted)
and plans the requests of WiFi test episodes with each. Writes ``results/task_graphs/planner.json``
and its records, one row per planner and episode: valid plans, errors of tokens and difficulty, and
regret, the mean cost of a task above that of the schedule built on the true plans by the same rule
(`learning.task_graphs.evaluation`; a cost is a reward with its sign turned). The raw student stands
there twice, with invalid plans and without. Planning time is in no regret, `mecopt bench wifi`
charges it.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import common
from learning import recipes
from learning.runs import folder as training_run
from learning.task_graphs import evaluation, planner
from learning.task_graphs.planner import LanguagePlanner
from mecopt.bench.reading import parse_range
from mecopt.task_graphs import planners
from mecopt.task_graphs.planners import Planned
from mecopt.task_graphs.scenarios import wifi

NAME = "task_graphs/planner"
RUNS = Path("runs/task-graphs")
TRAININGS = (0, 1, 2)
SHIPPED = Path(planner.__file__).parent / "checkpoints" / "planner"
#: Columns whose means over episodes are reported.
FIGURES = (
    *("token_error", "token_bias", "difficulty_error", "difficulty_bias", "planning_s"),
    *("plan_tokens", "cpu_s_per_plan"),
)
#: Rules that build the schedules.
RULES = ("graph-greedy", "graph-joint")
#: The raw student without the texts that are no plan.
RAW_VALID = replace(planners.raw(), name="raw, all valid", invalid=0.0)
#: Requests of one step more than any in training.
LONGER = 6


def trained(seed: int) -> Path:
    """The finished training of a seed."""

    def show(step: int, steps: int, figures: Any) -> None:
        if step % 250 == 0:
            print(f"planner:{seed} {step}/{steps} loss {figures['loss']:.4f}", flush=True)

    return recipes.train("planner", RUNS / f"planner-{seed}", seed=seed, on_progress=show)


def measure(students: dict[int, LanguagePlanner], seed: int) -> list[dict[str, Any]]:
    """One row per planner for a test episode."""
    episode = wifi.episode("paper", seed)
    true = [task.plan for task in episode.tasks]
    rows: list[dict[str, Any]] = []

    def add(name: str, planned: Planned, **more: Any) -> None:
        regrets = {f"regret_{rule}": evaluation.regret(episode, planned, rule) for rule in RULES}
        row = {"planner": name, "seed": seed, "planning_s": float(planned.planning_s.mean())}
        rows.append(row | regrets | asdict(evaluation.score(true, planned.plans)) | more)

    for known in (planners.teacher(seed), planners.raw(seed), replace(RAW_VALID, seed=seed)):
        add(known.name, known.plan(episode))
    for training, student in students.items():
        written = student.write(episode.requests)
        seconds = planners.STUDENT_MODEL.writing_s(episode, written.texts)
        add(
            f"distilled-{training}",
            planners.planned_from_texts(episode, written.texts, seconds),
            plan_tokens=float(written.output_tokens.mean()),
            cpu_s_per_plan=written.cpu_s / len(true),
        )
    return rows


def longer_requests(student: LanguagePlanner, seeds: Sequence[int]) -> dict[str, Any]:
    """Valid plans of requests with one step more than any in training."""
    valid = []
    for seed in seeds:
        episode = wifi.episode("paper", seed, most_subtasks=LONGER)
        plans = student.plan(episode).plans
        longest = (text.count(";") == LONGER - 1 for text in episode.requests)
        valid += [plan is not None for plan, asked in zip(plans, longest, strict=True) if asked]
    return {"steps": LONGER - 1, "requests": len(valid), "valid_plan_rate": float(np.mean(valid))}


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Means over episodes with intervals, and the distilled regret as a share of the raw one."""
    out = {}
    raw = table[table.planner == "raw"]
    for name, rows in table.groupby("planner", sort=False):
        body: dict[str, Any] = {
            "requests": int(rows.requests.sum()),
            "valid_plan_rate": float(np.average(rows.valid_plan_rate, weights=rows.requests)),
        }
        for rule in RULES:
            regret = rows[f"regret_{rule}"]
            body[rule] = {
                "regret": float(regret.mean()),
                "interval": common.interval(regret),
                "share_of_raw": float(regret.mean() / raw[f"regret_{rule}"].mean()),
            }
        for field in FIGURES:
            if rows[field].notna().any():
                body[field] = float(rows[field].mean())
        out[str(name)] = body
    return out


def ship(seed: int) -> None:
    """Copy the checkpoint of a training into the package; its card stays."""
    for file in (trained(seed) / "checkpoint").iterdir():
        shutil.copyfile(file, SHIPPED / file.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", default="0:16", help="test episodes, A:B")
    parser.add_argument("--ship", type=int, help="training seed whose checkpoint is shipped")
    given = parser.parse_args()
    if given.ship is not None:
        return ship(given.ship)
    runs = {seed: trained(seed) for seed in TRAININGS}
    students = {seed: planner.load(run) for seed, run in runs.items()}
    first, stop = parse_range(given.seeds)
    rows = []
    for seed in range(first, stop):
        rows += measure(students, seed)
        print(f"seed {seed} of {first}:{stop}", flush=True)
    table = pd.DataFrame(rows)
    figures = {
        "preset": "paper",
        "seeds": [first, stop],
        "planners": summary(table),
        "longer_requests": longer_requests(students[TRAININGS[0]], range(first, min(stop, 4))),
        "trainings": {
            str(seed): {
                "cpu_seconds": training_run.read(run)[1]["cpu_seconds"],
                "settings": training_run.read(run)[0]["settings"],
                "checkpoint_sha256": training_run.digest(run),
            }
            for seed, run in runs.items()
        },
        "shipped_sha256": training_run.digest(SHIPPED),
    }
    print(common.write(NAME, figures, table))


if __name__ == "__main__":
    main()
