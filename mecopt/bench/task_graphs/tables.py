"""The paper's rows beside ours: reward, latency and the accuracy that follows from both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from mecopt.bench.paper_tables.table import Figure, Quantity, Table
from mecopt.bench.task_graphs.paper import PAPER
from mecopt.statistics import bootstrap_interval

#: Column of a benchmark -> what the paper calls it, and how it is shown.
QUANTITIES = {
    "mean_reward": Quantity("reward", 3, interval=True, pictured=True),
    "mean_latency_s": Quantity("latency, s", 2, interval=True, pictured=True),
    "accuracy": Quantity("accuracy", 3, interval=True),
}
_PRINTED = {"mean_reward": "reward", "mean_latency_s": "latency_s", "accuracy": "accuracy"}
#: What the paper compares with, and in what.
_EDGE = "nearest edge"
_RELATIVE = {"mean_latency_s": "latency", "mean_reward": "reward"}
_NOTES = (
    "P as printed; the paper's accuracy is not printed and follows from reward + 0.01 latency.",
    "The paper prints places, channel, arrivals, machines and weights; tasks, difficulties and how "
    "right models are, are decisions of ours (D): orders and relative figures compare, not levels.",
    "The paper does not print intervals; ours are 95 % bootstrap intervals over episodes.",
)


def paper_table(results: pd.DataFrame, made_from: Mapping[str, Any] | None = None) -> Table:
    """The table "paper, ours, difference".

    Parameters
    ----------
    results : DataFrame
        One row per policy and episode: `policy`, `mean_reward`, `mean_latency_s`, `accuracy`.
    made_from : mapping, optional
        What they were measured on, JSON-able.

    Returns
    -------
    Table
        A row for each of the paper's methods that was measured, then one for every other policy;
        the notes name methods that were not.

    Raises
    ------
    ValueError
        If a column is missing, or no method of the paper was measured.
    """
    for name in ("policy", *QUANTITIES):
        if name not in results:
            raise ValueError(f"results: column {name!r} is missing")
    figures: list[Figure] = []
    missing, taken = [], pd.Series(False, index=results.index)
    for row in PAPER:
        mine = results["policy"] == row.policy
        if not mine.any():
            missing.append(row.method)
            continue
        taken |= mine
        for quantity, printed in _PRINTED.items():
            paper = round(getattr(row, printed), 3)
            figures.append(_figure(results[mine], row.policy, quantity, row.method, paper))
    if not figures:
        raise ValueError("results: hold none of the paper's methods")
    others = results[~taken]
    for policy, part in others.groupby("policy", sort=False):
        figures += [_figure(part, str(policy), quantity) for quantity in QUANTITIES]
    notes = (
        *_NOTES,
        *_against_nearest_edge(figures),
        *([f"Not measured: {', '.join(missing)}."] if missing else []),
    )
    return Table(
        "wifi",
        "Task graphs over WiFi: planners and rules",
        tuple(figures),
        notes,
        QUANTITIES,
        {"episodes": "Episodes of 600 s"},
        "arXiv 2604.21399",
        dict(made_from or {}),
    )


def _against_nearest_edge(figures: list[Figure]) -> Iterator[str]:
    """The paper's relative figures beside ours, for every planner that was measured."""
    of = {(f.method, f.quantity): f for f in figures if f.method}
    edge = {quantity: of.get((_EDGE, quantity)) for quantity in _RELATIVE}
    for row in PAPER:
        if not row.plans or (row.method, "mean_reward") not in of:
            continue
        said = []
        for quantity, word in _RELATIVE.items():
            base, mine = edge[quantity], of[row.method, quantity]
            # A share of a reward that is not positive says nothing.
            if base is not None and base.ours > 0 and base.paper and mine.paper:
                paper, ours = mine.paper / base.paper - 1, mine.ours / base.ours - 1
                said.append(f"{word} {100 * paper:+.0f} % in the paper, {100 * ours:+.0f} % here")
        if said:
            yield f"{row.method} against {_EDGE}: {'; '.join(said)}."


def _figure(
    part: pd.DataFrame, ours: str, quantity: str, method: str = "", paper: float | None = None
) -> Figure:
    low, high = bootstrap_interval(part[quantity])
    tag = "" if paper is None else "P"
    return Figure(
        "episodes", ours, "", quantity, float(part[quantity].mean()), low, high, method, paper,
        tag=tag,
    )  # fmt: skip
