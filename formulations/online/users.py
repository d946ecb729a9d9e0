"""[alone], [samples] and [tolls]: the bound of users alone, seconds per draw of servers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from formulations.online import values
from formulations.online.bound import OnlineBound
from formulations.online.tasks import System, system_of
from formulations.online.values import Grid, Tolls
from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance

#: Independent solves, and tasks sampled for each stage of one.
REPLICATES, SAMPLES = 8, 61
#: Coarse tables on which tolls are found, tasks of a stage there, and steps of the ascent.
_COARSE, _COARSE_SAMPLES, _STEPS = Grid(8, 4), 31, 30
#: First step of the ascent, in slots of cost per slot of a server.
_FIRST_STEP = 0.5
#: Streams of random numbers, apart from those of instances (which begin with 0, 1 and 2).
_REPLICATE_STREAM, _TOLL_STREAM = 6, 7

RELAXED = (
    "no task waits at a server",
    "a task that would be late is dropped",
    "waits are rounded down to whole cells",
)


def online_bound(
    instance: OffloadingInstance,
    *,
    replicates: int = REPLICATES,
    samples: int = SAMPLES,
    grid: Grid | None = None,
    with_tolls: bool = True,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OnlineBound:
    """Lower bound on the expected cost of every online rule over the servers of an episode.

    Only generator and servers of the instance count; its own tasks are not looked at.

    Parameters
    ----------
    instance : OffloadingInstance
        A COMLLM episode.
    replicates : int
        Independent solves, at least two.
    samples : int
        Tasks sampled for every stage of a solve. The bound is valid with any number.
    grid : Grid, optional
        Cells per slot; more of them raise the bound.
    with_tolls : bool
        Whether prices of server time are looked for; they are used where they raise the bound.
    seed : int
        Of the sampled tasks. They have streams of their own, so that no seed makes them those of
        an episode on which a rule is measured.
    on_progress : callable
        Told (replicates done, all).

    Raises
    ------
    ValueError
        If the instance has no generator, or a number is out of range.
    """
    checks.whole("replicates", replicates, 2)
    checks.whole("samples", samples, 1)
    checks.check_seed(seed)
    system, ghz = system_of(instance)
    meta = instance.meta
    bound = bound_of(
        system,
        replicates=replicates,
        samples=samples,
        grid=grid or Grid(),
        with_tolls=with_tolls,
        entropy=(meta["seed"], seed),
        on_progress=on_progress,
        slot_s=meta["slot_s"],
    )
    provenance = {
        **bound.provenance,
        "scenario": meta["scenario"],
        "preset": meta["preset"],
        "parameters": dict(meta["parameters"]),
        "server_seed": meta["seed"],
        "server_ghz": ghz.tolist(),
        "seed": seed,
    }
    body = {name: getattr(bound, name) for name in OnlineBound.saved_fields()}
    return OnlineBound(**body | {"provenance": provenance})


def bound_of(
    system: System,
    *,
    replicates: int = REPLICATES,
    samples: int = SAMPLES,
    grid: Grid | None = None,
    with_tolls: bool = True,
    entropy: tuple[int, ...] = (0,),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    slot_s: float = 1.0,
) -> OnlineBound:
    """The same for any system of independent users; see `online_bound`.

    A finite distribution is taken as it is: one figure, no sampling error.
    """
    begin = time.perf_counter()
    grid = grid or Grid()
    tolls = find_tolls(system, entropy) if with_tolls else values.no_tolls(system)
    count = 1 if system.is_finite else replicates
    found = np.empty(count)
    on_progress(0, count)
    for r in range(count):
        rng = np.random.default_rng([_REPLICATE_STREAM, *entropy, r])
        tasks = values.sampled(system, samples, rng)
        found[r] = values.solve(system, tasks, grid, tolls).bound_slots
        on_progress(r + 1, count)
    relaxed = RELAXED
    if tolls.price.any():
        relaxed = ("servers are full on average only", *RELAXED[1:])
    return OnlineBound(
        sample_slots=found,
        expected_tasks=system.expected_tasks,
        slot_s=slot_s,
        method="users-alone",
        worlds=0 if system.is_finite else count,
        seconds=time.perf_counter() - begin,
        relaxed=relaxed,
        provenance={
            "grid": [grid.uplink, grid.device],
            "samples": samples,
            "tolls": tolls.price.tolist(),
        },
    )


def find_tolls(system: System, entropy: tuple[int, ...]) -> Tolls:
    """Prices of server time by a subgradient ascent of [tolls] on coarse tables.

    Any prices give a valid bound, so the coarse tables cost tightness at most. Zero unless they
    raise the bound there.
    """
    rng = np.random.default_rng([_TOLL_STREAM, *entropy])
    tasks = values.sampled(system, _COARSE_SAMPLES, rng)
    until = float(system.slots)
    since = min(until, max(0.0, system.least_upload_slots))
    price = np.zeros(system.servers)
    best, best_bound = price, -np.inf
    for step in range(_STEPS):
        tolls = Tolls(price, since, until)
        solved = values.solve(system, tasks, _COARSE, tolls, keep=True)
        if solved.bound_slots > best_bound:
            best, best_bound = price, solved.bound_slots
        rise = system.users * values.loads(solved) / max(until - since, 1e-9) - 1.0
        if not (rise > 0).any() and not price.any():
            break  # no server is full: no price can help
        price = _step(price, rise, step)
    return Tolls(best, since, until)


def _step(price: NDArray[np.float64], rise: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """One step along the supergradient, shorter and shorter, prices kept at zero or above."""
    return np.maximum(0.0, price + _FIRST_STEP / (1 + step / 5) * rise)
