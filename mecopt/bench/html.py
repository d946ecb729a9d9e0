"""Pieces of report pages: templates, tables, pictures, and where figures come from."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def environment() -> Environment:
    """Templates of the package; whatever is not `Markup` is escaped, a missing name is an error."""
    made = Environment(
        loader=PackageLoader("mecopt.bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["table"] = table_of
    made.globals["image"] = image
    return made


def render(template: str, **names: Any) -> Markup:
    """A template of the package, its names filled in."""
    return Markup(environment().get_template(template).render(names))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> Markup:
    """An HTML table in a box that scrolls sideways on a narrow screen.

    Cells are escaped; the first `text_columns` are set left, numbers right.
    """
    return render("table.html", header=header, rows=rows, text_columns=text_columns)


def table_of(frame: pd.DataFrame, text_columns: int = 1) -> Markup:
    """A DataFrame of texts as an HTML table."""
    rows = frame.itertuples(index=False, name=None)
    return table(list(frame.columns), rows, text_columns=text_columns)


def image(pictures: Mapping[str, bytes], name: str, alt: str) -> Markup:
    """A PNG picture inside the page; nothing when there is none of that name."""
    if name not in pictures:
        return Markup("")
    source = f"data:image/png;base64,{base64.b64encode(pictures[name]).decode()}"
    return Markup('<div class="scroll"><img alt="{}" src="{}"></div>').format(alt, source)


def images(pictures: Mapping[str, bytes], prefix: str, alt: str) -> Markup:
    """Every picture whose name begins with `prefix`; what follows it is added to `alt`."""
    names = [name for name in pictures if name.startswith(prefix)]
    return Markup("").join(image(pictures, n, f"{alt} {n.removeprefix(prefix)}") for n in names)


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


def frame(title: str, body: str) -> str:
    """A whole page; `body` is HTML already."""
    return str(render("frame.html", title=title, body=Markup(body)))
