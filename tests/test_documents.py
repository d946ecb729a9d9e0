"""What the pages say about the tree is true: module names, paths and links in backticks exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mecopt

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PACKAGES = ("mecopt", "formulations", "learning", "mechanisms", "benchmarks", "tests")
FOLDERS = (*PACKAGES, "docs", "notebooks")

START = re.compile(rf"(?<![\w./-])(?:{'|'.join(PACKAGES)})\.[\w.-]+")
PATH = re.compile(rf"(?<![\w./])(?:{'|'.join(FOLDERS)})/[\w./*-]*")

#: Entry point groups are named like modules.
GROUPS = ("mecopt.policies", "mecopt.caching_policies", "mecopt.accuracy_delay_policies")
FORMAT = re.compile(r'Format\("(mecopt\.[\w.-]+)", version')


def quoted(page: Path) -> list[str]:
    """Everything between single backticks, outside blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def schemas() -> set[str]:
    """Names of file formats, as declared in the packages."""
    sources = (p for name in PACKAGES[:4] for p in (ROOT / name).rglob("*.py"))
    return {name for path in sources for name in FORMAT.findall(path.read_text())}


def defined_in(tree: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    """Names that a module or class binds, with what binds them."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, node


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or what a module defines.

    Read off the sources, so that nothing heavy is imported; only the lazy names of `mecopt` itself
    are asked for.
    """
    module, names = dotted.split("."), []
    while module and not (path := source(module)):
        names.insert(0, module.pop())
    if not module:
        return False
    stub = path.with_suffix(".pyi")
    found = [dict(defined_in(ast.parse(p.read_text()))) for p in (path, stub) if p.exists()]
    scope = {name: node for names_of in found for name, node in names_of.items()}
    if module == ["mecopt"] and names and hasattr(mecopt, names[0]):
        return len(names) == 1
    for name in names:
        if name not in scope:
            return False
        node = scope[name]
        scope = dict(defined_in(node)) if isinstance(node, ast.ClassDef) else {}
    return True


def source(module: list[str]) -> Path | None:
    """The file of a module of this repository; None when there is none."""
    base = ROOT.joinpath(*module)
    return next((p for p in (base / "__init__.py", base.with_suffix(".py")) if p.exists()), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_and_name_exists(page):
    """`mecopt.x.y` in backticks is a module, a name that a module defines, or a file's schema."""
    known = schemas().union(GROUPS)
    names = {name.rstrip(".") for text in quoted(page) for name in START.findall(text)}
    names = {name for name in names if not name.endswith((".json", ".py", ".md"))}
    wrong = [name for name in sorted(names) if name not in known and not resolves(name)]
    assert not wrong, f"{page.name}: {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_import_of_an_example_resolves(page):
    """Blocks of Python on the pages import what exists."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    nodes = (node for block in blocks for node in ast.walk(ast.parse(block)))
    imported = [
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
    ]
    wrong = [name for name in imported if not resolves(name)]
    assert not wrong, f"{page.name}: {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page):
    """A path in backticks that starts at a folder of the repository is there.

    FAMILY stands for the folder of any family.
    """
    paths = {path for text in quoted(page) for path in PATH.findall(text)}
    wrong = [
        path
        for path in sorted(paths)
        if not any(ROOT.glob(path.rstrip("/.").replace("FAMILY", "*")))
    ]
    assert not wrong, f"{page.name}: {wrong}"


def test_every_format_has_its_section():
    """docs/files.md has a heading for each declared format, and for nothing else."""
    headings = re.findall(r"^## .*", (ROOT / "docs" / "files.md").read_text(), re.MULTILINE)
    named = {name for line in headings for name in re.findall(r"`(mecopt\.[\w.-]+)`", line)}
    assert named == schemas()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    """Links to files, relative to the page, lead to files."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    wrong = [link for link in local if not (page.parent / link).exists()]
    assert not wrong, f"{page.name}: {wrong}"


def test_a_name_that_is_nowhere_is_noticed():
    """Modules, names in modules, members of classes and re-exports resolve, others do not."""
    assert resolves("mecopt.market.instance.Market.of")
    assert resolves("mecopt.market.Market")
    assert not resolves("mecopt.market.instance.Market.from_nowhere")
    assert not resolves("mecopt.nowhere")
