"""Bounds with and without sight of the future, over draws of what stays in an episode."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from formulations.online import OnlineBound, mean
from mecopt.statistics import bootstrap_interval

#: Bounds on schedules that know the future, and the online bound where it was asked for.
Draw = tuple[Sequence[float], OnlineBound | None]


@dataclass(frozen=True)
class Bounds:
    """Mean bounds over draws; slots of cost per task, or what the scenario counts in.

    Parameters
    ----------
    clairvoyant_slots : float
        Estimate of the expected bound on schedules that know the future.
    clairvoyant_interval : (float, float)
        95 % bootstrap interval over episodes; NaN with one.
    online : OnlineBound or None
        Mean over the draws, where it was asked for.
    draws : int
        Draws that were finished.
    seconds : float
        Wall time of all.
    """

    clairvoyant_slots: float
    clairvoyant_interval: tuple[float, float]
    online: OnlineBound | None
    draws: int
    seconds: float


def over(seeds: range, one: Callable[[int, int], Draw]) -> Bounds:
    """Mean over draws; when interrupted, over those that were finished.

    Parameters
    ----------
    seeds : range
    one : callable
        (which draw, its seed) -> its bounds.

    Raises
    ------
    KeyboardInterrupt
        If no draw was finished.
    """
    begin = time.perf_counter()
    done: list[Draw] = []
    try:
        for n, seed in enumerate(seeds):
            done.append(one(n, seed))
    except KeyboardInterrupt:
        if not done:
            raise
    clairvoyant = [value for values, _ in done for value in values]
    online = [bound for _, bound in done if bound is not None]
    return Bounds(
        float(np.mean(clairvoyant)),
        bootstrap_interval(clairvoyant),
        mean(online) if online else None,
        len(done),
        time.perf_counter() - begin,
    )


def counting(
    tell: Callable[[str, int, int], None], what: str, begin: int, total: int
) -> Callable[[int, int], None]:
    """Progress of a part that begins at a step of the whole."""
    return lambda done, _: tell(what, begin + done, total)
