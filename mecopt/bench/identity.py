"""What a finished unit of work was made from: it is used again only while that is unchanged.

The identity of a unit is a document {what: version or digest} of everything that its figures depend
on besides the parameters of the run: the instance, files that the instance was made from, the code
of mecopt and of the packages that brought family and policies, packages that compute, checkpoints.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formulations import methods
from mecopt import plugins
from mecopt.bench import provenance

if TYPE_CHECKING:
    from mecopt.bench.suite import Suite

#: Packages of other people whose version can change a figure, whatever the family.
_COMPUTING = ("numpy", "numba", "highspy")
#: What mecopt's own trained policies compute with.
_LEARNED = ("torch", "transformers")
#: The packages of this distribution that every run uses, and one that some do.
_OWN, _LEARNING = ("mecopt", "formulations"), "learning"
#: Of mecopt, what only shows figures: an edit there makes no figure old.
_SHOWING = re.compile(
    r"cli/|bench/(templates/|paper_tables/|(.*/)?(page|pages|plot|html|scorecard|face)\.py$)"
)
#: Files that Python and numba make of sources.
_MADE = {".pyc", ".nbi", ".nbc"}
#: The module that Python runs as a script.
MAIN = "__main__"
#: The code of something without files (typed into a notebook, say): never equal to anything.
NO_FILES = "no source files"


def of_run(suite: Suite) -> dict[str, str]:
    """What all units of a suite are made from; digests are shortened.

    Raises
    ------
    ValueError
        If a checkpoint or a package that brings a policy cannot be found.
    """
    family = suite.family
    modules = {family.instance.__module__, suite.its_scenario.generate.__module__}
    modules.add(methods.routes(family.name).methods[suite.method].partition(":")[0])
    packages, computing = set(_OWN) | {_top(module) for module in modules}, list(_COMPUTING)
    if suite.method != methods.certified(family.name):
        computing.append("pyomo")
    trained = {c.name: c.digest for c in suite.checkpoints}
    for name in (*suite.policies, family.reference):
        if name not in family.policies.own:
            packages.add(_top(plugins.module_of(family.policies.group, name)))
    if _LEARNING in packages:
        computing += _LEARNED
    for package in packages - {*_OWN, _LEARNING}:
        computing += _with_requirements(package)
    out = {f"code of {package}": code(package) for package in sorted(packages)}
    versions = provenance.versions(["mecopt", *computing])
    out |= {name: versions[name] or "absent" for name in dict.fromkeys(["mecopt", *computing])}
    return out | {f"checkpoint {name}": digest[:16] for name, digest in trained.items()}


def of_instance(suite: Suite, instance: Any) -> dict[str, str]:
    """What one unit is made from beside that: the files its instance came from, the instance."""
    files = {f"file {name}": digest[:16] for name, digest in suite.family.sources(instance).items()}
    return files | {"instance": instance.content_hash}


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What differs between two identities, a few words each; empty when nothing does."""
    out = []
    for name in dict.fromkeys([*new, *old]):
        before, now = old.get(name), new.get(name)
        if before == now and now != NO_FILES:
            continue
        if name in new and now == NO_FILES:
            out.append(f"{name} has no files to compare")
        elif before is None or now is None:
            out.append(f"{name} is {'new' if before is None else 'not used any more'}")
        elif _is_version(name):
            out.append(f"{name} went from {before} to {now}")
        else:
            out.append(f"{name} changed")
    # Another file or another generator makes another instance: say the cause, not both.
    return out[:-1] if len(out) > 1 and out[-1] == "instance changed" else out


def _is_version(name: str) -> bool:
    return name != "instance" and " " not in name


@cache
def code(package: str) -> str:
    """Digest of a package's files as they were when it was first asked for in this process.

    Files of data that lie in the package count, weights of shipped policies among them. Of mecopt,
    what only draws and prints is left out.
    """
    return _read_code(package)


def check_code(packages: Iterable[str]) -> None:
    """Refuse to go on when sources changed while this process ran: what runs is what was loaded.

    Raises
    ------
    ValueError
        Names the package.
    """
    for package in packages:
        if code(package) != _read_code(package):
            raise ValueError(
                f"the files of package {package} changed while this process ran; start a new one"
            )


def packages_of(identity: Mapping[str, str]) -> list[str]:
    """The packages whose code an identity holds."""
    return [name.removeprefix("code of ") for name in identity if name.startswith("code of ")]


def _read_code(package: str) -> str:
    total, files = sha256(), _files(package)
    for name, path in sorted(files.items()):
        content = path.read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16] if files else NO_FILES


def _files(package: str) -> dict[str, Path]:
    """Files of a package, or of a module that is one file, by name."""
    try:
        spec = find_spec(package)
    except ValueError:  # of MAIN, where it is a file
        spec = None
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    if not folders:
        running = getattr(sys.modules.get(package), "__file__", None)
        path = Path((running if spec is None else spec.origin) or "")
        return {path.name: path} if path.is_file() else {}
    found = {}
    for folder in map(Path, folders):
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            hidden = "__pycache__" in path.parts or path.suffix in _MADE
            if path.is_file() and not hidden and not (package == "mecopt" and _SHOWING.match(name)):
                found[name] = path
    return found


def _top(module: str) -> str:
    return module.partition(".")[0]


@cache
def _with_requirements(package: str) -> list[str]:
    """The distribution that installed a package and those that it needs in any case, by name."""
    out = []
    for distribution in metadata.packages_distributions().get(package, ())[:1]:
        always = [t for t in metadata.requires(distribution) or () if "extra ==" not in t]
        out = [distribution, *(re.split(r"[^A-Za-z0-9._-]", text)[0] for text in always)]
    return sorted(out)
