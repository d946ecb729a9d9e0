"""Which finished units of an earlier start still hold good, and why others do not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mecopt import checkpoints
from mecopt.bench import identity
from mecopt.bench.run_folder import RunFolder
from mecopt.bench.suite import Suite, Unit

#: How the line begins that says that all units still hold good.
NOTHING = "nothing to do"


def to_do(
    folder: RunFolder, suite: Suite, common: Mapping[str, str]
) -> tuple[list[Unit], list[str]]:
    """Units without a finished part that holds good, and why finished ones do not."""
    to_do, old = folder.missing(suite), defaultdict[str, dict[Unit, str]](dict)
    for unit in suite.units:
        if unit in to_do:
            continue
        part = folder.read_part(unit)
        if part is None:
            old["an older mecopt did not note what they were made from"][unit] = ""
            continue
        now = dict(common) | identity.of_instance(suite, suite.instance(unit))
        changes = identity.changes(part["identity"], now)
        if changes:
            old[", ".join(changes)][unit] = f"since {part['finished']} "
    again = {unit for units in old.values() for unit in units}
    total = len(suite.units)
    notes = [
        f"{len(units)} of {total} instances are computed again"
        f"{'' if len(units) == total else f' ({_listed(list(units))})'}: {min(units.values())}{why}"
        for why, units in old.items()
    ]
    return [unit for unit in suite.units if unit in again or unit in to_do], notes


def check_one_source(suite: Suite, parts: Iterable[Mapping[str, Any]]) -> None:
    """Refuse tables of units that were made from files which changed while the run went on."""
    seen: dict[str, str] = {}
    for part in parts:
        for name, digest in part["identity"].items():
            if name.startswith("file ") and seen.setdefault(name, digest) != digest:
                raise ValueError(f"{name} changed while the run went on; run the command again")
    for trained in suite.checkpoints:
        if checkpoints.digest(checkpoints.find(trained.folder)) != trained.digest:
            raise ValueError(
                f"checkpoint {trained.name}: {trained.folder} changed while the run went on; run "
                "the command again"
            )


def _listed(units: Sequence[Unit]) -> str:
    return ", ".join(unit.key for unit in units[:5]) + (", ..." if len(units) > 5 else "")


def when_finished(folder: RunFolder) -> str:
    """A line about a run in which nothing is to do: when and with what it was finished."""
    manifest = folder.manifest
    versions = manifest["versions"]
    return (
        f"{NOTHING}: this run was finished on {manifest.get('finished', 'an unknown day')} "
        f"with mecopt {versions.get('mecopt')}, HiGHS {versions.get('highspy')}, and what it was "
        "made from is unchanged"
    )


def other_worker(found: Mapping[str, str], common: Mapping[str, str]) -> ValueError | None:
    """What is wrong with figures from a worker that has other code or versions."""
    # A script is the main module here and not there, and comes with its family.
    names = [
        n for n in common if n != f"code of {identity.MAIN}" and common[n] != identity.NO_FILES
    ]
    theirs = {name: found[name] for name in names if name in found}
    changes = identity.changes({name: common[name] for name in names}, theirs)
    if not changes:
        return None
    return ValueError(
        f"a worker is not like this process: {', '.join(changes)} there; install the same "
        "everywhere, then run the same command again"
    )
