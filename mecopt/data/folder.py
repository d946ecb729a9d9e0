"""The data folder: where it is, what is in it, whether it is right."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mecopt.data import tables
from mecopt.data.registry import FILES
from mecopt.data.spec import DATA_DIR_VARIABLE, DataFile

#: The data folder when nothing else is said, relative to the current directory.
DEFAULT_DATA_DIR = Path("..") / "shared" / "data"


def find(name: str, files: Iterable[DataFile] = FILES) -> DataFile:
    """Look a data file up by its short name.

    Raises
    ------
    ValueError
        If there is none; the message lists the names.
    """
    known = {f.name: f for f in files}
    if name not in known:
        raise ValueError(f"data file: unknown {name!r}, one of {', '.join(known)}")
    return known[name]


def resolve_data_dir(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The data folder: the argument, else ``MECOPT_DATA``, else ``../shared/data``."""
    if data_dir is not None:
        return Path(data_dir)
    return Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)


def describe(data_dir: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """One row per scenario and file: present or not, rows, licence, source, what for."""
    folder = resolve_data_dir(data_dir)
    rows = [
        {
            "scenario": scenario,
            "name": f.name,
            "file": f.path,
            "present": (folder / f.path).is_file(),
            "rows": f.rows,
            "fetchable": f.original is not None,
            "licence": f.licence,
            "source": f.source,
            "what_for": f.purpose,
        }
        for f in FILES
        for scenario in f.scenarios
    ]
    return pd.DataFrame(rows)


def verify(data_dir: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """One row per file: ``"ok"``, ``"missing"``, ``"differs"`` or the error that reading it gave.

    A file that differs from the known content but is well formed may still be used; instances
    carry the hashes of what was read.
    """
    folder = resolve_data_dir(data_dir)
    rows = []
    for f in FILES:
        found = ""
        try:
            found = tables.read(f, folder).sha256
            status = "ok" if found == f.sha256 else "differs"
        except FileNotFoundError:
            status = "missing"
        except ValueError as error:
            status = str(error)
        rows.append((f.name, f.path, status, found))
    return pd.DataFrame(rows, columns=["name", "file", "status", "sha256"])
