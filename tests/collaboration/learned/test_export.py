"""Exported agents score as torch does, and decide alike."""

import json
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

import torch

from learning import zoo
from learning.collaboration.export import difference, export
from learning.collaboration.networks import Scores
from learning.collaboration.policy import LearnedPolicy
from learning.collaboration.shape import Shape
from mecopt import rollout
from mecopt.collaboration.scenarios import ledrl
from tests.support.command import mecopt, refused

PLAIN = Shape(hidden=8), "none"
TOLD = Shape(hidden=8, prior=True, memory=True), "rule"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Agents with random weights, and their export; tracing takes seconds."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("agents")
    trained = save(folder / "trained", *TOLD)
    return trained, export(trained, folder / "out")


def test_scores_and_decisions_are_those_of_torch(made):
    assert difference(*made) < 1e-5
    x = ledrl.generate("paper", 3, nodes=5, slots=10)
    ours, theirs = (rollout(x, zoo.load("offloading", str(f), f)).choice.tolist() for f in made)
    assert ours == theirs


def save(folder, shape, prior):
    LearnedPolicy(net=Scores(shape), kind="mappo", prior=prior).save(folder)
    return folder


def test_the_command_exports_what_serve_takes(tmp_path):
    """Shipped agents by name; the folder decides without torch being imported."""
    done = mecopt("export", "--policy", "mappo", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "scores differ by" in done.output
    program = (
        "import sys, mecopt\n"
        "from learning import zoo\n"
        "from mecopt.collaboration.scenarios import ledrl\n"
        f"policy = zoo.load('offloading', 'mappo', {str(tmp_path / 'out')!r})\n"
        "mecopt.rollout(ledrl.generate('paper', 0, nodes=3, slots=2), policy)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_priors_that_agents_cannot_be_told_are_refused(tmp_path):
    plain = save(tmp_path / "plain", *PLAIN)
    told = save(tmp_path / "told", *TOLD)
    out = tmp_path / "out"
    assert "these agents were trained with 'none'" in refused(
        "export", "--policy", plain, "--out", out, "--prior", "rule"
    )
    assert "prior: unknown 'oracle'" in refused(
        "export", "--policy", told, "--out", out, "--prior", "oracle"
    )
    assert "holds no trained policy" in refused("export", "--policy", tmp_path, "--out", out)


def test_damaged_files_are_refused(made, tmp_path):
    folder = shutil.copytree(made[1], tmp_path / "out")
    marker = folder / "mecopt.json"
    said = json.loads(marker.read_text())
    marker.write_text(json.dumps(said | {"shape": said["shape"] | {"memory": False}}))
    with pytest.raises(ValueError, match="risk, memory and not rows, mask, prior, risk"):
        zoo.load("offloading", "one", folder)
    for changes, words in (
        ({"drop_hopeless": "false"}, "drop_hopeless = 'false' must be true or false"),
        ({"prior": "none"}, "prior = 'none' is not what its shape says"),
        ({"shape": said["shape"] | {"view": "raw"}}, "takes rows of"),
    ):
        marker.write_text(json.dumps(said | changes))
        with pytest.raises(ValueError, match=words):
            zoo.load("offloading", words, folder)
    marker.write_text(json.dumps(said))
    (folder / "policy.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match="not exported agents"):
        zoo.load("offloading", "empty", folder)
    (folder / "policy.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not exported agents"):
        zoo.load("offloading", "two", folder)
    (folder / "policy.onnx").unlink()
    with pytest.raises(ValueError, match="not exported agents"):
        zoo.load("offloading", "three", folder)
