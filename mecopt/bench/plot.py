"""Pictures of runs (matplotlib, no window needed); schedules are in `mecopt.bench.offloading.plot`.

Every function takes tables and returns a `Figure`; `png` turns it into bytes. Colours are Okabe and
Ito's colour-blind safe set; things are labelled where they are, not in a distant legend.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from mecopt.bench.columns import percent
from mecopt.bench.scorecard import rows_of

#: Okabe and Ito's palette, black and yellow left out.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#7F7F7F")
INK, MUTED, GRID = "#222222", "#666666", "#DDDDDD"
BLUE, ORANGE = "#0072B2", "#D55E00"


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white")
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of the given size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def clean(axes: Axes, grid: Literal["both", "x", "y"] = "x") -> None:
    """Thin frame, light grid lines along the given axis."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def title(axes: Axes, text: str, size: float = 11) -> None:
    """A bold title over the left edge."""
    axes.set_title(text, loc="left", fontsize=size, color=INK, fontweight="bold")


# -------------------------------------------------------------------- gaps
def gap_picture(card: pd.DataFrame, solver: pd.DataFrame) -> Figure:
    """Gap to the bound of every policy, one panel per preset, with 95 % intervals.

    The grey band is what nobody knows: between zero and it lies the optimum.
    """
    presets = list(card["preset"].unique())
    columns = min(2, len(presets))
    rows = -(-len(presets) // columns)
    n = int(card.groupby("preset").size().max())
    figure = new_figure(9.0, rows * (0.9 + 0.34 * n))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    finite = card["gap_to_bound"].replace([np.inf, -np.inf], np.nan).dropna().clip(lower=1e-5)
    low = 100 * float(finite.min()) / 2 if len(finite) else 0.1
    high = 100 * float(finite.max()) * 5 if len(finite) else 100.0
    undecided = False
    for panel, preset in zip(panels.ravel(), presets, strict=False):
        part = card[card["preset"] == preset].reset_index(drop=True)
        known = float(solver.set_index("preset").loc[preset, "gap_mean"]) * 100
        if known > low:
            panel.axvspan(low, known, color="#EFEFEF", zorder=0)
            undecided = True
        for i, row in part.iterrows():
            gap = 100 * row["gap_to_bound"]
            if not np.isfinite(gap):
                panel.text(low, i, " unbounded: late tasks are forbidden", va="center", fontsize=8)
                continue
            gap = max(gap, low)
            ends = [100 * row["gap_to_bound_low"], 100 * row["gap_to_bound_high"]]
            if np.all(np.isfinite(ends)):
                panel.plot(np.maximum(ends, low), [i, i], color=BLUE, linewidth=2.5, alpha=0.45)
            panel.plot([gap], [i], "o", color=BLUE, markersize=6)
            reach = max(gap, ends[1]) if np.isfinite(ends[1]) else gap
            label = f"{percent(row['gap_to_bound'])} %"
            panel.annotate(
                label, (reach, i), (6, 0), textcoords="offset points", va="center", fontsize=8.5
            )
        panel.set_xscale("log")
        panel.set_xlim(low, high)
        panel.set_yticks(range(len(part)), part["policy"])
        panel.set_ylim(len(part) - 0.4, -0.6)
        clean(panel)
        panel.xaxis.set_major_locator(FixedLocator(_decades(low, high)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g} %"))
        panel.tick_params(labelbottom=True)
        title(panel, preset)
    for panel in panels.ravel()[len(presets) :]:
        panel.set_visible(False)
    figure.supxlabel(
        "gap to the lower bound (log scale); line: 95 % interval over instances"
        + ("; grey: not decided by the solver" if undecided else ""),
        fontsize=9,
        color=MUTED,
    )
    return figure


def _decades(low: float, high: float) -> list[float]:
    steps = [m * 10.0**e for e in range(-5, 7) for m in (1, 3)]
    inside = [s for s in steps if low <= s <= high]
    return inside if len(inside) <= 6 else [s for s in inside if f"{s:e}".startswith("1")]


# -------------------------------------------------------------------- solver
def convergence_picture(progress: pd.DataFrame, instances: pd.DataFrame) -> Figure:
    """Bound and best schedule while solving, relative to the final bound, one panel per preset.

    The first instance of each preset in colour, the others in grey.
    """
    presets = list(instances["preset"].unique())
    columns = min(3, len(presets))
    rows = -(-len(presets) // columns)
    figure = new_figure(3.2 * columns + 1.0, 2.7 * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel, preset in zip(panels.ravel(), presets, strict=False):
        known = instances[instances["preset"] == preset]
        for i, row in enumerate(rows_of(known)):
            part = progress[(progress["preset"] == preset) & (progress["seed"] == row.seed)]
            scale = 100.0 / max(abs(row.bound), 1e-9)
            first = i == 0
            for column, colour, label in (
                ("objective", ORANGE, "best schedule"),
                ("bound", BLUE, "lower bound"),
            ):
                y = (part[column].to_numpy(dtype=float) - row.bound) * scale
                x = part["seconds"].to_numpy(dtype=float)
                ok = np.isfinite(y)
                panel.step(
                    np.append(x[ok], row.seconds),
                    np.append(y[ok], y[ok][-1:]) if ok.any() else [np.nan],
                    where="post",
                    color=colour if first else "#BBBBBB",
                    linewidth=1.8 if first else 0.8,
                    zorder=3 if first else 1,
                    label=label if first else None,
                )
        panel.set_yscale("symlog", linthresh=0.01)
        low, high = panel.get_ylim()
        panel.set_ylim(min(low, -0.02), max(high, 0.02))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:+g} %" if v else "0"))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.set_xlim(left=0)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        clean(panel, "y")
        title(panel, f"{preset}")
        panel.set_xlabel("solver time, s", fontsize=9, color=MUTED)
    for panel in panels.ravel()[len(presets) :]:
        panel.set_visible(False)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    figure.supylabel("relative to the final bound", fontsize=9, color=MUTED)
    return figure


def size_picture(instances: pd.DataFrame, size: tuple[str, str]) -> Figure:
    """Proven gap and solver time against the size, one dot per instance.

    `size` is the column that says it, and the word for it.
    """
    figure = new_figure(9.0, 3.0)
    panels: Sequence[Axes] = figure.subplots(1, 2)
    colours = dict(zip(instances["preset"].unique(), PALETTE * 9, strict=False))
    for panel, column, label in (
        (panels[0], "gap", "proven gap, %"),
        (panels[1], "seconds", "solver time, s"),
    ):
        scale = 100.0 if column == "gap" else 1.0
        for preset, colour in colours.items():
            part = instances[instances["preset"] == preset]
            y = np.maximum(part[column] * scale, 0.0)
            panel.plot(part[size[0]], y, "o", color=colour, label=preset, alpha=0.8)
        panel.margins(x=0.08)
        # Room above the highest dot; an axis whose dots all lie at zero keeps its default height.
        known = instances[column][np.isfinite(instances[column])]
        highest = scale * float(known.max()) if len(known) else 0.0
        panel.set_ylim(0.0, 1.15 * highest if highest > 0 else None)
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        clean(panel, "both")
        panel.set_xlabel(f"{size[1]} in the instance", fontsize=9, color=MUTED)
        title(panel, label)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    return figure


def growth_picture(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Seconds to a proven 1 % and final gap against the number of tasks, on logarithmic axes.

    `rows` are those of ``benchmarks/results/growth.json``: users, tasks, seconds_to_1_percent (may
    be None), gap_percent. The line joins sizes of the first network; others are dots of their own.
    """
    figure = new_figure(9.0, 3.2)
    panels: Sequence[Axes] = figure.subplots(1, 2)
    line = [r for r in rows if r["users"] == rows[0]["users"]]
    others = [r for r in rows if r["users"] != rows[0]["users"]]
    for panel, key, colour in (
        (panels[0], "seconds_to_1_percent", BLUE),
        (panels[1], "gap_percent", ORANGE),
    ):
        for group, style in ((line, "o-"), (others, "D")):
            known = [r for r in group if r[key] is not None]
            panel.plot([r["tasks"] for r in known], [r[key] for r in known], style, color=colour)
            for r in known if group is others else []:
                panel.annotate(
                    f"{r['users']} users", (r["tasks"], r[key]), xytext=(6, 4),
                    textcoords="offset points", fontsize=9, color=MUTED,
                )  # fmt: skip
    known = [r for r in line if r["seconds_to_1_percent"]]
    if known:
        first, last = known[0], known[-1]
        slope = last["seconds_to_1_percent"] / last["tasks"]
        ends = np.array([first["tasks"], last["tasks"]], dtype=float)
        panels[0].plot(ends, slope * ends, "--", color="#999999", linewidth=1)
        panels[0].annotate(
            "linear", (ends[0], slope * ends[0]), xytext=(-4, 12),
            textcoords="offset points", fontsize=9, color=MUTED,
        )  # fmt: skip
    panels[0].set_yscale("log")
    panels[1].set_ylim(bottom=0)
    title(panels[0], "seconds to a proven gap of 1 %")
    title(panels[1], "final proven gap, %")
    for panel in panels:
        panel.set_xscale("log")
        panel.set_xlabel("tasks in the instance", fontsize=9, color=MUTED)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
        clean(panel, "both")
    return figure
