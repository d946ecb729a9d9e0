"""Pictures of accuracy-delay runs: the plane, density, reliability, fronts, one decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from mecopt.accuracy_delay.margins import Margins
from mecopt.bench.plot import BLUE, INK, MUTED, ORANGE, PALETTE, clean, new_figure, title
from mecopt.bench.scorecard import rows_of

FloatArray = NDArray[np.float64]

_BEST = "#000000"


def plane_picture(card: pd.DataFrame, instances: pd.DataFrame) -> Figure:
    """Mean delay against expected accuracy of every policy, one panel per number of users.

    Up and to the left is better; the black star is the best decision known for the objective.
    """
    presets = list(card["preset"].unique())
    columns = min(3, len(presets))
    rows = -(-len(presets) // columns)
    figure = new_figure(9.0, 0.6 + 2.9 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    policies = list(dict.fromkeys(card["policy"]))
    colour = {p: PALETTE[i % len(PALETTE)] for i, p in enumerate(policies)}
    for panel, preset in zip(panels.ravel(), presets, strict=False):
        part = card[card["preset"] == preset]
        for i, row in enumerate(rows_of(part)):
            # Smaller dots over larger ones: rules that decide alike stay visible.
            panel.plot(
                row.mean_delay_s, 100 * row.expected_accuracy, "o", color=colour[row.policy],
                markersize=10 - 5 * i / max(len(part) - 1, 1), label=row.policy,
            )  # fmt: skip
        here = instances[instances["preset"] == preset]
        panel.plot(
            here["best_mean_delay_s"].mean(), 100 * here["best_expected_accuracy"].mean(),
            "*", color=_BEST, markersize=12, markerfacecolor="none", label="best known",
        )  # fmt: skip
        panel.set_xscale("log")
        _plain_log(panel.xaxis)
        clean(panel, "both")
        title(panel, f"{preset} users")
        panel.set_xlabel("mean delay, s (log scale)", fontsize=9, color=MUTED)
    for panel in panels.ravel()[len(presets) :]:
        panel.set_visible(False)
    panels[0, 0].set_ylabel("expected accuracy, %", fontsize=9, color=MUTED)
    handles, labels = panels.ravel()[0].get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8.5
    )
    for handle in legend.legend_handles[:-1]:
        if isinstance(handle, Line2D):
            handle.set_markersize(7)
    return figure


def _plain_log(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis, as many as there is space for; call it after drawing."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(
        LogLocator(base=10) if high > 20 * low else FixedLocator(_nice(low, high))
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def _nice(low: float, high: float) -> list[float]:
    """Some round numbers from low to high, the finest of a few grids that has at most six."""
    if high < 2 * low:
        even = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
        return [float(v) for v in even if low <= v <= high]
    inside: list[float] = []
    for grid in ((1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1,)):
        every = [float(f"{step}e{power}") for power in range(-5, 7) for step in grid]
        inside = [v for v in every if low <= v <= high]
        if len(inside) <= 6:
            break
    return inside


def density_picture(card: pd.DataFrame, instances: pd.DataFrame) -> Figure:
    """Accuracy, delay and gap of every policy against the number of users."""
    users = instances.groupby("preset")["n_users"].first()
    card = card.assign(users=card["preset"].map(users)).sort_values("users")
    figure = new_figure(9.0, 3.6)
    panels = figure.subplots(1, 3)
    figures: Mapping[str, tuple[str, float]] = {
        "expected_accuracy": ("expected accuracy, %", 100.0),
        "mean_delay_s": ("mean delay, s", 1.0),
        "gap_to_bound": ("gap to the bound, %", 100.0),
    }
    for panel, (name, (label, scale)) in zip(panels, figures.items(), strict=True):
        for i, (policy, part) in enumerate(card.groupby("policy", sort=False)):
            shown = part[np.isfinite(part[name])]
            panel.plot(
                shown["users"], scale * shown[name], "o-", color=PALETTE[i % len(PALETTE)],
                linewidth=1.6, markersize=4, label=str(policy),
            )  # fmt: skip
        clean(panel, "both")
        title(panel, label, 10)
        panel.set_xlabel("users", fontsize=9, color=MUTED)
    panels[1].set_yscale("log")
    _plain_log(panels[1].yaxis)
    _gap_axis(panels[2], card["gap_to_bound"])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _gap_axis(panel: Axes, gaps: pd.Series) -> None:
    """Gaps in percent: zero, and decades from the least gap that is not."""
    above = 100 * gaps[np.isfinite(gaps) & (gaps > 1e-6)]
    least = 10.0 ** np.floor(np.log10(above.min())) if len(above) else 0.1
    panel.set_yscale("symlog", linthresh=least)
    panel.set_ylim(bottom=0.0)
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def who_picture(table: pd.DataFrame) -> Figure:
    """Every query by uncertainty, at the place where it is answered; one panel per decision."""
    decisions = list(table["schedule"].unique())
    places = ["device", *sorted(set(table["server"]) - {""})]
    figure = new_figure(9.0, 0.7 + len(decisions) * (0.5 + 0.34 * len(places)))
    panels = figure.subplots(len(decisions), 1, squeeze=False, sharex=True)[:, 0]
    longest = float(table["delay_s"].max())
    for panel, decision in zip(panels, decisions, strict=True):
        here = table[table["schedule"] == decision]
        for row, place in enumerate(places):
            part = here[here["server"].replace("", "device") == place]
            panel.scatter(
                part["uncertainty"], np.full(len(part), row),
                s=14 + 120 * part["delay_s"] / max(longest, 1e-9),
                color=BLUE if row else ORANGE, alpha=0.65, linewidth=0,
            )  # fmt: skip
        panel.set_yticks(range(len(places)), places)
        panel.set_ylim(len(places) - 0.4, -0.6)
        clean(panel)
        title(panel, f"{decision}: mean delay {here['delay_s'].mean():.3f} s, accuracy "
              f"{100 * here['accuracy'].mean():.1f} %", 10)  # fmt: skip
    panels[-1].set_xlabel(
        f"uncertainty of the device's answer; size: delay (largest {longest:.2f} s)",
        fontsize=9,
        color=MUTED,
    )
    return figure


def front_picture(fronts: Mapping[str, pd.DataFrame], points: pd.DataFrame | None = None) -> Figure:
    """Fronts of delay and accuracy: decisions as dots, certified bounds as steps below them.

    Parameters
    ----------
    fronts : mapping of str to DataFrame
        Tables of `formulations.accuracy_delay.front.Front` by name.
    points : DataFrame, optional
        Rows of ``policy``, ``mean_delay_s``, ``expected_accuracy``.
    """
    figure = new_figure(7.5, 4.6)
    panel = figure.subplots()
    for i, (name, table) in enumerate(fronts.items()):
        colour = PALETTE[i % len(PALETTE)]
        panel.step(
            table["mean_delay_s"], 100 * table["expected_accuracy"], "o-", where="post",
            color=colour, linewidth=1.6, markersize=5, label=name,
        )  # fmt: skip
        floor = table["least_accuracy"].clip(lower=table["expected_accuracy"].min())
        panel.plot(
            table["bound_s"], 100 * floor,
            "|", color=colour, markersize=9, label=f"{name}: certified bound",
        )  # fmt: skip
    panel.set_xscale("log")
    if points is not None:
        _label_points(panel, points)
    _plain_log(panel.xaxis)
    clean(panel, "both")
    panel.set_xlabel("mean delay, s (log scale)", fontsize=9, color=MUTED)
    panel.set_ylabel("mean expected accuracy, %", fontsize=9, color=MUTED)
    panel.legend(frameon=False, fontsize=8.5, loc="lower right")
    return figure


def _label_points(panel: Axes, points: pd.DataFrame) -> None:
    """Rules as squares with their names; rules at one spot share a label."""
    delay, accuracy = points["mean_delay_s"], 100 * points["expected_accuracy"]
    panel.plot(delay, accuracy, "s", color=MUTED, markersize=5)
    left, right = np.log(panel.get_xlim())
    low, high = panel.get_ylim()
    across = (np.log(delay.to_numpy()) - left) / (right - left)
    up = (accuracy.to_numpy() - low) / (high - low)
    spots: list[list[int]] = []
    for i in range(len(points)):
        near = (s for s in spots if np.hypot(across[i] - across[s[0]], up[i] - up[s[0]]) < 0.04)
        spot = next(near, None)
        if spot is None:
            spots.append([i])
        else:
            spot.append(i)
    for spot in spots:
        # To the right of the points; to the left of them near the right edge.
        at = max(spot, key=lambda i: across[i])
        side = 1
        if across[at] > 0.75:
            at, side = min(spot, key=lambda i: across[i]), -1
        panel.annotate(
            ", ".join(points["policy"].iloc[i] for i in spot), (delay.iloc[at], accuracy.iloc[at]),
            (7 * side, -5), textcoords="offset points", fontsize=8, color=INK,
            ha="left" if side > 0 else "right", va="top",
        )  # fmt: skip


def reliability_picture(margins: Margins, bins: int = 10) -> Figure:
    """What calibrated probabilities promise against what came true, and where answers lie in u.

    Lines are 95 % intervals of the share of right answers in a bin.

    Parameters
    ----------
    margins : Margins
    bins : int
        Of equal width, in both panels.
    """
    figure = new_figure(9.0, 3.8)
    promised, spread = figure.subplots(1, 2)
    table = margins.reliability(bins)
    promised.plot([0, 100], [0, 100], "--", color=MUTED, linewidth=1)
    low, high = _wilson(table[:, 1], table[:, 2])
    promised.vlines(100 * table[:, 0], 100 * low, 100 * high, color=BLUE, linewidth=1.5, alpha=0.4)
    promised.scatter(
        100 * table[:, 0], 100 * table[:, 1], s=20 + 280 * table[:, 2] / table[:, 2].max(),
        color=BLUE, linewidth=0, zorder=3,
    )  # fmt: skip
    promised.set_xlim(-3, 103)
    promised.set_ylim(-3, 103)
    promised.set_aspect("equal")
    clean(promised, "both")
    title(promised, f"calibration error {margins.calibration_error(bins):.3f}", 10)
    promised.set_xlabel(
        "calibrated probability of a right answer, % (size: questions)", fontsize=9, color=MUTED
    )
    promised.set_ylabel("right answers, %", fontsize=9, color=MUTED)
    _spread_over_uncertainty(spread, margins, bins)
    return figure


def _wilson(share: FloatArray, count: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of the 95 % interval of a share (Wilson)."""
    z = 1.96
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return centre - half, centre + half


def _spread_over_uncertainty(panel: Axes, margins: Margins, bins: int) -> None:
    """Stacked counts of right and wrong answers over u, with the calibrated curve on top."""
    edges = np.linspace(0, 1, bins + 1)
    u, right = margins.uncertainty, margins.correct
    panel.hist(
        [u[right], u[~right]], bins=edges.tolist(), stacked=True, color=[BLUE, "#DDDDDD"],
        label=["right", "wrong"], rwidth=0.92,
    )  # fmt: skip
    curve = panel.twinx()
    order = np.argsort(u)
    curve.plot(
        u[order], 100 * margins.calibrated[order], ".", color=ORANGE, markersize=3,
        label="calibrated, % right (right axis)",
    )  # fmt: skip
    curve.set_ylim(0, 100)
    clean(panel, "y")
    clean(curve, "y")
    curve.grid(visible=False)
    title(panel, f"correlation of u and being right {margins.correlation:+.2f}", 10)
    panel.set_xlabel(f"uncertainty u ({margins.aggregation} over tokens)", fontsize=9, color=MUTED)
    panel.set_ylabel("questions", fontsize=9, color=MUTED)
    handles, labels = panel.get_legend_handles_labels()
    more, names = curve.get_legend_handles_labels()
    panel.legend(
        handles + more, labels + names, frameon=False, fontsize=8.5, loc="upper center",
        bbox_to_anchor=(0.5, -0.18), ncols=3,
    )  # fmt: skip
