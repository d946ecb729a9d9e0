"""Where every benchmark script puts its results, and how results are read again.

A result is a summary, ``results/NAME.json`` with machine, versions and command, and beside it the
records that the summary was worked out from (one row per instance or episode) as
``results/NAME.parquet``; further tables are ``results/NAME.TABLE.parquet``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mecopt.bench import provenance
from mecopt.statistics import bootstrap_interval

RESULTS = Path(__file__).parent / "results"
#: Beside the packages of a benchmark run: solvers and scipy, which only some scripts use.
PACKAGES = (*provenance.PACKAGES, "scipy", "pyscipopt", "ortools")


def origin() -> dict[str, Any]:
    """Machine, versions and command, as recorded beside every result."""
    return {
        "machine": {"processor": provenance.processor(), "cores": os.cpu_count()},
        "threads": os.environ.get("OMP_NUM_THREADS", "unset"),
        "versions": {k: v for k, v in provenance.versions(PACKAGES).items() if v is not None},
        "command": provenance.command(),
    }


def interval(values: Any) -> list[float]:
    """95 % bootstrap interval of the mean over instances; committed figures use 2000 resamples."""
    return list(bootstrap_interval(values, resamples=2000))


def solves(part: pd.DataFrame) -> dict[str, Any]:
    """Means, worst cases and interval of a table of solves: columns gap, seconds, cpu_seconds."""
    return {
        "mean_gap": part["gap"].mean(),
        "gap_interval": interval(part["gap"]),
        "worst_gap": part["gap"].max(),
        "mean_seconds": part["seconds"].mean(),
        "worst_seconds": part["seconds"].max(),
        "mean_cpu_seconds": part["cpu_seconds"].mean(),
        "worst_cpu_seconds": part["cpu_seconds"].max(),
    }


def exists(name: str) -> bool:
    """Whether there is a result of this name."""
    return (RESULTS / f"{name}.json").exists()


def write(
    name: str, summary: dict[str, Any], records: pd.DataFrame | None = None, **more: pd.DataFrame
) -> Path:
    """Write a summary with its provenance, and its records; returns the path of the summary.

    Parameters
    ----------
    name : str
        Of the result, with a folder where it has one (``"learning/ppo"``).
    summary : dict
        JSON-able.
    records : DataFrame, optional
        One row per instance, episode or decision.
    **more : DataFrame
        Further tables by name.
    """
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = {f"{name}.{table}": frame for table, frame in more.items()}
    if records is not None:
        tables[name] = records
    for table, frame in tables.items():
        frame.to_parquet(RESULTS / f"{table}.parquet", index=False, compression="zstd")
    # The summary last: a part counts as done when it is there.
    path.write_text(dumps({"provenance": origin(), **summary}) + "\n")
    return path


def read(name: str) -> Any:
    """The summary of a result."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def records(name: str, table: str | None = None) -> pd.DataFrame:
    """The records of a result, or another table of it."""
    return pd.read_parquet(RESULTS / f"{name if table is None else f'{name}.{table}'}.parquet")


def dumps(value: Any, indent: str = "") -> str:
    """JSON with one line for everything that holds only plain values, so that a row is a line."""
    inner = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple) or not any(
        isinstance(v, dict | list | tuple) and v for v in inner
    ):
        return json.dumps(value, default=_plain)
    deeper = indent + " "
    if isinstance(value, dict):
        lines = [f"{json.dumps(str(k))}: {dumps(v, deeper)}" for k, v in value.items()]
        left, right = "{}"
    else:
        lines = [dumps(v, deeper) for v in value]
        left, right = "[]"
    return f"{left}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{right}"


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as those of Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{value!r} is not JSON-able")
