"""Compiled kernels where no folder can be written: read-only packages, a home that is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Declares kernels, compiles one and says where it is kept.
PROGRAM = (
    "from mecopt.offloading import heap; import numpy as np, os; "
    "heap.push(np.zeros(4, np.int64), np.zeros(4, np.int32), 0, 3, 1); "
    "print(os.environ.get('NUMBA_CACHE_DIR'))"
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of mecopt whose folders take no compiled kernels: a file is where they would go."""
    copy = tmp_path / "site"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mecopt", copy / "mecopt", ignore=ignore)
    for source in list(copy.rglob("*.py")):
        (source.parent / "__pycache__").touch()
    return copy


def run(site: Path, program: str = PROGRAM, **variables: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter whose home is a file, so that nothing can be kept there."""
    kept = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    home = {"HOME": os.devnull, "XDG_CACHE_HOME": f"{os.devnull}/cache", "PYTHONPATH": str(site)}
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(
        command, env=kept | home | variables, cwd=site, capture_output=True, text=True, check=True
    )


def test_kernels_compile_into_a_temporary_folder_that_is_removed(site):
    """One line names the variable to set; the folder is gone with the process."""
    answer = run(site)
    assert answer.stderr.count("\n") == 1
    assert "set NUMBA_CACHE_DIR" in answer.stderr
    folder = Path(answer.stdout.strip())
    assert folder.name.startswith("mecopt-numba-")
    assert not folder.exists()


def test_numba_imported_first_is_told_as_well(site):
    """It reads the variable when it is imported."""
    assert "mecopt-numba-" in run(site, f"import numba; {PROGRAM}").stdout


def test_workers_share_the_folder_and_say_nothing(site):
    """The variable is inherited: one line in all, and equal folders."""
    program = (
        "import mecopt, os, subprocess, sys; print(os.environ['NUMBA_CACHE_DIR'], flush=True); "
        f"subprocess.run([sys.executable, '-c', {PROGRAM!r}], check=True)"
    )
    answer = run(site, program)
    assert answer.stderr.count("\n") == 1
    assert len(set(answer.stdout.split())) == 1


def test_a_folder_that_cannot_be_written_is_named(site):
    """A file stands in the way of the folder asked for."""
    answer = run(site, NUMBA_CACHE_DIR=f"{os.devnull}/kernels")
    assert "set NUMBA_CACHE_DIR" in answer.stderr
    assert "/kernels cannot be written" in answer.stderr


@pytest.mark.parametrize("where", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_a_folder_that_can_be_written_is_used(site, tmp_path, where):
    """The one asked for, or the user's own: nothing is said, and the kernel is kept there."""
    answer = run(site, **{where: str(tmp_path / "kept")})
    assert answer.stderr == ""
    assert list((tmp_path / "kept").rglob("*.nbc"))
