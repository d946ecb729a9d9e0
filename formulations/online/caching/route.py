"""Online bounds of caching by either route: [alone], or [world]."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from formulations.online.bound import COST, OnlineBound, generated_by, versions
from formulations.online.caching import alone, worlds
from formulations.online.caching.alone import Pairs, Prices, Values
from formulations.online.caching.system import System, system_of
from mecopt import checks
from mecopt.caching.instance import CachingInstance

#: Methods, the tighter one first.
SHARED, ALONE = "pairs-and-servers", "pairs-alone"
METHODS = (SHARED, ALONE)
#: Sampled worlds; beliefs tabulated for the bound, and while prices are looked for.
WORLDS, POINTS, ASCENT_POINTS = 8, 9, 3
#: Evaluations of the ascent on prices, and of that in every world.
EVALUATIONS, WORLD_EVALUATIONS = 40, 200
#: What prices of residency are multiplied with before worlds are looked at. Servers are fuller at
#: times than their mean use says; tuned on seed 0 of `ten`.
CROWDING = 1.25
#: Stream of random numbers of worlds; those of instances begin with 0 to 3.
_STREAM = 11

RELAXED = {
    ALONE: (
        "memory, energy and shared links hold on average over requests",
        "beliefs between two tabulated ones are replaced by a coin that tells more",
    ),
    SHARED: (
        "the requests of a world are known in advance, but luck is taken off",
        "memory and energy hold by prices of the world",
        "beliefs between two tabulated ones are replaced by a coin that tells more",
    ),
}


def online_bound(
    instance: CachingInstance,
    *,
    method: str = SHARED,
    replicates: int = WORLDS,
    points: int = POINTS,
    evaluations: int = EVALUATIONS,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OnlineBound:
    """Lower bound on the expected cost of every online rule of an episode's system.

    Only pairs, servers and the law of requests count; the instance's own are not looked at.

    Parameters
    ----------
    instance : CachingInstance
        An episode of `mecopt.caching.scenarios.t2drl`.
    method : str
        ``"pairs-and-servers"`` ([world]), or ``"pairs-alone"`` ([alone]), which is much lower
        where memory is short, and looks at no sampled world.
    replicates : int
        Sampled worlds of the first method, at least two.
    points : int
        Beliefs tabulated, at least 2. The bound is valid with any number.
    evaluations : int
        Of the ascent on prices, at least 1.
    seed : int
        Of the sampled worlds. They have a stream of their own, so that no seed makes them an
        episode on which a rule is measured.
    on_progress : callable
        Told (steps done, all).

    Returns
    -------
    OnlineBound
        In units of cost per episode.

    Raises
    ------
    ValueError
        If the instance has no generator, servers forward requests, the method is unknown, or a
        number is out of range.
    """
    checks.check_seed(seed)
    system, meta = system_of(instance), instance.meta
    found = bound_of(
        system,
        method=method,
        replicates=replicates,
        points=points,
        evaluations=evaluations,
        entropy=(meta["seed"], seed),
        on_progress=on_progress,
    )
    provenance = {
        **found.provenance,
        **generated_by(meta),
        "system_seed": meta["seed"],
        "seed": seed,
    }
    return replace(found, provenance=provenance)


def bound_of(
    system: System,
    *,
    method: str = SHARED,
    replicates: int = WORLDS,
    points: int = POINTS,
    evaluations: int = EVALUATIONS,
    entropy: tuple[int, ...] = (0,),
    values: Values | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OnlineBound:
    """The same for any system; see `online_bound`. `values` are tables that are there already."""
    checks.known("method", method, METHODS)
    checks.whole("replicates", replicates, 2)
    checks.whole("points", points, 2)
    checks.whole("evaluations", evaluations, 1)
    begin = time.perf_counter()
    count = 0 if method == ALONE else replicates
    steps = evaluations + count

    def ascended(done: int, total: int) -> None:
        on_progress(done, steps)

    if values is None:
        values = tables_of(
            system, points=points, evaluations=evaluations, method=method, on_progress=ascended
        )
    figures = [values.bound]
    if method == SHARED:
        figures = []
        for r in range(count):
            figures.append(_figure(values, (*entropy, r)))
            on_progress(evaluations + r + 1, steps)
    return OnlineBound(
        sample_slots=np.array(figures),
        expected_tasks=system.expected_requests,
        slot_s=1.0,
        method=method,
        worlds=count,
        seconds=time.perf_counter() - begin,
        relaxed=RELAXED[method],
        provenance={
            "versions": versions(),
            "points": values.points,
            "evaluations": evaluations,
            "pairs_alone": values.bound,
            "mean_residency_price": float(values.prices.hold.mean()),
        },
        unit=COST,
    )


def tables_of(
    system: System,
    *,
    points: int = POINTS,
    evaluations: int = EVALUATIONS,
    method: str = SHARED,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Values:
    """Tables of [values] at good prices; for worlds and rules those of residency are raised."""
    found = alone.solve(
        system,
        points=points,
        ascent_points=min(points, ASCENT_POINTS),
        evaluations=evaluations,
        on_progress=on_progress,
    )
    return found if method == ALONE else crowded(found)


def crowded(values: Values) -> Values:
    """Tables at the same prices, but for those of residency, which are raised by `CROWDING`."""
    at, points = values.prices, values.points
    return Pairs(values.system, points).tables(Prices(CROWDING * at.hold, at.energy, at.link))


def world_requests(system: System, entropy: tuple[int, ...]) -> NDArray[np.int64]:
    """(N, P, T) requests of the sampled world of some entropy."""
    return worlds.draw_requests(system, np.random.default_rng([_STREAM, *entropy]))


def _figure(values: Values, entropy: tuple[int, ...]) -> float:
    """[world] of one sampled world."""
    world = worlds.world_of(values, world_requests(values.system, entropy))
    return worlds.least_cost(values, world, WORLD_EVALUATIONS)
