"""Bounds on online rules beside the clairvoyant bound, over seeded COMLLM episodes.

An episode is one draw of servers and tasks. The online bound holds over the servers of an episode
in expectation over tasks; costs and clairvoyant bounds are measured on the episode's own tasks, and
the luck that these had is taken off (`formulations.online.control`), so that both are about the
same expectation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import formulations
from formulations.online import METHODS, OnlineBound, mean, online_bound
from formulations.online.control import control_for
from mecopt.offloading.policies.by_name import POLICIES
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from mecopt.statistics import bootstrap_interval

#: The online rule whose luck is taken off the clairvoyant bound of an episode.
COMPANION = "priced"


@dataclass(frozen=True)
class Bounds:
    """Mean bounds over episodes, slots of cost per task.

    Parameters
    ----------
    clairvoyant_slots : float
        Estimate of the expected bound on schedules that know the future.
    clairvoyant_interval : (float, float)
        95 % bootstrap interval over episodes; NaN with one.
    online : OnlineBound or None
        Mean over the draws of servers, where it was asked for.
    seconds : float
        Wall time of all.
    """

    clairvoyant_slots: float
    clairvoyant_interval: tuple[float, float]
    online: OnlineBound | None
    seconds: float


def bounds(
    preset: str,
    seeds: range,
    *,
    method: str = METHODS[0],
    replicates: int,
    samples: int,
    with_online: bool = True,
    time_limit_s: float = 10.0,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Bounds:
    """Both bounds on a preset of COMLLM.

    Parameters
    ----------
    preset : str
    seeds : range
        Of servers and tasks, one episode each.
    method, replicates, samples
        See `formulations.online.online_bound`.
    with_online : bool
    time_limit_s : float
        For the clairvoyant bound of an episode.
    on_progress : callable
        Told (what, steps done, all).
    """
    begin = time.perf_counter()
    clairvoyant, found = [], []
    steps = replicates + 1 if with_online else 1
    total = steps * len(seeds)
    for n, seed in enumerate(seeds):
        instance = comllm.generate(preset, seed)
        on_progress(f"{preset}-{seed}: clairvoyant", n * steps, total)
        solved = formulations.solve(instance, time_limit=time_limit_s)
        schedule = rollout(instance, POLICIES.make(COMPANION, preset=preset, seed=seed))
        control = control_for(schedule)
        lucky = solved.bound / instance.meta["slot_s"] - control.luck_slots(schedule)
        clairvoyant.append(lucky / control.system.expected_tasks)
        if with_online:
            what, done = f"{preset}-{seed}: online", n * steps + 1
            on_replicate = _counting(on_progress, what, done, total)
            found.append(
                online_bound(
                    instance,
                    method=method,
                    replicates=replicates,
                    samples=samples,
                    on_progress=on_replicate,
                )
            )
    return Bounds(
        float(np.mean(clairvoyant)),
        bootstrap_interval(clairvoyant),
        mean(found) if found else None,
        time.perf_counter() - begin,
    )


def _counting(
    tell: Callable[[str, int, int], None], what: str, begin: int, total: int
) -> Callable[[int, int], None]:
    return lambda done, _: tell(what, begin + done, total)
