"""A run folder: finished units at once, tables at the end, whole only with its manifest.

Layout::

    parameters.json       what the run was asked for (written first)
    parts/PRESET-SEED.json  one finished unit of work each, written whole or not at all
    log.txt               what happened when
    results.parquet       one row per policy and instance
    instances.parquet     one row per instance: bound, incumbent, seconds, termination, hash
    progress.parquet      how bound and objective moved while solving
    timelines.parquet     stages of the best schedule and of one policy, one instance per preset
    pictures/*.png, report.html
    run.json              the manifest, written last: without it the folder is not a whole run
"""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from formulations import methods
from mecopt import files
from mecopt.bench.reading import short
from mecopt.bench.suite import Suite, Unit

PARAMETERS = files.Format("mecopt.benchmark-parameters", version=1)
PART = files.Format("mecopt.benchmark-part", version=2)
RUN = files.Format("mecopt.benchmark-run", version=1)

#: Tables of a whole run, in the order in which parts hold them.
TABLES = ("results", "instances", "progress", "timelines")


class IncompleteRun(ValueError):
    """The folder holds a run that has not finished."""


class RunFolder:
    """Reads and writes one run folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str], suite: Suite) -> RunFolder:
        """Make a run folder, or take up one that was begun with the same parameters.

        Raises
        ------
        ValueError
            If the folder holds something else, or a run with other parameters.
        OSError
            If it cannot be written.
        """
        folder = cls(path)
        if folder.path.exists() and not folder.path.is_dir():
            raise ValueError(f"out: {path} is a file, not a folder")
        document = folder.path / "parameters.json"
        if document.exists():
            _refuse_other(folder, folder.suite, suite)
        elif folder.path.exists() and not all(map(_is_left_over, folder.path.iterdir())):
            raise ValueError(f"out: {path} is not empty and holds no mecopt run")
        if not document.exists() or folder.suite.to_document() != suite.to_document():
            PARAMETERS.write(document, {"suite": suite.to_document()})
        (folder.path / "parts").mkdir(parents=True, exist_ok=True)
        return folder

    # ---------------------------------------------------------------- while it runs
    @property
    def suite(self) -> Suite:
        """What the run was asked for; raises ValueError when the folder is no run folder."""
        document = self.path / "parameters.json"
        if not document.exists():
            raise ValueError(f"{self.path}: no mecopt run here (parameters.json is missing)")
        body = PARAMETERS.read(document)
        if not isinstance(body.get("suite"), dict):
            raise ValueError(f"{document}: field 'suite' is missing")
        return Suite.from_document(body["suite"], str(document))

    def missing(self, suite: Suite) -> list[Unit]:
        """Units without a finished part."""
        return [unit for unit in suite.units if not self._part(unit).exists()]

    def write_part(self, unit: Unit, part: Mapping[str, Any]) -> None:
        """Keep a finished unit, whole or not at all."""
        PART.write(self._part(unit), {"unit": unit.key, "finished": _now(), **part})

    def read_part(self, unit: Unit) -> dict[str, Any] | None:
        """A finished unit; None for one of an older mecopt, which does not say what it is from.

        Raises
        ------
        ValueError
            If the file is damaged: says which to delete.
        """
        path = self._part(unit)
        try:
            part = PART.read(path)
        except ValueError as error:
            if PART.claimed_by(path):
                return None
            raise ValueError(f"{error}; delete {path} and run the same command again") from None
        kinds = {"finished": str, "identity": dict} | dict.fromkeys(("results", "instances"), list)
        for name, kind in (kinds | {"progress": dict, "timelines": dict}).items():
            if not isinstance(part.get(name), kind):
                raise ValueError(
                    f"{path}: field {name!r} is missing or malformed; delete {path} and run the "
                    "same command again"
                )
        return part

    def read_parts(self, suite: Suite) -> list[dict[str, Any]]:
        """The parts of all units, in order; raises IncompleteRun when one is missing."""
        missing = self.missing(suite)
        if missing:
            raise IncompleteRun(f"{self.path}: {len(missing)} of {len(suite.units)} units missing")
        parts = (self.read_part(unit) for unit in suite.units)
        return [part for part in parts if part is not None]

    def log(self, line: str) -> None:
        """Add a line with the time (UTC) to the log."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with (
            files.named(self.path / "log.txt") as path,
            open(path, "a", encoding="utf-8") as log,
        ):
            log.write(f"{stamp} {line}\n")

    def _part(self, unit: Unit) -> Path:
        return self.path / "parts" / f"{unit.key}.json"

    # ---------------------------------------------------------------- the finished run
    def unmark(self) -> None:
        """Take the manifest away: from here on the folder is not a whole run."""
        (self.path / "run.json").unlink(missing_ok=True)

    def finish(self, tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> None:
        """Write the tables, then the manifest that makes the run whole."""
        for name in TABLES:
            buffer = io.BytesIO()
            tables[name].to_parquet(buffer, index=False)
            files.write_bytes(self.path / f"{name}.parquet", buffer.getvalue())
        RUN.write(self.path / "run.json", {"status": "complete", "finished": _now(), **manifest})
        for path in (*self.path.iterdir(), *(self.path / "parts").iterdir()):
            if _is_left_over(path):
                path.unlink(missing_ok=True)

    @property
    def is_whole(self) -> bool:
        """True when the manifest says so, and the tables are there."""
        needed = ["run.json", *(f"{name}.parquet" for name in TABLES)]
        return all((self.path / name).exists() for name in needed)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of a whole run; raises ValueError when it is damaged."""
        return RUN.read(self.path / "run.json")

    def read(self) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
        """Manifest and tables of a whole run.

        Raises
        ------
        IncompleteRun
            If the run has not finished; the message says how to resume.
        ValueError
            If the folder is not a run, or a file in it is damaged.
        """
        if not self.path.is_dir():
            raise ValueError(f"{self.path}: no such folder")
        suite = self.suite
        if not self.is_whole:
            done = len(suite.units) - len(self.missing(suite))
            raise IncompleteRun(
                f"{self.path}: this run is incomplete ({done} of {len(suite.units)} instances); "
                f"resume it with: {resume_command(suite, self.path)}"
            )
        manifest = self.manifest
        tables = {}
        for name in TABLES:
            file = self.path / f"{name}.parquet"
            try:
                tables[name] = pd.read_parquet(file)
            except FileNotFoundError:
                raise ValueError(f"{file}: is missing, run the benchmark again") from None
            except (OSError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise ValueError(
                    f"{file}: not a readable parquet file ({reason}); delete it and run the "
                    "benchmark again"
                ) from None
        return manifest, dict(suite.family.complete(tables))


def tables_of(parts: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """The tables of a run from those of its units, in order."""
    tables = {}
    for name in TABLES:
        frames = [pd.DataFrame(part[name]) for part in parts if part[name]]
        frames = [frame for frame in frames if len(frame)]
        tables[name] = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return tables


def resume_command(suite: Suite, path: str | os.PathLike[str]) -> str:
    """The command line that takes up a run."""
    scenario = suite.its_scenario
    parts = [
        "mecopt",
        "bench",
        suite.scenario,
        f"--{scenario.preset_option}",
        ",".join(suite.presets),
    ]
    for option in fields(suite.options):
        value = getattr(suite.options, option.name)
        if value is not None:
            flag = scenario.flags()[option.name]
            parts += [f"--{flag}", option.metadata["text"](value)]
    if scenario.needs_data and suite.data_dir:
        parts += ["--data-dir", suite.data_dir]
    parts += ["--seeds", f"{suite.seeds[0]}:{suite.seeds[1]}"]
    parts += ["--policies", ",".join(suite.policies)]
    for trained in suite.checkpoints:
        parts += ["--checkpoint", f"{trained.name}={trained.folder}"]
    if suite.method != methods.certified(suite.family.name):
        parts += ["--method", suite.method]
    parts += ["--time-limit", short(suite.time_limit_s), "--gap", short(suite.gap)]
    return shlex.join([*parts, "--out", str(path)])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _is_left_over(path: Path) -> bool:
    """Whether a file is what a killed process had begun to write."""
    return path.is_file() and files.is_half_written(path)


def _refuse_other(folder: RunFolder, found: Suite, wanted: Suite) -> None:
    old, new = found.to_document(), wanted.to_document()
    for document in (old, new):  # a checkpoint trained anew makes units old, not another run
        document["checkpoints"] = [
            {k: v for k, v in c.items() if k != "digest"} for c in document["checkpoints"]
        ]
    for name in old:
        if old[name] != new[name]:
            raise ValueError(
                f"out: {folder.path} holds a run with other parameters "
                f"({name} is {_short(old[name])}, asked for {_short(new[name])}); "
                "choose another folder"
            )


def _short(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
