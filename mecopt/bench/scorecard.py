"""The scorecard: means and intervals over instances, one row per preset and policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from mecopt.statistics import bootstrap_interval, paired_difference

#: Columns of `results` that are averaged over instances, with bootstrap intervals.
AVERAGED = (
    "mean_cost_slots",
    "mean_cost_ms",
    "mean_cost_charged_ms",
    "drop_rate",
    "parse_rate",
    "gap_to_bound",
    "gap_to_incumbent",
    "backlog_fairness",
    "assignment_fairness",
)


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples, for reading columns as attributes."""
    return frame.itertuples(index=True, name="Row")


def scorecard(results: pd.DataFrame) -> pd.DataFrame:
    """Aggregate tidy results.

    Parameters
    ----------
    results : DataFrame
        ``results.parquet`` of a run.

    Returns
    -------
    DataFrame
        Per preset and policy: instances, each column of `AVERAGED` with ``*_low`` and ``*_high``
        (95 % bootstrap over instances), ``pr`` (mean oracle cost / mean policy cost),
        ``decision_seconds_p50`` (median over instances) and ``decision_seconds_p99`` (largest),
        and ``extra_ms`` with interval: the paired difference in mean cost to the best policy.
        Presets in order of appearance, policies from the least mean gap to the bound.
    """
    card = aggregate(results, AVERAGED, "mean_cost_ms")
    # pr is per instance oracle / policy, so pr x cost is the oracle's cost.
    oracle = (results["pr"] * results["mean_cost_ms"]).groupby(
        [results["preset"], results["policy"]]
    )
    keys = pd.MultiIndex.from_frame(card[["preset", "policy"]])
    card["pr"] = oracle.mean().loc[keys].to_numpy() / card["mean_cost_ms"]
    return card.rename(columns={name: name.replace("extra", "extra_ms") for name in EXTRA})


#: Columns of the paired difference to the best policy, in the unit of the cost.
EXTRA = ("extra", "extra_low", "extra_high")


def aggregate(results: pd.DataFrame, averaged: Sequence[str], cost: str) -> pd.DataFrame:
    """Means and intervals over instances, for every family.

    Parameters
    ----------
    results : DataFrame
        Tidy results; one row per preset, seed and policy.
    averaged : sequence of str
        Columns to average, with ``*_low`` and ``*_high`` (95 % bootstrap over instances).
    cost : str
        The column that ranks policies, and of whose paired difference `EXTRA` is made.
    """
    rows = []
    if "parse_rate" not in results:  # runs from before there were policies that write text
        results = results.assign(parse_rate=1.0)
    for preset in results["preset"].unique():
        part = results[results["preset"] == preset]
        per_policy = {
            p: part[part["policy"] == p].sort_values("seed") for p in part.policy.unique()
        }
        means = {p: float(frame[cost].mean()) for p, frame in per_policy.items()}
        best = per_policy[min(means, key=lambda p: means[p])][cost]
        for policy, frame in sorted(per_policy.items(), key=lambda item: means[item[0]]):
            row: dict[str, object] = {"preset": preset, "policy": policy, "instances": len(frame)}
            for column in averaged:
                row[column] = float(frame[column].mean())
                row[f"{column}_low"], row[f"{column}_high"] = bootstrap_interval(frame[column])
            row["decision_seconds_p50"] = float(frame["decision_seconds_p50"].median())
            row["decision_seconds_p99"] = float(frame["decision_seconds_p99"].max())
            row["decision_wall_seconds_p50"] = float(frame["decision_wall_seconds_p50"].median())
            row.update(zip(EXTRA, paired_difference(frame[cost], best), strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def solver_table(instances: pd.DataFrame) -> pd.DataFrame:
    """Per preset: instances, mean tasks, mean and worst proven gap, mean and worst seconds."""
    grouped = instances.groupby("preset", sort=False)
    return pd.DataFrame(
        {
            "instances": grouped.size(),
            "tasks": grouped["n_tasks"].mean(),
            "gap_mean": grouped["gap"].mean(),
            "gap_worst": grouped["gap"].max(),
            "seconds_mean": grouped["seconds"].mean(),
            "seconds_worst": grouped["seconds"].max(),
            "optimal": grouped["termination"].agg(lambda t: int((t == "optimal").sum())),
        }
    ).reset_index()


def percent(value: float, digits: int = 2) -> str:
    """0.0312 -> ``"3.12"``; ``"-"`` when there is no figure."""
    if np.isnan(value):
        return "-"
    if np.isinf(value):
        return "inf"
    # Enough digits that a proven gap of a few millionths does not read as zero.
    shown = 100 * value
    return f"{shown:.{digits}f}" if shown == 0 or abs(shown) >= 10.0**-digits else f"{shown:.1g}"


def microseconds(seconds: float) -> str:
    """Seconds as a short text in us or ms."""
    if np.isnan(seconds):
        return "-"
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def bound_words(instances: pd.DataFrame) -> str:
    """``"certified"``, ``"solver-claimed"``, or both."""
    return " and ".join(sorted(instances["bound_kind"].unique()))


def headline(card: pd.DataFrame, instances: pd.DataFrame) -> str:
    """One sentence: how far each policy is from the best possible, on each preset."""
    proven = "provably" if bound_words(instances) == "certified" else "by the solver's own bounds"
    presets = list(card["preset"].unique())
    gaps = card.pivot(index="policy", columns="preset", values="gap_to_bound")[presets]
    gaps = gaps.loc[gaps.mean(axis=1).sort_values(kind="stable").index]
    figures = [
        f"{policy} {' / '.join(percent(float(g), 1) for g in row)} %"
        for policy, row in zip(gaps.index, gaps.to_numpy(), strict=True)
    ]
    where = f"on {' / '.join(presets)}, each rule is at most this far above the best possible"
    return f"{proven[0].upper()}{proven[1:]}, {where} schedule: {', '.join(figures)}."


#: Below this width, in characters, the terminal table leaves two columns out.
_WIDE = 104


def print_scorecard(
    console: Console, tables: Mapping[str, pd.DataFrame], *, has_slots: bool = True
) -> None:
    """Print the scorecard of a run to a terminal; traces have no slots."""
    card, instances = scorecard(tables["results"]), tables["instances"]
    solver = solver_table(instances)
    for s in rows_of(solver):
        title = f"{s.preset}: {s.instances} instance{'s' if s.instances > 1 else ''}"
        title += f" of {s.tasks:.0f} tasks; best possible cost known to {percent(s.gap_mean, 3)} %"
        title += f" ({bound_words(instances[instances['preset'] == s.preset])})"
        table = Table(title=title, title_justify="left", title_style="bold", box=None)
        part = card[card["preset"] == s.preset]
        columns = _terminal_columns(part, has_slots, console.width >= _WIDE)
        for name in columns:
            table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
        for row in zip(*columns.values(), strict=True):
            table.add_row(*row)
        console.print(table)
        console.print()
    console.print(
        "Gap to bound = (policy cost - lower bound) / lower bound. No rule can cost less than the "
        "bound,\nnot even one that knows the future. The distance to the optimum lies between the "
        "two gaps.",
        soft_wrap=True,
    )


def _terminal_columns(part: pd.DataFrame, has_slots: bool, wide: bool) -> dict[str, list[str]]:
    rows = list(rows_of(part))
    columns = {
        "policy": [r.policy for r in rows],
        "cost ms": [f"{r.mean_cost_ms:.1f}" for r in rows],
    }
    if has_slots:
        columns["slots"] = [f"{r.mean_cost_slots:.3f}" for r in rows]
    columns["late or\ndropped %"] = [percent(r.drop_rate) for r in rows]
    columns["gap to\nbound %"] = [percent(r.gap_to_bound) for r in rows]
    if wide:
        columns["95 %\ninterval"] = [
            "-"
            if np.isnan(r.gap_to_bound_low)
            else f"{percent(r.gap_to_bound_low)} .. {percent(r.gap_to_bound_high)}"
            for r in rows
        ]
    columns["gap to\nbest known %"] = [percent(r.gap_to_incumbent) for r in rows]
    columns["PR %"] = [percent(r.pr, 1) for r in rows]
    if wide:
        columns["decision\np50"] = [microseconds(r.decision_seconds_p50) for r in rows]
    return columns
