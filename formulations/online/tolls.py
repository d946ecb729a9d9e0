"""Prices of server time for [tolls]: an ascent on coarse tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from formulations.online import values
from formulations.online.tasks import System
from formulations.online.values import Grid, Tolls

#: Coarse tables, tasks of a stage there, and steps of the ascent.
_COARSE, _SAMPLES, _STEPS = Grid(8, 4), 31, 30
#: First step of the ascent, in slots of cost per slot of a server.
_FIRST_STEP = 0.5
#: Stream of random numbers.
_STREAM = 7


def find_tolls(system: System, entropy: tuple[int, ...]) -> Tolls:
    """Prices of server time by a subgradient ascent of [tolls] on coarse tables.

    Any prices give a valid bound, so the coarse tables cost tightness at most. Zero unless they
    raise the bound there.
    """
    rng = np.random.default_rng([_STREAM, *entropy])
    tasks = values.sampled(system, _SAMPLES, rng)
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
