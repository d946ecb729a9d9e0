r"""The Lagrangian of caching: pair blocks, slot blocks, and the prices between them.

Two relaxations, both for the shared engine (`formulations.dual.ascent`). With
:math:`z_{qtc} \in \{0,1\}` for "pair q makes choice c in slot t" (off, or resident with x requests
served):

**Rows** prices memory and energy; pair blocks (`pairs`) are all that is left:

.. math::

    L(\lambda) = \sum_q \min_{plan} \Big[ cost
    + \sum_t (\lambda^m_{nt} m_q a + \lambda^e_{nt} e_q x) \Big]
    - \sum_{nt} (\lambda^m_{nt} M_n + \lambda^e_{nt} E_n).

Its prices are those of the result, and where the second starts. **Links** gives memory and energy
to slot blocks (`slots`), which decide copies :math:`\bar z` of the choices, and prices

.. math::

    z_{qtc} = \bar z_{qtc}\ \forall q, t, c\ \text{[link]}, \qquad
    L(\mu) = \sum_q \min_{plan} [cost + \mu z] + \sum_{nt} \min_{fits\ M_n, E_n} [-\mu \bar z].

A price per choice, not per unit of x, makes the bound that of the convex hull of each slot. What
couples servers is priced in both:

* backhaul: tokens above the link's capacity cost at most the overflow cost, so a price
  :math:`0 \le \pi_t \le c` per token to the cloud [link capacity] is free of further conditions;
* forwarding: requests of a cell taken by all servers are at most those born [births], price
  :math:`\pi_{qt} \ge 0`; a pair takes the cheapest first, its own or a neighbour's plus the hop.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.caching.blocks import Blocks, choice_places
from formulations.caching.coupling import Coupling
from formulations.caching.pairs import price_pair, read_plan
from formulations.caching.slots import price_slots, slot_work

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Slots that are priced between two looks at the clock: a hard one takes some milliseconds.
_CHUNK = 20


@dataclass(frozen=True, eq=False)
class CachingEvaluation:
    """Block values, usage of every row, and the choices of pair and slot blocks (Q T,)."""

    value: FloatArray
    usage: FloatArray
    plans: IntArray
    slots: IntArray | None = None


class Pricer:
    """Pair and slot blocks of all servers, two servers at a time.

    Attributes
    ----------
    until : float
        `time.perf_counter` value after which slot blocks are bounded, not solved.
    took : float
        Seconds that the slot blocks took last.
    hurried : bool
        Whether some were bounded then.
    """

    def __init__(self, blocks: Blocks, threads: int = 1) -> None:
        self.blocks = blocks
        states, slots = blocks.accuracy.shape[1], blocks.n_slots
        servers = range(blocks.n_servers)
        self._tables = [np.zeros((slots + 1, states)) for _ in servers]
        self._offs = [np.zeros(slots + 1) for _ in servers]
        self._works = [slot_work(blocks) for _ in servers]
        self._pool = ThreadPoolExecutor(threads) if threads > 1 and len(servers) > 1 else None
        self.levels = self._works[0].level
        self.capacity_levels = self._works[0].levels
        self.energy_price = np.zeros((blocks.n_servers, slots))
        self.fitting = np.zeros(len(blocks.first) - 1, dtype=np.int64)
        self.until, self.took, self.hurried = np.inf, 0.0, False

    def _each(self, task) -> None:  # type: ignore[no-untyped-def]
        if self._pool is None:
            for n in range(self.blocks.n_servers):
                task(n)
        else:
            list(self._pool.map(task, range(self.blocks.n_servers)))

    def pairs(self, weight: FloatArray) -> tuple[FloatArray, IntArray]:
        """Values (Q,) and choices (Q T,) of the cheapest plans."""
        b = self.blocks
        value = np.empty(len(b.switching))
        picked = np.empty(len(b.first) - 1, dtype=np.int64)
        self._each(
            lambda n: _price_server(b, n, weight, value, picked, self._tables[n], self._offs[n])
        )
        return value, picked

    def slots(self, cost: FloatArray) -> tuple[FloatArray, IntArray]:
        """Values (N T,) and choices (Q T,) of the cheapest slots within memory and energy.

        After `until` the values are lower bounds, and the choices fit.
        """
        b = self.blocks
        value = np.empty((b.n_servers, b.n_slots))
        start = time.perf_counter()
        self.hurried = False

        def price(n: int) -> None:
            where = self.energy_price[n], self.fitting, value[n], self._works[n]
            for begin in range(0, b.n_slots, _CHUNK):
                hurry = time.perf_counter() > self.until
                self.hurried |= hurry
                end = min(begin + _CHUNK, b.n_slots)
                price_slots(b, n, begin, end, cost, *where, hurry)

        self._each(price)
        self.took = time.perf_counter() - start
        return value.ravel(), self.fitting.copy()


class RowOracle:
    """Prices on memory, energy (N T each) and what couples servers."""

    def __init__(self, blocks: Blocks, pricer: Pricer, coupling: Coupling) -> None:
        self.blocks, self.pricer, self.coupling = blocks, pricer, coupling
        slots = blocks.n_slots
        self.place, served = choice_places(blocks)
        pair = self.place // slots
        self.row = pair // blocks.n_pairs * slots + self.place % slots
        # In shares of the server, so that prices have the size of costs.
        capacity = np.maximum(blocks.memory_capacity, 1)[pair // blocks.n_pairs]
        budget = np.maximum(blocks.energy_budget, 1)[pair // blocks.n_pairs]
        self.memory = np.where(served >= 0, blocks.memory[pair] / capacity, 0.0)
        self.energy = np.maximum(served, 0) * blocks.energy[pair] / budget
        self.n_rows = blocks.n_servers * slots
        share = np.ones(2 * self.n_rows)
        share[: self.n_rows] = np.repeat(blocks.memory_capacity > 0, slots)
        share[self.n_rows :] = np.repeat(blocks.energy_budget > 0, slots)
        self.capacity = np.concatenate([share, coupling.capacity])
        self.upper = np.concatenate([np.full(2 * self.n_rows, np.inf), coupling.upper])
        self.step = np.concatenate([np.full(2 * self.n_rows, 3.0), coupling.step])
        self.start = np.concatenate([np.zeros(2 * self.n_rows), coupling.start])

    def charge(self, prices: FloatArray) -> FloatArray:
        """(choices,) what a choice pays for memory and energy."""
        memory, energy = prices[: self.n_rows], prices[self.n_rows : 2 * self.n_rows]
        return memory[self.row] * self.memory + energy[self.row] * self.energy

    def price(self, prices: FloatArray) -> CachingEvaluation:
        """Cheapest plans under prices (rows,)."""
        weight = self.blocks.cost + self.charge(prices)
        coupled = prices[2 * self.n_rows :]
        self.coupling.pay(coupled, weight)
        value, picked = self.pricer.pairs(weight)
        chosen = self.blocks.first[:-1] + picked
        memory = np.bincount(self.row[chosen], self.memory[chosen], self.n_rows)
        energy = np.bincount(self.row[chosen], self.energy[chosen], self.n_rows)
        usage = np.concatenate([memory, energy, self.coupling.use(coupled, picked)])
        return CachingEvaluation(value, usage, picked)

    def dual_value(self, prices: FloatArray, priced: CachingEvaluation) -> float:
        """Value of the Lagrangian: a lower bound on every schedule."""
        return float(priced.value.sum() - prices @ self.capacity)


class LinkOracle:
    """Prices on the copies of every choice, and on what couples servers."""

    def __init__(self, blocks: Blocks, pricer: Pricer, coupling: Coupling) -> None:
        self.blocks, self.pricer, self.coupling = blocks, pricer, coupling
        n = blocks.n_choices
        self.capacity = np.concatenate([np.zeros(n), coupling.capacity])
        self.lower = np.concatenate([np.full(n, -np.inf), np.zeros(len(coupling.capacity))])
        self.upper = np.concatenate([np.full(n, np.inf), coupling.upper])
        self.step = np.concatenate([np.full(n, 0.2), coupling.step])

    def weights(self, prices: FloatArray) -> FloatArray:
        """(choices,) what choices cost pair blocks."""
        n = self.blocks.n_choices
        weight = self.blocks.cost + prices[:n]
        self.coupling.pay(prices[n:], weight)
        return weight

    def price(self, prices: FloatArray) -> CachingEvaluation:
        """Cheapest plans and slots under prices (choices + coupling rows,)."""
        n, b = self.blocks.n_choices, self.blocks
        value, plans = self.pricer.pairs(self.weights(prices))
        slot_value, fitting = self.pricer.slots(-prices[:n])
        usage = np.zeros(len(prices))
        _differ(b.first, plans, fitting, usage)
        usage[n:] = self.coupling.use(prices[n:], plans)
        return CachingEvaluation(np.concatenate([value, slot_value]), usage, plans, fitting)

    def dual_value(self, prices: FloatArray, priced: CachingEvaluation) -> float:
        """Value of the Lagrangian: a lower bound on every schedule."""
        n = self.blocks.n_choices
        return float(priced.value.sum() - prices[n:] @ self.capacity[n:])


class RestrictedOracle(LinkOracle):
    """A `LinkOracle` with choices that plans must not make; their prices stay as they are.

    The value bounds schedules without those choices alone. Slot blocks are not restricted: the
    price of what is out is kept so low that they do not want it either.
    """

    def __init__(self, blocks: Blocks, pricer: Pricer, coupling: Coupling) -> None:
        super().__init__(blocks, pricer, coupling)
        self.step = self.step.copy()
        self.out = np.zeros(blocks.n_choices, dtype=np.bool_)
        #: A price no choice is worth.
        self.far = 100.0 * max(float(blocks.cost[blocks.first[:-1]].mean()), 1e-9)

    def ban(self, choices: IntArray, prices: FloatArray) -> None:
        """Put choices out, and their prices out of reach (in place)."""
        self.out[choices] = True
        self.step[choices] = 0.0
        prices[choices] = -self.far

    def weights(self, prices: FloatArray) -> FloatArray:
        """(choices,) infinite for what is out."""
        weight = super().weights(prices)
        weight[self.out] = np.inf
        return weight


@njit(cache=True, nogil=True)
def _price_server(blocks, n, weight, value, picked, table, off):
    for q in range(n * blocks.n_pairs, (n + 1) * blocks.n_pairs):
        value[q] = price_pair(blocks, q, weight, table, off)
        read_plan(blocks, q, weight, table, off, picked)


@njit(cache=True, nogil=True)
def _differ(first, plans, fitting, usage):
    """Usage of links: +1 where the pair chooses, -1 where the slot does."""
    for i in range(len(plans)):
        if plans[i] != fitting[i]:
            usage[first[i] + plans[i]] += 1.0
            usage[first[i] + fitting[i]] -= 1.0
