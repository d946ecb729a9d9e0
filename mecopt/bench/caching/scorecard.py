"""The scorecard of caching runs: costs, gaps, edge share, and the most that anybody could save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from mecopt.bench import scorecard as shared
from mecopt.bench.caching.rows import SPLIT
from mecopt.bench.scorecard import aggregate, bound_words, microseconds, percent, rows_of

#: Columns of `results` that are averaged over instances, besides the parts of the cost.
AVERAGED = ("cost", "gap_to_bound", "gap_to_incumbent", "edge_share")


def parts_of(frame: pd.DataFrame) -> list[str]:
    """Columns that hold parts of the cost, in order."""
    return [str(c) for c in frame.columns if str(c).startswith(SPLIT)]


def scorecard(results: pd.DataFrame) -> pd.DataFrame:
    """Per preset and policy: each of `AVERAGED` and each part of the cost, with intervals.

    See `mecopt.bench.scorecard.aggregate`; parts that a preset does not have count as zero.
    """
    parts = parts_of(results)
    filled = results.assign(**{part: results[part].fillna(0.0) for part in parts})
    return aggregate(filled, (*AVERAGED, *parts), "cost")


def solver_table(instances: pd.DataFrame) -> pd.DataFrame:
    """Per preset: instances, gaps, seconds, what the best plan saves, and the proven maximum.

    ``saved`` is 1 - best known / cloud only, ``most`` is 1 - bound / cloud only: nobody can save
    more. Means over instances.
    """
    cloud = instances["cloud_cost"].clip(lower=1e-9)
    more = instances.assign(
        saved=1.0 - instances["incumbent"] / cloud, most=1.0 - instances["bound"] / cloud
    )
    grouped = more.groupby("preset", sort=False)
    return pd.DataFrame(
        {
            "instances": grouped.size(),
            "requests": grouped["n_requests"].mean(),
            "gap_mean": grouped["gap"].mean(),
            "gap_worst": grouped["gap"].max(),
            "seconds_mean": grouped["seconds"].mean(),
            "seconds_worst": grouped["seconds"].max(),
            "optimal": grouped["termination"].agg(lambda t: int((t == "optimal").sum())),
            "saved": grouped["saved"].mean(),
            "most": grouped["most"].mean(),
        }
    ).reset_index()


def headline(tables: Mapping[str, pd.DataFrame]) -> str:
    """Two sentences: how far each policy is from the best possible, and what cloud only loses."""
    card, instances = scorecard(tables["results"]), tables["instances"]
    solver = solver_table(instances)
    saved = " / ".join(percent(float(v), 1) for v in solver["saved"])
    most = " / ".join(percent(float(v), 1) for v in solver["most"])
    return (
        f"{shared.headline(card, instances)} The best plan known costs {saved} % less than cloud "
        f"only; more than {most} % is impossible."
    )


def records(results: pd.DataFrame) -> list[dict[str, Any]]:
    """One record per policy and seed, for ``--json``."""
    keys = ["preset", "policy", "seed", "cost", "bound", "incumbent", "gap_to_bound"]
    keys += ["gap_to_incumbent", "edge_share", "decision_seconds_p50"]
    parts = parts_of(results)
    out = []
    for row in results.to_dict("records"):
        split = {p.removeprefix(SPLIT): row[p] for p in parts if not np.isnan(row[p])}
        out.append({key: row[key] for key in keys} | {"cost_split": split})
    return out


def print_scorecard(console: Console, tables: Mapping[str, pd.DataFrame]) -> None:
    """Print the scorecard of a run to a terminal."""
    card, instances = scorecard(tables["results"]), tables["instances"]
    for s in rows_of(solver_table(instances)):
        title = f"{s.preset}: {s.instances} instance{'s' if s.instances > 1 else ''}"
        title += f" of {s.requests:.0f} requests; best possible cost known to "
        title += f"{percent(s.gap_mean, 3)} % "
        title += f"({bound_words(instances[instances['preset'] == s.preset])})"
        table = Table(title=title, title_justify="left", title_style="bold", box=None)
        part = list(rows_of(card[card["preset"] == s.preset]))
        columns = {
            "policy": [r.policy for r in part],
            "cost": [f"{r.cost:.1f}" for r in part],
            "served at\nthe edge %": [percent(r.edge_share, 1) for r in part],
            "gap to\nbound %": [percent(r.gap_to_bound) for r in part],
            "95 %\ninterval": [
                "-"
                if np.isnan(r.gap_to_bound_low)
                else f"{percent(r.gap_to_bound_low)} .. {percent(r.gap_to_bound_high)}"
                for r in part
            ],
            "gap to\nbest known %": [percent(r.gap_to_incumbent) for r in part],
            "decision\np50": [microseconds(r.decision_seconds_p50) for r in part],
        }
        for name in columns:
            table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
        for row in zip(*columns.values(), strict=True):
            table.add_row(*row)
        console.print(table)
        console.print()
    console.print(
        "Costs are sums over servers and slots. Gap to bound = (policy cost - lower bound) / lower "
        "bound. No rule\ncan cost less than the bound, not even one that knows the future.",
        soft_wrap=True,
    )
