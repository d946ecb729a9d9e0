"""Pictures of one task and of the plane, and the table of the paper's rows."""

import numpy as np
import pandas as pd
import pytest

from mecopt.bench import plot
from mecopt.bench.paper_tables.files import markdown
from mecopt.bench.task_graphs.paper import PAPER
from mecopt.bench.task_graphs.plot import graph_picture, plane_picture, task_picture
from mecopt.bench.task_graphs.tables import paper_table
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import Link, Network, Node
from mecopt.task_graphs.options import GraphTask, Weights
from mecopt.task_graphs.own import outcome_of
from mecopt.task_graphs.plan import Subtask, TaskPlan

NETWORK = Network(
    (Node("me", 0, 1.0, kind="device"), Node("ap", 0, 0.1)),
    (Link("me", "ap", 10.0, 0.5, channel="air"),),
)
PLAN = TaskPlan((Subtask("first", "extract", 10), Subtask("2", "write", 20, after=("first",))))


def two_tasks():
    """Both begin at 1 s on the device and go on at the access point: the second waits."""
    tasks = [GraphTask(1.0, "me", PLAN, None, 20.0, f"task {k}") for k in range(2)]
    return Episode(NETWORK, tuple(tasks), Weights(accuracy=0.0, bits_per_token=1.0))


def texts(figure):
    return [t.get_text() for t in figure.axes[0].texts]


def test_a_task_across_machines_and_channels():
    """Rows in order of use, names on bars, an arrow for each output waited for."""
    episode = two_tasks()
    schedule = replay(episode.instance, [1, 1])
    figure = graph_picture(outcome_of(episode, schedule, 0), "task 0")
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["me", "air", "ap"]
    assert "first" in texts(figure) and "2 write" in texts(figure)
    # first -> air -> 2 -> air; the input, on the air at first, is not what 2 waits for last.
    assert sum(t.arrow_patch is not None for t in axes.texts) == 3
    assert axes.get_title(loc="left").startswith("task 0: latency 16.00 s, reward")
    assert plot.png(figure).startswith(b"\x89PNG")


def test_time_runs_from_the_release_and_others_are_grey():
    """The second task starts on the device when the first has done its 10 s there."""
    episode = two_tasks()
    figure = task_picture(replay(episode.instance, [1, 1]), 1)
    (axes,) = figure.axes
    bars = {p.get_x(): p for p in axes.patches if p.get_alpha() in (None, 1.0)}
    assert any(start == pytest.approx(10.0) for start in bars)
    assert "grey: other tasks" in axes.get_xlabel()


def test_a_picture_needs_a_task_that_runs_and_plans():
    """Dropped tasks and other instances have nothing to show."""
    episode = two_tasks()
    with pytest.raises(ValueError, match="task 1 is dropped"):
        task_picture(replay(episode.instance, [1, -1]), 1)
    x = comllm.generate("paper", 0, slots=5)
    with pytest.raises(ValueError, match="has no plans in its meta"):
        task_picture(replay(x, np.zeros(x.n_tasks, dtype=int)), 0)


def test_a_schedule_of_another_instance_is_refused():
    """Its options mean something else."""
    episode = two_tasks()
    other = Episode(NETWORK, episode.tasks[:1], episode.weights)
    with pytest.raises(ValueError, match="schedule: is of OffloadingInstance"):
        outcome_of(episode, replay(other.instance, [1]))


RESULTS = pd.DataFrame(
    [
        {"preset": "paper", "policy": policy, "seed": seed,
         "mean_reward": reward + 0.01 * seed, "mean_latency_s": latency,
         "accuracy": reward + 0.01 * seed + 0.01 * latency}
        for policy, reward, latency in [
            ("whole-local", -0.1, 19.0),
            ("nearest-edge", 0.1, 14.0),
            ("graph-greedy-teacher", 0.3, 11.0),
            ("graph-joint", 0.4, 10.0),
        ]
        for seed in (-1, 0, 1)
    ]
)  # fmt: skip


def test_the_plane_holds_every_policy_and_the_papers_rows():
    """One panel a preset; accuracies of the paper follow from reward + 0.01 latency."""
    card = RESULTS.groupby(["preset", "policy"], as_index=False).mean(numeric_only=True)
    card["accuracy_low"], card["accuracy_high"] = card["accuracy"] - 0.1, card["accuracy"] + 0.1
    figure = plane_picture(card)
    shown = texts(figure)
    assert {"whole-local", "nearest-edge", "graph-greedy-teacher", "graph-joint"} <= set(shown)
    assert sum(text.endswith(", paper") for text in shown) == len(PAPER) == 5
    assert any(text.startswith("reward ") for text in shown)
    assert plot.png(figure).startswith(b"\x89PNG")


def test_the_papers_figures():
    """Accuracy of the teacher's row: 0.318 + 0.13773 = 0.45573; its 82 % follow from two rows."""
    rows = {row.method: row for row in PAPER}
    assert rows["teacher planner"].accuracy == pytest.approx(0.45573)
    edge, distilled = rows["nearest edge"], rows["distilled 7B planner"]
    assert distilled.reward / edge.reward - 1 == pytest.approx(0.82, abs=0.005)
    assert distilled.latency_s / edge.latency_s - 1 == pytest.approx(-0.17, abs=0.005)


def test_paper_ours_difference():
    """Teacher: 0.3 measured on average, 0.318 printed."""
    table = paper_table(RESULTS, {"seeds": "0:3"})
    frame = table.frame().set_index(["policy", "quantity"])
    row = frame.loc[("graph-greedy-teacher", "mean_reward")]
    assert (row["ours"], row["paper"]) == pytest.approx((0.3, 0.318))
    assert row["difference"] == pytest.approx(-0.018)
    assert row["low"] <= row["ours"] <= row["high"]
    assert frame.loc[("whole-local", "mean_latency_s"), "paper"] == 19.367
    assert frame.loc[("graph-joint", "mean_reward"), "method"] == ""
    # 13.773 / 14.542 - 1 = -5 %, 0.318 / 0.122 - 1 = 161 %; ours 11 / 14 - 1 and 0.3 / 0.1 - 1.
    assert table.notes[-2] == (
        "teacher planner against nearest edge: latency -5 % in the paper, -21 % here; "
        "reward +161 % in the paper, +200 % here."
    )
    assert table.notes[-1] == "Not measured: raw 7B planner, distilled 7B planner."
    assert "| nearest edge | nearest-edge | 0.122 | 0.100" in markdown(table)


def test_a_table_needs_what_it_compares():
    """Columns, and at least one of the paper's methods."""
    with pytest.raises(ValueError, match="results: column 'accuracy' is missing"):
        paper_table(RESULTS.drop(columns="accuracy"))
    with pytest.raises(ValueError, match="results: hold none of the paper's methods"):
        paper_table(RESULTS[RESULTS["policy"] == "graph-joint"])
