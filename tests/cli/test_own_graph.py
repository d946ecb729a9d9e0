"""``mecopt solve --plan FILE --nodes FILE``: what docs/own_graphs.md shows, and bad input."""

import json
import re
from pathlib import Path

import pytest

from mecopt.offloading.instance import OffloadingInstance
from mecopt.task_graphs.episode import Episode
from tests.support.command import mecopt

PAGE = (Path(__file__).parents[2] / "docs" / "own_graphs.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def files(work_folder):
    """The two files of the page, where the command runs."""
    for name, text in zip(("plan.json", "nodes.json"), blocks("json"), strict=True):
        (work_folder / name).write_text(text)
    return work_folder


def solve(*arguments, plan="plan.json", nodes="nodes.json"):
    return mecopt("solve", "--plan", plan, "--nodes", nodes, *arguments)


def test_the_page_shows_what_the_command_prints(files):
    """Its command, its table, and a picture."""
    (command,), (table,) = blocks("sh"), blocks("text")
    done = mecopt(*command.split()[1:])
    assert done.exit_code == 0, done.output
    assert table in done.output
    assert (files / "schedule.png").read_bytes().startswith(b"\x89PNG")


def test_the_python_of_the_page_runs(files, capsys):
    """A graph of networkx on the machines of the page."""
    pytest.importorskip("networkx")
    (code,) = blocks("python")
    exec(compile(code, "own_graphs.md", "exec"), {"__name__": "example"})
    assert re.search(r"answer +desk", capsys.readouterr().out)


def test_json_holds_the_assignment(files):
    """Beside the keys of every solve; reward = correctness - 0.01 x latency."""
    done = solve("--json", "out.json", "--save-instance", "x.json", "--certificate", "proof.json")
    assert done.exit_code == 0, done.output
    record = json.loads((files / "out.json").read_text())
    assert record["assignment"] == {
        "search": "laptop", "numbers": "desk", "read": "desk", "argue": "desk", "summary": "laptop",
    }  # fmt: skip
    assert record["reward"] == pytest.approx(record["accuracy"] - 0.01 * record["latency_s"])
    assert record["objective"] == -record["reward"]
    assert (record["termination"], record["bound_kind"]) == ("optimal", "certified")
    assert len(Episode.of(OffloadingInstance.load("x.json")).tasks[0].plan) == 5
    assert mecopt("verify", "proof.json").exit_code == 0


def test_time_alone(files):
    """Without a worth of accuracy nobody has to know how right anything is."""
    network = json.loads((files / "nodes.json").read_text())
    del network["nodes"][1]["params_b"]
    network["accuracy_weight"] = 0
    (files / "time.json").write_text(json.dumps(network))
    done = solve("--json", "out.json", nodes="time.json")
    assert done.exit_code == 0, done.output
    assert json.loads((files / "out.json").read_text())["accuracy"] is None
    assert "correctness, " not in done.output


def test_machines_out_of_use_are_named(files):
    """One that no link leads to, and the device of somebody else."""
    network = json.loads((files / "nodes.json").read_text())
    speeds = {"params_b": 7, "prompt_tokens_per_s": 1000, "output_tokens_per_s": 50}
    network["nodes"] += [{"name": "moon", **speeds}, {"name": "phone", "kind": "device", **speeds}]
    (files / "more.json").write_text(json.dumps(network))
    done = solve(nodes="more.json")
    assert done.exit_code == 0, done.output
    assert "moon: not used, no links lead there from laptop" in done.output
    assert "phone: not used, the device of somebody else" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan", "plan.json"], "plan: 'plan.json' needs --nodes FILE"),
        (["--nodes", "nodes.json"], "nodes: 'nodes.json' needs --plan FILE"),
        (["--picture", "x.png"], "picture: 'x.png' needs --plan FILE"),
    ],
)
def test_options_that_need_each_other(files, arguments, message):
    """One line, status 2."""
    done = mecopt("solve", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"mecopt: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--instance", "x.json"], "instance: 'x.json' cannot be combined with --plan"),
        (["--scenario", "comllm"], "scenario: 'comllm' cannot be combined with --plan"),
        (["--preset", "busy"], "preset: 'busy' cannot be combined with --plan"),
        (["--seed", "0"], "seed: 0 cannot be combined with --plan"),
        (["--json", "plan.json"], "json: plan is read from plan.json, too; choose another file"),
        (["--picture", "nodes.json"], "picture: nodes is read from nodes.json, too"),
        (["--picture", "-"], "picture: only --json takes - for the standard output"),
        (["--method", "magic"], "method: unknown 'magic'"),
    ],
)
def test_what_cannot_be_combined(files, arguments, message):
    """One line, status 2, nothing written."""
    before = (files / "plan.json").read_text()
    done = solve(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"mecopt: {message}")
    assert done.stderr.count("\n") == 1
    assert (files / "plan.json").read_text() == before


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("plan", lambda d: d["subtasks"][0].update(after=["summary"]), "is a cycle"),
        ("plan", lambda d: d["subtasks"][3].update(after=["read"]), "is not connected with"),
        ("plan", lambda d: d["subtasks"][0].update(role="dream"), "role = 'dream' is unknown"),
        ("plan", lambda d: d["subtasks"][0].update(output_tokens=-1), "output_tokens = -1 is neg"),
        ("plan", lambda d: d["subtasks"][1].update(correctness={"moon": 1}), "unknown node 'moon'"),
        ("plan", lambda d: d.update(title="mine"), "unknown field 'title', the only one is subt"),
        ("nodes", lambda d: d["nodes"][1].update(slots=10**12), "must be at most 1000000"),
        ("nodes", lambda d: d["nodes"][1].pop("params_b"), "no correctness on node 'desk'"),
        ("nodes", lambda d: d["links"][0].update(between=["laptop", "moon"]), "'moon' is no node"),
        ("nodes", lambda d: d["links"][0].update(mbps=1e-12), "take 2e.13 s, more than"),
        (
            "nodes",
            lambda d: d["nodes"][1].update(output_tokens_per_s=1e-9),
            "on node 'desk': takes 3e",
        ),
    ],
)
def test_bad_files(files, name, change, message):
    """One line that begins with the file, status 2."""
    document = json.loads((files / f"{name}.json").read_text())
    change(document)
    (files / f"{name}.json").write_text(json.dumps(document))
    done = solve()
    assert done.exit_code == 2
    assert re.match(rf"mecopt: .*{name}\.json.*: .*{message}", done.stderr), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_there(files):
    """Or is no JSON."""
    assert "mecopt: none.json: No such file or directory" in solve(plan="none.json").stderr
    (files / "broken.json").write_text("{")
    done = solve(nodes="broken.json")
    assert done.exit_code == 2
    assert done.stderr.startswith("mecopt: broken.json: ")
