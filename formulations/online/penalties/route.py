"""Online bounds by [bound]: sampled worlds with penalties, each bounded by the certified method."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import formulations
from formulations.online.bound import OnlineBound, versions
from formulations.online.penalties.crowding import Crowding, Shape
from formulations.online.penalties.inner import penalised
from formulations.online.penalties.worlds import Drawn, Law, own_cost_s
from mecopt import checks
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.replay import rollout
from mecopt.result import Result

METHOD = "penalised-options"
#: Worlds, futures of a world, seconds for the bound of a world.
WORLDS, FUTURES, TIME_LIMIT_S = 8, 24, 20.0
#: Streams of random numbers: worlds of the bound, their futures, and worlds of tuning.
_WORLD_STREAM, _FUTURE_STREAM, _TUNING_STREAM = 21, 22, 23
#: Rounding to whole nanoseconds, seconds for a task.
_ROUNDING_S = 1e-8

RELAXED = (
    "the future may be used, at the price of penalties",
    "real times of tasks decided before are known",
    "tasks wait anywhere in any order at servers, and may be interrupted there",
)

_USER = ("uplink", "device")
# From `python -m benchmarks.offloading.tune_shapes`, on worlds of the tuning stream. On traces
# crowding gains at most 0.05 % of cost, and less than its time gains in the certified bound.
SHAPES = {
    "paper": Shape(_USER, 0.4, 0.6),
    "busy": Shape(_USER, 0.2, 0.3),
    "azure-conv": Shape(("server",), 6.0, 0.0),
}
#: For presets and traces without tuned numbers.
DEFAULT_SHAPES = {"comllm": SHAPES["busy"], "traces": SHAPES["azure-conv"]}


def shape_for(law: Law) -> Shape:
    """The shape of a law's preset or trace, or that of its scenario."""
    made = law.provenance
    name = made.get("preset", made.get("trace"))
    return SHAPES.get(name, DEFAULT_SHAPES[made["scenario"]])


def penalties(
    law: Law, shape: Shape, futures: int, entropy: tuple[int, ...]
) -> tuple[Drawn, NDArray[np.float64]]:
    """A sampled world and [penalty] (O,) of its options, s.

    `entropy` begins with the stream of the world.
    """
    count = futures if shape.theta > 0 else 0
    world = law.world(np.random.default_rng(entropy), count)
    z = own_cost_s(world.instance) - world.expected_own_s
    if count:
        seeds = ([_FUTURE_STREAM, *entropy, m] for m in range(count))
        drawn = [law.future(np.random.default_rng(s)) for s in seeds]
        of_crowding = Crowding(drawn, shape).z_s(world)
        # Under an online rule their sum has mean zero: it is luck, like that of the world.
        schedule = rollout(world.instance, OneStepOracleDrop())
        option = (world.instance.option_ptr[:-1] + schedule.choice)[schedule.choice >= 0]
        world = replace(world, luck_s=world.luck_s - float(of_crowding[option].sum()))
        z += of_crowding
    return world, z


def bound_world(
    law: Law,
    shape: Shape,
    futures: int,
    number: tuple[int, int],
    time_limit_s: float,
    *,
    gap: float = 1e-4,
    tuning: bool = False,
) -> tuple[float, Result[Any, Any]]:
    """The figure, s, of the world with this (seed, number); arguments as in `penalised_bound`."""
    stream = _TUNING_STREAM if tuning else _WORLD_STREAM
    world, z = penalties(law, shape, futures, (stream, *law.entropy, *number))
    return figure_s(world, z, time_limit_s=time_limit_s, gap=gap)


def penalised_bound(
    law: Law,
    shape: Shape | None = None,
    *,
    worlds: int = WORLDS,
    futures: int = FUTURES,
    seed: int = 0,
    time_limit_s: float = TIME_LIMIT_S,
    gap: float = 1e-4,
    tuning: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_world: Callable[[int, Result[Any, Any]], None] = lambda world, result: None,
) -> OnlineBound:
    """Lower bound on the expected cost of every online rule under a law.

    Parameters
    ----------
    law : Law
    shape : Shape, optional
        Of [crowding]; the tuned one unless given.
    worlds : int
        Independent worlds, at least two.
    futures : int
        Sampled futures behind the means of a world; the bound is valid with any number.
    seed : int
        Of worlds and futures. They have streams of their own, so that no seed makes them those on
        which a rule is measured.
    time_limit_s, gap : float
        For the certified bound of each world. Bounds that end by the clock are valid, but differ
        from machine to machine.
    tuning : bool
        Draw worlds for choosing a shape, which no reported bound has.
    on_progress : callable
        Told (worlds done, all).
    on_world : callable
        Told (world, result of its inner problem): `mecopt.certificates.verify.save` takes it.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    checks.whole("worlds", worlds, 2)
    checks.whole("futures", futures, 1)
    checks.check_seed(seed)
    begin = time.perf_counter()
    shape = shape or shape_for(law)
    found = np.empty(worlds)
    on_progress(0, worlds)
    for r in range(worlds):
        figure, result = bound_world(
            law, shape, futures, (seed, r), time_limit_s, gap=gap, tuning=tuning
        )
        found[r] = figure / law.slot_s
        on_world(r, result)
        on_progress(r + 1, worlds)
    return OnlineBound(
        sample_slots=found,
        expected_tasks=law.expected_tasks,
        slot_s=law.slot_s,
        method=METHOD,
        worlds=worlds,
        seconds=time.perf_counter() - begin,
        relaxed=RELAXED,
        provenance={
            "versions": versions(),
            **law.provenance,
            "shape": asdict(shape),
            "futures": futures,
            "seed": seed,
            "time_limit_s": time_limit_s,
            "gap": gap,
            **({"tuning": True} if tuning else {}),
        },
    )


def figure_s(
    world: Drawn, z_s: NDArray[np.float64], *, time_limit_s: float, gap: float = 1e-4
) -> tuple[float, Result[Any, Any]]:
    """The certified bound of a world with penalties, less its luck, s; and the inner result."""
    instance, raised = penalised(world.instance, z_s)
    result = formulations.solve(instance, time_limit=time_limit_s, gap=gap)
    rounding = _ROUNDING_S * instance.n_tasks
    return result.bound - raised - rounding - world.luck_s, result
