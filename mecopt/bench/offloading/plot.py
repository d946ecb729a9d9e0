"""Pictures of schedules: who uses which resource when.

Few owners: one bar per stage (`gantt_picture`). Many: how many are in service (`load_picture`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mecopt.bench.plot import GRID, MUTED, PALETTE, clean, new_figure, title
from mecopt.bench.scorecard import rows_of

#: Rows of a picture, at most; the busiest resources are shown.
ROWS = 24
#: Length of the stretch shown of a longer timeline, s: of bars, and of strips.
GANTT_S, LOAD_S = 5.0, 300.0
#: Order and colour of the kinds of resources.
KINDS = ("uplink", "link", "device", "server", "cloud")


def timeline_picture(timeline: pd.DataFrame) -> Figure:
    """Schedules side by side, drawn as their size allows.

    Parameters
    ----------
    timeline : DataFrame
        `Schedule.timeline` of one or more schedules, with a column ``schedule`` (panel titles).
    """
    few = timeline["owner"].nunique() <= len(PALETTE)
    return gantt_picture(timeline) if few else load_picture(timeline)


def gantt_picture(timeline: pd.DataFrame) -> Figure:
    """One bar per stage, one colour per owner; the busiest stretch of a long timeline."""
    schedules = list(timeline["schedule"].unique())
    begin, end = _busiest(timeline, GANTT_S)
    shown = timeline[(timeline["finish_s"] > begin) & (timeline["start_s"] < end)]
    lanes = {name: _lanes(shown[shown["schedule"] == name]) for name in schedules}
    resources = _busiest_resources(shown, lanes)
    owners = sorted(timeline["owner"].unique(), key=_natural)
    colours = dict(zip(owners, PALETTE, strict=False))
    units = {r: max(lanes[s].get(r, 1) for s in schedules) for r in resources}
    bottom = dict(zip(resources, np.cumsum([0, *units.values()]), strict=False))
    height = sum(units.values())
    figure = new_figure(5.2 * len(schedules) + 0.8, 1.5 + 0.24 * height)
    panels = figure.subplots(1, len(schedules), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, schedules, strict=True):
        part = shown[(shown["schedule"] == name) & shown["resource"].isin(resources)]
        lane = lane_of(part)
        panel.barh(
            [bottom[r] + k + 0.5 for r, k in zip(part["resource"], lane, strict=True)],
            part["finish_s"] - part["start_s"],
            left=part["start_s"],
            height=0.82,
            color=[colours[owner] for owner in part["owner"]],
            edgecolor="white",
            linewidth=0.4,
        )
        panel.set_xlim(begin, end)
        panel.set_ylim(height, 0)
        panel.set_yticks([bottom[r] + units[r] / 2 for r in resources], resources)
        clean(panel)
        panel.set_xlabel("time, s", fontsize=9, color=MUTED)
        title(panel, name)
        for previous, resource in zip(resources, resources[1:], strict=False):
            if _kind(previous) != _kind(resource):
                panel.axhline(bottom[resource], color=MUTED, linewidth=0.8)
    handles = [panels[0].barh([0], [0], color=colours[owner], label=owner) for owner in owners]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(9, len(handles)), frameon=False,
        fontsize=8.5,
    )  # fmt: skip
    return figure


def load_picture(timeline: pd.DataFrame) -> Figure:
    """Stages in service at once, one strip per resource; the busiest stretch of a long timeline.

    Strips of one resource share their scale over the panels; its peak stands beside its name.
    Uplinks and devices, one per user, are summed up.
    """
    schedules = list(timeline["schedule"].unique())
    private = timeline["kind"].isin(["uplink", "device"])
    begin, end = _busiest(timeline, LOAD_S)
    shared = timeline.assign(
        resource=timeline["resource"].where(~private, "all " + timeline["kind"] + "s")
    )
    shared = shared[(shared["finish_s"] > begin) & (shared["start_s"] < end)]
    busy = (shared["finish_s"] - shared["start_s"]).groupby(shared["resource"]).sum()
    kept = busy.sort_values(ascending=False, kind="stable").index[:ROWS]
    kind = shared.groupby("resource")["kind"].first()
    resources = sorted(kept, key=lambda r: (_rank(str(kind[r])), *_natural(str(r))))
    grid = np.linspace(begin, end, 600)
    stages = {
        (name, r): shared[(shared["schedule"] == name) & (shared["resource"] == r)]
        for name in schedules
        for r in resources
    }
    # The number in service peaks at a start.
    peak = {
        r: max(
            int(_in_service(stages[name, r], stages[name, r]["start_s"].to_numpy()).max(initial=1))
            for name in schedules
        )
        for r in resources
    }
    figure = new_figure(5.2 * len(schedules) + 1.4, 1.0 + 0.36 * len(resources))
    panels = figure.subplots(1, len(schedules), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, schedules, strict=True):
        for i, r in enumerate(resources):
            height = 0.85 * _in_service(stages[name, r], grid) / peak[r]
            colour = PALETTE[_rank(str(kind[r])) % len(PALETTE)]
            panel.fill_between(grid, i + 1 - height, i + 1, step="mid", color=colour, linewidth=0)
            panel.axhline(i + 1, color=GRID, linewidth=0.8)
        panel.set_xlim(grid[0], grid[-1])
        panel.set_ylim(len(resources) + 0.1, 0)
        names = [f"{r}, up to {peak[r]}" for r in resources]
        panel.set_yticks(np.arange(len(resources)) + 0.6, names)
        clean(panel)
        panel.set_xlabel("time, s", fontsize=9, color=MUTED)
        title(panel, name)
    return figure


def _in_service(part: pd.DataFrame, grid: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of stages with start <= t < finish at every t of the grid."""
    begun = np.searchsorted(np.sort(part["start_s"].to_numpy()), grid, side="right")
    over = np.searchsorted(np.sort(part["finish_s"].dropna().to_numpy()), grid, side="right")
    return begun - over


def _kind(resource: str) -> str:
    return resource.rstrip("0123456789 ")


def _natural(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


def _busiest(timeline: pd.DataFrame, length: float) -> tuple[float, float]:
    start, finish = timeline["start_s"].to_numpy(), timeline["finish_s"].to_numpy()
    first, last = float(np.nanmin(start)), float(np.nanmax(finish))
    if last - first <= 1.2 * length:
        return first, last
    candidates = np.linspace(first, last - length, 200)
    overlap = [
        np.nansum(np.clip(np.minimum(finish, c + length) - np.maximum(start, c), 0, None))
        for c in candidates
    ]
    best = float(candidates[int(np.argmax(overlap))])
    return best, best + length


def _busiest_resources(shown: pd.DataFrame, lanes: dict[str, dict[str, int]]) -> list[str]:
    busy = (shown["finish_s"] - shown["start_s"]).groupby(shown["resource"]).sum()
    kept: list[str] = []
    rows = 0
    for resource in busy.sort_values(ascending=False, kind="stable").index:
        need = max(found.get(resource, 1) for found in lanes.values())
        if rows + need > ROWS and kept:
            continue
        kept.append(resource)
        rows += need
    kind = shown.groupby("resource")["kind"].first()
    return sorted(kept, key=lambda r: (_rank(str(kind[r])), *_natural(r)))


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def lane_of(part: pd.DataFrame) -> list[int]:
    """A free unit for each stage, first come first served: bars of one resource never overlap."""
    free: dict[str, list[float]] = {}
    lane = {}
    for row in rows_of(part.sort_values("start_s", kind="stable")):
        units = free.setdefault(row.resource, [])
        k = next((i for i, t in enumerate(units) if t <= row.start_s + 1e-12), len(units))
        units[k : k + 1] = [row.finish_s]
        lane[row.Index] = k
    return [lane[i] for i in part.index]


def _lanes(part: pd.DataFrame) -> dict[str, int]:
    frame = part.assign(lane=lane_of(part))
    return {str(r): int(k) + 1 for r, k in frame.groupby("resource")["lane"].max().items()}
