"""The page of caching runs: cost split, residency, memory and energy prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mecopt.bench import online
from mecopt.bench.caching import plot
from mecopt.bench.columns import tenths_of_percent
from mecopt.bench.html import images
from mecopt.bench.scorecard import scorecard, solver_table

#: Columns that hold one part of a policy's cost begin with this.
SPLIT = plot.SPLIT


def pictures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Figures by name: split, residency-PRESET, prices-PRESET; online where it was asked for."""
    card, instances = scorecard(tables["results"], "caching"), tables["instances"]
    solver = solver_table(instances, "caching")
    found = {"split": plot.split_picture(card, solver, instances)}
    if "gap_to_online" in tables["results"]:
        found["online"] = online.picture(card)
    timelines = tables["timelines"]
    for preset in timelines["preset"].unique() if len(timelines) else []:
        part = timelines[timelines["preset"] == preset]
        shown = _named(part[part["schedule"] != "prices"], tables)
        found[f"residency-{preset}"] = plot.residency_picture(shown)
        prices = part[part["schedule"] == "prices"]
        if len(prices):
            found[f"prices-{preset}"] = plot.price_picture(prices)
    return found


def _named(timeline: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The timeline with server and cost in the names of its plans."""
    preset, seed = timeline["preset"].iloc[0], timeline["seed"].iloc[0]
    server = timeline["server"].iloc[0]
    results, instances = tables["results"], tables["instances"]
    here = results[(results["preset"] == preset) & (results["seed"] == seed)]
    known = instances[(instances["preset"] == preset) & (instances["seed"] == seed)].iloc[0]
    best = "optimum" if known["termination"] == "optimal" else "best known plan"
    if known["incumbent_from"] != "solver":
        best += f" (found by {known['incumbent_from']})"
    names = {"best known": f"{preset}, {server}, {best}: {known['incumbent']:.0f} in all"}
    for policy, cost in zip(here["policy"], here["cost"], strict=True):
        names[policy] = f"{preset}, {server}, {policy}: {cost:.0f} in all"
    return timeline.assign(schedule=timeline["schedule"].map(names))


def context(
    tables: Mapping[str, pd.DataFrame], suite: Mapping[str, Any], drawn: Mapping[str, bytes]
) -> dict[str, Any]:
    """What ``report_caching.html`` needs."""
    solver = solver_table(tables["instances"], "caching")
    return {
        "schedule_word": "plan",
        "prices_of": "prices on memory and energy",
        "saved": pd.DataFrame(
            {
                "preset": solver["preset"],
                "best plan below cloud only, %": solver["saved"].map(tenths_of_percent),
                "proven maximum, %": solver["most"].map(tenths_of_percent),
            }
        ),
        "onlines": images(drawn, "online", "Price of not knowing the future, and what is left"),
        "residency": images(drawn, "residency-", "Residency of pairs over slots,"),
        "prices": images(drawn, "prices-", "Dual prices of memory and energy over slots,"),
    }
