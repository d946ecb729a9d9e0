"""Policies of other packages, and checkpoints: entry points, names, folders, errors."""

import json
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from mecopt import checkpoints
from mecopt.bench.suite import Suite, Unit
from mecopt.cli import app
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies.by_name import plugins
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from mecopt.task_graphs.policies import by_name


@dataclass
class Always:
    """The option it was told; what a user's own package might bring."""

    option: int
    name: str = "always"

    def reset(self, instance): ...

    def act(self, observation):
        return self.option


def make_always(*, preset, seed, data_dir, checkpoint):
    """A factory as the entry point wants it; the checkpoint says which option."""
    return Always(
        0 if checkpoint is None else int((checkpoints.find(checkpoint) / "o").read_text())
    )


@pytest.fixture
def always(monkeypatch):
    """A package that declares the policy `always`, and reads checkpoints under any name."""
    here = f"{__name__}:make_always"
    points = [EntryPoint(name, here, plugins.OFFLOADING) for name in ("always", "checkpoint")]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    plugins.declared.cache_clear()
    yield
    plugins.declared.cache_clear()


def trained(folder, option: int):
    """A checkpoint folder of the package above."""
    folder.mkdir()
    (folder / checkpoints.MARKER).write_text(json.dumps({"kind": "always"}))
    (folder / "o").write_text(str(option))
    return folder


def test_a_declared_policy_is_made_by_name(always):
    """And its name is one of those that a suite accepts."""
    assert policies.make("always").act(None) == 0
    assert "always" in policies.names() and "checkpoint" not in policies.names()
    assert Suite("comllm", ("paper",), (0, 1), ("always", "random")).policies[0] == "always"


def test_a_checkpoint_decides_what_the_policy_does(always, tmp_path):
    """Under its own name and under a name of the user's; a training folder works, too."""
    trained(tmp_path / "run", 9)  # the folder of a training ...
    (tmp_path / "run" / checkpoints.MARKER).unlink()
    trained(tmp_path / "run" / "checkpoint", 2)  # ... holds the checkpoint in a folder of its own
    found = checkpoints.parse([f"always={trained(tmp_path / 'a', 3)}", f"mine={tmp_path / 'run'}"])
    suite = Suite("comllm", ("paper",), (0, 1), ("always", "mine"), checkpoints=found)
    unit = Unit("paper", 0)
    assert [suite.policy(name, unit).act(None) for name in suite.policies] == [3, 2]
    assert Suite.from_document(json.loads(json.dumps(suite.to_document())), "here") == suite


def test_digest_changes_with_the_content(tmp_path):
    """A checkpoint trained again in the same folder is another parameter of the run."""
    folder = trained(tmp_path / "a", 3)
    before = checkpoints.digest(folder)
    assert checkpoints.digest(folder) == before
    (folder / "o").write_text("4")
    assert checkpoints.digest(folder) != before


def test_a_benchmark_names_rows_after_the_suite(always, tmp_path, monkeypatch):
    """Two checkpoints of one policy stay apart; parse_rate stands in every record."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(comllm.PRESETS, "paper", comllm.Parameters(slots=6))
    command = ["bench", "comllm", "--seeds", "3:4", "--policies", "one,two", "--gap", "0.05"]
    for name, option in (("one", 1), ("two", 2)):
        command += ["--checkpoint", f"{name}={trained(tmp_path / name, option)}"]
    command += ["--jobs", "1", "--json", "out.json", "--out", "run"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    records = json.loads((tmp_path / "out.json").read_text())
    assert [(r["policy"], r["parse_rate"]) for r in records] == [("one", 1.0), ("two", 1.0)]
    x = comllm.generate("paper", 3)
    mean = rollout(x, Always(2)).mean_cost_s / 0.1
    assert records[1]["mean_cost_slots"] == pytest.approx(mean)
    # The checkpoint of `two` is trained anew in its folder: it plays again, and it is said.
    (tmp_path / "two" / "o").write_text("0")
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and "checkpoint two changed" in again.stderr
    records = json.loads((tmp_path / "out.json").read_text())
    mean = rollout(x, Always(0)).mean_cost_s / 0.1
    assert records[1]["mean_cost_slots"] == pytest.approx(mean)
    # Another name is another run.
    other = [a.replace("two", "three") if "=" not in a else a for a in command]
    other[other.index(f"two={tmp_path / 'two'}")] = f"three={tmp_path / 'two'}"
    assert "other parameters (policies is one,two" in CliRunner().invoke(app, other).stderr


def test_two_packages_with_one_name_are_refused(monkeypatch):
    """Which one would be meant?"""
    points = [EntryPoint("mine", f"package_{i}:make", plugins.OFFLOADING) for i in (1, 2)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    plugins.declared.cache_clear()
    with pytest.raises(ValueError, match="'mine' is declared twice, by package_1:make and"):
        plugins.declared(plugins.OFFLOADING)
    plugins.declared.cache_clear()


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    """One line, no traceback of an import."""
    point = EntryPoint("mine", "no_such_package.rules:make", plugins.OFFLOADING)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    plugins.declared.cache_clear()
    with pytest.raises(ValueError, match="'mine' cannot be imported .*no_such_package"):
        policies.make("mine")
    plugins.declared.cache_clear()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["sft"], "'sft' is not NAME=FOLDER"),
        (["=runs/x"], "'=runs/x' is not NAME=FOLDER"),
        (["sft="], "'sft=' is not NAME=FOLDER"),
        (["sft=nowhere"], r"nowhere holds no trained policy \(mecopt.json is missing\)"),
    ],
)
def test_malformed_checkpoints_are_refused(texts, message):
    """The text as given is in the message."""
    with pytest.raises(ValueError, match=message):
        checkpoints.parse(texts)


def test_checkpoints_that_nobody_would_use_are_refused(always, tmp_path):
    """Twice the same name, a name that is not a policy of the suite, a rule of the core."""
    folder = trained(tmp_path / "a", 3)
    with pytest.raises(ValueError, match="'mine' is given twice"):
        checkpoints.parse([f"mine={folder}", f"mine={folder}"])
    found = checkpoints.parse([f"mine={folder}"])
    with pytest.raises(ValueError, match="'mine' is not among the policies"):
        Suite("comllm", ("paper",), (0, 1), ("random",), checkpoints=found)
    with pytest.raises(ValueError, match="'random' is a rule without parameters"):
        policies.make("random", checkpoint=folder)


# ------------------------------------------------------------------------------- learning.zoo
def test_every_trained_name_is_declared():
    """pyproject.toml, zoos and loader agree on names; rules of other scenarios are there."""
    from learning.collaboration import strategists
    from learning.collaboration import zoo as agents
    from learning.offloading import zoo
    from learning.task_graphs import zoo as planners
    from mecopt.collaboration.policies import by_name as collaboration

    assert policies.names()[: len(policies.NAMES)] == policies.NAMES
    snapshot_rules = {"goa", "goa-local-search", "delay-greedy"}
    graph_rules = {*by_name.NAMES, *planners.NAMES}
    failing = {*collaboration.RULES, *agents.NAMES, *strategists.NAMES}
    others = {*zoo.NAMES, *zoo.TEACHERS, *snapshot_rules, *graph_rules, *failing}
    assert set(policies.names()) - set(policies.NAMES) == others


def test_teachers_take_no_checkpoint(tmp_path):
    """They have nothing to load."""
    from learning.offloading import zoo

    for name in zoo.TEACHERS:
        assert policies.make(name).name == name
        with pytest.raises(ValueError, match=f"{name!r} is a rule without parameters"):
            policies.make(name, checkpoint=tmp_path)


def test_a_name_without_a_checkpoint_says_how_to_get_one(monkeypatch):
    """Neither shipped nor given."""
    from learning import zoo

    monkeypatch.setattr(zoo, "shipped", lambda family, *place: None)
    with pytest.raises(ValueError, match=r"mecopt train dqn --out FOLDER.*--checkpoint dqn=FOLDER"):
        policies.make("dqn")


@pytest.mark.parametrize(
    ("marker", "message"),
    [('{"kind": "oracle"}', "kind is 'oracle', one of language"), ("{}", "does not say"),
     ("[", "does not say")],
)  # fmt: skip
def test_unknown_checkpoints_are_refused(tmp_path, marker, message):
    """The marker's path is in the message."""
    (tmp_path / checkpoints.MARKER).write_text(marker)
    with pytest.raises(ValueError, match=rf"mecopt.json: .*{message}"):
        policies.make("mine", checkpoint=tmp_path)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    """What to install, in one line."""
    from learning import zoo

    monkeypatch.setitem(zoo.KINDS["offloading"], "dqn", "no_such_module")
    (tmp_path / checkpoints.MARKER).write_text('{"kind": "dqn"}')
    with pytest.raises(
        ValueError, match=r"needs the learning extra: pip install 'mecopt\[learning\]'"
    ):
        policies.make("dqn", checkpoint=tmp_path)
