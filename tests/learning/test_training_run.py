"""The folder of a training: what it refuses, and what an interrupted training finds in it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from learning.runs import folder as training_run
from learning.runs.divergence import TrainingDiverged
from learning.runs.folder import TrainingRun


@dataclass(frozen=True)
class Settings:
    steps: int = 10
    presets: tuple[str, ...] = ("paper", "busy")


def begin(path, seed=0, settings=None, kind="toy", resume=False):
    return TrainingRun.open(path, kind, settings or Settings(), seed=seed, resume=resume)


def test_a_finished_training_is_read_back(tmp_path):
    run = begin(tmp_path / "run")
    run.record(1, loss=2.0)
    run.record(2, loss=1.5, accuracy=0.5)
    assert not run.is_whole
    with pytest.raises(ValueError, match="has not ended"):
        training_run.read(tmp_path / "run")
    run.finish({"pr": 0.9})
    parameters, manifest, progress = training_run.read(tmp_path / "run")
    assert parameters["settings"] == {"steps": 10, "presets": ["paper", "busy"]}
    assert manifest["pr"] == 0.9 and manifest["cpu_seconds"] >= 0
    assert progress.step.tolist() == [1, 2] and progress.loss.tolist() == [2.0, 1.5]


def test_a_folder_of_another_training_is_refused(tmp_path):
    begin(tmp_path / "run")
    with pytest.raises(ValueError, match="steps is 10, asked for 20"):
        begin(tmp_path / "run", settings=Settings(steps=20), resume=True)
    with pytest.raises(ValueError, match="seed is 0, asked for 1"):
        begin(tmp_path / "run", seed=1, resume=True)
    with pytest.raises(ValueError, match="kind is toy, asked for dqn"):
        begin(tmp_path / "run", kind="dqn", resume=True)
    with pytest.raises(ValueError, match="already holds this training"):
        begin(tmp_path / "run")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("hello")
    with pytest.raises(ValueError, match="not empty and holds no training"):
        begin(tmp_path / "letters")
    with pytest.raises(ValueError, match="is a file"):
        begin(tmp_path / "letters" / "a.txt")


def test_an_interrupted_training_is_taken_up_at_its_last_state(tmp_path):
    """Rows recorded after the last state are forgotten: their steps are done again."""
    run = begin(tmp_path / "run")
    assert run.load_state() is None
    run.record(1, loss=2.0)
    run.save_state(1, {"weights": [1.0, 2.0]})
    run.record(2, loss=1.0)
    again = begin(tmp_path / "run", resume=True)
    state = again.load_state()
    assert state is not None and (state["step"], state["weights"]) == (1, [1.0, 2.0])
    assert [row["step"] for row in again.rows] == [1]


def test_the_state_of_a_hugging_face_trainer_counts_once_its_rows_are_kept(tmp_path):
    run = begin(tmp_path / "run")
    for step in (5, 10):
        (run.trainer_folder / f"checkpoint-{step}").mkdir(parents=True)
    run.record(5, loss=1.0)
    run.keep_rows(5)  # step 10 was interrupted while it was written
    again = begin(tmp_path / "run", resume=True)
    assert again.trainer_state() == run.trainer_folder / "checkpoint-5"
    assert again.rows == [{"step": 5, "loss": 1.0}]


def test_a_number_that_is_not_finite_stops_the_training(tmp_path):
    run = begin(tmp_path / "run")
    with pytest.raises(TrainingDiverged, match="loss = nan at step 3"):
        run.record(3, loss=float("nan"))
    assert run.rows == []


def test_a_run_folder_stands_for_its_checkpoint(tmp_path):
    run = begin(tmp_path / "run")
    with pytest.raises(ValueError, match="holds no trained policy"):
        training_run.checkpoint_description(run.path)
    training_run.describe_checkpoint(run.checkpoint, "toy", vocabulary=3)
    for folder in (run.path, run.checkpoint):
        assert training_run.checkpoint_description(folder)["vocabulary"] == 3


def test_a_state_with_weights_that_are_not_numbers_is_not_kept(tmp_path):
    """The loss is checked when it is logged; a state may be kept before that."""
    torch = pytest.importorskip("torch")
    run = begin(tmp_path / "run")
    run.save_state(1, {"net": {"w": torch.ones(2)}})
    for bad in (float("nan"), float("inf")):
        with pytest.raises(
            TrainingDiverged,
            match=r"not finite after step 2 \(state\.net\.w\); .*run keeps the state of step 1",
        ):
            run.save_state(2, {"net": {"w": torch.tensor([1.0, bad])}})
    state = begin(tmp_path / "run", resume=True).load_state()
    assert state is not None and state["step"] == 1


def checkpoint(folder, weights):
    """A checkpoint whose weights are these bytes."""
    training_run.describe_checkpoint(folder, "toy")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_digest_names_the_weights_and_nothing_else(tmp_path):
    folder = checkpoint(tmp_path / "checkpoint", b"one")
    before = training_run.digest(folder)
    (folder / "README.md").write_text("a card")
    assert training_run.digest(folder) == training_run.digest(tmp_path) == before
    checkpoint(folder, b"two")
    assert training_run.digest(folder) != before
    training_run.describe_checkpoint(tmp_path / "none", "toy")
    with pytest.raises(ValueError, match="has no safetensors file"):
        training_run.digest(tmp_path / "none")


def test_a_training_goes_on_only_from_the_weights_that_it_started_from(tmp_path):
    start = checkpoint(tmp_path / "start", b"one")

    def open_(**changes):
        return TrainingRun.open(
            tmp_path / "run", "toy", Settings(), seed=0, resume=True, start=start, **changes
        )

    open_()
    open_()
    checkpoint(start, b"two")
    with pytest.raises(ValueError, match="started from other weights than .*start holds now"):
        open_()
