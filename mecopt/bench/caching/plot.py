"""Pictures of caching runs: who is resident when, what costs are made of, what memory is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mecopt.bench.plot import BLUE, INK, MUTED, ORANGE, PALETTE, clean, new_figure, title
from mecopt.bench.scorecard import rows_of

#: Columns that hold one part of a policy's cost begin with this.
SPLIT = "part_"
#: Colours of the parts of a cost; cloud in grey, it is what remains.
COLOURS = {
    "cloud": "#C8C8C8",
    "accuracy": PALETTE[1],
    "switching": PALETTE[0],
    "transmission": PALETTE[4],
    "compute": PALETTE[2],
    "overflow": PALETTE[5],
    "hops": PALETTE[3],
}
_WARMTH = LinearSegmentedColormap.from_list("warmth", ["#D6E6F2", "#0072B2", "#00263D"])


def residency_picture(timeline: pd.DataFrame) -> Figure:
    """Heat maps of one server: pairs by slots, one panel per plan, blue where resident.

    Darker means more thoughts in the context; a white gap is a pair that was given up. Pairs are
    ordered by requests, most first, with their memory beside the name; those that are resident in
    none of the plans are counted, not drawn (unless none ever is).
    """
    plans = [s for s in timeline["schedule"].unique() if s != "prices"]
    first = timeline[timeline["schedule"] == plans[0]]
    every = first.drop_duplicates("pair").sort_values("requests", ascending=False)
    pairs = every[every["pair"].isin(timeline.loc[timeline["slot"].notna(), "pair"])]
    pairs = pairs if len(pairs) else every
    names = list(pairs["pair"])
    row = {name: i for i, name in enumerate(names)}
    slots = int(timeline["slot"].max()) + 1 if timeline["slot"].notna().any() else 1
    most = max(float(timeline["kappa"].max()), 1.0) if timeline["kappa"].notna().any() else 1.0
    figure = new_figure(9.0, len(plans) * (0.75 + 0.19 * len(names)))
    panels = figure.subplots(len(plans), 1, squeeze=False, sharex=True)[:, 0]
    image = None
    for panel, plan in zip(panels, plans, strict=True):
        here = timeline[(timeline["schedule"] == plan) & timeline["slot"].notna()]
        warmth = np.full((len(names), slots), np.nan)
        at = [row[p] for p in here["pair"]]
        warmth[at, here["slot"].to_numpy(dtype=int)] = here["kappa"].to_numpy(dtype=float)
        image = panel.imshow(
            warmth, aspect="auto", cmap=_WARMTH, vmin=0, vmax=most, interpolation="nearest",
            extent=(0, slots, len(names) - 0.5, -0.5),
        )  # fmt: skip
        labels = [f"{r.pair}, {r.memory_gb:.0f} GB" for r in rows_of(pairs)]
        panel.set_yticks(range(len(names)), labels, fontsize=7.5 if len(names) > 14 else 8.5)
        clean(panel, "x")
        panel.grid(False)
        panel.tick_params(axis="y", labelsize=7.5 if len(names) > 14 else 8.5)
        panel.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        for i in range(1, len(names)):
            panel.axhline(i - 0.5, color="white", linewidth=1.0)
        title(panel, str(plan))
    never = len(every) - len(pairs)
    note = f"slot ({never} other pairs are never resident here)" if never else "slot"
    panels[-1].set_xlabel(note, fontsize=9, color=MUTED)
    if image is not None:
        bar = figure.colorbar(image, ax=list(panels), shrink=0.6, pad=0.01, aspect=30)
        bar.set_label("thoughts in the context (white: not resident)", fontsize=8.5, color=MUTED)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8, length=0, colors=INK)
    return figure


def split_picture(card: pd.DataFrame, solver: pd.DataFrame, instances: pd.DataFrame) -> Figure:
    """What costs are made of: one bar per policy and one for the best plan, one panel per preset.

    Lengths are relative to cloud only, so 100 % is what doing nothing costs; the dashed line is the
    proven bound, which no bar can be shorter than.
    """
    presets = list(card["preset"].unique())
    parts = [c.removeprefix(SPLIT) for c in card.columns if c.startswith(SPLIT)]
    parts = [p for p in COLOURS if p in parts]
    n = int(card.groupby("preset").size().max()) + 1
    columns = min(2, len(presets))
    rows = -(-len(presets) // columns)
    figure = new_figure(9.0, rows * (0.8 + 0.3 * n) + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel, preset in zip(panels.ravel(), presets, strict=False):
        here = instances[instances["preset"] == preset]
        cloud = float(here["cloud_cost"].mean())
        bars = [
            (
                "best known",
                {p: float(here[SPLIT + p].fillna(0).mean()) for p in parts if SPLIT + p in here},
            )
        ]
        for r in card[card["preset"] == preset].to_dict("records"):
            bars.append((r["policy"], {p: float(r[SPLIT + p]) for p in parts}))
        _stacked(panel, bars, parts, 100.0 / max(cloud, 1e-9))
        bound = 100.0 * float(here["bound"].mean()) / max(cloud, 1e-9)
        panel.axvline(bound, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        clean(panel, "x")
        panel.set_ylim(len(bars) - 0.4, -0.6)
        panel.xaxis.set_major_locator(MaxNLocator(6))
        panel.xaxis.set_major_formatter(lambda v, _: f"{v:g} %")
        title(panel, preset)
    for panel in panels.ravel()[len(presets) :]:
        panel.set_visible(False)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=len(labels), frameon=False, fontsize=8.5,
        handlelength=1.0, columnspacing=1.2,
    )  # fmt: skip
    figure.supxlabel(
        "cost relative to cloud only; dashed: proven lower bound", fontsize=9, color=MUTED
    )
    return figure


def _stacked(
    panel: Axes, bars: list[tuple[str, dict[str, float]]], parts: list[str], scale: float
) -> None:
    """Stacked bars with their total at the end; what is far too long is cut and says so."""
    totals = [scale * sum(split.values()) for _, split in bars]
    limit = max(130.0, 1.15 * min(totals))
    start = np.zeros(len(bars))
    for part in parts:
        length = np.array([scale * split.get(part, 0.0) for _, split in bars])
        shown = np.clip(length, 0.0, np.maximum(limit - start, 0.0))
        panel.barh(range(len(bars)), shown, left=start, color=COLOURS[part], label=part, height=0.7)
        start += shown
    for i, total in enumerate(totals):
        cut = total > limit
        panel.annotate(
            f"{total:.0f} %" + (" \u2192" if cut else ""),
            (start[i], i),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    panel.set_yticks(range(len(bars)), [name for name, _ in bars], fontsize=8.5)
    panel.set_xlim(0, 1.14 * min(limit, max(totals)))


def price_picture(prices: pd.DataFrame) -> Figure:
    """Dual prices of memory and energy by slot: a thin line per server, their mean in colour."""
    figure = new_figure(9.0, 2.8)
    panels = figure.subplots(1, 2)
    for panel, column, label, colour in (
        (panels[0], "memory_per_gb", "price of memory, per GB and slot", BLUE),
        (panels[1], "energy_per_kj", "price of energy, per kJ", ORANGE),
    ):
        for _, part in prices.groupby("server", sort=False):
            panel.plot(part["slot"], part[column], color="#C4C4C4", linewidth=0.7)
        mean = prices.groupby("slot")[column].mean()
        panel.plot(mean.index, mean, color=colour, linewidth=2.0)
        panel.set_ylim(bottom=0)
        panel.set_xlim(left=0)
        clean(panel, "y")
        panel.set_xlabel("slot", fontsize=9, color=MUTED)
        title(panel, label)
    return figure
