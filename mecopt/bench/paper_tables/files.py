"""A table of a paper on disk: JSON, Markdown and PNG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mecopt import files
from mecopt.bench.paper_tables.table import Table
from mecopt.bench.paper_tables.text import blocks
from mecopt.files import plain


def markdown(table: Table) -> str:
    """The table for a page."""
    parts = [f"# {table.title}\n"]
    for block in blocks(table):
        n = len(block.header) - block.text_columns
        lines = ["| " + " | ".join(block.header) + " |"]
        lines.append("|" + "---|" * block.text_columns + "--:|" * n)
        lines += ["| " + " | ".join(row) + " |" for row in block.rows]
        parts.append(f"\n## {block.heading}\n\n" + "\n".join(lines) + "\n")
    return "".join(parts) + "\n" + "".join(f"* {note}\n" for note in table.notes)


def document(table: Table) -> dict[str, Any]:
    """The table and what it was made from, JSON-able."""
    return {
        "table": table.name,
        "title": table.title,
        "paper": table.paper,
        **table.made_from,
        "figures": [{**vars(f), "difference": f.difference} for f in table.figures],
        "notes": list(table.notes),
    }


def write(table: Table, out: Path) -> list[Path]:
    """Write JSON, Markdown and picture to a folder; returns their paths."""
    from mecopt.bench import plot
    from mecopt.bench.paper_tables import picture as table_pictures

    stem = out / f"table-{table.name}"
    text = json.dumps(plain(document(table)), indent=1, allow_nan=False) + "\n"
    written = {
        ".json": text.encode(),
        ".md": markdown(table).encode(),
        ".png": plot.png(table_pictures.draw(table)),
    }
    for suffix, data in written.items():
        files.write_bytes(stem.with_suffix(suffix), data)
    return [stem.with_suffix(suffix) for suffix in written]
