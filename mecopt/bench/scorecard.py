"""The scorecard: means and intervals over instances, one row per preset and policy.

A family says its columns (`mecopt.bench.families.Family.columns`); everything here reads them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from mecopt.bench.columns import Column, percent
from mecopt.bench.families import FAMILIES, Family
from mecopt.statistics import bootstrap_interval, paired_difference

#: The paired difference to the best policy, in the unit of the column that ranks.
EXTRA = ("extra", "extra_low", "extra_high")
#: Headings on a terminal are broken into lines of at most this many characters.
_HEADING = 10
#: Below this width, in characters, the terminal table leaves columns out.
_WIDE = 104


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples, for reading columns as attributes."""
    return frame.itertuples(index=True, name="Row")


def of_family(family: Family | str) -> Family:
    """A family, given itself or its name."""
    return FAMILIES[family] if isinstance(family, str) else family


def scorecard(results: pd.DataFrame, family: Family | str) -> pd.DataFrame:
    """Aggregate tidy results over instances.

    Parameters
    ----------
    results : DataFrame
        ``results.parquet`` of a run; one row per preset, seed and policy.
    family : Family or str
        Says the columns.

    Returns
    -------
    DataFrame
        Per preset and policy: instances, each column of the family, means with ``*_low`` and
        ``*_high`` (95 % bootstrap over instances), and ``extra`` with interval: the paired
        difference in cost to the best policy. Presets in order of appearance, policies from the
        cheapest.
    """
    family = of_family(family)
    columns = [c for c in family.columns if c.summary and c.name in results]
    results = results.fillna({c.name: 0.0 for c in columns if c.group})
    rows = []
    for preset in results["preset"].unique():
        part = results[results["preset"] == preset]
        of = {p: part[part["policy"] == p].sort_values("seed") for p in part["policy"].unique()}
        means = {policy: float(frame[family.ranked_by].mean()) for policy, frame in of.items()}
        cheapest = of[min(means, key=lambda policy: means[policy])][family.ranked_by]
        for policy, frame in sorted(of.items(), key=lambda item: means[item[0]]):
            row: dict[str, Any] = {"preset": preset, "policy": policy, "instances": len(frame)}
            for column in columns:
                row.update(_over_instances(frame, column))
            difference = paired_difference(frame[family.ranked_by], cheapest)
            rows.append(row | dict(zip(EXTRA, difference, strict=True)))
    return pd.DataFrame(rows)


def _over_instances(frame: pd.DataFrame, column: Column) -> dict[str, Any]:
    values = frame[column.name]
    if column.summary == "same":
        return {column.name: values.iloc[0]}
    if column.weight:
        weight = frame[column.weight]
        return {column.name: float((values * weight).mean() / weight.mean())}
    if column.summary != "mean":
        return {column.name: float(values.agg(column.summary))}
    low, high = bootstrap_interval(values)
    name = column.name
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def solver_table(instances: pd.DataFrame, family: Family | str) -> pd.DataFrame:
    """Per preset: instances, mean size, mean and worst proven gap, mean and worst seconds.

    What a family says of its instances (`Family.instance_columns`) is averaged beside them.
    """
    family = of_family(family)
    grouped = instances.groupby("preset", sort=False)
    of_size, word = family.size
    table = {
        "instances": grouped.size(),
        word: grouped[of_size].mean(),
        "gap_mean": grouped["gap"].mean(),
        "gap_worst": grouped["gap"].max(),
        "seconds_mean": grouped["seconds"].mean(),
        "seconds_worst": grouped["seconds"].max(),
        "optimal": grouped["termination"].agg(lambda t: int((t == "optimal").sum())),
    }
    own = {c.name: grouped[c.name].mean() for c in family.instance_columns}
    return pd.DataFrame(table | own).reset_index()


def bound_words(instances: pd.DataFrame) -> str:
    """``"certified"``, ``"solver-claimed"``, or both."""
    return " and ".join(sorted(instances["bound_kind"].unique()))


def headline(tables: Mapping[str, pd.DataFrame], family: Family | str) -> str:
    """One sentence: how far each policy is from the best possible, on each preset; then the
    family's own remark.
    """
    family = of_family(family)
    card, instances = scorecard(tables["results"], family), tables["instances"]
    proven = "provably" if bound_words(instances) == "certified" else "by the solver's own bounds"
    presets = list(card["preset"].unique())
    gaps = card.pivot(index="policy", columns="preset", values="gap_to_bound")[presets]
    gaps = gaps.loc[gaps.mean(axis=1).sort_values(kind="stable").index]
    figures = [
        f"{policy} {' / '.join(percent(float(g), 1) for g in row)} %"
        for policy, row in zip(gaps.index, gaps.to_numpy(), strict=True)
    ]
    where = f"on {' / '.join(presets)}, each rule is at most this far from the best possible"
    sentence = f"{proven[0].upper()}{proven[1:]}, {where} schedule: {', '.join(figures)}."
    return " ".join(filter(None, (sentence, family.remark(tables))))


def shown_columns(
    card: pd.DataFrame, family: Family, scenario: str, places: Sequence[str]
) -> list[Column]:
    """The columns of a card that are shown at any of some places, in order."""
    return [
        column
        for column in family.columns
        if column.name in card
        and set(places) & set(column.places)
        and (not column.scenarios or scenario in column.scenarios)
    ]


def text_table(
    card: pd.DataFrame, columns: Sequence[Column], *, intervals: bool, between: str = " to "
) -> pd.DataFrame:
    """The card as texts under the headings of `columns`, policies first."""
    texts: list[pd.Series] = [card["policy"].rename("policy")]
    for column in columns:
        texts.append(card[column.name].map(column.text).rename(column.heading))
        if intervals and column.interval:
            ends = zip(card[f"{column.name}_low"], card[f"{column.name}_high"], strict=True)
            shown = [column.range_text(low, high, between) for low, high in ends]
            texts.append(pd.Series(shown, card.index, name="95 % interval"))
    return pd.concat(texts, axis=1)


def print_scorecard(
    console: Console, tables: Mapping[str, pd.DataFrame], family: Family | str, scenario: str
) -> None:
    """Print the scorecard of a run to a terminal."""
    family = of_family(family)
    card, instances = scorecard(tables["results"], family), tables["instances"]
    wide = console.width >= _WIDE
    columns = shown_columns(card, family, scenario, ("console", "wide") if wide else ("console",))
    for solved in solver_table(instances, family).to_dict("records"):
        preset, n = solved["preset"], solved["instances"]
        here = bound_words(instances[instances["preset"] == preset])
        table = Table(
            title=f"{preset}: {n} instance{'s' if n > 1 else ''} of "
            f"{solved[family.size[1]]:.0f} {family.size[1]}; best possible cost known to "
            f"{percent(solved['gap_mean'], 3)} % ({here})",
            title_justify="left",
            title_style="bold",
            box=None,
        )
        texts = text_table(card[card["preset"] == preset], columns, intervals=wide, between=" .. ")
        for heading in texts.columns:
            side: Any = "left" if heading == "policy" else "right"
            table.add_column(
                textwrap.fill(heading, _HEADING), justify=side, vertical="bottom", no_wrap=True
            )
        for row in texts.itertuples(index=False):
            table.add_row(*row)
        console.print(table)
        console.print()
    console.print(
        f"{family.costs_of(scenario)} Gap to bound = (policy cost - lower bound) / lower bound. No "
        "rule can cost less than the bound, not even one that knows the future. The distance to "
        "the optimum lies between the two gaps."
    )


def records(results: pd.DataFrame, family: Family | str) -> list[dict[str, Any]]:
    """One record per policy and seed, for ``--json``: the family's columns for that place."""
    family = of_family(family)
    columns = [c for c in family.columns if "record" in c.places and c.name in results]
    out = []
    for row in results.to_dict("records"):
        record = {key: row[key] for key in ("preset", "policy", "seed")}
        record |= {c.name: row[c.name] for c in columns if not c.group}
        for column in columns:
            if column.group and row[column.name] == row[column.name]:  # a part that exists
                record.setdefault(column.group, {})[column.heading] = row[column.name]
        out.append(record)
    return out
