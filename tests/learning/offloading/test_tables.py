"""Tables of the paper: ours beside what is printed, on states and on episodes of 12 slots."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from learning.offloading.evaluation import figures as measured
from learning.offloading.evaluation import tables
from learning.offloading.evaluation.figures import Request
from learning.offloading.states.decision_states import States
from mecopt.bench.paper_tables import files as table_files
from mecopt.bench.paper_tables import text as table_output
from mecopt.bench.paper_tables.table import Figure, Quantity, Table
from mecopt.bench.suite import Suite
from mecopt.checkpoints import Checkpoint
from mecopt.cli import app
from mecopt.offloading import published
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.scenarios import comllm


class Stub:
    """The one-step oracle as if it had been trained."""

    name, parse_rate = "stub", 1.0

    def reset(self, instance):
        """Nothing to prepare."""

    def act(self, observation):
        return int(observation.run_cost_s.argmin())

    def decide(self, states: States):
        return states.one_step_cost_slots[:, :-1].argmin(axis=1)


@pytest.fixture
def request_(tmp_path, monkeypatch):
    """Two episodes of 12 slots; `grpo` and `dqn` are stubs that stand in for trained policies."""
    monkeypatch.setitem(comllm.PRESETS, "paper", comllm.Parameters(slots=12))
    real = policies.make

    def make(name, **options):
        return Stub() if name in ("grpo", "dqn") else real(name, **options)

    monkeypatch.setattr(policies, "make", make)
    names = ("one-step-oracle", "random", "grpo", "dqn")
    return Request(tmp_path, names, states=60, seeds=(0, 2), jobs=1)


def figure(table, protocol, policy, quantity, method=None, setting=None):
    found = [
        f
        for f in table.figures
        if (f.protocol, f.policy, f.quantity) == (protocol, policy, quantity)
        and method in (None, f.method)
        and setting in (None, f.setting)
    ]
    assert len(found) == 1, found
    return found[0]


def test_table_ii_says_paper_ours_and_difference(request_):
    """Every printed method has a row: beside ours where we have it, alone where not."""
    table = tables.make("II", request_)
    comllm_row = figure(table, "states", "grpo", "pr_percent")
    assert (comllm_row.method, comllm_row.paper) == ("COMLLM", 96.86)
    assert comllm_row.ours == pytest.approx(100)  # the stub is the oracle
    assert comllm_row.difference == pytest.approx(3.14)
    for method in ("SFT-7B", "SFT-1.5B"):  # both are one policy of ours, which is not here
        missing = figure(table, "states", "sft (no checkpoint)", "cost_slots", method)
        assert np.isnan(missing.ours) and missing.paper > 4
    printed = {f.method for f in table.figures if f.method}
    assert printed == {row.method for row in published.COMLLM_TABLE_II}
    gap = figure(table, "episodes", "random", "gap_percent")
    assert gap.ours > figure(table, "episodes", "grpo", "gap_percent").ours >= 0
    assert gap.low < gap.ours < gap.high


def test_table_iii_asks_about_tasks_of_ten_mbit(request_):
    """The paper's drop rates stand beside ours; episodes have the stress range of sizes."""
    table = tables.make("III", request_)
    assert figure(table, "states", "grpo", "drop_percent").paper == 2.78
    assert figure(table, "states", "random", "cost_slots").ours > 8
    assert figure(table, "episodes", "random", "drop_percent").setting == "2..10 Mbit"


def test_table_iv_has_every_size(request_, monkeypatch):
    """Zero-shot from 3 servers on, beyond 11 on states only; the paper gives a limit."""
    monkeypatch.setattr(published, "COMLLM_TABLE_IV_SERVERS", (3, 4))
    monkeypatch.setattr(tables, "BEYOND_SERVERS", (13,))
    table = tables.make("IV", request_)
    assert figure(table, "states", "grpo", "pr_percent", setting="3").relation == ">"
    beyond = figure(table, "states", "dqn", "pr_percent", setting="13")
    assert beyond.ours == pytest.approx(100) and beyond.paper is None
    assert figure(table, "states", "random", "pr_percent", setting="13").ours < 100
    assert figure(table, "episodes", "grpo", "gap_percent", setting="4").ours >= 0
    assert {f.setting for f in table.figures if f.protocol == "episodes"} == {"3", "4"}


def test_table_v_keeps_the_undefined_index_apart(request_):
    """LBI is quoted, never computed."""
    table = tables.make("V", request_)
    lbi = figure(table, "states", "dqn", "lbi_percent")
    assert lbi.paper == 65.64 and np.isnan(lbi.ours)
    assert 0 < figure(table, "states", "grpo", "backlog_fairness").ours <= 1
    assert "not defined" in table.notes[0]


def test_table_vi_pairs_perturbed_with_plain(request_):
    """The stub reads all servers: shuffling changes nothing, noise costs something."""
    table = tables.make("VI", request_)
    settings = [f.setting for f in table.figures if f.policy == "grpo" and f.protocol == "states"]
    assert settings == ["shuffled", "noise"]
    shuffled = figure(table, "states", "grpo", "change_slots", setting="shuffled")
    assert (shuffled.ours, shuffled.paper, shuffled.relation) == (0.0, 0.01, "<")
    assert figure(table, "states", "grpo", "change_slots", setting="noise").ours >= 0
    assert figure(table, "episodes", "dqn", "gap_change_percent", setting="shuffled").ours < 1e-9
    with pytest.raises(ValueError, match="table VI perturbs what trained policies read"):
        tables.make("VI", Request(request_.out, ("random",), states=10, seeds=(0, 2), jobs=1))


def test_episodes_resume_and_are_shared(request_, monkeypatch):
    """A second table of the same policies finds the episodes of the first."""
    tables.make("II", request_)
    monkeypatch.setattr(measured.benchmark, "run_unit", lambda suite, unit: 1 / 0)
    tables.make("V", request_)


def test_files_hold_the_same_figures(request_):
    """JSON has every figure with its difference; Markdown and picture are written beside it."""
    table = tables.make("II", request_)
    paths = table_files.write(table, request_.out)
    assert [p.name for p in paths] == ["table-II.json", "table-II.md", "table-II.png"]
    body = json.loads(paths[0].read_text())
    assert len(body["figures"]) == len(table.figures)
    row = next(f for f in body["figures"] if (f["method"], f["quantity"]) == ("DQN", "pr_percent"))
    assert row["difference"] == pytest.approx(row["ours"] - 87.68)
    text = paths[1].read_text()
    assert "| COMLLM | grpo |" in text and "96.86" in text
    assert paths[2].read_bytes()[:4] == b"\x89PNG"


def test_blocks_by_setting_put_policies_below_settings():
    """Two settings: one column each, and the limit of the paper in the heading."""
    made = [
        Figure("states", "a", setting, "pr_percent", ours, method="M", paper=93.0, relation=">")
        for setting, ours in (("3", 99.004), ("4", -0.0001))
    ]
    shown = {"pr_percent": Quantity("PR, %", 2)}, {"states": "Independent states"}
    (block,) = table_output.blocks(Table("IV", "t", tuple(made), (), *shown))
    assert block.heading == "Independent states: PR, % (paper: M > 93)"
    assert block.header == ("policy", "3", "4")
    assert block.rows == (("a", "99.00", "0.00"),)  # no minus before a zero


def test_default_policies_are_rules_and_what_is_there(monkeypatch):
    """Shipped checkpoints and given ones; nothing that would only be refused."""
    monkeypatch.setattr(measured.zoo, "shipped", lambda name: name == "sft")
    names = measured.default_policies((Checkpoint("mine", "runs/mine", "0"),))
    assert names == (*measured.RULES, "sft", "mine")


def test_suite_takes_other_sizes_and_servers():
    """Both are parameters of a run, and both reach the instance."""
    suite = Suite(
        "comllm", ("paper",), (0, 1), ("random",), options={"servers": 3, "task_mbit": (10, 10)}
    )
    x = suite.instance(suite.units[0])
    assert x.meta["parameters"]["servers"] == 3
    assert x.service_ns[x.stage_ptr[0]] == pytest.approx(0.297 * 10 / 2.5 * 1e9)
    assert Suite.from_document(suite.to_document(), "here") == suite
    assert (
        suite.digest
        != Suite("comllm", ("paper",), (0, 1), ("random",), options={"servers": 3}).digest
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--table", "VII"), "table: unknown 'VII', one of II, III, IV, V, VI"),
        (("--table", "II", "--servers", "3"), "servers = 3 cannot be combined with --table"),
        (("--table", "II", "--preset", "paper,busy"), "--table takes one, got 'paper,busy'"),
        (("--table", "II", "--task-mbit", "2:9"), "task-mbit = 2:9 goes with episodes"),
        (("--task-mbit", "nine"), "task-mbit: 'nine' is not A:B"),
        (("--task-mbit", "9:2"), "task_mbit = (9.0, 2.0) must satisfy"),
    ],
)
def test_user_errors_are_one_line(arguments, message):
    """Status 2; argument and value are named."""
    done = CliRunner().invoke(app, ["bench", "comllm", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_command_prints_and_writes_a_table(request_, tmp_path):
    """One command; the JSON is also written where asked."""
    done = CliRunner().invoke(
        app,
        ["bench", "comllm", "--table", "V", "--states", "40", "--seeds", "0:2", "--jobs", "1",
         "--policies", "random,grpo", "--out", str(tmp_path / "t"), "--json",
         str(tmp_path / "v.json")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Table V: fairness" in done.stdout and "LBI, %: paper" in done.stdout
    assert json.loads((tmp_path / "v.json").read_text())["episode_seeds"] == [0, 1]
    assert (tmp_path / "t" / "table-V.md").exists()
