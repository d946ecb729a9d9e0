"""The report of a run: pictures, and one self-contained HTML page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from mecopt import files
from mecopt.bench import html, plot
from mecopt.bench.columns import Column, fixed, percent
from mecopt.bench.families import Family, Tables
from mecopt.bench.html import plain, render
from mecopt.bench.run_folder import RunFolder
from mecopt.bench.scorecard import (
    bound_words,
    headline,
    scorecard,
    shown_columns,
    solver_table,
    text_table,
)

#: A growth measurement (``benchmarks/offloading/growth.py``) put into a run folder appears on its
#: page, and so do HTML fragments: of ``mecopt report --training`` and of ``mecopt audit --report``.
GROWTH, TRAINING, AUDIT = "growth.json", "training.html", "audit.html"
_GROWTH_KEYS = ("users", "tasks", "seconds_to_1_percent", "gap_percent")


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
    family = folder.suite.family
    pictures = draw(tables, family)
    growth = folder.path / GROWTH
    if growth.exists():
        pictures["growth"] = plot.png(plot.growth_picture(read_growth(growth)))
    for name, data in pictures.items():
        files.write_bytes(folder.path / "pictures" / f"{name}.png", data)
    fragments = [folder.path / TRAINING, folder.path / AUDIT]
    extra = "".join(path.read_text(encoding="utf-8") for path in fragments if path.exists())
    path = folder.path / "report.html"
    files.write_bytes(path, page(manifest, tables, family, pictures, extra).encode())
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


def draw(tables: Tables, family: Family) -> dict[str, bytes]:
    """PNG pictures of a run by name: gap, convergence, size, and the family's own."""
    card, instances = scorecard(tables["results"], family), tables["instances"]
    figures = {"gap": plot.gap_picture(card, solver_table(instances, family))}
    if len(tables["progress"]):
        figures["convergence"] = plot.convergence_picture(tables["progress"], instances)
    figures["size"] = plot.size_picture(instances, family.size)
    figures |= family.pictures(tables)
    return {name: plot.png(figure) for name, figure in figures.items()}


def page(
    manifest: Mapping[str, Any],
    tables: Tables,
    family: Family,
    pictures: Mapping[str, bytes],
    extra: str = "",
) -> str:
    """The whole page as HTML text; `extra` holds sections of other packages, already HTML."""
    suite = manifest["suite"]
    card, instances = scorecard(tables["results"], family), tables["instances"]
    scenario = family.scenario(suite["scenario"])
    columns = shown_columns(card, family, scenario.name, ("page",))
    conduct = shown_columns(card, family, scenario.name, ("conduct",))
    of_preset = {preset: card[card["preset"] == preset] for preset in card["preset"].unique()}
    common = {
        "title": f"{scenario.name}: {', '.join(suite['presets'])}",
        "headline": headline(tables, family).replace(" %", "\u00a0%"),
        "notes": [note for note in dict.fromkeys(instances.get("notes", ())) if note],
        "lead": _lead(suite, instances, family),
        "cost_words": family.costs_of(scenario.name),
        "schedule_word": "schedule",
        "prices_of": "prices on what tasks share",
        "presets": [
            {
                "name": preset,
                "instances": int(part["instances"].iloc[0]),
                "scorecard": text_table(part, columns, intervals=True),
            }
            for preset, part in of_preset.items()
        ],
        "pictures": pictures,
        "bound_kinds": sorted(instances["bound_kind"].unique()),
        "solver": _solver(instances, family),
        "conduct": pd.concat([card["preset"], text_table(card, conduct, intervals=False)], axis=1),
        "extra": Markup(extra),
        "asked": pd.DataFrame(
            [[name, plain(value)] for name, value in suite.items() if value is not None],
            columns=["asked for", "value"],
        ),
        "parameter_tables": _parameters(scenario, suite["presets"]),
        "tags_note": Markup(scenario.tags_note),
        "facts": pd.DataFrame(html.facts(manifest), columns=["", "value"]),
        "provenance": _provenance(instances, family),
        "first_seed": suite["seeds"][0],
        "first_policy": suite["policies"][0],
    }
    return str(render(family.template, **common | family.context(tables, suite, pictures)))


def _lead(suite: Mapping[str, Any], instances: pd.DataFrame, family: Family) -> str:
    n = len(instances)
    first, end = suite["seeds"]
    column, word = family.size
    few, many = instances[column].min(), instances[column].max()
    sizes = f"{few}" if few == many else f"{few} to {many}"
    seeds = f"seeds {first} to {end - 1}" if end - first > 1 else f"seed {first}"
    worst = percent(float(instances["gap"].max()), 3)
    return (
        f"{n} instance{'s' if n > 1 else ''} ({seeds}), {sizes} {word} "
        f"{'each' if n > 1 else 'in all'}. Bound and best schedule are at most {worst} % apart on "
        f"every instance; the bounds are {bound_words(instances)}."
    )


def _solver(instances: pd.DataFrame, family: Family) -> pd.DataFrame:
    solved = solver_table(instances, family)
    word = family.size[1]
    return pd.DataFrame(
        {
            "preset": solved["preset"],
            "instances": solved["instances"].map(str),
            f"mean {word}": solved[word].map(fixed(0)),
            "mean gap, %": [percent(g, 4) for g in solved["gap_mean"]],
            "worst gap, %": [percent(g, 4) for g in solved["gap_worst"]],
            "within the gap asked for": [
                f"{done} of {n}"
                for done, n in zip(solved["optimal"], solved["instances"], strict=True)
            ],
            "mean s": solved["seconds_mean"].map(fixed(2)),
            "worst s": solved["seconds_worst"].map(fixed(2)),
        }
    )


def _parameters(scenario: Any, presets: list[str]) -> list[pd.DataFrame]:
    tables = []
    for by_preset, tags in scenario.parameters(presets):
        table = {f"parameter of {scenario.name}": list(tags)}
        for preset, parameters in by_preset.items():
            values = [getattr(parameters, name, "see the source") for name in tags]
            table[preset] = [plain(value) for value in values]
        tables.append(pd.DataFrame(table | {"tag": list(tags.values())}))
    return tables


#: Columns of the last table, those of the instances of any family.
_SOLVED = (
    Column("gap", "gap, %", lambda gap: percent(gap, 4)),
    Column("seconds", "seconds", fixed(2)),
    Column("bound", "bound", fixed(6)),
    Column("incumbent", "best schedule", fixed(6)),
)


def _provenance(instances: pd.DataFrame, family: Family) -> pd.DataFrame:
    texts = {c.heading: instances[c.name].map(c.text) for c in _SOLVED}
    column, word = family.size
    return pd.DataFrame(
        {
            "preset": instances["preset"],
            "seed": instances["seed"].map(str),
            word: instances[column].map(str),
            "instance hash": instances["instance_hash"].str[:16],
            "method": instances["method"],
            "stopped": instances["termination"],
            "bound is": instances["bound_kind"],
            **{heading: texts[heading] for heading in ("bound", "best schedule", "gap, %")},
            "found by": instances["incumbent_from"],
            "seconds": texts["seconds"],
        }
    )
