"""The report of a run: pictures, and one self-contained HTML page that needs no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mecopt import files
from mecopt.bench import plot
from mecopt.bench.families import FAMILIES
from mecopt.bench.html import table as table
from mecopt.bench.run_folder import RunFolder

#: A growth measurement (``benchmarks/offloading/growth.py``) put into a run folder appears on its
#: page.
GROWTH = "growth.json"


#: An HTML fragment put there by ``mecopt audit --report`` appears on the page as it is.
AUDIT = "audit.html"


#: Likewise the learning curves of ``mecopt report --training``.
TRAINING = "training.html"


def build(folder: RunFolder) -> str:
    """Draw the pictures of a whole run and write ``report.html``; nothing is recomputed.

    Returns
    -------
    str
        Path of the page.

    Raises
    ------
    IncompleteRun
        If the run has not finished.
    ValueError
        If the folder is not a run or is damaged.
    """
    manifest, tables = folder.read()
    family = FAMILIES[folder.suite.family]
    pictures = family.draw(tables)
    growth = folder.path / GROWTH
    if growth.exists():
        pictures["growth"] = plot.png(plot.growth_picture(read_growth(growth)))
    for name, data in pictures.items():
        files.write_bytes(folder.path / "pictures" / f"{name}.png", data)
    extra = "".join(
        path.read_text(encoding="utf-8")
        for path in (folder.path / TRAINING, folder.path / AUDIT)
        if path.exists()
    )
    path = folder.path / "report.html"
    files.write_bytes(path, family.page(manifest, tables, pictures, extra).encode())
    return str(path)


def read_growth(path: Path) -> list[dict[str, Any]]:
    """Rows of a growth measurement.

    Raises
    ------
    ValueError
        If the file is not one; names the file.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return [{key: row[key] for key in _GROWTH_KEYS} for row in rows]
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a growth measurement ({error})") from None


_GROWTH_KEYS = ("users", "tasks", "seconds_to_1_percent", "gap_percent")
