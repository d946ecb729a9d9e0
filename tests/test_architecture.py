"""The dependency rule, what importing costs, and what may be committed."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support import mini_data

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {program}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def imported_by(statement: str, stand_ins: Path, *names: str) -> set[str]:
    """Which of `names` a fresh interpreter has loaded after a statement.

    Empty stand-in modules make sure that a name that is not installed would still be noticed.
    """
    for name in names:
        (stand_ins / f"{name}.py").write_text("")
    paths = os.pathsep.join([str(ROOT), str(stand_ins)])
    program = f"import sys; {statement}; print([n for n in {names!r} if n in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"'(\w+)'", answer.stdout))


def test_dependency_rule():
    """The contracts in pyproject.toml hold: one order of layers, a trusted wing, no torch below."""
    answer = lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout


def test_dependency_rule_sees_a_breach(tmp_path):
    """A core module that imports a formulation is reported, so that the test above can fail."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = settings["contracts"][0]["layers"]
    for layer in [name for line in layers for name in line.split(" | ")]:
        folder = tmp_path.joinpath(*layer.split("."))
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
    (tmp_path / "mecopt" / "__init__.py").write_text("")
    (tmp_path / "mecopt" / "data" / "__init__.py").write_text("import formulations\n")
    contracts = (ROOT / "pyproject.toml").read_text().partition("[tool.importlinter]")
    (tmp_path / "pyproject.toml").write_text("".join(contracts[1:]))
    answer = lint_imports(tmp_path)
    assert answer.returncode == 1
    assert "mecopt.data -> formulations" in answer.stdout


def imports_of(path: Path, modules: set[str]) -> set[str]:
    """Modules of ours that a file imports, inside functions and for type checkers too."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & modules) or {node.module}
    return found & modules


def graph_of(root: Path) -> dict[str, set[str]]:
    """Module -> modules it imports, of every package below a folder."""
    files = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in ("mecopt", "formulations", "mechanisms", "learning", "benchmarks")
        for path in (root / package).rglob("*.py")
    }
    return {name: imports_of(path, set(files)) - {name} for name, path in files.items()}


def test_no_circle_of_files():
    """No file imports, directly or round about, a file that imports it."""
    graph = graph_of(ROOT)
    assert len(graph) > 200
    TopologicalSorter(graph).prepare()


def test_a_circle_is_seen_inside_functions_too(tmp_path):
    """a imports b at its top, b imports a inside a function: a circle."""
    (tmp_path / "mecopt").mkdir()
    (tmp_path / "mecopt" / "a.py").write_text("from mecopt import b\n")
    (tmp_path / "mecopt" / "b.py").write_text("def f():\n    from mecopt.a import x\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph_of(tmp_path)).prepare()


def test_imports_stay_light(tmp_path):
    """Importing three packages loads neither torch nor Ray nor a solver that is not asked for."""
    heavy = ("torch", "transformers", "trl", "ray", "ortools")
    statement = "import mecopt, formulations, mechanisms"
    assert imported_by(statement, tmp_path, *heavy) == set()


def test_solving_never_needs_torch(tmp_path):
    """Command line, scenarios, policies and both solvers work without the learning extra."""
    statement = (
        "import mecopt.cli.app, mecopt.bench.run, mecopt.offloading.scenarios.traces, "
        "mecopt.certificates.verify, formulations.offloading.decomposition, "
        "formulations.offloading.compact"
    )
    assert imported_by(statement, tmp_path, "torch", "transformers", "ortools") == set()


def test_independent_states_and_tables_need_no_torch(tmp_path):
    """Rules are scored on states, and checkpoints are named, without the learning extra."""
    statement = "import learning.offloading.evaluation.tables, learning.recipes, learning.zoo"
    assert imported_by(statement, tmp_path, "torch", "transformers", "gymnasium") == set()


def test_import_check_sees_an_import(tmp_path):
    """The check above notices what is imported."""
    assert imported_by("import torch", tmp_path, "torch", "trl") == {"torch"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebooks_are_committed_without_outputs(path):
    """Outputs make diffs unreadable; the pre-commit hook strips them (nbstripout)."""
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_there_are_notebooks():
    """The test above has something to look at."""
    assert "01_offloading.ipynb" in [path.name for path in NOTEBOOKS]


def test_every_dependency_is_pinned():
    """constraints.txt pins whatever an extra asks for, torch exactly among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for name, extra in project["optional-dependencies"].items():
        if name != "smollm":  # brings model weights; pinned by whoever installs it
            wanted += extra
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", pins, flags=re.MULTILINE))
    names = {re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names <= pinned
    assert "torch==2.13.0" in pins.split()


def examples(*documents: str) -> list[str]:
    """Python examples of documents, in order."""
    text = "\n".join((ROOT / name).read_text() for name in documents)
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("code", examples("README.md", "docs/extend.md"))
def test_examples_of_the_documents_run(code, tmp_path, monkeypatch):
    """What a newcomer copies first works as it stands."""
    monkeypatch.setenv("MECOPT_DATA", str(mini_data.write_folder(tmp_path / "data")))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {"__name__": "example"})
