"""Equal seeds give equal weights, to the last bit, on one machine; and what pins them elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from learning.runs import arithmetic
from learning.runs import folder as training_run

#: Tiny trainings of four kinds; prints a digest of weights each.
SCRIPT = """
import sys
from pathlib import Path
from learning import recipes
from learning.runs.folder import digest

out = Path(sys.argv[1])
tiny = {
    "sft": {"presets": ("paper",), "states": 60, "drawn": 0.5, "steps": 6, "batch": 8},
    "grpo": {"presets": ("paper",), "episodes": 1, "drawn_episodes": 1, "states_per_step": 8,
             "steps": 3, "start": str(out / "sft"), "behaviours": ("one-step-oracle",)},
    "equivariant": {"presets": ("paper",), "servers": (3,), "states": 200, "drawn": 0,
                    "labels": "one-step", "steps": 5, "batch": 16},
}
for name, changes in tiny.items():
    known = recipes.settings(name)
    changes = {k: v for k, v in changes.items() if hasattr(known, k)}
    print(name, digest(recipes.train(name, out / name, seed=0, changes=changes)))
"""


def digests(out: Path, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.split()[0] in ("sft", "grpo",
            "equivariant")]  # fmt: skip


def test_equal_seeds_give_equal_weights_in_every_process(tmp_path):
    """Neither the hashes of a process nor the number of its threads decides anything."""
    one = digests(tmp_path / "one", PYTHONHASHSEED="1", OMP_NUM_THREADS="1")
    two = digests(tmp_path / "two", PYTHONHASHSEED="2", OMP_NUM_THREADS="2")
    assert len(one) == 3
    assert one == two
    _, manifest, _ = training_run.read(tmp_path / "one" / "sft")
    assert manifest["arithmetic"]["threads"] == 1
    assert manifest["arithmetic"]["instructions"] == torch.backends.cpu.get_cpu_capability()


def test_portable_arithmetic_is_chosen_before_torch_is_loaded():
    """In a fresh process it holds; in this one torch has chosen already."""
    code = (
        "import json; from learning.runs import arithmetic; arithmetic.make_portable(); "
        "import torch; torch.ones(3).sum(); print(json.dumps(arithmetic.described()))"
    )
    clean = {k: v for k, v in os.environ.items() if k not in arithmetic.PORTABLE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean)
    said = json.loads(done.stdout)
    assert said["portable"] is True
    assert said["instructions"] in ("AVX2", "DEFAULT")


def test_what_cannot_be_made_portable_is_said(monkeypatch):
    for name in arithmetic.PORTABLE:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="torch is loaded already; set ATEN_CPU_CAPABILITY=avx2"):
        arithmetic.make_portable()
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    with pytest.raises(ValueError, match="portable: MKL_CBWR = AUTO in the environment"):
        arithmetic.make_portable()
