"""[values] by backward recursion: what one user alone costs, with tables and loads on request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.online import kernel
from formulations.online.tasks import System, Tasks
from mecopt import checks


@dataclass(frozen=True)
class Grid:
    """Cells per slot, of the wait at the uplink and of the wait at the device."""

    uplink: int = 256
    device: int = 32

    def __post_init__(self) -> None:
        checks.whole("uplink", self.uplink, 1)
        checks.whole("device", self.device, 1)


@dataclass(frozen=True, eq=False)
class Tolls:
    """Prices of server time.

    Parameters
    ----------
    price : (J,) float64
        Slots of cost per slot of a server.
    since, until : float
        When tolls begin and end, slots; no work arrives before they begin.
    """

    price: NDArray[np.float64]
    since: float
    until: float

    @property
    def revenue(self) -> float:
        """What full servers would pay: the constant of [tolls]."""
        return float(self.price.sum()) * (self.until - self.since)


def no_tolls(system: System) -> Tolls:
    """Servers that cost nothing."""
    return Tolls(np.zeros(system.servers), 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Stage:
    """Tasks of a stage with cells counted, and without servers that another one beats."""

    tasks: Tasks
    local_cells: NDArray[np.int64]
    n_options: NDArray[np.int64]
    upload: NDArray[np.float64]
    upload_cells: NDArray[np.int64]
    compute: NDArray[np.float64]
    price: NDArray[np.float64]
    server: NDArray[np.int64]


def prepare(tasks: Tasks, price: NDArray[np.float64], grid: Grid) -> Stage:
    """Count cells, and move servers that another one beats behind those that matter.

    A server is beaten by one that is reached no later, ends no later, has no higher price and costs
    no more for this task: whatever the state, and whenever tolls end, it is no better.
    """
    up, end = tasks.upload, tasks.upload + tasks.compute
    cells = np.floor(up * grid.uplink).astype(np.int64)
    prices = np.broadcast_to(price, up.shape)
    keys = np.stack([up, end, prices, prices * tasks.compute])  # (4, N, J)
    no_worse = (keys[:, :, None, :] <= keys[:, :, :, None]).all(axis=0)  # [n, a, b]: b beats a
    equal = (keys[:, :, None, :] == keys[:, :, :, None]).all(axis=0)
    first = np.tri(up.shape[1], k=-1, dtype=bool)  # of equals the first one stays
    beaten = (no_worse & (~equal | first)).any(axis=2)
    order = np.argsort(beaten, axis=1, kind="stable")

    def sort(x: NDArray) -> NDArray:
        return np.ascontiguousarray(np.take_along_axis(x, order, axis=1))

    return Stage(
        tasks,
        np.floor(tasks.local * grid.device).astype(np.int64),
        (~beaten).sum(axis=1),
        sort(up),
        sort(cells),
        sort(tasks.compute),
        sort(prices),
        sort(np.broadcast_to(np.arange(up.shape[1]), up.shape)),
    )


def sampled(system: System, samples: int, rng: np.random.Generator) -> list[Tasks]:
    """Tasks of every stage, drawn anew for each."""
    return [system.draw(samples, rng) for _ in range(system.slots)]


@dataclass(frozen=True, eq=False)
class Values:
    """Tables of [values].

    Parameters
    ----------
    tables : (T + 1, n, q) float64
        V_t for t = 0, ..., T; without keeping them only V_0.
    stages : list of Stage
    """

    system: System
    grid: Grid
    tolls: Tolls
    tables: NDArray[np.float64]
    stages: list[Stage]

    @property
    def cost_slots(self) -> float:
        """V_0 of empty queues, one user."""
        return float(self.tables[0, 0, 0])

    @property
    def bound_slots(self) -> float:
        """[tolls], or [alone] where they are zero."""
        return self.system.users * self.cost_slots - self.tolls.revenue

    def after(self, t: int) -> NDArray[np.float64]:
        """V_(t+1) read before slot t has passed, wide enough for every option of stage t."""
        return _after(self.tables[t + 1], self.stages[t], self.grid)


def _after(value: NDArray[np.float64], stage: Stage, grid: Grid) -> NDArray[np.float64]:
    n, q = value.shape
    wide = np.empty((n + int(stage.upload_cells.max()) + 1, q + int(stage.local_cells.max()) + 1))
    kernel.shift(value, wide, grid.uplink, grid.device)
    return wide


def solve(
    system: System,
    tasks: list[Tasks],
    grid: Grid,
    tolls: Tolls | None = None,
    *,
    keep: bool = False,
) -> Values:
    """Work [values] backwards through the given tasks of each stage."""
    tolls = no_tolls(system) if tolls is None else tolls
    longest = system.deadline_slots - 1
    shape = (int(longest * grid.uplink) + 1, int(longest * grid.device) + 1)
    tables = np.zeros((system.slots + 1 if keep else 2, *shape))
    stages = []
    for t in reversed(range(system.slots)):
        stage = prepare(tasks[t], tolls.price, grid)
        later, now = (t + 1, t) if keep else ((t + 1) % 2, t % 2)
        step = _step(system, grid, tolls, stage, t)
        kernel.back(_after(tables[later], stage, grid), tables[now], step)
        if keep:
            stages.append(stage)
    return Values(system, grid, tolls, tables if keep else tables[:1], stages[::-1])


def _step(system: System, grid: Grid, tolls: Tolls, stage: Stage, t: int) -> kernel.Step:
    """A slot of a system as the kernels read it."""
    return kernel.Step(
        grid.uplink, grid.device, system.arrival_probability, stage.tasks.weight,
        stage.tasks.local, stage.local_cells, stage.n_options, stage.upload, stage.upload_cells,
        stage.compute, stage.price, stage.server, tolls.until - t, system.drop_cost_slots,
        system.deadline_slots,
    )  # fmt: skip


def loads(values: Values) -> NDArray[np.float64]:
    """(J,) expected slots of each server, within tolls, that one user pays for.

    Moves the probability of states forward through the best decisions.

    Raises
    ------
    ValueError
        If the tables were not kept.
    """
    system, grid, tolls = values.system, values.grid, values.tolls
    if len(values.tables) <= system.slots:
        raise ValueError("values: their tables were not kept")
    mass = np.zeros(values.tables.shape[1:])
    mass[0, 0] = 1.0
    load = np.zeros(system.servers)
    for t, stage in enumerate(values.stages):
        out = np.zeros_like(mass)
        step = _step(system, grid, tolls, stage, t)
        kernel.forward(mass, values.after(t), out, step, load)
        mass = out
    return load
