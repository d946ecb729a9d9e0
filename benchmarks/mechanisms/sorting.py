"""Rules timed against `np.sort` of both sides, in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mechanisms import rules
from mecopt.market.instance import Market

#: Rounds in which everything is timed once.
ROUNDS = 9


def over_sort(
    market: Market, names: Sequence[str], clock: Callable[[], float]
) -> list[dict[str, object]]:
    """Median seconds of each rule, and medians of ratios to the sort of the same round."""
    tasks = {name: partial(rules.mechanism(name), market) for name in names}
    tasks["sort"] = lambda: (np.sort(market.values), np.sort(market.costs))
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            start = clock()
            task()
            taken[name].append(clock() - start)
    return [
        {
            "mechanism": name,
            "seconds": statistics.median(taken[name]),
            "over_sort": statistics.median(
                a / b for a, b in zip(taken[name], taken["sort"], strict=True)
            ),
        }
        for name in names
    ]
