"""Columns of a scorecard: each is said once and shown on the console, on the page and in JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Where a column can be shown: a terminal, a wide terminal only, the first table of the page, the
#: page's table about decisions, the records of ``--json``.
PLACES = ("console", "wide", "page", "conduct", "record")


def percent(value: float, digits: int = 2) -> str:
    """0.0312 -> ``"3.12"``; ``"-"`` when there is no figure."""
    if np.isnan(value):
        return "-"
    if np.isinf(value):
        return "inf"
    # Enough digits that a proven gap of a few millionths does not read as zero.
    shown = 100 * value if abs(value) > 1e-12 else 0.0  # less is rounding of floats
    return f"{shown:.{digits}f}" if shown == 0 or abs(shown) >= 10.0**-digits else f"{shown:.1g}"


def tenths_of_percent(value: float) -> str:
    """0.0312 -> ``"3.1"``."""
    return percent(value, 1)


def microseconds(seconds: float) -> str:
    """Seconds as a short text in us or ms."""
    if np.isnan(seconds):
        return "-"
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def fixed(digits: int) -> Callable[[float], str]:
    """A function that writes a number with so many digits after the point."""
    return lambda value: "-" if np.isnan(value) else f"{value:.{digits}f}"


@dataclass(frozen=True)
class Column:
    """One figure of every policy: where it comes from, and where and how it is shown.

    Parameters
    ----------
    name : str
        Column of ``results.parquet``; a column that a run does not have is left out.
    heading : str
        With unit.
    text : callable
        Figure -> text.
    places : tuple of str
        Some of `PLACES`.
    summary : str
        Over instances: ``"mean"`` (with a 95 % bootstrap interval), ``"median"``, ``"max"``,
        ``"same"`` for words that are equal on all of them, or ``""`` for figures that
        `mecopt.bench.scorecard.scorecard` makes itself.
    interval : bool
        Whether the interval is shown beside it (on a terminal only when it is wide).
    weight : str
        Column whose values weight the mean (a ratio of means is the mean of ratios weighted by
        their denominators).
    scenarios : tuple of str
        Shown for these scenarios only; for all without any.
    group : str
        Part of a sum: in a record it stands in a mapping of this name, under its heading; missing
        values count as zero.
    """

    name: str
    heading: str
    text: Callable[[Any], str] = fixed(1)
    places: tuple[str, ...] = ("console", "page", "record")
    summary: str = "mean"
    interval: bool = False
    weight: str = ""
    scenarios: tuple[str, ...] = ()
    group: str = ""

    def __post_init__(self) -> None:
        for place in self.places:
            if place not in PLACES:
                raise ValueError(f"places: unknown {place!r}, one of {', '.join(PLACES)}")

    def range_text(self, low: float, high: float, between: str) -> str:
        """The interval as text; ``"-"`` when there is none."""
        return f"{self.text(low)}{between}{self.text(high)}" if np.isfinite(low) else "-"


#: What every family's scorecard has.
GAPS = (
    Column("gap_to_bound", "gap to bound, %", percent, interval=True),
    Column("gap_to_incumbent", "gap to best known, %", percent),
)
DECISIONS = (
    Column(
        "decision_seconds_p50", "decision p50, CPU", microseconds,
        ("wide", "conduct", "record"), "median",
    ),
    Column("decision_seconds_p99", "decision p99, CPU", microseconds, ("conduct",), "max"),
    Column("decision_wall_seconds_p50", "decision p50, wall", microseconds, ("conduct",), "median"),
)  # fmt: skip


def extra(heading: str, scenarios: tuple[str, ...] = ()) -> Column:
    """The paired difference in cost to the best policy of the run, for the page."""
    return Column(
        "extra", heading, fixed(1), ("page",), summary="", interval=True, scenarios=scenarios
    )
