"""Bounds with and without sight of the future, of any family: means over draws, and scorecards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from formulations.online import OnlineBound, mean
from mecopt.bench.columns import percent
from mecopt.bench.plot import BLUE, MUTED, clean, new_figure, title
from mecopt.statistics import bootstrap_interval

#: Bounds on schedules that know the future, and the online bound where it was asked for.
Draw = tuple[Sequence[float], OnlineBound | None]
#: With fewer draws of servers nobody is said to be below the bound: the interval says too little.
_LEAST_DRAWS = 5


@dataclass(frozen=True)
class Bounds:
    """Mean bounds over draws; slots of cost per task, or what the scenario counts in.

    Parameters
    ----------
    clairvoyant_slots : float
        Estimate of the expected bound on schedules that know the future.
    clairvoyant_interval : (float, float)
        95 % bootstrap interval over episodes; NaN with one.
    online : OnlineBound or None
        Mean over the draws, where it was asked for.
    draws : int
        Draws that were finished.
    seconds : float
        Wall time of all.
    """

    clairvoyant_slots: float
    clairvoyant_interval: tuple[float, float]
    online: OnlineBound | None
    draws: int
    seconds: float


def over(seeds: range, one: Callable[[int, int], Draw]) -> Bounds:
    """Mean over draws; when interrupted, over those that were finished.

    Parameters
    ----------
    seeds : range
    one : callable
        (which draw, its seed) -> its bounds.

    Raises
    ------
    KeyboardInterrupt
        If no draw was finished.
    """
    begin = time.perf_counter()
    done: list[Draw] = []
    try:
        for n, seed in enumerate(seeds):
            done.append(one(n, seed))
    except KeyboardInterrupt:
        if not done:
            raise
    clairvoyant = [value for values, _ in done for value in values]
    online = [bound for _, bound in done if bound is not None]
    return Bounds(
        float(np.mean(clairvoyant)),
        bootstrap_interval(clairvoyant),
        mean(online) if online else None,
        len(done),
        time.perf_counter() - begin,
    )


def counting(
    tell: Callable[[str, int, int], None], what: str, begin: int, total: int
) -> Callable[[int, int], None]:
    """Progress of a part that begins at a step of the whole."""
    return lambda done, _: tell(what, begin + done, total)


# ------------------------------------------------------------------------------------- scorecard
def remark(tables: Mapping[str, pd.DataFrame]) -> str:
    """How far the best rule of each preset is from the best online rule; and who is below it.

    A rule below the bound by more than chance sees the future, or the bound is wrong.
    """
    results = tables["results"]
    if "gap_to_online" not in results or results["gap_to_online"].isna().all():
        return ""
    best, below = [], []
    for preset in results["preset"].unique():
        part = results[results["preset"] == preset]
        gaps = {str(p): frame["gap_to_online"] for p, frame in part.groupby("policy")}
        means = {policy: float(gap.mean()) for policy, gap in gaps.items()}
        first = min(means, key=lambda policy: means[policy])
        _, high = bootstrap_interval(gaps[first])
        within = f" (95 %: within {percent(high)} %)" if high == high else ""
        best.append(f"on {preset} {first} is {percent(means[first])} % above{within}")
        below += [
            f"{policy} on {preset}"
            for policy, gap in gaps.items()
            if len(gap) >= _LEAST_DRAWS and bootstrap_interval(gap)[1] < 0
        ]
    text = f"Compared with a bound on every rule that cannot see the future, {'; '.join(best)}."
    if below:
        text += (
            f" BELOW THAT BOUND: {', '.join(below)}: either such a rule sees the future, or the "
            "bound is wrong."
        )
    return text


def picture(card: pd.DataFrame) -> Figure:
    """What a rule's distance to the clairvoyant bound is made of, stacked, one panel per preset.

    Parameters
    ----------
    card : DataFrame
        Of `mecopt.bench.scorecard.scorecard`.
    """
    presets = list(card["preset"].unique())
    n = int(card.groupby("preset").size().max())
    figure = new_figure(9.0, len(presets) * (1.0 + 0.34 * n))
    panels = figure.subplots(len(presets), 1, squeeze=False)[:, 0]
    for panel, preset in zip(panels, presets, strict=True):
        part = card[card["preset"] == preset].reset_index(drop=True)
        price = 100 * part["not_knowing"].to_numpy()
        # Of the clairvoyant bound, like the price, so that the two add up.
        gain = 100 * (part["gap_to_online"] * (1 + part["not_knowing"])).to_numpy()
        rows = np.arange(len(part))
        panel.barh(rows, price, color="#BBBBBB", height=0.6)
        panel.barh(rows, gain, left=price, color=BLUE, height=0.6)
        for row in rows:
            panel.annotate(
                f"{price[row]:.2f} + {gain[row]:.2f} %",
                (price[row] + max(0.0, gain[row]), row),
                (6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        panel.set_yticks(rows, part["policy"])
        panel.set_ylim(len(part) - 0.4, -0.6)
        panel.margins(x=0.18)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g} %"))
        clean(panel)
        title(panel, preset)
    figure.supxlabel(
        "above the clairvoyant bound; grey: price of not knowing the future, "
        "blue: what a better rule could still gain at most",
        fontsize=9,
        color=MUTED,
    )
    return figure
