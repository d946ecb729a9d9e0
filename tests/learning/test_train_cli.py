"""`mecopt train`: settings, folders that resume, pages; with trainings of a few steps."""

import functools
import json
import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from learning import recipes as trainers
from learning.runs import folder as training_run
from learning.runs import page as report_section
from mecopt.bench.run_folder import RunFolder
from mecopt.offloading.scenarios import comllm
from tests.support.command import mecopt


@dataclass(frozen=True)
class Settings:
    """What the trainer below takes."""

    steps: int = 4
    rate: float = 0.5
    presets: tuple[str, ...] = ("paper",)
    exact: bool = False
    start: str = "sft"

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps = {self.steps} must be >= 1")


def train(settings, out, *, seed, resume, on_progress):
    """Halves a loss, keeps its state after every step; a trainer as all of them are."""
    run = training_run.TrainingRun.open(out, "halver", settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    kept = run.load_state() or {"step": 0, "loss": 1.0}
    step, loss = kept["step"], kept["loss"]
    while step < settings.steps:
        step, loss = step + 1, loss * settings.rate
        run.record(step, loss=loss)
        run.save_state(step, {"loss": loss})
        on_progress(step, settings.steps, {"loss": loss})
    training_run.describe_checkpoint(run.checkpoint, "halver")
    return run.finish({})


@pytest.fixture(autouse=True)
def halver(tmp_path, monkeypatch):
    """A trainer `halver` in the registry, and a folder of our own."""
    module = types.ModuleType("halver_module")
    module.Settings, module.train, module.RECIPES = Settings, train, {"slow": Settings(rate=0.9)}
    monkeypatch.setitem(sys.modules, "halver_module", module)
    for name in ("halver", "slow"):
        monkeypatch.setitem(trainers.MODULES, name, trainers.Trainer("halver_module", "learning"))
    monkeypatch.chdir(tmp_path)


def test_training_leaves_a_folder_and_says_how_to_use_it():
    """Progress on stderr, the figures and the next command on stdout."""
    done = mecopt("train", "halver", "--out", "run")
    assert done.exit_code == 0, done.output
    parameters, manifest, progress = training_run.read("run")
    assert parameters["seed"] == 0 and manifest["status"] == "complete"
    assert progress["loss"].tolist() == [0.5, 0.25, 0.125, 0.0625]
    assert "step 4 of 4: loss 0.0625" in done.stderr
    assert re.search(r"trained halver, seed 0, in \d+ CPU seconds: loss 0\.0625\n", done.stdout)
    assert "use it: mecopt bench comllm --policies halver --checkpoint halver=run" in done.stdout
    assert done.stdout.strip().endswith("report: run/report.html")
    page = Path("run/report.html").read_text()
    assert "data:image/png;base64," in page and "http" not in page.partition("<body>")[2]


def test_recipes_and_changes_reach_the_trainer():
    """A recipe by name, options and --set; text is read as the type of the setting."""
    done = mecopt("train", "slow", "--steps", 2, "--start", "here", "--seed", 3, "--set",
                  "presets=paper,busy", "--set", "exact=true")  # fmt: skip
    assert done.exit_code == 0, done.output
    parameters, _, _ = training_run.read("runs/train-slow-3")
    assert parameters["settings"] == {
        "steps": 2, "rate": 0.9, "presets": ["paper", "busy"], "exact": True, "start": "here",
    }  # fmt: skip


def test_an_interrupt_is_taken_up_by_the_same_command(monkeypatch):
    """Status 130 and one line; the second start does the missing steps and nothing else."""

    def at_two(step, steps, figures):
        if step == 2:
            raise KeyboardInterrupt

    real = trainers.train
    interrupted = functools.partial(real, on_progress=at_two)
    monkeypatch.setattr(trainers, "train", lambda *a, on_progress, **k: interrupted(*a, **k))
    stopped = mecopt("train", "halver", "--out", "run")
    assert stopped.exit_code == 130
    assert stopped.stderr == (
        "mecopt: interrupted; run the same command to go on from the last state kept\n"
    )
    unfinished = mecopt("report", "run")
    assert unfinished.exit_code == 2
    assert "this training has not ended" in unfinished.stderr
    monkeypatch.setattr(trainers, "train", real)
    done = mecopt("train", "halver", "--out", "run")
    assert done.exit_code == 0, done.output
    assert "step 2 of 4" not in done.stderr
    assert training_run.read("run")[2]["loss"].tolist() == [0.5, 0.25, 0.125, 0.0625]
    again = mecopt("train", "halver", "--out", "run")
    assert again.exit_code == 0 and "step" not in again.stderr


def test_report_rebuilds_a_training_page_and_adds_curves_to_a_benchmark(monkeypatch):
    """`mecopt report` knows both kinds of folder."""
    monkeypatch.setitem(comllm.PRESETS, "paper", comllm.Parameters(slots=6))
    mecopt("train", "halver", "--out", "run")
    Path("run/report.html").unlink()
    assert mecopt("report", "run").exit_code == 0
    assert Path("run/report.html").exists()
    mecopt("bench", "comllm", "--seeds", "0:1", "--policies", "random", "--out", "b", "--jobs", 1)
    done = mecopt("report", "b", "--training", "run", "--training", "run")
    assert done.exit_code == 0, done.output
    page = Path("b/report.html").read_text()
    assert page.count("<h2>Learning curves</h2>") == 1
    assert "<b>loss</b>: what the optimiser minimises" in page
    assert RunFolder("b").is_whole


def test_curves_have_a_panel_per_logged_number():
    """Known numbers first, the others after; a line per training that logged it."""
    one = pd.DataFrame({"step": [1, 2], "odd": [1.0, 2.0], "loss": [2.0, 1.0]})
    two = pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.5]})
    picture = report_section.curves({"one": one, "two": two})
    titles = [axes.get_title(loc="left") for axes in picture.axes]
    assert titles == ["loss", "odd"]
    assert [len(axes.lines) for axes in picture.axes] == [2, 1]


def test_trainings_that_differ_in_their_seed_are_one_curve():
    """Their mean, 1.5 and 2.5, with a band; another setting is another curve."""
    settings = {"kind": "halver", "settings": {"rate": 0.5}}
    other = {"kind": "halver", "settings": {"rate": 0.1}}
    one = pd.DataFrame({"step": [1, 2], "loss": [1.0, 2.0]})
    two = pd.DataFrame({"step": [1, 2], "loss": [2.0, 3.0]})
    progress = report_section.grouped(
        [("a", settings, one), ("b", other, one), ("c", settings, two)]
    )
    assert list(progress) == ["a and 1 more", "b"]
    (axes,) = report_section.curves(progress).axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1.5, 2.5], [1.0, 2.0]]
    assert len(axes.collections) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("oracle",), "train: unknown 'oracle', one of sft, sft-lookahead, sft-values, grpo"),
        (("halver", "--steps", 0), "steps = 0 must be >= 1"),
        (("halver", "--states", 9), "states: halver has no such setting, one of steps, rate"),
        (("halver", "--set", "rate"), "set: 'rate' is not FIELD=VALUE"),
        (("halver", "--set", "rate=fast"), "rate: 'fast' cannot be read as float (now 0.5)"),
        (("halver", "--set", "exact=maybe"), "exact: 'maybe' cannot be read as bool"),
        (("halver", "--seed", -1), "seed = -1 must be a whole number >= 0"),
        (("halver", "--out", "file"), "out: file is a file, not a folder"),
        (("halver", "--out", "other"), "out: other is not empty and holds no training"),
    ],
)
def test_user_errors_are_one_line(arguments, message):
    """Status 2; argument and value are named."""
    Path("file").write_text("")
    Path("other").mkdir()
    Path("other/thesis.tex").write_text("")
    done = mecopt("train", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_other_parameters_are_refused():
    """A folder holds one training."""
    mecopt("train", "halver", "--out", "run")
    done = mecopt("train", "halver", "--out", "run", "--steps", 5)
    assert done.exit_code == 2
    assert "other parameters (steps is 4, asked for 5)" in done.stderr


def test_a_missing_extra_is_named(monkeypatch):
    """What to install."""
    monkeypatch.setitem(trainers.MODULES, "halver", trainers.Trainer("no_such_module", "drl"))
    done = mecopt("train", "halver")
    assert done.exit_code == 2
    assert "'halver' needs the drl extra: pip install 'mecopt[drl]'" in done.stderr


def test_every_trainer_has_settings_and_takes_the_common_arguments():
    """The registry points at modules of the agreed form."""
    for name in ("equivariant", "mlp"):
        settings = trainers.settings(name, {"steps": "7"})
        assert settings.steps == 7
    assert json.loads(json.dumps(vars(trainers.settings("grpo-lambda0"))))["reward"]
