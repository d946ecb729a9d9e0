"""The page of WiFi runs: latency against accuracy, one task over the machines, the paper's rows."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from mecopt.bench.paper_tables.text import blocks
from mecopt.bench.scorecard import scorecard
from mecopt.bench.task_graphs.plot import graph_picture, plane_picture
from mecopt.bench.task_graphs.tables import paper_table
from mecopt.offloading.schedule import Schedule
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.own import Outcome, outcome_of

#: Column of ``instances``: one task of the best schedule, as `graph_text` writes it.
GRAPH = "task_graph"


def graph_text(schedule: Schedule) -> str:
    """One task of a schedule as JSON: the best rewarded of those that run on most nodes."""
    x = schedule.instance
    episode = Episode.of(x)
    outcomes = {k: outcome_of(episode, schedule, k) for k in range(x.n_tasks)}
    task = max(outcomes, key=lambda k: _interest(outcomes[k]))
    found = outcomes[task]
    return json.dumps(
        {
            "name": x.task_names[task],
            "stages": json.loads(found.stages.to_json(orient="records")),
            "release_s": found.release_s,
            "latency_s": found.latency_s,
            "accuracy": None if found.accuracy != found.accuracy else found.accuracy,
            "reward": found.reward,
        }
    )


def _interest(outcome: Outcome) -> tuple[bool, int, float]:
    return outcome.is_split, len(set(outcome.assignment.values())), outcome.reward


def _read(text: str) -> tuple[str, Outcome]:
    document = json.loads(text)
    stages = pd.DataFrame(document["stages"])
    stages["after"] = [tuple(after) for after in stages["after"]]
    nan = float("nan")
    accuracy = nan if document["accuracy"] is None else document["accuracy"]
    return document["name"], Outcome(
        stages, document["release_s"], document["latency_s"], accuracy, document["reward"]
    )


def pictures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Figures by name: plane, and graph-PRESET of the first seed; none for other scenarios."""
    instances, timelines = tables["instances"], tables["timelines"]
    if GRAPH not in instances or not len(timelines):
        return {}
    drawn = {"plane": plane_picture(scorecard(tables["results"], "offloading"))}
    for preset, part in timelines.groupby("preset", sort=False):
        seed = part["seed"].iloc[0]
        here = (instances["preset"] == preset) & (instances["seed"] == seed)
        name, outcome = _read(instances.loc[here, GRAPH].iloc[0])
        others = part[(part["schedule"] == "best known") & (part["task"] != name)]
        drawn[f"graph-{preset}"] = graph_picture(outcome, name, others)
    return drawn


def published(results: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table "paper, ours, difference" of the first preset, and its notes."""
    here = results[results["preset"] == results["preset"].iloc[0]]
    try:
        made = paper_table(here)
    except ValueError:  # none of the paper's methods was run
        return pd.DataFrame(), ()
    [block] = blocks(made)
    return pd.DataFrame(block.rows, columns=block.header), made.notes
