"""Pictures of sweeps: tasks on time against a failure rate or the number of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mecopt.bench.plot import MUTED, PALETTE, clean, new_figure, title
from mecopt.collaboration.scenarios.sweeps import SWEEPS, Sweep

#: Column of a bound -> who it is for.
BOUNDS = {"bound_success_rate_rates_only": "rates known", "bound_success_rate": "all known"}
#: Least distance of two labels, in per cent of tasks.
_LINE = 3.6


def sweep_pictures(card: pd.DataFrame) -> dict[str, Figure]:
    """A picture ``sweep-NAME`` of each sweep of which two presets or more are in a scorecard."""
    out = {}
    for name, sweep in SWEEPS.items():
        part = card[card["preset"].isin(list(sweep.presets))]
        if part["preset"].nunique() > 1:
            out[f"sweep-{name}"] = sweep_picture(part, sweep)
    return out


def sweep_picture(card: pd.DataFrame, sweep: Sweep) -> Figure:
    """A line per policy with 95 % intervals, and both bounds; named at their ends."""
    part = card.assign(at=card["preset"].map(sweep.presets)).sort_values("at")
    figure = new_figure(9.0, 5.2)
    axes = figure.subplots()
    labels: list[tuple[float, str, str]] = []
    bounds = part.groupby("at").first()
    for column, words in BOUNDS.items():
        share = 100 * bounds[column]
        axes.plot(bounds.index, share, "--", color=MUTED, linewidth=1.2)
        labels.append((float(share.iloc[-1]), f"bound, {words}", MUTED))
    looks = cycle((mark, color) for mark in "os^" for color in PALETTE)
    shift = 0.012 * float(part["at"].max() - part["at"].min())
    policies = list(part["policy"].unique())
    for i, ((mark, color), policy) in enumerate(zip(looks, policies, strict=False)):
        line = part[part["policy"] == policy]
        share = 100 * line["success_rate"]
        # Side by side, so that intervals of different policies can be told apart.
        at = line["at"] + shift * (i - (len(policies) - 1) / 2) / max(1, len(policies) - 1)
        axes.plot(at, share, f"{mark}-", color=color, markersize=4, linewidth=1.4)
        ends = 100 * line["success_rate_low"], 100 * line["success_rate_high"]
        axes.vlines(at, *ends, color=color, alpha=0.35, linewidth=1.5)
        labels.append((float(share.iloc[-1]), str(policy), color))
    for (_, words, color), y in zip(labels, apart([y for y, *_ in labels], _LINE), strict=True):
        axes.annotate(
            words, (1.015, y), xycoords=axes.get_yaxis_transform(), color=color, fontsize=8.5,
            va="center",
        )  # fmt: skip
    axes.set_ylim(0, 102)
    axes.set_xticks(sorted(part["at"].unique()))
    axes.set_xlabel(sweep.words, fontsize=9, color=MUTED)
    clean(axes, "both")
    title(axes, "tasks on time, %, means over episodes")
    return figure


def apart(values: Sequence[float], least: float) -> list[float]:
    """Places of labels: as near to their values as they can be, at least so far from each other.

    >>> apart([50.0, 51.0, 80.0], 3.0)
    [49.0, 52.0, 80.0]
    """
    order = np.argsort(values, kind="stable")
    # Groups of labels that touch, each centred on its values: (sum of targets, count).
    groups: list[list[float]] = []
    for i in order:
        groups.append([float(values[i]), 1.0])
        while len(groups) > 1:
            (low, n), (high, m) = groups[-2:]
            # Centres of the two groups, and the least distance that these may have.
            if high / m - low / n >= least * (n + m) / 2:
                break
            groups[-2:] = [[low + high, n + m]]
    out = [0.0] * len(order)
    at = 0
    for total, count in groups:
        centre = total / count
        for j in range(int(count)):
            out[order[at]] = centre + least * (j - (count - 1) / 2)
            at += 1
    return out
