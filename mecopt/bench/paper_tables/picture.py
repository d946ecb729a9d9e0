"""Pictures of the tables: ours filled, the paper's hollow, intervals as lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from mecopt.bench import plot
from mecopt.bench.paper_tables.table import Figure, Table


def draw(table: Table) -> Picture:
    """One panel per protocol and quantity: dots by policy, or lines over several settings."""
    panels: dict[tuple[str, str], list[Figure]] = {}
    for figure in table.figures:
        if np.isfinite(figure.ours):
            panels.setdefault((figure.protocol, figure.quantity), []).append(figure)
    pictured = [name for name, quantity in table.quantities.items() if quantity.pictured]
    shown = []
    for protocol in table.protocols:
        shown += [(protocol, q) for q in pictured if (protocol, q) in panels][:2]
    many = max(len({f.policy for f in panels[key]}) for key in shown)
    rows = -(-len(shown) // 2)
    picture = plot.new_figure(11, rows * (1.4 + 0.24 * many))
    for i, key in enumerate(shown):
        axes = picture.add_subplot(rows, min(2, len(shown)), i + 1)
        numeric = len({f.setting for f in panels[key]}) > 1
        (_lines if numeric else _dots)(axes, panels[key])
        quantity = table.quantities[key[1]]
        if quantity.log and not numeric:
            _log_scale(axes)
        plot.title(axes, f"{table.protocols[key[0]].partition(',')[0]}: {quantity.heading}")
    picture.suptitle(table.title, x=0.01, ha="left", fontweight="bold")
    return picture


def _dots(axes: Axes, figures: Sequence[Figure]) -> None:
    names = list(dict.fromkeys(f.policy for f in figures))
    for f in figures:
        y = len(names) - 1 - names.index(f.policy)
        if np.isfinite(f.low):
            axes.plot([f.low, f.high], [y, y], color=plot.BLUE, linewidth=1.5)
        axes.plot(f.ours, y, "o", color=plot.BLUE, markersize=5)
        if f.paper is not None:
            axes.plot(f.paper, y, "o", markerfacecolor="white", color=plot.ORANGE, markersize=6)
            axes.annotate(
                f.method, (f.paper, y), (0, 5), textcoords="offset points", fontsize=6.5,
                color=plot.ORANGE, ha="center",
            )  # fmt: skip
    axes.set_yticks(range(len(names)), reversed(names))
    axes.set_ylim(-0.6, len(names) - 0.2)
    plot.clean(axes, "x")


def _log_scale(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _lines(axes: Axes, figures: Sequence[Figure]) -> None:
    settings = list(dict.fromkeys(f.setting for f in figures))
    names = list(dict.fromkeys(f.policy for f in figures))
    ordered = all(s.isdecimal() for s in settings)  # sizes are joined, kinds stand side by side
    for i, name in enumerate(names):
        mine = [f for f in figures if f.policy == name]
        aside = 0.0 if ordered else 0.6 * ((i + 0.5) / len(names) - 0.5)
        x = [settings.index(f.setting) + aside for f in mine]
        colour = plot.PALETTE[i % len(plot.PALETTE)]
        axes.plot(x, [f.ours for f in mine], marker="o", markersize=3, linewidth=1.2, label=name,
                  color=colour, linestyle=("-" if i < len(plot.PALETTE) else "--") if ordered
                  else "none")  # fmt: skip
        if not ordered:
            axes.vlines(x, [f.low for f in mine], [f.high for f in mine], colour, linewidth=1.2)
    limits = {f.paper: f.method for f in figures if f.paper is not None}
    for limit, method in limits.items():
        axes.axhline(limit, color=plot.ORANGE, linewidth=1, linestyle=":")
        axes.annotate(f"{method}, paper", (0, limit), (2, 2), textcoords="offset points",
                      fontsize=7, color=plot.ORANGE)  # fmt: skip
    axes.set_xticks(range(len(settings)), settings)
    axes.legend(fontsize=6.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    plot.clean(axes, "y")
