"""Margins of a real language model on generated questions, and the fronts built on them.

    python -m benchmarks.accuracy_delay.margins                  # SmolLM2-135M, 600 questions
    python -m benchmarks.accuracy_delay.margins --questions 60 --seeds 0:2      # a trial
    python -m benchmarks.accuracy_delay.margins --only fronts    # of the answers of the last run
    python -m benchmarks.accuracy_delay.margins --only summary   # figures of both

Asks the model once (seed 0; form of the prompt and number of solved examples were chosen on seeds
1000 and 1001) and writes

* ``results/accuracy_delay_margins_smollm2.json``: the margins, mean over tokens, for
  ``mecopt bench goa --margins FILE``;
* ``results/accuracy_delay_margins.parquet``: one row per question, all aggregations;
* ``results/accuracy_delay_margins.json``: correlation with being right, calibration, seconds, and
  the front of delay and accuracy built on these margins beside the one built on synthetic ones;
* ``docs/img/margins_reliability.png`` and ``docs/img/margins_front.png``.

The value of margins is judged against decisions that know only the mean accuracy of the device: for
every point of their front, the least delay at which a decision that knows each query's probability
is as accurate.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import common
from formulations.accuracy_delay.decomposition import solve_plans
from formulations.accuracy_delay.front import Front, front
from learning.margins.measure import AGGREGATIONS, FOLDS, Measured, measure
from learning.margins.prompts import EXAMPLES
from mecopt import files
from mecopt.accuracy_delay.assignment import replay
from mecopt.accuracy_delay.instance import ACCURACY_SCALE, QuerySnapshot
from mecopt.accuracy_delay.margins import Margins
from mecopt.accuracy_delay.scenarios import goa
from mecopt.bench import plot
from mecopt.bench.accuracy_delay.plot import front_picture, reliability_picture
from mecopt.bench.reading import parse_range
from mecopt.statistics import bootstrap_interval

NAME = "accuracy_delay_margins"
MARGINS = common.RESULTS / f"{NAME}_smollm2.json"
PICTURES = Path(__file__).parents[2] / "docs" / "img"
#: Shares of the way from the accuracy of the fastest decision to the best one.
LEVELS = (0.2, 0.4, 0.6, 0.8)
#: Relative gap of every solve; seconds that a front, and a single solve, may take.
GAP, FRONT_S, POINT_S = 1e-2, 60.0, 15.0
RESAMPLES = 2000


# ------------------------------------------------------------------------------------- margins
def table_of(measured: Measured) -> pd.DataFrame:
    """One row per question."""
    frame = pd.DataFrame(
        {
            "task": [q.task for q in measured.questions],
            "question": [" ".join((*q.story, q.text)) for q in measured.questions],
            "answer": [q.answer for q in measured.questions],
            "written": [a.text for a in measured.answers],
            "read": list(measured.read),
            "tokens": [len(a.margins) for a in measured.answers],
            "correct": measured.correct,
        }
    )
    for name in AGGREGATIONS:
        found = measured.margins(name)
        frame[f"u_{name}"], frame[f"calibrated_{name}"] = found.uncertainty, found.calibrated
    return frame


def as_margins(table: pd.DataFrame, name: str, uncertainty: Any, calibrated: Any) -> Margins:
    """The rows as margins, for their figures."""
    columns = {"correct": table["correct"].to_numpy(bool), "task": table["task"].to_numpy()}
    return Margins(
        name, name, np.asarray(uncertainty), calibrated=np.asarray(calibrated), **columns
    )


def aggregation_figures(table: pd.DataFrame, name: str) -> dict[str, Any]:
    """Correlation, ranking and calibration of one aggregation."""
    u, calibrated = table[f"u_{name}"].to_numpy(), table[f"calibrated_{name}"].to_numpy()
    found = as_margins(table, name, u, calibrated)
    correct = found.correct
    rng = np.random.default_rng(0)
    drawn = (rng.integers(len(u), size=len(u)) for _ in range(RESAMPLES))
    resampled = [np.corrcoef(u[i], correct[i])[0, 1] for i in drawn]
    within = table.groupby("task")[[f"u_{name}", "correct"]].transform(lambda x: x - x.mean())
    return {
        "aggregation": name,
        "mean_uncertainty": float(u.mean()),
        "correlation": found.correlation,
        "correlation_interval": np.quantile(resampled, [0.025, 0.975]).tolist(),
        "correlation_within_tasks": float(np.corrcoef(*within.to_numpy(float).T)[0, 1]),
        "auroc": ranking(u, correct),
        "calibration_error": found.calibration_error(),
        "calibration_error_of_1_minus_u": as_margins(table, name, u, 1 - u).calibration_error(),
        "brier": float(np.mean((calibrated - correct) ** 2)),
        "brier_of_the_mean": float(np.mean((correct.mean() - correct) ** 2)),
        "calibrated_spread": np.quantile(calibrated, [0.1, 0.5, 0.9]).tolist(),
    }


def ranking(u: np.ndarray, correct: np.ndarray) -> float:
    """Probability that a wrong answer is less sure than a right one; ties count half."""
    wrong, right = u[~correct][:, None], u[correct]
    return float(np.mean((wrong > right) + 0.5 * (wrong == right)))


def task_figures(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Accuracy, unreadable answers, and correlation of the mean margin, task by task."""
    return [
        {
            "task": int(task),
            "questions": len(part),
            "accuracy": float(part["correct"].mean()),
            "unreadable": float(part["read"].isna().mean()),
            "correlation": float(part["u_mean"].corr(part["correct"].astype(float))),
        }
        for task, part in table.groupby("task")
    ]


# -------------------------------------------------------------------------------------- fronts
def compare(users: int, seed: int, measured: Margins | None, points: int) -> dict[str, Any]:
    """One front, and what its decisions owe to knowing each query's probability."""
    x = goa.generate(users, seed, margins=measured)
    begin = time.perf_counter()
    found = front(x, points=points, time_limit=FRONT_S, gap=GAP)
    seconds = time.perf_counter() - begin
    table = found.table
    low, high = table["expected_accuracy"].iloc[0], found.best_accuracy
    row: dict[str, Any] = {
        "margins": "synthetic" if measured is None else "measured",
        "seed": seed,
        "users": users,
        "device_accuracy": float(x.accuracy_local.mean()),
        "device_accuracy_spread": float(x.accuracy_local.std()),
        "points": len(table),
        "proven": int(table["proven"].sum()),
        "worst_gap": float((1 - table["bound_s"] / table["mean_delay_s"]).max()),
        "seconds": seconds,
        "accuracy_fastest": float(low),
        "accuracy_best": float(high),
        "delay_fastest_s": float(table["mean_delay_s"].iloc[0]),
    }
    for level in LEVELS:
        enough = table["expected_accuracy"] >= low + level * (high - low) - 2e-9
        row[f"delay_at_{round(100 * level)}_s"] = float(table.loc[enough, "mean_delay_s"].min())
    return row | {"saved_by_margins": saved(found, points)}


def saved(found: Front, points: int) -> float:
    """Share of delay saved at equal accuracy, mean over the blind front.

    The decisions of somebody who knows the mean accuracy of the device only are replayed with each
    query's own probability, and the fastest decision that is at least as accurate is sought. The
    ends are left out: the fastest decision needs no accuracies, the most accurate is all there is.
    """
    x: QuerySnapshot = found.instance
    blind = replace(x, accuracy_local=np.full(x.n_users, x.accuracy_local.mean()))
    decisions = front(blind, points=points, time_limit=FRONT_S, gap=GAP).decisions
    shares = []
    for decision in decisions[1:-1]:
        known = replay(x, decision.choice)
        floor = known.accuracy_units // x.n_users / ACCURACY_SCALE
        best = solve_plans(replace(x, least_accuracy=floor), time_limit=POINT_S, gap=GAP, seed=0)
        shares.append(1 - min(best.objective, known.objective) / known.objective)
    return float(np.mean(shares))


def summary_of(fronts: pd.DataFrame) -> list[dict[str, Any]]:
    """Means over seeds with 95 % intervals, one row per source of margins."""
    out = []
    for source, part in fronts.groupby("margins", sort=False):
        row: dict[str, Any] = {"margins": source, "seeds": len(part)}
        for name in part.columns.drop(["margins", "seed", "users"]):
            row[name] = float(part[name].mean())
        for name in ("delay_at_40_s", "delay_at_80_s", "saved_by_margins"):
            ends = bootstrap_interval(part[name].to_numpy(), resamples=RESAMPLES)
            row[f"{name}_interval"] = list(ends)
        out.append(row)
    return out


def ask(arguments: argparse.Namespace) -> None:
    """Ask the model; write its margins and one row per question."""
    asked = measure(
        arguments.model,
        arguments.questions,
        0,
        examples=arguments.examples,
        on_progress=lambda done, total: print(f"{done}/{total}", flush=True),
    )
    asked.margins().save(MARGINS)
    table_of(asked).to_parquet(common.RESULTS / f"{NAME}.parquet", index=False, compression="zstd")


def fronts(arguments: argparse.Namespace) -> None:
    """Write one row per seed and source of margins; draw the fronts of seed 0."""
    rows = []
    for seed in range(*parse_range(arguments.seeds)):
        for source in (None, Margins.load(MARGINS)):
            rows.append(compare(arguments.users, seed, source, arguments.points))
            print(rows[-1], flush=True)
    path = common.RESULTS / f"{NAME}.fronts.parquet"
    pd.DataFrame(rows).to_parquet(path, index=False, compression="zstd")
    draw_fronts(arguments.users, arguments.points)


def draw_fronts(users: int, points: int) -> None:
    """The fronts of seed 0."""
    sources = {"synthetic margins": None, "measured margins": Margins.load(MARGINS)}
    shown = {
        name: front(goa.generate(users, 0, margins=source), points=points, gap=GAP).table
        for name, source in sources.items()
    }
    files.write_bytes(PICTURES / "margins_front.png", plot.png(front_picture(shown)))


def summarise(arguments: argparse.Namespace) -> None:
    """Write the figures of what was asked and compared; draw the reliability."""
    margins, table = Margins.load(MARGINS), common.records(NAME)
    compared = common.records(NAME, "fronts")
    files.write_bytes(PICTURES / "margins_reliability.png", plot.png(reliability_picture(margins)))
    body = {
        "model": margins.model,
        "questions": len(table),
        "accuracy": margins.accuracy,
        "unreadable": float(table["read"].isna().mean()),
        "folds": FOLDS,
        "asking": dict(margins.meta),
        "aggregations": [aggregation_figures(table, name) for name in AGGREGATIONS],
        "tasks": task_figures(table),
        "gap_asked": GAP,
        "fronts": summary_of(compared),
    }
    print(common.write(NAME, body, table, fronts=compared))


STAGES = {"ask": ask, "fronts": fronts, "summary": summarise}


def main() -> None:
    """Measure, compare, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=tuple(STAGES))
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--seeds", default="0:8", help="of the snapshots")
    parser.add_argument("--users", type=int, default=30)
    parser.add_argument("--points", type=int, default=6)
    arguments = parser.parse_args()
    for name, stage in STAGES.items():
        if arguments.only in (None, name):
            stage(arguments)


if __name__ == "__main__":
    main()
