"""The oldest and the newest dependencies that pyproject.toml allows, installed and run.

    python -m benchmarks.versions oldest
    python -m benchmarks.versions newest

Makes ``.venv-oldest`` or ``.venv-newest`` afresh with the core dependencies only (no extra), the
direct ones at their lower bound or at their latest release, installs mecopt from a wheel without
touching them, and runs ``benchmarks/smoke.py``. What was installed goes to
``results/versions.json``. Needs a package index.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from benchmarks.common import RESULTS, dumps

ROOT = Path(__file__).parents[1]


def requirements(which: str) -> list[str]:
    """What pip is asked for: ``name==lower bound``, or ``name`` for the latest release."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    if which == "newest":
        return [text.partition(">=")[0] for text in wanted]
    return [text.replace(">=", "==") for text in wanted]


def install(which: str) -> Path:
    """Make the environment; returns its Python."""
    folder = ROOT / f".venv-{which}"
    venv.create(folder, clear=True, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--upgrade", *requirements(which)], check=True)
    with tempfile.TemporaryDirectory() as clean:
        # A build folder left in the source tree would put deleted modules into the wheel.
        for name in tracked():
            target = Path(clean) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        subprocess.run([*pip, "--no-deps", clean], check=True)
    return python


def tracked() -> list[str]:
    """Files of the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().splitlines() if (ROOT / name).exists()]


def installed(python: Path) -> dict[str, str]:
    """Versions of everything in the environment but its installer."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    left_out = ("mecopt", "pip", "setuptools")
    found = {p["name"].lower().replace("_", "-"): p["version"] for p in listed}
    return {name: version for name, version in found.items() if name not in left_out}


def main() -> None:
    """Install, run, and keep what ran."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=("oldest", "newest"))
    which = parser.parse_args().which
    python = install(which)
    smoke = [str(python), "-P", str(ROOT / "benchmarks" / "smoke.py")]
    done = subprocess.run(smoke, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    path = RESULTS / "versions.json"
    body = json.loads(path.read_text()) if path.exists() else {}
    body[which] = {
        "python": platform.python_version(),
        "ran": list(json.loads(done.stdout)["seconds"]),
        "asked": requirements(which),
        "installed": installed(python),
    }
    path.write_text(dumps(body) + "\n")
    print(dumps(body[which]))


if __name__ == "__main__":
    main()
