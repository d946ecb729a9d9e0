"""Pictures of task graphs: one task over machines and channels, and the latency-accuracy plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mecopt.bench.offloading.plot import lane_of
from mecopt.bench.plot import GRID, INK, MUTED, PALETTE, clean, new_figure, title
from mecopt.bench.scorecard import rows_of
from mecopt.bench.task_graphs.paper import LATENCY_WEIGHT_PER_S, PAPER
from mecopt.offloading.schedule import Schedule
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.own import INPUT, Outcome, outcome_of

#: Width of the axes and of a letter of a label, in inches, to see which labels fit their bars.
_AXES_IN, _LETTER_IN = 7.6, 0.075
#: Half the height of a call, and of a transfer.
_HALF = (0.28, 0.16)


# -------------------------------------------------------------------- one task
def task_picture(schedule: Schedule, task: int) -> Figure:
    """One task of a schedule, what others do on the same machines and channels in grey.

    Raises
    ------
    ValueError
        If the instance is not of task graphs, or the task is dropped.
    """
    x = schedule.instance
    outcome = outcome_of(Episode.of(x), schedule, task)
    timeline = schedule.timeline()
    others = timeline[timeline["task"] != x.task_names[task]]
    return graph_picture(outcome, x.task_names[task], others)


def graph_picture(outcome: Outcome, name: str, others: pd.DataFrame | None = None) -> Figure:
    """Calls and transfers of one task by machine and channel; an arrow for everything waited for.

    Parameters
    ----------
    outcome : Outcome
    name : str
        Of the task, for the title.
    others : DataFrame, optional
        Stages of other tasks (`resource`, `start_s`, `finish_s`); the darker, the more at once.
    """
    stages = outcome.stages.assign(lane=lane_of(outcome.stages))
    for column in ("start_s", "finish_s"):
        stages[column] -= outcome.release_s
    resources = list(stages.sort_values("start_s", kind="stable")["resource"].unique())
    lanes = stages.groupby("resource")["lane"].max() + 1
    units = [int(lanes[r]) for r in resources]
    bottom = dict(zip(resources, np.cumsum([0, *units]).tolist(), strict=False))
    items = list(dict.fromkeys(i for i in stages["item"] if i != INPUT))
    colours = {item: PALETTE[i % len(PALETTE)] for i, item in enumerate(items)} | {INPUT: MUTED}
    end = max(float(stages["finish_s"].max()), 1e-9)
    figure = new_figure(9.0, 1.1 + 0.5 * sum(units))
    panel = figure.add_subplot()
    panel.set_xlim(0.0, 1.02 * end)
    panel.set_ylim(sum(units), 0)
    if others is not None:
        _shade(panel, others, outcome.release_s, bottom, dict(zip(resources, units, strict=True)))
    for row in rows_of(stages):
        _bar(panel, row, bottom[row.resource] + row.lane + 0.5, colours[row.item], end)
    middle = [bottom[r] + k + 0.5 for r, k in zip(stages["resource"], stages["lane"], strict=True)]
    _arrows(panel, stages, middle, 0.004 * end)
    panel.set_yticks([bottom[r] + n / 2 for r, n in zip(resources, units, strict=True)], resources)
    clean(panel)
    for resource in resources[1:]:
        panel.axhline(bottom[resource], color=GRID, linewidth=0.8)
    panel.set_xlabel(
        "s after the release; full: calls, pale: transfers"
        + ("; grey: other tasks" if others is not None else ""),
        fontsize=9,
        color=MUTED,
    )
    right = "" if np.isnan(outcome.accuracy) else f"expected correctness {outcome.accuracy:.3f}, "
    title(panel, f"{name}: latency {outcome.latency_s:.2f} s, {right}reward {outcome.reward:.3f}")
    return figure


def _shade(
    panel: Axes,
    others: pd.DataFrame,
    release_s: float,
    bottom: dict[str, int],
    units: dict[str, int],
) -> None:
    """Bars of other tasks over the whole height of each row."""
    here = others[others["resource"].isin(list(bottom))]
    panel.barh(
        [bottom[r] + units[r] / 2 for r in here["resource"]],
        here["finish_s"] - here["start_s"],
        left=here["start_s"] - release_s,
        height=[units[r] for r in here["resource"]],
        color=MUTED,
        alpha=0.08,
        linewidth=0,
    )


def _bar(panel: Axes, row: Any, y: float, colour: str, end: float) -> None:
    """A call or a transfer with its name, inside where it fits and above where it does not."""
    is_call = row.kind == "call"
    width = row.finish_s - row.start_s
    panel.barh(
        y, max(width, 0.002 * end), left=row.start_s, height=2 * _HALF[not is_call],
        color=colour, alpha=1.0 if is_call else 0.45, linewidth=0,
    )  # fmt: skip
    if not is_call and width < 0.01 * end:
        return  # too short for a name: its arrows say what it carries
    # Numbers say nothing of a call; its role does.
    name = f"{row.item} {row.role}" if is_call and row.item.isdecimal() else row.item
    inside = is_call and width / end * _AXES_IN > _LETTER_IN * (len(name) + 1)
    above = 14 if is_call else 9  # points
    panel.annotate(
        name, (row.start_s + width / 2 if inside else row.start_s, y), (0, 0 if inside else above),
        textcoords="offset points", ha="center" if inside else "left", va="center",
        fontsize=8.5 if is_call else 7.5, color="white" if inside else INK, annotation_clip=False,
    )  # fmt: skip


def _arrows(panel: Axes, stages: pd.DataFrame, middle: list[float], near: float) -> None:
    """From the end of what is waited for to the start of what waits; bars that touch need none.

    Every call waits for the input; only those that wait for nothing else have an arrow from it.
    """
    start, finish = stages["start_s"].to_numpy(), stages["finish_s"].to_numpy()
    half = np.where(stages["kind"] == "call", *_HALF)
    for s, after in enumerate(stages["after"]):
        for p in after:
            if stages["item"].iloc[p] == INPUT and len(after) > 1:
                continue
            is_level = middle[p] == middle[s]
            if is_level and start[s] - finish[p] < near:
                continue
            # Within a row the arrow passes over what lies between.
            down = np.sign(middle[s] - middle[p])
            leaves = middle[p] + (-1 if is_level else down) * half[p]
            reaches = middle[s] - (1 if is_level else down) * half[s]
            # A bend is a share of the length: the longer, the flatter, to stay within the row.
            bend = -min(0.15, 6.0 * near / (start[s] - finish[p])) if is_level else 0.0
            panel.annotate(
                "", (start[s], reaches), (finish[p], leaves),
                arrowprops={
                    "arrowstyle": "-|>", "color": INK, "linewidth": 0.8, "alpha": 0.6,
                    "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8,
                    "connectionstyle": f"arc3,rad={bend}",
                },
            )  # fmt: skip


# -------------------------------------------------------------------- the plane
def plane_picture(card: pd.DataFrame) -> Figure:
    """Mean latency against expected accuracy of every policy, one panel per preset.

    Up and to the left is better; along a dotted line the reward is the same. Hollow are the figures
    of the paper, whose accuracy follows from reward and latency.

    Parameters
    ----------
    card : DataFrame
        `preset`, `policy`, `mean_latency_s`, `accuracy`; with ``_low`` and ``_high`` behind the
        last two, ends of 95 % intervals over episodes.
    """
    presets = list(card["preset"].unique())
    figure = new_figure(9.0, 0.3 + 4.3 * len(presets))
    panels = figure.subplots(len(presets), 1, squeeze=False)[:, 0]
    colour = {p: PALETTE[i % len(PALETTE)] for i, p in enumerate(dict.fromkeys(card["policy"]))}
    for panel, preset in zip(panels, presets, strict=True):
        part = card[card["preset"] == preset]
        labels = []
        for row in rows_of(part):
            x, y = row.mean_latency_s, 100 * row.accuracy
            _interval(panel, row, x, y, colour[row.policy])
            panel.plot(x, y, "o", color=colour[row.policy], markersize=7)
            labels.append((x, y, row.policy, INK))
        for printed in PAPER:
            x, y = printed.latency_s, 100 * printed.accuracy
            panel.plot(x, y, "o", color=MUTED, markersize=7, markerfacecolor="none")
            labels.append((x, y, f"{printed.method}, paper", MUTED))
        panel.margins(0.12)
        _label(panel, labels)
        _same_reward(panel)
        clean(panel, "both")
        title(panel, str(preset))
        panel.set_xlabel("mean latency, s", fontsize=9, color=MUTED)
        panel.set_ylabel("expected accuracy, %", fontsize=9, color=MUTED)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    return figure


def _interval(panel: Axes, row: Any, x: float, y: float, colour: str) -> None:
    """Lines to both ends of the intervals, where the card has them."""
    style: dict[str, Any] = {"color": colour, "linewidth": 2.0, "alpha": 0.45}
    if hasattr(row, "mean_latency_s_low"):
        panel.plot([row.mean_latency_s_low, row.mean_latency_s_high], [y, y], **style)
    if hasattr(row, "accuracy_low"):
        panel.plot([x, x], [100 * row.accuracy_low, 100 * row.accuracy_high], **style)


def _same_reward(panel: Axes) -> None:
    """Lines of equal reward, its value at the right end."""
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    panel.set_xlim(left, right)
    panel.set_ylim(low, high)
    fall = 100 * LATENCY_WEIGHT_PER_S
    least, most = (low - fall * right) / 100, (high - fall * left) / 100
    for reward in np.arange(np.ceil(10 * least), 10 * most) / 10:
        ends = [100 * reward + fall * x for x in (left, right)]
        panel.plot([left, right], ends, ":", color=MUTED, linewidth=0.8, alpha=0.7, zorder=0)
        if low < ends[1] < high:
            panel.annotate(
                f"reward {reward + 0.0:.1f}", (right, ends[1]), (3, 0),
                textcoords="offset points", va="center", fontsize=7.5, color=MUTED,
            )  # fmt: skip


def _label(panel: Axes, labels: list[tuple[float, float, str, str]]) -> None:
    """A name beside each point, moved up or down until it covers neither a name nor a point."""
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    right += 0.2 * (right - left)
    panel.set_xlim(left, right)
    at = [((x - left) / (right - left), (y - low) / (high - low)) for x, y, *_ in labels]
    taken = [(across - 0.008, across + 0.008, up) for across, up in at]
    for i, (x, y, text, colour) in enumerate(labels):
        begin, up = at[i][0] + 0.012, at[i][1]
        end = begin + _LETTER_IN * len(text) / _AXES_IN
        others = taken[:i] + taken[i + 1 :]
        shift = next(
            0.01 * shift
            for shift in sorted(range(-60, 61), key=abs)
            if not any(
                begin < b and a < end and abs(up + 0.01 * shift - v) < 0.045 for a, b, v in others
            )
            or abs(shift) == 60
        )
        taken.append((begin, end, up + shift))
        panel.annotate(
            text, (x, y), (x + 0.012 * (right - left), y + shift * (high - low)),
            va="center", fontsize=8.5, color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkB": 4,
                        "relpos": (0, 0.5)} if abs(shift) > 0.02 else None,
        )  # fmt: skip
