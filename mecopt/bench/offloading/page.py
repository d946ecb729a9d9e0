"""The page of offloading runs: timelines, and the paper's table beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mecopt.bench import online
from mecopt.bench.collaboration import page as collaboration
from mecopt.bench.collaboration.scenario import COUNTED
from mecopt.bench.columns import percent
from mecopt.bench.html import images
from mecopt.bench.offloading import plot
from mecopt.bench.scorecard import scorecard
from mecopt.bench.task_graphs import page as task_graphs
from mecopt.bench.task_graphs.scenario import REWARDED
from mecopt.offloading import published
from mecopt.offloading.policies import by_name


def pictures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Figures by name: timeline-PRESET, and those that only some scenarios have."""
    timelines = tables["timelines"]
    own = task_graphs.pictures(tables) | collaboration.pictures(tables)
    if "gap_to_online" in tables["results"]:
        own["online"] = online.picture(scorecard(tables["results"], "offloading"))
    return own | {
        f"timeline-{preset}": plot.timeline_picture(
            _named(timelines[timelines["preset"] == preset], tables)
        )
        for preset in (timelines["preset"].unique() if len(timelines) else [])
    }


def _named(timeline: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The timeline with the mean cost in the names of its schedules."""
    preset, seed = timeline["preset"].iloc[0], timeline["seed"].iloc[0]
    results, instances = tables["results"], tables["instances"]
    here = results[(results["preset"] == preset) & (results["seed"] == seed)]
    cost = dict(zip(here["policy"], here["mean_cost_ms"], strict=True))
    instance = instances[(instances["preset"] == preset) & (instances["seed"] == seed)].iloc[0]
    best = "optimum" if instance["termination"] == "optimal" else "best known schedule"

    def words(ms: float) -> str:
        if "mean_reward" in here and here["mean_reward"].notna().all():
            return f"reward {-1e-3 * ms:.4f} per task"
        if "success_rate" in here and here["success_rate"].notna().all():
            return f"{-0.1 * ms:.1f} % on time"
        return f"{ms:.1f} ms per task"

    title = {"best known": f"{best}: {words(instance['incumbent_s'] * 1e3)}"}
    title |= {policy: f"{policy}: {words(ms)}" for policy, ms in cost.items()}
    return timeline.assign(schedule=timeline["schedule"].map(title))


def context(
    tables: Mapping[str, pd.DataFrame], suite: Mapping[str, Any], drawn: Mapping[str, bytes]
) -> dict[str, Any]:
    """What ``report_offloading.html`` needs."""
    has_reward, has_success = suite["scenario"] in REWARDED, suite["scenario"] in COUNTED
    title = "COMLLM, Table II"
    notes: tuple[str, ...] = published.COMLLM_TABLE_II_NOTES
    rows = _published(suite, scorecard(tables["results"], "offloading"))
    if has_reward:
        title = "arXiv 2604.21399"
        rows, notes = task_graphs.published(tables["results"])
    elif has_success:
        title = "arXiv 2605.05727"
        rows, notes = collaboration.published(tables["results"])
    return {
        "prices_of": "prices on shared resource time",
        "has_slots": suite["scenario"] == "comllm",
        "has_worth": suite["scenario"] == "goa-stream",
        "has_reward": has_reward,
        "has_success": has_success,
        "successes": images(drawn, "success", "Tasks on time of every rule, and both bounds"),
        "sweeps": images(drawn, "sweep-", "Tasks on time against"),
        "onlines": images(drawn, "online", "Price of not knowing the future, and what is left"),
        "planes": images(drawn, "plane", "Latency and accuracy of every rule"),
        "graphs": images(drawn, "graph-", "One task over machines and channels on"),
        "timelines": images(drawn, "timeline-", "Resource timelines on"),
        "published": rows,
        "published_title": title,
        "published_notes": notes,
    }


def _published(suite: Mapping[str, Any], card: pd.DataFrame) -> pd.DataFrame | None:
    """COMLLM's Table II beside ours; empty without its setting, None for other scenarios."""
    if suite["scenario"] != "comllm":
        return None
    if "paper" not in suite["presets"]:
        return pd.DataFrame()
    ours = card[card["preset"] == "paper"].set_index("policy")
    rows = []
    for row in published.COMLLM_TABLE_II:
        cells = [row.method, f"{row.cost_slots:.4f}".rstrip("0"), _or_dash(row.drop_percent)]
        cells.append(_or_dash(row.pr_percent))
        if row.ours is None:
            cells += ["-", "", "", ""]
        elif row.ours not in ours.index:
            what = "is not in this run" if row.ours in by_name.NAMES else "needs a trained model"
            cells += [f"{row.ours}: {what}", "", "", ""]
        else:
            mine: Any = ours.loc[row.ours]
            difference = mine["mean_cost_slots"] - row.cost_slots
            cells += [
                f"{mine['mean_cost_slots']:.4f}",
                percent(mine["drop_rate"]),
                percent(mine["pr"]),
                f"{difference:+.3f} ({100 * difference / row.cost_slots:+.1f} %)",
            ]
        rows.append([*cells, row.tag])
    header = ["method", "paper, slots", "paper, drop %", "paper, PR %", "ours, slots"]
    header += ["ours, drop %", "ours, PR %", "difference, slots", "tag"]
    return pd.DataFrame(rows, columns=header)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
