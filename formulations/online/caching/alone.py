"""[alone]: pairs behind prices of memory, energy and a shared link, raised by ascent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.dual.ascent import ascend
from formulations.online.caching import kernel
from formulations.online.caching.kernel import FIRST_BELIEF, Alone, Paid
from formulations.online.caching.memory import Memory
from formulations.online.caching.system import System
from mecopt.caching.coupling import Backhaul

FloatArray = NDArray[np.float64]

#: First step of a price (cost per whole server and slot), and after how many it has halved.
_STEP, _PATIENCE = 0.5, 50.0


@dataclass(frozen=True, eq=False)
class Prices:
    """Prices that do not depend on requests, all >= 0.

    Parameters
    ----------
    hold : (Q, T) float64
        Cost of being resident in a slot, for each pair at each server.
    energy : (N, T) float64
        Cost of all the energy of a server in a slot.
    link : (T,) float64
        Cost per token to the cloud, at most the overflow cost; zeros without a backhaul.
    """

    hold: FloatArray
    energy: FloatArray
    link: FloatArray


@dataclass(frozen=True, eq=False)
class Values:
    """Pairs alone at some prices: tables and the bound that they give.

    Parameters
    ----------
    system : System
    alone : Alone
    prices : Prices
    paid : Paid
    tables : (Q, T + 1, G, S) float64
        [values] of each pair at each server; a state is an age of thoughts, or the last: not
        resident.
    bound : float
        [alone].
    points : int
        Beliefs that were asked for.
    """

    system: System
    alone: Alone
    prices: Prices
    paid: Paid
    tables: FloatArray
    bound: float
    points: int


@dataclass(frozen=True, eq=False)
class _Evaluation:
    value: FloatArray
    usage: FloatArray


class Pairs:
    """All pairs of a system behind prices: an oracle for `formulations.dual.ascent`.

    Rows: residency of each pair at each server (Q T), energy as shares of the server (N T), and
    tokens of a backhaul (T).

    Parameters
    ----------
    system : System
    points : int
        Beliefs that are tabulated, at least 2.
    """

    def __init__(self, system: System, points: int) -> None:
        x = system.instance
        self.system, self.alone = system, kernel.alone_of(system, points)
        self._points = points
        self.shape = x.n_servers, x.n_pairs, x.n_slots
        self._memory = Memory(x)
        self._link = x.coupling if isinstance(x.coupling, Backhaul) else None
        n, pairs, slots = self.shape
        holds, energies = n * pairs * slots, n * slots
        self._cuts = [holds, holds + energies]
        share = x.memory_mb / np.maximum(x.capacity_mb, 1)[:, None]
        self.step = np.append(np.repeat(_STEP * share, slots), np.full(energies, _STEP))
        # What slots do not use is known once they are asked: see `dual_value`.
        self.capacity = np.append(np.zeros(holds), np.ones(energies))
        self.upper = np.full(holds + energies, np.inf)
        if self._link is not None:
            self.capacity = np.append(self.capacity, self._link.capacity)
            self.upper = np.append(self.upper, np.full(slots, self._link.overflow_cost))
            self.step = np.append(self.step, np.full(slots, 0.2 * self._link.overflow_cost))
        # Servers without energy serve nothing: no price is needed.
        self._energy = x.energy_10j / np.maximum(x.energy_budget_10j, 1)[:, None]

    def prices_of(self, flat: FloatArray) -> Prices:
        """Prices by name."""
        n, pairs, slots = self.shape
        hold, energy, link = np.split(flat, self._cuts)
        link = link if self._link is not None else np.zeros(slots)
        return Prices(hold.reshape(n * pairs, slots).copy(), energy.reshape(n, slots).copy(), link)

    def paid(self, prices: Prices) -> Paid:
        """What pairs pay at prices."""
        n, pairs, slots = self.shape
        tokens = np.zeros(pairs) if self._link is None else self._link.tokens
        x = self.system.instance
        each = self.alone.serve.reshape(n, pairs, 1) + (
            self._energy[:, :, None] * prices.energy[:, None, :]
        )
        cloud = x.cloud_cost[:, None] + tokens[:, None] * prices.link
        rows = (n * pairs, slots)
        cloud = np.broadcast_to(cloud, self.shape).reshape(rows)
        return Paid(prices.hold, each.reshape(rows), np.ascontiguousarray(cloud))

    def price(self, flat: FloatArray) -> _Evaluation:
        """Values of pairs and slots at prices, and what their best rules use in expectation."""
        n, pairs, slots = self.shape
        prices = self.prices_of(flat)
        alone, paid = self.alone, self.paid(prices)
        states = alone.accuracy.shape[1] + 1
        points, many = len(alone.points), alone.law.shape[2]
        table = np.empty((slots + 1, points, states))
        choice = np.full((slots, points, many, states), -1, dtype=np.int16)
        value = np.empty(n * pairs)
        resident, served, clouded = np.zeros((3, n * pairs, slots))
        for q in range(n * pairs):
            kernel.solve_pair(alone, paid, q, table, choice)
            value[q] = table[0, self._first, states - 1]
            kernel.use_pair(alone, q, choice, self._first, resident[q], served[q], clouded[q])
        worth, chosen = self._memory.most(prices.hold)
        energy = np.einsum("np,npt->nt", self._energy, served.reshape(self.shape))
        used = [(resident - chosen).ravel(), energy.ravel()]
        if self._link is not None:
            used.append(np.einsum("p,npt->t", self._link.tokens, clouded.reshape(self.shape)))
        return _Evaluation(np.append(value, -worth.ravel()), np.concatenate(used))

    def dual_value(self, flat: FloatArray, priced: _Evaluation) -> float:
        """[alone] at prices."""
        return float(priced.value.sum() - flat @ self.capacity)

    @property
    def _first(self) -> int:
        """The belief that an episode begins with."""
        return int(np.searchsorted(self.alone.points, FIRST_BELIEF))

    def tables(self, prices: Prices) -> Values:
        """The tables at prices, kept."""
        n, pairs, slots = self.shape
        alone, paid = self.alone, self.paid(prices)
        states = alone.accuracy.shape[1] + 1
        tables = np.empty((n * pairs, slots + 1, len(alone.points), states))
        nothing = np.empty((slots, len(alone.points), 0, states), dtype=np.int16)
        for q in range(n * pairs):
            kernel.solve_pair(alone, paid, q, tables[q], nothing)
        bound = tables[:, 0, self._first, -1].sum() - self._memory.most(prices.hold)[0].sum()
        bound -= prices.energy.sum()
        if self._link is not None:
            bound -= prices.link @ self._link.capacity
        return Values(self.system, alone, prices, paid, tables, float(bound), self._points)


def solve(
    system: System,
    *,
    points: int,
    ascent_points: int,
    evaluations: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Values:
    """Tables at the best prices that an ascent with fewer beliefs finds.

    Parameters
    ----------
    system : System
    points, ascent_points : int
        Beliefs tabulated for the bound, and while prices are looked for.
    evaluations : int
        Of the ascent, at least 1.
    on_progress : callable
        Told (evaluations done, all).
    """
    pairs = Pairs(system, ascent_points)

    def watch(t: int, best: float, priced: _Evaluation) -> bool:
        on_progress(t + 1, evaluations)
        return False

    rise = ascend(
        pairs,
        np.zeros(len(pairs.capacity)),
        iterations=evaluations,
        step=pairs.step,
        patience=_PATIENCE,
        upper=pairs.upper,
        watch=watch,
    )
    return Pairs(system, points).tables(pairs.prices_of(rise.prices))
