"""What a run looks like, by family of problems: scorecard, pictures and page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console

from mecopt.bench import scorecard
from mecopt.bench.caching import page as report_caching
from mecopt.bench.caching import scorecard as scorecard_caching
from mecopt.bench.offloading import page as report
from mecopt.bench.suite import Suite

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Family:
    """The functions in which families differ.

    Parameters
    ----------
    print_scorecard : callable
        Console, tables, suite.
    headline : callable
        Tables -> one or two sentences.
    draw : callable
        Tables -> PNG pictures by name.
    page : callable
        Manifest, tables, pictures, sections of other packages -> HTML text.
    """

    print_scorecard: Callable[[Console, Tables, Suite], None]
    headline: Callable[[Tables], str]
    draw: Callable[[Tables], dict[str, bytes]]
    page: Callable[[Mapping[str, Any], Tables, Mapping[str, bytes], str], str]


def _print_offloading(console: Console, tables: Tables, suite: Suite) -> None:
    scorecard.print_scorecard(console, tables, has_slots=suite.scenario == "comllm")


def _print_caching(console: Console, tables: Tables, suite: Suite) -> None:
    scorecard_caching.print_scorecard(console, tables)


def _headline_offloading(tables: Tables) -> str:
    return scorecard.headline(scorecard.scorecard(tables["results"]), tables["instances"])


FAMILIES = {
    "offloading": Family(
        _print_offloading,
        _headline_offloading,
        report.draw,
        report.page,
    ),
    "caching": Family(
        _print_caching,
        scorecard_caching.headline,
        report_caching.draw,
        report_caching.page,
    ),
}
