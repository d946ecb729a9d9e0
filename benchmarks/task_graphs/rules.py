"""Rules and planners of task graphs against the certified bound, and beside the paper's rows.

    python -m benchmarks.task_graphs.rules [--seeds 0:10] [--limit 60] [--presets paper]

Ten 600-s episodes: every rule is played on each, its reward held against the bound of the episode.
Writes ``results/task_graphs/rules.json``: means with 95 % bootstrap intervals over episodes, gaps,
how much of graph-greedy's gap each rule closes, paired differences to nearest edge, replay times,
and the paper's rows (`mecopt.bench.task_graphs.tables`); records are one row per rule and episode.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import interval, write
from mecopt.bench.reading import parse_range
from mecopt.bench.task_graphs.scenario import expected_accuracy, played
from mecopt.bench.task_graphs.tables import paper_table
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies import by_name
from mecopt.offloading.replay import replay, rollout
from mecopt.task_graphs.policies.by_name import PLANNERS
from mecopt.task_graphs.scenarios import wifi

WHOLE = ("whole-local", "nearest-edge")
SPLIT = ("graph-greedy", "graph-joint", "graph-lookahead")
PLANNED = ("", "-distilled", *(f"-{planner}" for planner in PLANNERS))
NAMES = (*WHOLE, *(f"{rule}{planner}" for rule in SPLIT for planner in PLANNED))
#: Replays of which the fastest is taken: the machine may be busy.
REPLAYS = 30


def _replay_ms(x: OffloadingInstance, choice: Any) -> float:
    least = np.inf
    for _ in range(REPLAYS):
        begin = time.perf_counter()
        replay(x, choice)
        least = min(least, time.perf_counter() - begin)
    return 1e3 * float(least)


def _played(x: OffloadingInstance, name: str, bound: float) -> dict[str, Any]:
    cpu = time.process_time()
    policy = by_name.make(name, seed=int(x.meta["seed"]))
    schedule = rollout(x, policy)
    seconds = time.process_time() - cpu
    schedule, figures = played(policy, schedule)
    return {
        "preset": x.meta["preset"],
        "policy": name,
        "seed": x.meta["seed"],
        "mean_reward": -schedule.mean_cost_s,
        "mean_latency_s": float(schedule.latency_s.mean()),
        "accuracy": expected_accuracy(schedule),
        "gap": (schedule.objective - bound) / abs(bound),
        "below_bound": (schedule.objective - bound) / x.n_tasks,
        "cpu_seconds": seconds,
        **figures,
    }


def episode(preset: str, seed: int, limit: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The solve of an episode, and every rule on it."""
    x = wifi.generate(preset, seed)
    cpu, wall = time.process_time(), time.perf_counter()
    result = formulations.solve(x, gap=1e-3, time_limit=limit)
    assert result.schedule is not None
    solved = {
        "preset": preset,
        "seed": seed,
        "tasks": x.n_tasks,
        "options": x.n_options,
        "best_reward": -result.objective / x.n_tasks,
        "bound_reward": -result.bound / x.n_tasks,
        "gap": result.gap,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "replay_ms": _replay_ms(x, result.schedule.choice),
    }
    rows = [_played(x, name, result.bound) for name in NAMES]
    print(solved, {row["policy"]: round(row["mean_reward"], 4) for row in rows}, flush=True)
    return solved, rows


def _summary(rows: pd.DataFrame) -> dict[str, Any]:
    greedy = rows[rows["policy"] == "graph-greedy"].set_index("seed")
    edge = rows[rows["policy"] == "nearest-edge"].set_index("seed")
    out = {}
    for name, part in rows.groupby("policy", sort=False):
        mine = part.set_index("seed")
        closed = 1 - mine["below_bound"] / greedy["below_bound"]
        out[str(name)] = {
            **{
                column: [float(mine[column].mean()), *interval(mine[column])]
                for column in ("mean_reward", "mean_latency_s", "accuracy", "gap")
            },
            "planning_seconds": float(mine["planning_seconds"].mean()),
            "valid_plan_rate": float(mine["valid_plan_rate"].mean()),
            "cpu_seconds_an_episode": float(mine["cpu_seconds"].mean()),
            "closes_of_greedys_gap": [float(closed.mean()), *interval(closed)],
            # Ratios of means: a share of one episode's reward may be of next to nothing.
            "reward_over_nearest_edge": _over(mine["mean_reward"], edge["mean_reward"]),
            "latency_over_nearest_edge": _over(mine["mean_latency_s"], edge["mean_latency_s"]),
            "reward_less_nearest_edges": interval(mine["mean_reward"] - edge["mean_reward"]),
            "latency_less_nearest_edges": interval(mine["mean_latency_s"] - edge["mean_latency_s"]),
        }
    return out


def _over(mine: pd.Series, base: pd.Series) -> float:
    return float(mine.mean() / base.mean() - 1)


def main() -> None:
    """Play every episode and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0:10")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a solve")
    parser.add_argument("--presets", default="paper")
    asked = parser.parse_args()
    formulations.warm_up("offloading")
    first, last = parse_range(asked.seeds, "seeds")
    for preset in asked.presets.split(","):
        done = [episode(preset, seed, asked.limit) for seed in range(first, last)]
        solved = pd.DataFrame([of for of, _ in done])
        rows = pd.DataFrame([row for _, of in done for row in of])
        table = paper_table(rows)
        summary = {
            "preset": preset,
            "seeds": [first, last],
            "solved": {
                **solved.drop(columns=["preset", "seed"]).mean().to_dict(),
                "worst_gap": float(solved["gap"].max()),
                "worst_replay_ms": float(solved["replay_ms"].max()),
            },
            "rules": _summary(rows),
            "notes": list(table.notes),
        }  # fmt: skip
        name = "rules" if preset == "paper" else f"rules_{preset}"
        print(write(f"task_graphs/{name}", summary, rows, solved=solved), flush=True)


if __name__ == "__main__":
    main()
