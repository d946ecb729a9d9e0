"""[world]: what pairs alone cost, plus what they must give up in a world to share its servers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from formulations.caching.blocks import Blocks, build
from formulations.caching.coupling import Coupling
from formulations.caching.oracle import LinkOracle, Pricer, RowOracle
from formulations.caching.pairs import read_plan
from formulations.dual.ascent import ascend
from formulations.online.caching import kernel
from formulations.online.caching.alone import Values
from formulations.online.caching.kernel import FIRST_BELIEF
from formulations.online.caching.system import System
from mecopt.caching.instance import CachingInstance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: First step of an ascent, in those of `formulations.caching.oracle`, and when it has halved.
_STEP, _PATIENCE = 0.5, 60.0


class LuckyPricer(Pricer):
    """Pair and slot blocks of a known world, with the luck of each state taken off.

    Parameters
    ----------
    blocks : Blocks
    luck : (Q, T, S) float64
        [luck] of the world.
    """

    def __init__(self, blocks: Blocks, luck: FloatArray) -> None:
        super().__init__(blocks)
        self._luck = luck

    def pairs(self, weight: FloatArray) -> tuple[FloatArray, IntArray]:
        """Values (Q,) of the plans of least cost less luck, and their choices (Q T,)."""
        b = self.blocks
        value = np.empty(len(b.switching))
        picked = np.empty(len(b.first) - 1, dtype=np.int64)
        table, off = self._tables[0], self._offs[0]
        for q in range(len(value)):
            value[q] = kernel.price_lucky(b, q, weight, self._luck[q], table, off)
            # The luck of a state is the same whatever is chosen in it.
            read_plan(b, q, weight, table, off, picked)
        return value, picked


@dataclass(frozen=True, eq=False)
class World:
    """What is known of one world: (N, P, T) requests and [luck] (Q, T, S) of every state."""

    instance: CachingInstance
    luck: FloatArray


def world_of(values: Values, requests: IntArray) -> World:
    """The world in which these requests (N, P, T) come."""
    rows = requests.reshape(-1, requests.shape[2])
    luck = np.empty((*rows.shape, values.tables.shape[3]))
    for q, row in enumerate(rows):
        table = values.tables[q]
        kernel.luck_of_pair(values.alone, values.paid, q, table, row, luck[q])
    return World(replace(values.system.instance, requests=requests), luck)


def least_cost(values: Values, world: World, evaluations: int) -> float:
    """[world]: lower bound on the least cost less luck of decisions in a world.

    Never below [alone] (but for rounding), where the ascent begins.
    """
    blocks = build(world.instance)
    pricer, coupling = LuckyPricer(blocks, world.luck), Coupling(blocks)
    rows, links = RowOracle(blocks, pricer, coupling), LinkOracle(blocks, pricer, coupling)
    start = np.concatenate([_charged(values, rows), values.prices.link[: len(coupling.capacity)]])
    rise = ascend(
        links,
        start,
        iterations=evaluations,
        step=_STEP * links.step,
        patience=_PATIENCE,
        lower=links.lower,
        upper=links.upper,
    )
    return rise.value


def _charged(values: Values, rows: RowOracle) -> FloatArray:
    """(choices,) what choices pay at the prices of the tables."""
    blocks, at = rows.blocks, values.prices
    served = np.arange(blocks.n_choices) - blocks.first[rows.place] - 1
    energy = at.energy.ravel()[rows.row] * rows.energy
    return np.where(served >= 0, at.hold.ravel()[rows.place], 0.0) + energy


def draw_requests(system: System, rng: np.random.Generator) -> IntArray:
    """(N, P, T) requests as the system draws them."""
    x = system.instance
    law = system.law
    # What the law leaves out comes after all that it knows.
    until = law.cumsum(axis=2)
    every = np.arange(len(law))
    burst = (rng.random(len(law)) < FIRST_BELIEF).astype(int)
    out = np.empty((len(law), x.n_slots), dtype=np.int64)
    for t in range(x.n_slots):
        out[:, t] = (rng.random((len(law), 1)) >= until[every, burst]).sum(axis=1)
        burst ^= rng.random(len(law)) < system.flip
    return out.reshape(x.n_servers, x.n_pairs, x.n_slots)
