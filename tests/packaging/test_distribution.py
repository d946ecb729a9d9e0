"""The distributions: what is in them, and that the wheel works where no extra is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = ("mecopt", "formulations", "mechanisms", "learning")
FOLDERS = (*PACKAGES, "benchmarks", "docs", "notebooks", "tests")
FILES = ("*.toml", "*.txt", "*.md", "MANIFEST.in", "LICENSE", "Makefile")
BUILD = "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])('out'))"


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command that must succeed; returns its standard output."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(c) for c in command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(kind: str, source: Path) -> Path:
    """Build the distributions of a source folder with the installed setuptools."""
    (source / "out").mkdir(exist_ok=True)
    named = run(sys.executable, "-c", BUILD, kind, folder=source).splitlines()[-1]
    return source / "out" / named


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of a clean copy of this repository.

    A build folder in the repository itself would put deleted modules into the wheel.
    """
    copy = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for pattern in FILES:
        for path in ROOT.glob(pattern):
            shutil.copy2(path, copy)
    return build("build_sdist", copy)


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution as a user unpacks it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (inside,) = folder.iterdir()
    return inside


@pytest.fixture(scope="module")
def wheel(unpacked: Path) -> Path:
    """The wheel, built from the source distribution as an installer would."""
    return build("build_wheel", unpacked)


def core_distributions() -> set[str]:
    """Names of everything that mecopt needs without an extra, dependencies of dependencies too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting, found = list(project["dependencies"]), set()
    while waiting:
        wanted = Requirement(waiting.pop())
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        asked = wanted.marker is None or any(
            wanted.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)
        )
        if asked and name not in found:
            found.add(name)
            waiting += metadata.distribution(name).requires or []
    return found


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the wheel and its core dependencies only.

    The dependencies are those that are installed here, linked one by one, so that no network is
    needed and no extra is in sight.
    """
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    links = folder / "core"
    links.mkdir()
    for name in core_distributions():
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            link = links / top
            if not link.exists():
                link.symlink_to(distribution.locate_file(top))
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "core.pth").write_text(f"{links}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    lend_kernels(site)
    return python


def lend_kernels(site: Path) -> None:
    """Copy what numba compiled in this repository, to save the minutes of compiling it again.

    Numba keys its cache on the time of a source file; a cache that is stale here stays stale.
    """
    for package in PACKAGES:
        for cache in (ROOT / package).rglob("__pycache__/*.nb[ic]"):
            target = site / cache.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(cache, target)
        for source in (ROOT / package).rglob("*.py"):
            there, times = site / source.relative_to(ROOT), source.stat()
            os.utime(there, ns=(times.st_atime_ns, times.st_mtime_ns))


def files_of(folder: Path) -> set[str]:
    """Files below a folder by relative name, without what Python and numba leave there."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & {*path.parts}
    }


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Modules, stubs, page templates, the typing marker and trained policies with their cards."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        missing = {f"{package}/{name}" for name in files_of(ROOT / package)} - inside
        assert not missing
    assert {"mecopt/py.typed", "mecopt/offloading/__init__.pyi"} <= inside


def test_the_source_distribution_holds_what_its_tests_need(unpacked: Path) -> None:
    """Tests, benchmarks with results, documents and notebooks, and how to install and run them."""
    for folder in set(FOLDERS) - set(PACKAGES):
        assert files_of(ROOT / folder) <= files_of(unpacked / folder), folder
    for name in ("Makefile", "constraints.txt", "README.md", "CHANGELOG.md", "LICENSE"):
        assert (unpacked / name).is_file(), name


def test_tests_run_from_the_source_distribution(unpacked: Path) -> None:
    """All of them are collected, and a few that compile nothing pass."""
    pytest_there = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    run(*pytest_there, "--collect-only", folder=unpacked)
    some = ("tests/bench/test_results.py", "tests/data", "tests/market/test_market.py")
    assert " passed" in run(*pytest_there, *some, folder=unpacked)


def test_no_extra_is_in_the_clean_environment(clean: Path) -> None:
    """Otherwise the tests below would prove nothing; mecopt is the installed one."""
    extras = ("torch", "transformers", "trl", "gymnasium", "stable_baselines3", "ray", "pytest")
    code = f"from importlib.util import find_spec; print([n for n in {extras} if find_spec(n)])"
    assert run(clean, "-P", "-c", code) == "[]\n"
    where = run(clean, "-P", "-c", "import mecopt; print(mecopt.__file__)").strip()
    assert Path(where).is_relative_to(clean.parents[1])


def test_the_command_is_installed(clean: Path, tmp_path: Path) -> None:
    """`mecopt --version` says the version of the project."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version in run(clean.parent / "mecopt", "--version", folder=tmp_path)


@pytest.mark.parametrize(
    "family", ["offloading", "caching", "accuracy_delay", "market", "task_graphs"]
)
def test_every_command_works_without_extras(clean: Path, family: str, tmp_path: Path) -> None:
    """Solve, verify, benchmark, report and audit: `benchmarks/smoke.py` with the clean Python."""
    smoke = ROOT / "benchmarks" / "smoke.py"
    said = json.loads(run(clean, "-P", smoke, "--families", family, folder=tmp_path))
    assert list(said["seconds"]) == [family]
    assert Path(said["file"]).is_relative_to(clean.parents[1])
