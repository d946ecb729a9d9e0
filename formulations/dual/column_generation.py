r"""Stabilised column generation: the master problem of the plan decomposition, in HiGHS.

The dual ascent gets close to the best prices fast but has no proof of optimality and leaves a
zigzag in the last digits. This module solves the restricted master over the plans seen so far,

.. math::

    \min \sum_p c_p y_p + \sum_i (h_i u_i - l_i v_i)
    \ \text{s.t.}\ \sum_{p \in P_b} y_p = 1\ \text{[convexity]},\quad
    \sum_p a_{pi} y_p - u_i + v_i \le C_i\ \text{[capacity]},\quad y, u, v \ge 0,

whose duals on *capacity* are confined to the box [l, h] around the best prices (boxstep; Marsten,
Hogan, Blankenship 1975). New prices are evaluated by the oracle; a better Lagrangian value moves
the box, a failure shrinks it. When the master's value meets the Lagrangian value and no dual sits
on the box, the prices are optimal for the relaxation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Generic, Protocol

import highspy
import numpy as np
from numpy.typing import NDArray

from formulations import highs
from formulations.dual.ascent import DualOracle, E
from formulations.dual.stopping import OutOfTime


class PlanOracle(DualOracle[E], Protocol[E]):
    """A dual oracle that can tell the plans apart. Units make the LP's numbers of order one."""

    cost_unit: float  # family cost units per LP cost unit
    row_unit: float  # family usage units per LP usage unit

    def plan_usage(self, priced: E) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]: ...


@dataclass(frozen=True, eq=False)
class Polished:
    """Best prices (rows,), their Lagrangian value, the master's value, and the LP solves."""

    prices: NDArray[np.float64]
    value: float
    master: float
    rounds: int


@dataclass(frozen=True, eq=False)
class _Column:
    """One plan of one block: cost and usage per row, in LP units."""

    block: int
    cost: float
    rows: NDArray[np.int64]
    share: NDArray[np.float64]


class _Master(Generic[E]):
    """The restricted master over a growing set of plans."""

    def __init__(self, oracle: PlanOracle[E]) -> None:
        self.oracle = oracle
        self.n_rows = len(oracle.capacity)
        self.n_blocks = 0
        self.columns: list[_Column] = []
        self._known: set[tuple[int, bytes, bytes]] = set()

    def add(self, prices: NDArray[np.float64], priced: E) -> int:
        """Take the plans of an evaluation in; returns how many were new."""
        new = 0
        self.n_blocks = len(priced.value)
        for b, (rows, usage) in enumerate(self.oracle.plan_usage(priced)):
            if not np.isfinite(priced.value[b]):
                continue
            key = (b, rows.tobytes(), usage.tobytes())
            if key in self._known:
                continue
            self._known.add(key)
            cost = (priced.value[b] - prices[rows] @ usage) / self.oracle.cost_unit
            self.columns.append(_Column(b, cost, rows, usage / self.oracle.row_unit))
            new += 1
        return new

    def solve(
        self, low: NDArray[np.float64], high: NDArray[np.float64], seconds: float = np.inf
    ) -> tuple[float, NDArray]:
        """Master value in LP units, and prices (rows,) within [low, high].

        Raises
        ------
        OutOfTime
            If the program was not solved within `seconds`.
        """
        used = np.unique(np.concatenate([c.rows for c in self.columns] + [np.flatnonzero(high)]))
        used = used[high[used] > 0]
        at = np.full(self.n_rows, -1, dtype=np.int64)
        at[used] = np.arange(len(used))
        n, m, blocks = len(self.columns), len(used), self.n_blocks
        # Rows: capacity then convexity. Columns: plans, then u (over capacity), then v.
        entries = []
        for i, c in enumerate(self.columns):
            keep = at[c.rows] >= 0
            index = np.append(at[c.rows][keep], m + c.block)
            entries.append((index, np.full(len(index), i), np.append(c.share[keep], 1.0)))
        side = np.arange(m)
        entries += [(side, n + side, -np.ones(m)), (side, n + m + side, np.ones(m))]
        unit = self.oracle.row_unit / self.oracle.cost_unit
        plans = np.array([c.cost for c in self.columns])
        share = self.oracle.capacity[used] / self.oracle.row_unit
        lp = highs.program(
            entries,
            np.concatenate([plans, high[used] * unit, -low[used] * unit]),
            np.full(n + 2 * m, np.inf),
            np.concatenate([np.full(m, -np.inf), np.ones(blocks)]),
            np.concatenate([share, np.ones(blocks)]),
        )
        solver = highs.make(time_limit=float(max(seconds, 0.0)))
        solver.passModel(lp)
        solver.run()
        if solver.getModelStatus() == highspy.HighsModelStatus.kTimeLimit:
            raise OutOfTime
        prices = np.zeros(self.n_rows)
        duals = -np.asarray(solver.getSolution().row_dual[:m]) / unit
        prices[used] = np.clip(duals, low[used], high[used])
        return solver.getInfo().objective_function_value, prices


def polish(
    oracle: PlanOracle[E],
    prices: NDArray[np.float64],
    *,
    rounds: int = 100,
    radius: float = 0.05,
    tolerance: float = 1e-7,
    deadline: float = np.inf,
) -> Polished:
    """Move prices towards the optimum of the relaxation by boxstep column generation.

    Parameters
    ----------
    oracle : PlanOracle
    prices : (rows,) float64
        Where to start, for instance from `formulations.dual.ascent.ascend`.
    rounds : int
        Most LP solves.
    radius : float
        First half-width of the box around the best prices.
    tolerance : float
        Stop when master and Lagrangian value agree to this, relative.
    deadline : float
        `time.perf_counter()` value at which to stop.
    """
    master = _Master(oracle)
    best = prices.copy()
    try:
        priced = oracle.price(best)
    except OutOfTime:
        return Polished(best, -np.inf, np.inf, 0)
    value = oracle.dual_value(best, priced)
    master.add(best, priced)
    smallest, upper, done, took = 2e-5 * radius, np.inf, 0, 0.0
    # Rows whose price may leave zero: those some plan overloads, or already priced.
    active = (best > 0) | (priced.usage > oracle.capacity)
    # A round takes about as long as the last one, and cannot be used half done.
    while done < rounds and time.perf_counter() + took < deadline and np.isfinite(value):
        done += 1
        begin = time.perf_counter()
        low = np.where(active, np.maximum(best - radius, 0.0), 0.0)
        high = np.where(active, best + radius, 0.0)
        try:
            promised, trial = master.solve(low, high, deadline - begin)
            evaluated = oracle.price(trial)
        except OutOfTime:
            break
        upper = promised * oracle.cost_unit
        trial_value = oracle.dual_value(trial, evaluated)
        new = master.add(trial, evaluated)
        active |= evaluated.usage > oracle.capacity
        # On the edge of the box the master may promise more outside it.
        near = 1e-6 * radius  # the LP's duals are not exact
        at_low, at_high = (trial <= low + near) & (low > 0), (trial >= high - near) & active
        at_edge = bool(np.any(at_low | at_high))
        if trial_value > value:
            best, value = trial, trial_value
            radius *= 1.5 if at_edge else 1.0
        else:
            radius *= 0.7
        took = time.perf_counter() - begin
        met = upper - value <= tolerance * abs(value)
        if (met and not at_edge) or (new == 0 and radius < smallest):
            break
    return Polished(best, value, upper, done)
