"""Folders of somebody else: a pickle planted anywhere in them is not run, and refused in a line."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from transformers import TrainerCallback

from learning import zoo
from learning.language import pretrained_models, tiny_model
from learning.offloading.rewards import labels
from learning.offloading.states import decision_states
from learning.offloading.training import cost_vectors, pretrained, sft
from learning.runs import state as trainer_state
from mecopt.offloading.scenarios import comllm

TINY = sft.Settings(
    states=16, steps=2, batch=4, hidden=16, layers=1, log_every=1, save_every=1, drawn=0.0
)
NETWORK = cost_vectors.EquivariantSettings(
    presets=("paper",),
    servers=(2,),
    episodes=1,
    drawn=0,
    labels="user-values",
    hidden=8,
    steps=4,
    batch=8,
    log_every=2,
)


class Planted:
    """What makes a folder when it is unpickled, by the unpickler's own rules."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.mkdir, (self.mark,)


@pytest.fixture
def mark(tmp_path) -> Path:
    return tmp_path / "code-was-run"


@pytest.fixture(params=["torch", "pickle"])
def harm(request, mark) -> bytes:
    """Bytes that run code when they are unpickled, as torch writes them and as Python does."""
    if request.param == "pickle":
        return pickle.dumps(Planted(mark))
    buffer = io.BytesIO()
    torch.save(Planted(mark), buffer)
    return buffer.getvalue()


def refused(mark: Path, match: str, function, *arguments, **named) -> None:
    """One line of a ValueError, and nothing was run."""
    with pytest.raises(ValueError, match=match) as caught:
        function(*arguments, **named)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_the_planted_pickle_would_run(harm, mark):
    """So that the tests below can fail."""
    if harm[:2] == b"PK":
        torch.load(io.BytesIO(harm), weights_only=False)
    else:
        pickle.loads(harm)
    assert mark.is_dir()


# ------------------------------------------------------------------------- trainings of our own
@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A training of a network that was stopped after its first state."""

    def stop(*_):
        raise KeyboardInterrupt

    run = tmp_path_factory.mktemp("network") / "run"
    with pytest.raises(KeyboardInterrupt):
        cost_vectors.train(NETWORK, run, seed=0, on_progress=stop)
    return run


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("state.pt", "written by an earlier mecopt, and not read any more"),
        ("state.safetensors", "no state of a training"),
    ],
)
def test_the_state_of_a_trainer(begun, tmp_path, mark, harm, name, match):
    """Also where earlier versions of mecopt kept a pickle."""
    run = shutil.copytree(begun, tmp_path / "run")
    (run / name).write_bytes(harm)
    refused(mark, match, cost_vectors.train, NETWORK, run, seed=0, resume=True)


def test_a_state_is_read_as_it_was_written(tmp_path):
    """Tensors that share memory, arrays, keys that are numbers, tuples and infinities."""
    whole = torch.arange(6.0)
    state = {
        "state": {0: {"step": torch.tensor(3.0), "view": whole[::2], "whole": whole}},
        "betas": (0.9, float("inf")),
        "rows": [{"loss": 1.5}, None, True, "text", np.float64(2.5)],
        "memory": np.arange(6, dtype=np.int64).reshape(2, 3)[:, ::2],
    }
    trainer_state.write(tmp_path / "s", state)
    found = trainer_state.read(tmp_path / "s")
    assert found["betas"] == state["betas"] and found["rows"] == state["rows"]
    kept = found["state"][0]
    assert kept["step"] == 3 and kept["view"].tolist() == [0, 2, 4]
    assert torch.equal(kept["whole"], whole)
    assert found["memory"].dtype == np.int64 and found["memory"].tolist() == [[0, 2], [3, 5]]
    with pytest.raises(TypeError, match="state: function cannot be kept"):
        trainer_state.write(tmp_path / "s", {"schedule": lambda: 1.0})


# ------------------------------------------------------------------ trainings with transformers
@pytest.fixture(scope="module")
def states():
    """One-step labels of a training episode."""
    episode = comllm.generate("paper", 10_000, servers=2, slots=20)
    return labels.one_step(decision_states.collect([episode]))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, states) -> Path:
    """A language training that was stopped in step 2, with a state of step 1."""

    class Stop(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 1:
                raise KeyboardInterrupt

    run, make = tmp_path_factory.mktemp("language") / "run", sft.make_trainer

    def stopping(*args, **kwargs):
        trainer = make(*args, **kwargs)
        trainer.add_callback(Stop())
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "make_trainer", stopping)
        with pytest.raises(KeyboardInterrupt):
            sft.train(TINY, run, seed=0, labelled=states)
    assert (run / "trainer" / "checkpoint-1" / "progress.json").exists()
    return run


@pytest.mark.parametrize(
    "name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "pytorch_model.bin"]
)
def test_the_state_of_a_hugging_face_trainer(stopped, states, tmp_path, mark, harm, name):
    """The weights of the model too, where a pickle stands in for the safetensors file."""
    run = shutil.copytree(stopped, tmp_path / "run")
    folder = run / "trainer" / "checkpoint-1"
    (folder / name).write_bytes(harm)
    if name == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
    match = "checkpoint-1: no state of a training that can be read safely"
    refused(mark, match, sft.train, TINY, run, seed=0, labelled=states, resume=True)


def test_what_a_hugging_face_trainer_does_not_read_is_left_alone(
    stopped, states, tmp_path, mark, harm
):
    """Its arguments are those of the settings."""
    run = shutil.copytree(stopped, tmp_path / "run")
    (run / "trainer" / "checkpoint-1" / "training_args.bin").write_bytes(harm)
    sft.train(TINY, run, seed=0, labelled=states, resume=True)
    assert not mark.exists()


def test_kept_labels(tmp_path, mark, harm):
    """In the place of the file, and as an array of objects within it."""
    file = tmp_path / "labelled.npz"
    file.write_bytes(harm)
    refused(mark, "labelled.npz: no labelled states", labels.read, file)
    np.savez(file, size_mbit=np.array([Planted(mark)], dtype=object))
    refused(mark, "labelled.npz: no labelled states", labels.read, file)


# ---------------------------------------------------------------------------------- checkpoints
@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """An untrained embedded model."""
    folder = tmp_path / "checkpoint"
    tiny_model.save(tiny_model.create(0, hidden_size=16, num_hidden_layers=1), folder)
    return folder


def test_weights_of_a_language_policy(checkpoint, mark, harm):
    """Weights are read from safetensors only."""
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "pytorch_model.bin").write_bytes(harm)
    refused(mark, "no model here", zoo.load, "offloading", "mine", checkpoint)


@pytest.mark.parametrize("kind", ["equivariant", "t2drl"])
def test_weights_of_a_network(tmp_path, mark, harm, kind):
    """A pickle in the place of the safetensors file."""
    family = "caching" if kind == "t2drl" else "offloading"
    fields = {"shape": {"hidden": 8}, "agent": {"hidden": 8}, "name": "t2drl", "layer": True}
    head = {"schema": "mecopt.checkpoint", "version": 1, "kind": kind}
    (tmp_path / "mecopt.json").write_text(json.dumps(head | fields))
    for name in ("model.safetensors", "agent.safetensors"):
        (tmp_path / name).write_bytes(harm)
    refused(mark, "checkpoint", zoo.load, family, "mine", tmp_path)


def test_a_pretrained_model(byte_model, tmp_path, mark, harm):
    """Neither its weights as a pickle nor the code beside them."""
    base = shutil.copytree(byte_model, tmp_path / "base")
    (base / "model.safetensors").rename(base / "kept")
    (base / "pytorch_model.bin").write_bytes(harm)
    refused(mark, "model: .*base", pretrained_models.load, str(base))
    (base / "kept").rename(base / "model.safetensors")
    said = json.loads((base / "config.json").read_text())
    said |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"},
    }
    (base / "config.json").write_text(json.dumps(said))
    (base / "code.py").write_text(f"import os; os.mkdir({str(mark)!r})")
    refused(mark, "model: .*base", pretrained_models.load, str(base))


def test_an_adapter_to_start_from(byte_model, tmp_path, mark, harm):
    """`peft` would read the pickle."""
    settings = pretrained.Settings(
        model=str(byte_model), presets=("paper",), form="natural", mode="score", loss="hard",
        states=2, batch=2, rank=2, group=2,
    )  # fmt: skip
    run = pretrained.train(settings, tmp_path / "run", seed=0)
    weights = run / "checkpoint" / "adapter_model.safetensors"
    weights.rename(weights.with_name("other.safetensors"))
    (run / "checkpoint" / "adapter_model.bin").write_bytes(harm)
    further = replace(settings, start=str(run))
    match = "holds no adapter_model.safetensors"
    refused(mark, match, pretrained.train, further, tmp_path / "on", seed=0)
