"""The benchmark of task graphs: figures that agree with one another, command line, page."""

import json
from pathlib import Path

import pytest

from mecopt.bench import pages, scorecard
from mecopt.bench import run as benchmark
from mecopt.bench.suite import Suite
from mecopt.bench.task_graphs import page
from tests.support.command import mecopt, refused

POLICIES = (
    "whole-local",
    "nearest-edge",
    "graph-greedy",
    "graph-greedy-raw",
    "graph-joint-teacher",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where `finished` leaves its run."""
    return tmp_path_factory.mktemp("wifi") / "run"


@pytest.fixture
def finished(folder):
    """A run of some 15 tasks; finished units are used again by the next test."""
    suite = Suite("wifi", ("paper",), (1000, 1001), POLICIES, gap=0.05, options={"arrivals": 0.005})
    return benchmark.run(suite, folder, jobs=1, on_note=lambda line: None)


def test_figures_agree(finished):
    """Reward = accuracy - 0.01 x latency; the gap is that of rewards to their bound."""
    _, tables = finished.read()
    rows = {row["policy"]: row for row in scorecard.records(tables["results"], "offloading")}
    assert set(rows) == set(POLICIES)
    for row in rows.values():
        expected = row["accuracy"] - 0.01 * row["mean_latency_s"]
        assert row["mean_reward"] == pytest.approx(expected, abs=1e-6)
        assert row["mean_reward"] <= row["bound_reward"] + 1e-9
        gap = (row["bound_reward"] - row["mean_reward"]) / abs(row["bound_reward"])
        assert row["gap_to_bound"] == pytest.approx(gap)
    planners = {policy: row["planner"] for policy, row in rows.items()}
    assert planners == {
        "whole-local": "none",
        "nearest-edge": "none",
        "graph-greedy": "truth",
        "graph-greedy-raw": "raw",
        "graph-joint-teacher": "teacher",
    }
    assert rows["graph-greedy"]["planning_seconds"] == 0.0
    assert 0.05 < rows["graph-joint-teacher"]["planning_seconds"] < 1.0
    assert rows["graph-joint-teacher"]["valid_plan_rate"] == 1.0
    assert not {"mean_cost_slots", "bound_slots", "pr"} & set(rows["graph-greedy"])


def test_the_page_speaks_of_rewards(finished):
    """Reward with its interval, latency, accuracy, planning; nothing in ms or slots."""
    page = Path(pages.build(finished)).read_text(encoding="utf-8")
    for words in ("reward", "accuracy, %", "valid plans, %", "planner", "reward with its sign"):
        assert words in page
    for words in ("cost, ms", "One slot", "PR is the mean", "extra over best, ms"):
        assert words not in page


def test_command(tmp_path):
    """One access point, two users; columns on the terminal, one record per policy and seed."""
    line = "bench wifi --aps 1 --ues 2 --arrivals 0.005 --seeds 0:2 --gap 0.5 --jobs 1"
    files = ["--out", str(tmp_path / "run"), "--json", str(tmp_path / "r.json")]
    done = mecopt(*line.split(), "--policies", "nearest-edge,graph-greedy-raw", *files)
    assert done.exit_code == 0, done.output
    assert "reward" in done.output and "Latency includes the time of the planner" in " ".join(
        done.output.split()
    )
    rows = json.loads((tmp_path / "r.json").read_text())
    assert [(row["policy"], row["seed"]) for row in rows] == [
        ("nearest-edge", 0),
        ("graph-greedy-raw", 0),
        ("nearest-edge", 1),
        ("graph-greedy-raw", 1),
    ]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--aps 0", "aps = 0 must be"),
        ("--ues -1", "ues = -1 must be"),
        ("--ues many", "ues"),
        ("--arrivals 0", "arrivals = 0.0 must be > 0"),
        ("--policies graph-best", "unknown 'graph-best'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(option: str, message: str, tmp_path):
    asked = f"bench wifi {option} --out {tmp_path / 'run'}"
    assert message in refused(*asked.split())


def test_the_page_shows_the_plane_a_task_and_the_papers_rows(finished):
    """The task that is drawn is read back from the tables, on which a report is built again."""
    _, tables = finished.read()
    drawn = page.pictures(tables)
    assert set(drawn) == {"plane", "graph-paper"}
    words = {text.get_text() for axes in drawn["graph-paper"].axes for text in axes.texts}
    stages = json.loads(tables["instances"]["task_graph"].iloc[0])["stages"]
    calls = [stage for stage in stages if stage["kind"] == "call"]
    assert calls
    assert any(call["item"] in word for call in calls for word in words)
    rows, notes = page.published(tables["results"])
    assert rows.iloc[:, 0].tolist()[:2] == ["local", "nearest edge"]
    assert any("Not measured" in note for note in notes)


def test_other_scenarios_have_no_such_pictures(finished):
    """Runs without task graphs lack the column."""
    _, tables = finished.read()
    without = {**tables, "instances": tables["instances"].drop(columns="task_graph")}
    assert page.pictures(without) == {}
