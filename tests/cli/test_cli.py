"""The command line: JSON, exit statuses, one-line errors."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest

from mecopt import files
from mecopt.bench.run_folder import RunFolder
from mecopt.bench.suite import Suite
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from tests.support.command import mecopt


def shell(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run a command as a user does."""
    command = [sys.executable, "-c", "from mecopt.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800, **options)


BENCH = ("bench", "comllm", "--seeds", "100:102", "--policies", "one-step-oracle,random")
BENCH = (*BENCH, "--time-limit", "1", "--gap", "0.01", "--jobs", "1")


# ---------------------------------------------------------------- solve, verify
def test_solve_writes_exactly_the_documented_keys(work_folder):
    """And its objective is what the core's replay of its choice costs."""
    done = mecopt("solve", "--preset", "busy", "--seed", "3", "--json", "out.json")
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    keys = "objective bound gap termination method seconds instance_hash choice bound_kind"
    assert set(record) == set(keys.split())
    x = comllm.generate("busy", 3)
    assert record["instance_hash"] == x.content_hash
    assert replay(x, record["choice"]).objective == pytest.approx(record["objective"], rel=1e-9)
    gap = (record["objective"] - record["bound"]) / max(abs(record["bound"]), 1e-9)
    assert record["gap"] == pytest.approx(gap, abs=1e-12)
    assert record["bound"] <= record["objective"] * (1 + 1e-9)


def test_both_methods_agree_through_the_command_line(work_folder):
    """The compact model's word is labelled as a claim, never as certified."""
    mecopt("solve", "--save-instance", "x.json", "--json", "plans.json", "--gap", "1e-7")
    done = mecopt("solve", "--instance", "x.json", "--method", "milp", "--json", "milp.json")
    assert done.exit_code == 0, done.output
    plans, milp = (json.loads((work_folder / f"{m}.json").read_text()) for m in ("plans", "milp"))
    assert (plans["bound_kind"], milp["bound_kind"]) == ("certified", "solver-claimed")
    assert milp["objective"] >= plans["bound"] * (1 - 1e-9)
    assert plans["objective"] >= milp["bound"] * (1 - 1e-9)


def test_saved_instance_is_the_generated_one(work_folder):
    """Also compressed."""
    mecopt("solve", "--seed", "5", "--save-instance", "x.json.gz", "--save-schedule", "s.json")
    assert (
        OffloadingInstance.load("x.json.gz").content_hash
        == comllm.generate("paper", 5).content_hash
    )
    assert json.loads((work_folder / "s.json").read_text())["schema"] == "mecopt.schedule"


def test_certificate_is_accepted_and_a_forged_one_rejected(work_folder):
    """Exit status 0 and 1; the reason is on stderr."""
    done = mecopt("solve", "--certificate", "proof.json", "--gap", "0.01")
    assert done.exit_code == 0, done.output
    accepted = mecopt("verify", "proof.json")
    assert accepted.exit_code == 0, accepted.output
    assert "accepted" in accepted.stdout
    proof = json.loads((work_folder / "proof.json").read_text())
    holder = proof if "choice" in proof else proof["schedule"]
    holder["choice"] = [-1] * len(holder["choice"])  # everything dropped costs more than claimed
    (work_folder / "forged.json").write_text(json.dumps(proof))
    rejected = mecopt("verify", "forged.json")
    assert rejected.exit_code == 1
    assert rejected.stderr.startswith("mecopt: forged.json: rejected:")


def test_certificate_of_a_claimed_bound_is_refused():
    """Before anything is solved."""
    done = mecopt("solve", "--method", "milp", "--certificate", "proof.json")
    assert done.exit_code == 2
    assert "solver-claimed and cannot be certified" in done.stderr


# ---------------------------------------------------------------- bench, report
def test_bench_writes_records_scorecard_and_report(work_folder):
    """One record per policy and seed with the documented keys, and a page."""
    done = mecopt(*BENCH, "--out", "run", "--json", "out.json")
    assert done.exit_code == 0, done.output
    records = json.loads((work_folder / "out.json").read_text())
    assert [(r["policy"], r["seed"]) for r in records] == [
        (policy, seed) for seed in (100, 101) for policy in ("one-step-oracle", "random")
    ]
    keys = "policy seed mean_cost_slots drop_rate bound_slots incumbent_slots gap_to_bound"
    keys += " gap_to_incumbent decision_seconds_p50 preset parse_rate p95_latency_ms"
    assert all(set(record) == set(keys.split()) for record in records)
    assert "gap to" in done.stdout and "one-step-oracle" in done.stdout
    assert "Provably, on paper" in done.stdout
    assert done.stdout.strip().endswith("report: run/report.html")
    assert (work_folder / "run" / "report.html").stat().st_size > 50_000


def test_bench_finds_its_own_folder_again(work_folder):
    """Without --out the folder is named after the parameters."""
    mecopt(*BENCH)
    (folder,) = (work_folder / "runs").iterdir()
    assert folder.name.startswith("comllm-")
    mecopt(*BENCH)
    assert len(list((work_folder / "runs").iterdir())) == 1


def test_report_rebuilds_the_page(work_folder):
    """From the folder alone."""
    mecopt(*BENCH, "--out", "run")
    (work_folder / "run" / "report.html").unlink()
    done = mecopt("report", "run")
    assert done.exit_code == 0, done.output
    assert (work_folder / "run" / "report.html").exists()


def test_report_of_an_unfinished_run_says_how_to_resume(work_folder):
    """Status 2 and one line."""
    suite = Suite("comllm", ("paper",), (100, 102), ("random",))
    RunFolder.open(work_folder / "run", suite)
    done = mecopt("report", "run")
    assert done.exit_code == 2
    assert "incomplete (0 of 2 instances); resume it with: mecopt bench comllm" in done.stderr
    assert done.stderr.count("\n") == 1


# ---------------------------------------------------------------- errors
def malformed(name: str, text: str) -> str:
    with open(name, "w", encoding="utf-8") as f:
        f.write(text)
    return name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("solve", "--preset", "nope"), "preset: unknown 'nope', one of paper, busy"),
        (("solve", "--seed", "x"), "'--seed'"),
        (("solve", "--seed", "-3"), "seed = -3"),
        (("solve", "--gap", "-1"), "gap = -1.0 must be a finite number >= 0"),
        (("solve", "--time-limit", "-1"), "time_limit = -1.0 must be a number of seconds >= 0"),
        (("solve", "--method", "magic"), "method: unknown 'magic'"),
        (("solve", "--scenario", "wifi6"), "scenario: unknown 'wifi6'"),
        (("solve", "--scenario", "traces", "--preset", "busy"), "use --trace"),
        (("solve", "--trace", "azure-conv"), "needs --scenario traces"),
        (("solve", "--instance", "nowhere.json"), "nowhere.json: no such file"),
        (("solve", "--instance", "x.json", "--seed", "2"), "cannot be combined with --instance"),
        (("verify", "nowhere.json"), "nowhere.json"),
        (("bench", "comllm", "--seeds", "5:3"), "seeds: '5:3' is empty"),
        (("bench", "comllm", "--policies", "oracle"), "policies: unknown 'oracle'"),
        (("bench", "comllm", "--preset", "paper,nope"), "preset: unknown 'nope'"),
        (("bench", "comllm", "--engine", "dask"), "engine: unknown 'dask'"),
        (("bench", "comllm", "--colour", "red"), "No such option"),
        (("bench", "traces", "--window", "9:3"), "window: '9:3'"),
        (("bench", "wifi6"), "No such command 'wifi6'"),
        (("report", "nowhere"), "nowhere: no such folder"),
        (("report", "."), "no mecopt run here"),
        (("bogus",), "No such command 'bogus'"),
    ],
)
def test_user_errors_are_one_line_and_status_two(arguments, message):
    """The line names the argument and the value."""
    done = mecopt(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.startswith("mecopt: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable JSON document"),
        ("[]", "schema is 'list'"),
        ('{"schema": "mecopt.offloading-instance", "version": 7}', "version is 7"),
        ('{"schema": "mecopt.offloading-instance", "version": 1}', "is missing"),
        ('{"schema": "mecopt.schedule", "version": 1}', "schema is 'mecopt.schedule'"),
    ],
)
def test_malformed_instance_files_are_named(text, message):
    """Not JSON, another schema, another version, missing fields."""
    done = mecopt("solve", "--instance", malformed("bad.json", text))
    assert done.exit_code == 2
    assert "bad.json" in done.stderr and message in done.stderr
    assert done.stderr.count("\n") == 1


def test_malformed_certificate_is_status_two_not_a_rejection():
    """Rejected means checked and found wrong; this one cannot be checked."""
    assert mecopt("verify", malformed("bad.json", "{}")).exit_code == 2


def test_a_full_disk_is_one_line(monkeypatch):
    """OSError carries the file's name."""

    def write(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "write_bytes", write)
    done = mecopt(*BENCH, "--out", "run")
    assert done.exit_code == 2
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interrupt_says_how_to_resume(monkeypatch):
    """Status 130, one line with the command to type."""
    from mecopt.bench import run as benchmark

    def interrupted(suite, unit):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "run_unit", interrupted)
    done = mecopt(*BENCH, "--out", "run")
    assert done.exit_code == 130
    assert "resume with: mecopt bench comllm --preset paper --seeds 100:102" in done.stderr


# ---------------------------------------------------------------- as a user types it
def test_help_is_quick_and_has_an_example():
    """Help imports nothing heavy."""
    code = "import sys; from mecopt.cli import app; print([m for m in sys.modules if m in H])"
    heavy = "H = {'numpy', 'numba', 'pandas', 'pyomo', 'matplotlib', 'ray', 'highspy'}; "
    loaded = subprocess.run(
        [sys.executable, "-c", heavy + code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
    for command in (("solve",), ("verify",), ("bench", "comllm"), ("bench", "traces"), ("report",)):
        done = mecopt(*command, "--help")
        assert done.exit_code == 0
        assert f"mecopt {' '.join(command)} " in done.stdout.replace("Usage: mecopt", "")


def test_version():
    """The installed version."""
    assert mecopt("--version").stdout.startswith("mecopt 0.")


def test_errors_of_the_real_process():
    """No traceback, status 2, nothing on stdout."""
    done = shell("solve", "--preset", "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_in_the_real_process(work_folder):
    """Interrupted in the middle of a run: status 130, no traceback, no manifest, then resumed."""
    arguments = ["bench", "comllm", "--seeds", "100:160", "--policies", "random", "--jobs", "1"]
    arguments += ["--time-limit", "0.2", "--gap", "0.05", "--out", "run"]
    # A parent that runs in the background may have SIGINT ignored, and children inherit that.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", listen + "from mecopt.cli import main; main()", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    parts = work_folder / "run" / "parts"
    while not (parts.is_dir() and any(parts.glob("paper-*"))) and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=1800)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors and "resume with: mecopt bench comllm" in errors
    assert not RunFolder("run").is_whole
    assert any(parts.glob("paper-*"))


def test_json_has_no_infinities():
    """Strict JSON: a gap that is not finite becomes null."""
    from mecopt.files import plain

    assert plain({"gap": math.inf, "choice": [1, -1], "x": (math.nan,)}) == {
        "gap": None,
        "choice": [1, -1],
        "x": [None],
    }


# ---------------------------------------------------------------- data
def test_data_lists_what_scenarios_need():
    """Names, licences, and that COMLLM needs nothing."""
    done = mecopt("data", "--data-dir", "nowhere")
    assert done.exit_code == 0
    assert "azure-conv" in done.stdout and "CC-BY-4.0" in done.stdout
    assert "comllm needs no data" in done.stdout


def test_data_verify_reports_missing_files():
    """Status 1 and one line per file."""
    done = mecopt("data", "verify", "--data-dir", "nowhere")
    assert done.exit_code == 1
    assert "azure-conv: missing" in done.stdout


def test_data_fetch_refuses_unknown_names():
    """Before any download."""
    done = mecopt("data", "fetch", "nope", "--data-dir", "nowhere")
    assert done.exit_code == 2
    assert "nope" in done.stderr
