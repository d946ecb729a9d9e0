"""What a finished unit was made from: anything that changed is computed again, and said."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mecopt import files
from mecopt.bench import identity, provenance
from mecopt.bench import run as benchmark
from mecopt.bench.run_folder import PART, RunFolder
from mecopt.bench.suite import Suite
from mecopt.cli import app
from mecopt.data import find
from mecopt.offloading.policies.by_name import plugins
from mecopt.offloading.scenarios import comllm
from tests.support import mini_data, toy_family

TRACE = "arrival_s,context_tokens,generated_tokens\n0.0,100,40\n1.0,200,60\n"


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch):
    """Every test in a folder of its own, on episodes of 6 slots."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(comllm.PRESETS, "paper", comllm.Parameters(slots=6))


def mecopt(*arguments: str):
    """Run a command that must end well; returns (what it printed, its lines on stderr)."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


COMLLM = ("bench", "comllm", "--seeds", "0:2", "--policies", "random", "--jobs", "1", "--gap", 0.05)
TRACES = ("bench", "traces", "--trace", "my.csv", "--window", "0:60", "--data-dir", "data")
TRACES = (*TRACES, "--policies", "random", "--jobs", "1", "--gap", "0.05")


def data_folder(path: Path) -> None:
    """A data folder with a site for each of the five kinds of hosts, and a trace beside it."""
    mini_data.write_folder(path / "data")
    sites = mini_data.SITES + "E,-37.81,144.964,Unknown,fifth\n"
    mini_data.write_file(path / "data", find("eua-sites"), sites)
    (path / "my.csv").write_text(TRACE)


def costs(out: str = "run") -> list[float]:
    return RunFolder(out).read()[1]["results"]["cost"].tolist()


# ---------------------------------------------------------------- what makes a unit old
def test_an_edited_trace_is_solved_again(tmp_path):
    """The same command gives the new answer, the one that a fresh folder gives."""
    data_folder(tmp_path)
    mecopt(*TRACES, "--out", "run")
    before = costs()
    (tmp_path / "my.csv").write_text(TRACE.replace("200,60", "900,180"))
    _, said = mecopt(*TRACES, "--out", "run")
    assert "1 of 1 instances are computed again: since 20" in said
    assert "file my.csv changed" in said and said.count("\n") == 1
    mecopt(*TRACES, "--out", "fresh")
    assert costs() == costs("fresh") != before


def test_an_edited_file_of_the_data_folder_is_read_again(tmp_path):
    """Another place of the users, the same trace."""
    data_folder(tmp_path)
    mecopt(*TRACES, "--out", "run")
    users = mini_data.USERS.replace("144.9625", "144.9630")
    mini_data.write_file(tmp_path / "data", find("eua-users"), users)
    _, said = mecopt(*TRACES, "--out", "run")
    assert "file topology/eua_melbcbd_users_generated.csv.gz changed" in said


def test_an_edited_policy_of_a_package_plays_again(tmp_path, monkeypatch):
    """Its code is part of what a unit was made from."""
    source = """class Rule:
    name = "mine"
    def reset(self, instance): ...
    def act(self, observation): return 0
def make(**asked): return Rule()
"""
    package = tmp_path / "my_rules"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("mine", "my_rules:make", plugins.OFFLOADING)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    plugins.declared.cache_clear()
    command = [a if a != "random" else "mine" for a in (*COMLLM, "--out", "run")]
    mecopt(*command)
    before = costs()
    (package / "__init__.py").write_text(source.replace("return 0", "return -1"))
    # This process would go on with the code that it has loaded: it is refused.
    done = CliRunner().invoke(app, [str(a) for a in command])
    assert done.exit_code == 2 and "package my_rules changed while this process ran" in done.stderr
    identity.code.cache_clear()  # what a new process begins with
    del sys.modules["my_rules"]
    _, said = mecopt(*command)
    assert "2 of 2 instances are computed again" in said and "code of my_rules changed" in said
    assert costs() != before
    identity.code.cache_clear()
    plugins.declared.cache_clear()


def test_another_version_of_a_solver_solves_again(monkeypatch):
    """HiGHS 1.14 had wrong answers; what it found is not taken for that of another one."""
    real = provenance._version
    old = {"highspy": "1.14.0"}
    monkeypatch.setattr(provenance, "_version", lambda name: old.get(name) or real(name))
    mecopt(*COMLLM, "--out", "run")
    monkeypatch.setattr(provenance, "_version", real)
    _, said = mecopt(*COMLLM, "--out", "run")
    assert f"highspy went from 1.14.0 to {real('highspy')}" in said


def test_another_instance_of_the_same_name_is_solved_again(monkeypatch):
    """Whatever made it another one: the content hash decides."""
    mecopt(*COMLLM, "--out", "run")
    monkeypatch.setitem(comllm.PRESETS, "paper", comllm.Parameters(slots=7))
    assert "instance changed" in mecopt(*COMLLM, "--out", "run")[1]


def test_only_what_changed_is_computed_again(monkeypatch):
    """The part of one instance says another version, the other one is kept."""
    mecopt(*COMLLM, "--out", "run")
    path = RunFolder("run").path / "parts" / "paper-1.json"
    part = json.loads(path.read_text())
    files.write_json(path, part | {"identity": part["identity"] | {"numpy": "1.0"}})
    _, said = mecopt(*COMLLM, "--out", "run")
    assert "1 of 2 instances are computed again (paper-1): since" in said
    log = (RunFolder("run").path / "log.txt").read_text()
    assert log.count("paper-0 done") == 1 and log.count("paper-1 done") == 2
    assert "numpy went from 1.0" in log


def test_parts_of_an_older_version_are_computed_again():
    """They do not say what they were made from."""
    mecopt(*COMLLM, "--out", "run")
    path = RunFolder("run").path / "parts" / "paper-0.json"
    part = json.loads(path.read_text())
    del part["identity"]
    path.write_text(json.dumps(part | {"version": 1}))
    said = mecopt(*COMLLM, "--out", "run")[1]
    assert "1 of 2 instances are computed again (paper-0): an older mecopt did not note" in said


# ---------------------------------------------------------------- what does not
def test_nothing_to_do_is_said_with_its_date():
    """The page is drawn again, no figure is."""
    mecopt(*COMLLM, "--out", "run")
    finished = RunFolder("run").manifest["finished"]
    out, said = mecopt(*COMLLM, "--out", "run")
    assert said.startswith(
        f"mecopt: nothing to do: this run was finished on {finished} with mecopt"
    )
    assert f"HiGHS {provenance._version('highspy')}" in said and said.count("\n") == 1
    assert "report: run/report.html" in out


def test_code_that_only_shows_figures_makes_none_old():
    """An edit of the page or of the command line does not cost hours of solving."""
    names = identity._files("mecopt")
    assert "result.py" in names and "bench/unit.py" in names and "offloading/kernel.py" in names
    assert "bench/caching/family.py" in names and "bench/caching/plot.py" not in names
    assert not [name for name in names if name.startswith(("cli/", "bench/templates/"))]


def test_a_package_counts_with_what_it_requires():
    """A rule that computes with another package gives other figures with another version of it."""
    assert {"rich", "pygments"} <= set(identity._with_requirements("rich"))
    assert identity._with_requirements("no_such_package") == []


def test_an_edited_family_of_a_script_is_computed_again(tmp_path):
    """A module that Python runs has a file, too."""
    source = Path(toy_family.__file__).read_text().replace("tests.support.toy_family", "__main__")
    run = """
if __name__ == "__main__":
    import mecopt
    from mecopt.bench.families import register
    register(TOY)
    folder = mecopt.bench("toy", seeds=(0, 2), out="run", jobs=1)
    print(folder.read()[1]["results"]["cost"].sum())
"""
    script = tmp_path / "mine.py"

    def costs_with(changed: str) -> tuple[float, str]:
        script.write_text(changed + run)
        command = [sys.executable, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return float(done.stdout), done.stderr

    before, said = costs_with(source)
    assert "computed again" not in said
    assert costs_with(source)[0] == before
    after, said = costs_with(source.replace("price > 5", "price > 6"))
    assert "code of __main__ changed" in said and after != before


def test_code_without_files_is_never_taken_for_the_same():
    """A rule typed into a notebook may be another one each time."""
    typed = {"code of notebook": identity.NO_FILES}
    assert identity.changes(typed, typed) == ["code of notebook has no files to compare"]


def test_a_changed_file_is_the_cause_of_a_changed_instance():
    """One cause, not two."""
    old = {"file a.csv": "1", "instance": "x"}
    assert identity.changes(old, {"file a.csv": "2", "instance": "y"}) == ["file a.csv changed"]
    assert identity.changes(old, old) == []


# ---------------------------------------------------------------- damage
@pytest.mark.parametrize("text", ["", '{"schema": "mecopt.benchmark-part", "vers', "PK"])
def test_a_corrupt_part_says_which_file_to_delete(text):
    """A disk that filled up, a copy that broke off."""
    mecopt(*COMLLM, "--out", "run")
    path = RunFolder("run").path / "parts" / "paper-1.json"
    path.write_text(text)
    done = CliRunner().invoke(app, [str(a) for a in (*COMLLM, "--out", "run")])
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert f"delete {path} and run the same command again" in done.stderr
    path.unlink()
    mecopt(*COMLLM, "--out", "run")


def test_a_part_that_lacks_a_field_is_corrupt():
    """It is of the right version, and not whole."""
    mecopt(*COMLLM, "--out", "run")
    path = RunFolder("run").path / "parts" / "paper-1.json"
    PART.write(path, {"unit": "paper-1", "finished": "today", "identity": {}, "results": []})
    with pytest.raises(ValueError, match=r"paper-1\.json: field 'instances' is missing.*delete"):
        RunFolder("run").read_part(RunFolder("run").suite.units[1])


def test_a_table_that_was_deleted_is_made_from_the_parts():
    """Nothing is solved again."""
    mecopt(*COMLLM, "--out", "run")
    (RunFolder("run").path / "results.parquet").unlink()
    mecopt(*COMLLM, "--out", "run")
    assert len(costs()) == 2
    assert (RunFolder("run").path / "log.txt").read_text().count("paper-0 done") == 1


def test_a_process_killed_while_it_wrote_leaves_nothing_in_the_way():
    """What it had begun is no content of the folder, and goes away with the next whole run."""
    begun = Path("run") / ".parameters.json.abcd1234.part"
    begun.parent.mkdir()
    begun.write_text('{"sch')
    mecopt(*COMLLM, "--out", "run")
    assert not begun.exists() and len(costs()) == 2


# ---------------------------------------------------------------- workers and long runs
def test_a_worker_with_other_versions_is_refused(monkeypatch):
    """A node of a cluster with another numpy: its figures do not enter the tables."""
    suite = Suite("comllm", ("paper",), (0, 1), ("random",), gap=0.05)
    real = benchmark.run_unit

    def elsewhere(suite, unit):
        part = real(suite, unit)
        return part | {"identity": part["identity"] | {"numpy": "1.0"}}

    monkeypatch.setattr(benchmark, "run_unit", elsewhere)
    with pytest.raises(
        ValueError, match=r"worker is not like this process: numpy went from .*1\.0"
    ):
        benchmark.run(suite, "run", jobs=1)
    assert RunFolder("run").missing(suite) == list(suite.units)


def test_a_file_that_changes_meanwhile_makes_no_tables(tmp_path, monkeypatch):
    """Two instances, the trace edited between them: half of the figures would be old."""
    data_folder(tmp_path)
    suite = Suite(
        "traces", ("my.csv",), (0, 2), ("random",), gap=0.05, data_dir="data",
        options={"window_s": (0.0, 60.0)},
    )  # fmt: skip

    def edit(done, total):
        if done == 1:
            (tmp_path / "my.csv").write_text(TRACE.replace("200,60", "900,180"))

    with pytest.raises(ValueError, match="file my.csv changed while the run went on"):
        benchmark.run(suite, "run", jobs=1, on_part=edit)
    with pytest.warns(UserWarning, match=r"1 of 2 instances are computed again \(my.csv-0\)"):
        benchmark.run(suite, "run", jobs=1)
