"""Bounds on online rules for real traces, over windows resampled from a trace's own statistics.

A recorded window has no distribution, so that no rule has an expected cost on it. Bounds and rules
here are about `mecopt.offloading.scenarios.resampled.TraceLaw`: the same sites, users and hosts,
Poisson arrivals at the window's rates, sizes of the trace. Worlds of the bound and those of rules
come from different streams of random numbers. What luck a world had is taken off costs and bounds;
it has mean zero (`formulations.online.penalties.traces`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

import formulations
from formulations.online.penalties.route import (
    FUTURES,
    METHOD,
    TIME_LIMIT_S,
    WORLDS,
    penalised_bound,
)
from formulations.online.penalties.traces import ResampledTrace
from formulations.online.penalties.worlds import Drawn, own_cost_s
from mecopt import checks
from mecopt.bench.online import Bounds, Draw, counting, over
from mecopt.edge.requests import TRACES
from mecopt.offloading.policies.by_name import POLICIES
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios.resampled import BLOCK_S, rule_stream, trace_law
from mecopt.offloading.schedule import Schedule

#: The online rule whose luck is taken off clairvoyant bounds.
COMPANION = "one-step-oracle-drop"
#: The one way to bound rules over resampled windows.
METHODS = (METHOD,)


def check_preset(trace: str) -> None:
    """Raise ValueError unless there is such a trace, or a file of that name."""
    if not Path(trace).is_file():
        checks.known("trace", trace, TRACES)


def rule_world(law: ResampledTrace, task_seed: int) -> Drawn:
    """The world of `resampled` with this seed, and what is expected of its requests."""
    rng = rule_stream(law.law, task_seed)
    return law.world_of(*law.law.draw(rng), rng, 0)


def luckless_s(world: Drawn, schedule: Schedule) -> float:
    """Cost of an online rule less a figure of mean zero: the luck of sizes, and of own outputs."""
    return schedule.objective - luck_s(world, schedule)


def luck_s(world: Drawn, schedule: Schedule) -> float:
    """Luck of the world, and [own] penalties of the decisions."""
    x, chosen = world.instance, schedule.choice >= 0
    option = (x.option_ptr[:-1] + schedule.choice)[chosen]
    own = own_cost_s(x) - world.expected_own_s
    return world.luck_s + float(own[option].sum())


def measured(
    law: ResampledTrace,
    task_seed: int,
    rules: Sequence[str],
    *,
    time_limit_s: float | None,
    gap: float = 1e-4,
    data_dir: str | os.PathLike[str] | None = None,
) -> Mapping[str, float]:
    """One world of rules: seconds of cost per expected request, luck taken off.

    Keys are ``clairvoyant`` (unless `time_limit_s` is None) and the rules.
    """
    world = rule_world(law, task_seed)
    out = {}
    if time_limit_s is not None:
        solved = formulations.solve(world.instance, time_limit=time_limit_s, gap=gap)
        companion = rollout(world.instance, POLICIES.make(COMPANION))
        out["clairvoyant"] = solved.bound - luck_s(world, companion)
    trace = world.instance.meta["trace"]
    for rule in rules:
        policy = POLICIES.make(rule, preset=trace, seed=task_seed, data_dir=data_dir)
        out[rule] = luckless_s(world, rollout(world.instance, policy))
    return {name: value / law.expected_tasks for name, value in out.items()}


def gap(costs: ArrayLike, bounds: ArrayLike, resamples: int = 2000) -> tuple[float, float, float]:
    """(mean cost / mean bound - 1, and its 95 % bootstrap interval), two independent samples."""
    cost, bound = np.asarray(costs, dtype=float), np.asarray(bounds, dtype=float)
    rng = np.random.default_rng(0)

    def means(values: np.ndarray) -> np.ndarray:
        return values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)

    low, high = np.quantile(means(cost) / means(bound) - 1, [0.025, 0.975])
    return float(cost.mean() / bound.mean() - 1), float(low), float(high)


def bounds(
    trace: str,
    seeds: range,
    *,
    method: str = METHODS[0],
    replicates: int = WORLDS,
    samples: int = FUTURES,
    window: Sequence[float] = (0.0, 600.0),
    with_online: bool = True,
    time_limit_s: float = TIME_LIMIT_S,
    data_dir: str | os.PathLike[str] | None = None,
    block_s: float = BLOCK_S,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    **changes: object,
) -> Bounds:
    """Both bounds on a window of a trace, slots of 0.1 s per request.

    Parameters
    ----------
    trace : str
    seeds : range
        Of GPU sites, devices and owners.
    method : str
        The one there is.
    replicates : int
        Resampled windows per seed, for either bound; at least two.
    samples : int
        Futures of `formulations.online.penalties.route.penalised_bound`.
    window : (start, end)
        Seconds of the trace whose rates count.
    with_online : bool
    time_limit_s : float
        For the certified bound of a window.
    data_dir : path, optional
    block_s : float
        Length of a block of the law, s.
    on_progress : callable
        Told (what, steps done, all).
    **changes
        Overrides of parameters (`mecopt.offloading.scenarios.trace_parameters`).
    """
    checks.known("method", method, METHODS)
    checks.whole("replicates", replicates, 2)
    steps = replicates * (2 if with_online else 1)
    total = steps * len(seeds)

    def one(n: int, seed: int) -> Draw:
        made = trace_law(trace, window, seed, data_dir=data_dir, block_s=block_s, **changes)
        law = ResampledTrace(made)
        clairvoyant = []
        for r in range(replicates):
            on_progress(f"{trace}-{seed}: clairvoyant", n * steps + r, total)
            found = measured(law, r, (), time_limit_s=time_limit_s)
            clairvoyant.append(found["clairvoyant"] / law.slot_s)
        if not with_online:
            return clairvoyant, None
        what, done = f"{trace}-{seed}: online", n * steps + replicates
        bound = penalised_bound(
            law,
            worlds=replicates,
            futures=samples,
            time_limit_s=time_limit_s,
            on_progress=counting(on_progress, what, done, total),
        )
        return clairvoyant, bound

    return over(seeds, one)
