"""Pieces of a report page: the frame, tables, pictures, and where figures come from."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

import numpy as np


def fill(template: str, **parts: str) -> str:
    """A template of the package (``report.html``), its ``$names`` filled in."""
    text = (resources.files("mecopt") / template).read_text(encoding="utf-8")
    return Template(text).substitute(parts)


def frame(title: str, body: str) -> str:
    """The whole page: head, style and body; `title` is escaped, `body` is HTML."""
    return fill("frame.html", title=html.escape(title), body=body)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """An HTML table in a box that scrolls sideways on a narrow screen.

    Cells are escaped; the first `text_columns` are set left, numbers right.
    """

    def cells(tag: str, row: Sequence[str]) -> str:
        side = ['class="t"' if i < text_columns else "" for i in range(len(row))]
        return "".join(
            f"<{tag} {s}>{html.escape(c)}</{tag}>" for s, c in zip(side, row, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', header)}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def image(pictures: Mapping[str, bytes], name: str, alt: str) -> str:
    """A PNG picture inside the page; nothing when there is none of that name."""
    if name not in pictures:
        return ""
    source = f"data:image/png;base64,{base64.b64encode(pictures[name]).decode()}"
    return f'<div class="scroll"><img alt="{html.escape(alt)}" src="{source}"></div>'


def interval(low: float, high: float, text: str = "{:.2f}", scale: float = 1.0) -> str:
    """``"1.20 to 1.31"``; ``"-"`` when there is none."""
    if not np.isfinite(low):
        return "-"
    return f"{text.format(low * scale)} to {text.format(high * scale)}"


def plain(value: Any) -> str:
    """A parameter as text."""
    if isinstance(value, list | tuple):
        return ", ".join(plain(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def facts(manifest: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the provenance table: command, machine, versions, times."""
    machine = manifest["machine"]
    rows = [["command", str(manifest["command"])]]
    rows += [["machine", f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"]]
    rows += [[name, str(version)] for name, version in manifest["versions"].items()]
    rows += [["wall time of the last start", f"{manifest['wall_seconds']:.1f} s"]]
    rows += [["time over all instances", f"{manifest['unit_seconds']:.1f} s"]]
    return rows
