"""The benchmark of failing nodes: figures that agree with one another, command line, page."""

import json
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from mecopt import plugins
from mecopt.bench import pages, scorecard
from mecopt.bench import run as benchmark
from mecopt.bench.suite import Suite
from mecopt.collaboration.policies.by_name import RULES
from tests.support.command import mecopt, refused

ROOT = Path(__file__).parents[2]
POLICIES = ("ratc", "expected-success", "keep", "random")
SMALL = {"nodes": 4, "slots": 12}


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    """The names that pyproject.toml declares, whatever is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["entry-points"]
    monkeypatch.setattr(
        plugins,
        "entry_points",
        lambda group: [
            EntryPoint(name, value, group) for name, value in groups.get(group, {}).items()
        ],
    )
    plugins.declared.cache_clear()
    yield
    plugins.declared.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where `finished` leaves its run."""
    return tmp_path_factory.mktemp("ledrl") / "run"


@pytest.fixture
def finished(folder):
    """Two small episodes; finished units are used again by the next test."""
    suite = Suite("ledrl", ("paper",), (0, 2), POLICIES, gap=0.02, time_limit_s=2.0, options=SMALL)
    return benchmark.run(suite, folder, jobs=1, on_note=lambda line: None)


def test_figures_agree(finished):
    """The gap is that of the share on time to the bound that knows all."""
    _, tables = finished.read()
    rows = tables["results"]
    assert set(rows["policy"]) == set(POLICIES) and (rows["nodes"] == 4).all()
    assert (rows["success_rate"] <= rows["bound_success_rate"] + 1e-9).all()
    assert (rows["bound_success_rate_rates_only"] < rows["bound_success_rate"]).all()
    gap = (rows["bound_success_rate"] - rows["success_rate"]) / rows["bound_success_rate"]
    assert np.allclose(rows["gap_to_bound"], gap)
    assert np.allclose(rows["success_rate_llm_time_charged"], rows["success_rate"])  # no model
    instances = tables["instances"]
    assert (instances["incumbent_rates_only"] <= instances["bound_rates_only"] + 1e-9).all()
    for row in scorecard.records(tables["results"], "offloading"):
        assert {"success_rate", "bound_success_rate_rates_only", "decision_seconds_p50"} <= set(row)
        assert not {"mean_cost_slots", "pr", "mean_reward", "p95_latency_ms"} & set(row)
        assert all(value == value for value in row.values() if isinstance(value, float))


def test_the_page_speaks_of_tasks_on_time(finished):
    """Shares with both bounds; nothing in ms or slots, no ratio to an oracle."""
    page = Path(pages.build(finished)).read_text(encoding="utf-8")
    for words in ("on time, %", "bound, rates known, %", "minus the share of tasks on time"):
        assert words in page
    for words in ("Costs are in ms", "One slot", "PR is the mean", "extra over best, ms"):
        assert words not in page


def test_command(tmp_path):
    """Columns on the terminal, one record per policy and seed."""
    line = "bench ledrl --nodes 3 --slots 6 --link-failure 0.25 --node-failure 0 --seeds 0:2"
    line += " --gap 0.05 --time-limit 1 --jobs 1 --policies ratc,keep"
    files = ["--out", str(tmp_path / "run"), "--json", str(tmp_path / "r.json")]
    done = mecopt(*line.split(), *files)
    assert done.exit_code == 0, done.output
    assert "on time" in done.output
    rows = json.loads((tmp_path / "r.json").read_text())
    assert [(row["policy"], row["seed"], row["nodes"]) for row in rows] == [
        ("ratc", 0, 3),
        ("keep", 0, 3),
        ("ratc", 1, 3),
        ("keep", 1, 3),
    ]


def test_a_language_model_is_charged_for_its_time(tmp_path):
    """Waiting can only lose tasks here: the queues of six slots stay short."""
    pytest.importorskip("torch")
    line = "bench ledrl --nodes 3 --slots 6 --drift-nodes 1 --seeds 0:1 --gap 0.05 --time-limit 1"
    line += " --jobs 1 --policies reflexion,reflexion-no-evaluator"
    files = ["--out", str(tmp_path / "run"), "--json", str(tmp_path / "r.json")]
    done = mecopt(*line.split(), *files)
    assert done.exit_code == 0, done.output
    for row in json.loads((tmp_path / "r.json").read_text()):
        assert 0 <= row["success_rate_llm_time_charged"] <= row["success_rate"] <= 1
        assert row["parse_rate"] == 1.0


def test_every_rule_is_declared():
    """The names of pyproject.toml make the rules of the same names."""
    for name in RULES:
        assert plugins.make(plugins.OFFLOADING, name, seed=1).name == name


def test_solve_takes_a_number_of_nodes(tmp_path):
    """With this scenario --nodes is a number; without, the machines for --plan."""
    line = "solve --scenario ledrl --nodes 3 --slots 4 --time-limit 1 --json"
    done = mecopt(*line.split(), str(tmp_path / "r.json"))
    assert done.exit_code == 0, done.output
    assert "of 3 owners" in done.output
    done = mecopt("solve", "--nodes", "3")
    assert done.exit_code == 2 and "nodes: '3' needs --plan FILE" in done.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--nodes 0", "nodes = 0 must be"),
        ("--nodes many", "nodes: 'many' is not a whole number"),
        ("--link-failure -1", "link_failure = -1.0 must be >= 0"),
        ("--drift-nodes -1", "drift_nodes = -1 must be"),
        ("--nodes 3 --drift-nodes 4", "drift_nodes = 4 must be at most nodes = 3"),
        ("--drift-nodes 1 --drift-factor 0", "drift_factor = 0.0 must be >= 1"),
        ("--node-failure nan", "node_failure = nan must be >= 0"),
        ("--policies ratc-best", "unknown 'ratc-best'"),
        ("--preset star", "unknown 'star'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(option: str, message: str, tmp_path):
    asked = f"bench ledrl {option} --out {tmp_path / 'run'}"
    assert message in refused(*asked.split())
