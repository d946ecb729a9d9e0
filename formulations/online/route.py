"""Online bounds over the servers of an episode: [shared], [alone] with [tolls], or penalised."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from formulations.online import servers, tolls, values
from formulations.online.bound import OnlineBound, generated_by, versions
from formulations.online.penalties import route as penalties
from formulations.online.penalties.comllm import ComllmLaw
from formulations.online.tasks import System, system_of
from formulations.online.values import Grid, Tolls
from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance

#: Methods, the tightest one first; and their cells per slot.
SHARED, ALONE = "users-and-servers", "users-alone"
METHODS = (SHARED, ALONE, penalties.METHOD)
_GRIDS = {SHARED: Grid(128, 32), ALONE: Grid(256, 32)}
#: Independent solves, and tasks sampled for each stage of one.
REPLICATES, SAMPLES = 8, 61
#: Seconds for the certified bound of a world with penalties.
_WORLD_S = 5.0
#: Streams of random numbers: those of instances begin with 0, 1 and 2.
_STREAM, _WORLD_STREAM = 6, 9

RELAXED = {
    ALONE: (
        "no task waits at a server",
        "a task that would be late is dropped",
        "waits are rounded down to whole cells",
    ),
    SHARED: (
        "what happens at servers is known in advance",
        "tasks wait there in any order, and may be interrupted",
        "waits elsewhere are rounded down to whole cells",
    ),
}
#: In place of the first line of `ALONE` where servers have prices.
_TOLLED = "servers are full on average only"


def online_bound(
    instance: OffloadingInstance,
    *,
    method: str = SHARED,
    replicates: int = REPLICATES,
    samples: int = SAMPLES,
    grid: Grid | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OnlineBound:
    """Lower bound on the expected cost of every online rule over the servers of an episode.

    Only generator and servers of the instance count; its own tasks are not looked at.

    Parameters
    ----------
    instance : OffloadingInstance
        A COMLLM episode.
    method : str
        ``"users-and-servers"`` ([shared]), or ``"users-alone"`` ([alone], with [tolls] where they
        raise it), which is quicker and looks at no sampled world, or ``"penalised-options"``
        (`formulations.online.penalties`), the certified bound of sampled worlds with penalties.
    replicates : int
        Independent solves, at least two; each draws a world unless users are alone.
    samples : int
        Tasks sampled for every stage of a solve; sampled futures for penalised options. The bound
        is valid with any number.
    grid : Grid, optional
        Cells per slot; more of them raise the bound.
    seed : int
        Of the sampled tasks and worlds. They have streams of their own, so that no seed makes them
        those of an episode on which a rule is measured.
    on_progress : callable
        Told (replicates done, all).

    Raises
    ------
    ValueError
        If the instance has no generator, the method is unknown, or a number is out of range.
    """
    checks.known("method", method, METHODS)
    checks.whole("replicates", replicates, 2)
    checks.whole("samples", samples, 1)
    checks.check_seed(seed)
    if method == penalties.METHOD:
        return penalties.penalised_bound(
            ComllmLaw(instance),
            worlds=replicates,
            futures=samples,
            seed=seed,
            time_limit_s=_WORLD_S,
            on_progress=on_progress,
        )
    system, ghz = system_of(instance)
    meta = instance.meta
    bound = bound_of(
        system,
        method=method,
        replicates=replicates,
        samples=samples,
        grid=grid,
        entropy=(meta["seed"], seed),
        on_progress=on_progress,
    )
    provenance = {
        **bound.provenance,
        **generated_by(meta),
        "server_seed": meta["seed"],
        "server_ghz": ghz.tolist(),
        "seed": seed,
    }
    return replace(bound, slot_s=meta["slot_s"], provenance=provenance)


def bound_of(
    system: System,
    *,
    method: str = SHARED,
    replicates: int = REPLICATES,
    samples: int = SAMPLES,
    grid: Grid | None = None,
    entropy: tuple[int, ...] = (0,),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OnlineBound:
    """The same for any system of independent users; see `online_bound`.

    A finite distribution is taken as it is; users alone then have one figure and no sampling error.
    """
    begin = time.perf_counter()
    grid = grid or _GRIDS[method]
    relaxed, price, priced = RELAXED[method], np.zeros(system.servers), values.no_tolls(system)
    if method == ALONE:
        priced = tolls.find_tolls(system, entropy)
        price = priced.price
        if price.any():
            relaxed = (_TOLLED, *relaxed[1:])
    is_exact = system.is_finite and method == ALONE
    count = 1 if is_exact else replicates
    found, alone = np.empty(count), np.empty(count)
    on_progress(0, count)
    for r in range(count):
        alone[r], found[r] = _figures(system, method, samples, grid, priced, (*entropy, r))
        on_progress(r + 1, count)
    return OnlineBound(
        sample_slots=found,
        expected_tasks=system.expected_tasks,
        slot_s=1.0,
        method=method,
        worlds=0 if is_exact else count,
        seconds=time.perf_counter() - begin,
        relaxed=relaxed,
        provenance={
            "versions": versions(),
            "grid": [grid.uplink, grid.device],
            "samples": samples,
            "tolls": price.tolist(),
            "without_sharing_slots": alone.tolist(),
        },
    )


def _figures(
    system: System,
    method: str,
    samples: int,
    grid: Grid,
    priced: Tolls,
    entropy: tuple[int, ...],
) -> tuple[float, float]:
    """One independent figure by [alone] or [tolls], and what the method makes of it."""
    tasks = values.sampled(system, samples, np.random.default_rng([_STREAM, *entropy]))
    solved = values.solve(system, tasks, grid, priced, keep=method == SHARED)
    if method == ALONE:
        return solved.bound_slots, solved.bound_slots
    world = servers.draw_world(system, np.random.default_rng([_WORLD_STREAM, *entropy]))
    return solved.bound_slots, solved.bound_slots + servers.least_regret(solved, world)
