"""What commands write: tried before the work, every one even if another fails, Ctrl-C included."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import formulations
from formulations.dual import interrupt
from mecopt import files
from mecopt.certificates.verify import verify
from mecopt.cli import shell
from mecopt.cli.outputs import Outputs
from mecopt.offloading.scenarios import comllm
from tests.support.command import mecopt

SOLVE = ("solve", "--preset", "busy", "--gap", "0.05")
BENCH = (
    "bench",
    "comllm",
    "--seeds",
    "0:1",
    "--policies",
    "random",
    "--gap",
    "0.05",
    "--jobs",
    "1",
)
MARKET = "side,value\nbuyer,9\nbuyer,7\nseller,2\nseller,3\n"


# ---------------------------------------------------------------- tried before the work
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--json", "folder"), "json: folder is a folder, not a file"),
        (("--certificate", "a.txt/proof.json"), "certificate: a.txt/proof.json cannot be written"),
        (("--save-schedule", "x.json", "--json", "x.json"), "json goes to x.json, too"),
        (("--save-schedule", "./x.json", "--json", "x.json"), "json goes to x.json, too"),
        (("--certificate", "-"), "certificate: only --json takes - for the standard output"),
        (("--save-instance", "/proc/x.json"), "save-instance: /proc/x.json cannot be written"),
    ],
)
def test_outputs_of_solve_are_tried_first(work_folder, monkeypatch, options, message):
    """One line and status 2, before a second of solving."""
    monkeypatch.setattr(formulations, "solve", lambda *a, **o: pytest.fail("was solved"))
    (work_folder / "folder").mkdir()
    (work_folder / "a.txt").write_text("precious")
    done = mecopt(*SOLVE, *options)
    assert done.exit_code == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.output
    assert (work_folder / "a.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((*BENCH, "--json", "folder"), "json: folder is a folder"),
        ((*BENCH, "--out", "a.txt"), "out: a.txt is a file, not a folder"),
        ((*BENCH, "--out", "a.txt/run"), "out: a.txt/run cannot be written"),
        (("bench", "comllm", "--states", "5", "--json", "folder"), "json: folder is a folder"),
        (("bench", "comllm", "--table", "II", "--json", "folder"), "json: folder is a folder"),
        (("audit", "--market", "m.csv", "--json", "m.csv"), "market is read from m.csv, too"),
        (("audit", "--market", "m.csv", "--pictures", "a.txt"), "pictures: a.txt is a file"),
        (("train", "sft", "--out", "a.txt"), "out: a.txt is a file"),
        (("data", "fetch", "--data-dir", "a.txt"), "data-dir: a.txt is a file"),
    ],
)
def test_outputs_of_other_commands_are_tried_first(work_folder, command, message):
    """The same for every command that writes."""
    (work_folder / "folder").mkdir()
    (work_folder / "a.txt").write_text("precious")
    (work_folder / "m.csv").write_text(MARKET)
    done = mecopt(*command)
    assert done.exit_code == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (work_folder / "runs").exists() and not (work_folder / "run").exists()


def test_an_instance_is_not_overwritten_by_its_result():
    """The file that --instance reads stays what it is."""
    mecopt(*SOLVE, "--save-instance", "x.json")
    done = mecopt("solve", "--instance", "x.json", "--json", "x.json")
    assert done.exit_code == 2 and "instance is read from x.json, too" in done.stderr


def test_devices_may_be_given_twice_and_links_stay_links(work_folder):
    """/dev/null takes everything; a link is followed, and a folder that is missing is made."""
    (work_folder / "target.json").write_text("old")
    (work_folder / "link.json").symlink_to("target.json")
    done = mecopt(
        *SOLVE, "--json", "link.json", "--certificate", "/dev/null", "--save-schedule",
        "/dev/null", "--save-instance", "new/folder/x.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (work_folder / "link.json").is_symlink()
    assert json.loads((work_folder / "target.json").read_text())["bound_kind"] == "certified"
    assert (work_folder / "new" / "folder" / "x.json").exists()


# ---------------------------------------------------------------- each written, errors named
def test_a_full_disk_costs_one_output_and_names_it():
    """/dev/full is a disk without room: the others are written, status 2, the path as given."""
    done = mecopt(*SOLVE, "--json", "/dev/full", "--certificate", "p.json")
    assert done.exit_code == 2
    assert "mecopt: /dev/full: No space left on device" in done.stderr
    assert verify("p.json").ok


def test_a_full_disk_names_the_path_and_not_a_file_beside_it(work_folder, monkeypatch):
    """The bytes go to another name first, which nobody has asked for."""

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device: 'deep/x.json'"):
        files.write_bytes("deep/x.json", b"1")
    assert list((work_folder / "deep").iterdir()) == []


def test_every_failure_is_one_line(work_folder):
    """Two outputs that fail, one that does not."""
    with pytest.raises(Exception) as ended:  # noqa: SIM117 - typer's Exit
        with Outputs({"json": work_folder / "a", "proof": work_folder / "b"}) as outputs:
            (work_folder / "a").mkdir()
            outputs.write_json({"x": 1})
            outputs.write("proof", lambda path: path.write_text("written"))
    assert ended.value.exit_code == 2
    assert (work_folder / "b").read_text() == "written"


# ---------------------------------------------------------------- json on the standard output
@pytest.mark.parametrize(
    "command",
    [SOLVE, BENCH, ("bench", "comllm", "--states", "5", "--policies", "random"),
     ("audit", "--market", "m.csv", "--mechanism", "mcafee", "--sample", "0")],
)  # fmt: skip
def test_json_on_the_standard_output_is_alone_there(work_folder, command):
    """Everything else that a command says is on the standard error."""
    (work_folder / "m.csv").write_text(MARKET)
    plain = mecopt(*command, "--json", "out.json")
    done = mecopt(*command, "--json", "-")
    assert (plain.exit_code, done.exit_code) == (0, 0), done.output
    found, expected = json.loads(done.stdout), json.loads((work_folder / "out.json").read_text())
    assert type(found) is type(expected) and len(found) == len(expected)
    assert len(done.stderr.splitlines()) >= 2


def test_a_solver_that_prints_does_not_print_into_the_json(work_folder):
    """HiGHS writes its log past Python; in the real process it goes to the standard error, too."""
    comllm.generate("busy", 0, slots=5).save("x.json")
    command = [sys.executable, "-c", "from mecopt.cli import main; main()", "solve"]
    command += ["--instance", "x.json", "--method", "milp", "--gap", "0", "--time-limit", "60"]
    done = subprocess.run(
        [*command, "--verbose", "--json", "-"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["method"] == "milp"
    assert "HiGHS" in done.stderr


# ---------------------------------------------------------------- Ctrl-C
class CtrlC:
    """A thread-free Ctrl-C: the signal is sent when the solver has found something."""

    def __init__(self, monkeypatch, module, name):
        real = getattr(module, name)

        def found(*arguments, **options):
            os.kill(os.getpid(), signal.SIGINT)
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, found)


@pytest.fixture
def listens():
    """A parent in the background may have SIGINT ignored, which children inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("scenario", ["comllm", "caching"])
def test_ctrl_c_keeps_incumbent_and_bound(
    work_folder, monkeypatch, listens, compiled_offloading, compiled_caching, scenario
):
    """Pressed when the solve begins: a schedule and a proof by then are written, status 130."""
    monkeypatch.setattr(shell, "warm_up", lambda family: None)  # it solves, too
    if scenario == "comllm":
        from formulations.offloading import decomposition

        CtrlC(monkeypatch, decomposition, "Oracle")
    else:
        from formulations.caching import decomposition

        CtrlC(monkeypatch, decomposition, "rollout")
    done = mecopt(
        "solve", "--scenario", scenario, "--gap", "0", "--time-limit", "1000",
        "--json", "r.json", "--certificate", "p.json", "--save-schedule", "s.json",
    )  # fmt: skip
    assert done.exit_code == 130, done.output
    assert "stopping with what is found so far" in done.stderr
    record = json.loads((work_folder / "r.json").read_text())
    assert record["termination"] == "interrupted" and record["bound"] <= record["objective"]
    assert record["seconds"] < 100
    assert verify("p.json").ok and os.path.exists("s.json")


def test_a_second_ctrl_c_gives_up(monkeypatch, listens, compiled_offloading):
    """Nothing is written, status 130, no traceback."""
    monkeypatch.setattr(shell, "warm_up", lambda family: None)
    from formulations.offloading import decomposition

    CtrlC(monkeypatch, decomposition, "Oracle")
    CtrlC(monkeypatch, decomposition, "replay")
    done = mecopt(*SOLVE, "--gap", "0", "--json", "r.json")
    assert done.exit_code == 130 and not os.path.exists("r.json")
    assert "interrupted" in done.stderr and "Traceback" not in done.output


def test_highs_stops_when_it_is_asked_to(listens, monkeypatch):
    """In the middle of a search that Python cannot interrupt; its schedule and bound are kept.

    The signal comes two seconds after HiGHS began, from a process of its own.
    """
    x = comllm.generate("busy", 0, slots=20)
    code = f"import os, signal, time; time.sleep(2); os.kill({os.getpid()}, signal.SIGINT)"
    heard, killers = [], []
    cancelling = interrupt.cancelling

    def begun(solver):
        killers.append(subprocess.Popen([sys.executable, "-c", code]))
        return cancelling(solver)

    monkeypatch.setattr(interrupt, "cancelling", begun)
    with interrupt.keeping(lambda: heard.append(1)):
        result = formulations.solve(x, method="milp", gap=0, time_limit=600)
        killers[0].wait()
    assert heard and result.termination == "interrupted"
    assert result.bound <= result.objective < float("inf")


def test_a_moment_is_over_once_somebody_asks():
    """Comparisons of a clock with a deadline turn, and nothing is left of it."""
    far = interrupt.Moment(time.perf_counter() + 1000)
    assert time.perf_counter() < far and far - time.perf_counter() > 0
    assert time.perf_counter() < far.at_most(100) < far
    half = (time.perf_counter() + far) / 2
    third = time.perf_counter() + 0.3 * (far - time.perf_counter())
    assert time.perf_counter() + 200 < third < half < far
    interrupt._asked.set()
    told = []
    try:
        for moment in (far, half, third, far.at_most(100)):
            assert time.perf_counter() >= moment and moment < time.perf_counter()
            assert moment - time.perf_counter() < 0 == max(0.0, moment - time.perf_counter())
        with interrupt.telling(lambda: told.append(1)):
            assert told == [1]
    finally:
        interrupt._asked.clear()
