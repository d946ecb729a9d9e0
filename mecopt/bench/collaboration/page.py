"""The page of LeDRL runs: shares of tasks on time between both bounds, the paper's rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mecopt.bench.collaboration.sweeps import BOUNDS, sweep_pictures
from mecopt.bench.plot import BLUE, INK, MUTED, clean, new_figure, title
from mecopt.bench.scorecard import rows_of, scorecard
from mecopt.collaboration.scenarios.sweeps import SWEEPS

#: Nodes -> method -> tasks on time in %, as the paper (arXiv 2605.05727) prints them.
PAPER: Mapping[int, Mapping[str, float]] = {
    10: {
        "RATC": 45.48, "AGSP": 50.01, "VDN-TO": 44.47, "MASAC-TO": 51.81, "MAPPO-TO": 52.68,
        "Reflexion": 48.34, "LeDRL": 59.46,
    },
    20: {
        "RATC": 59.98, "AGSP": 39.48, "VDN-TO": 51.27, "MASAC-TO": 51.80, "MAPPO-TO": 60.68,
        "Reflexion": 60.86, "LeDRL": 63.78,
    },
}  # fmt: skip
#: The rule that stands for a method of the paper.
OURS = {
    "RATC": "ratc", "AGSP": "agsp", "VDN-TO": "vdn", "MASAC-TO": "masac", "MAPPO-TO": "mappo",
    "Reflexion": "reflexion", "LeDRL": "ledrl",
}  # fmt: skip
_NOTES = (
    "P as printed. The paper prints no intervals and no bounds.",
    "Network, speeds, sizes and failure rates are printed or from neighbouring code; how many "
    "tasks a node serves at once, that its links outlive it, and when damage is found are "
    "decisions of ours (D).",
)


def pictures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Pictures of runs that count tasks on time; none of others.

    ``success``, and those of `mecopt.bench.collaboration.sweeps`.
    """
    if "success_rate" not in tables["results"]:
        return {}
    card = scorecard(tables["results"], "offloading")
    return {"success": success_picture(card), **sweep_pictures(card)}


def success_picture(card: pd.DataFrame) -> Figure:
    """Tasks on time by policy with 95 % intervals, one panel per preset, and both bounds."""
    presets = list(card["preset"].unique())
    most = int(card.groupby("preset").size().max())
    figure = new_figure(9.0, len(presets) * (1.4 + 0.34 * most))
    panels = figure.subplots(len(presets), 1, squeeze=False, sharex=True)
    for panel, preset in zip(panels.ravel(), presets, strict=True):
        part = card[card["preset"] == preset].reset_index(drop=True)
        for i, row in enumerate(rows_of(part)):
            ends = 100 * np.array([row.success_rate_low, row.success_rate_high])
            if np.isfinite(ends).all():
                panel.plot(ends, [i, i], color=BLUE, linewidth=2.5, alpha=0.45)
            panel.plot([100 * row.success_rate], [i], "o", color=BLUE, markersize=6)
            reach = max(100 * row.success_rate, ends[1]) if np.isfinite(ends[1]) else None
            panel.annotate(
                f"{100 * row.success_rate:.1f} %", (reach or 100 * row.success_rate, i), (6, 0),
                textcoords="offset points", va="center", fontsize=8.5, color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
        for column, words in BOUNDS.items():
            at = 100 * float(part[column].iloc[0])
            panel.axvline(at, color=MUTED, linewidth=1.2, linestyle="--")
            panel.annotate(
                f"bound,\n{words}", (at, len(part) + 0.35), (-3, 0), textcoords="offset points",
                ha="right", va="bottom", fontsize=8, color=MUTED,
            )  # fmt: skip
        panel.set_yticks(range(len(part)), part["policy"])
        panel.set_ylim(len(part) + 0.4, -0.6)  # room for the names of the bounds
        panel.set_xlim(0, 104)
        clean(panel)
        panel.tick_params(labelbottom=True)
        title(panel, str(preset))
    figure.supxlabel("tasks on time, %, means over episodes", fontsize=9, color=MUTED)
    return figure


def published(results: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table "paper, ours, difference" of the preset ``paper``, and its notes.

    Empty where the paper has no such number of nodes, or none of its methods was run.
    """
    here = results[results["preset"].isin(["paper", *SWEEPS["nodes"].presets])]
    rows = []
    for nodes, printed in PAPER.items():
        mine = here[here["nodes"] == nodes].groupby("policy")["success_rate"].mean()
        if not any(policy in mine.index for policy in OURS.values()):
            continue
        for method, paper in printed.items():
            policy = OURS.get(method)
            cells = [str(nodes), method, f"{paper:.2f}"]
            if policy is None or policy not in mine.index:
                rows.append([*cells, "-", "", "P"])
            else:
                ours = 100 * float(mine[policy])
                rows.append([*cells, f"{policy}: {ours:.2f}", f"{ours - paper:+.2f}", "P"])
    header = ["nodes", "method", "paper, on time %", "ours, on time %", "difference", "tag"]
    return pd.DataFrame(rows, columns=header), _NOTES
