"""Dual ascent on shared-resource prices, for any family of blocks.

The decomposition of every family has the same shape: blocks that meet only in shared resource
rows. Prices on the rows make the blocks independent, and the Lagrangian

    L(price) = sum over blocks of min over plans of (cost + price . usage) - price . capacity

is a lower bound on every schedule for every price >= 0 (of any sign on rows that are equations). L
is concave and piecewise linear; its
subgradient is the excess usage - capacity. Plain subgradient steps zigzag, because rows differ in
how often their sign flips. `ascend` keeps, per row, running means of the excess and of its square
(momentum and a diagonal metric, the update of Adam, Kingma and Ba 2015), with steps that decay as
1 / (1 + t / patience), and remembers the best prices. `formulations.dual.column_generation`
polishes them to the optimum of the relaxation by stabilised column generation;
``benchmarks/offloading/ascent.py`` compares both with plain Polyak steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.dual.stopping import OutOfTime
from mecopt.certificates.scales import PRICE_SCALE

#: Prices in a proof are multiples of its inverse, so that exact arithmetic stays in integers.
PRICE_GRID = float(PRICE_SCALE)


class Evaluation(Protocol):
    """What pricing all blocks returns: block values and the usage of every row."""

    @property
    def value(self) -> NDArray[np.float64]: ...

    @property
    def usage(self) -> NDArray[np.float64]: ...


E = TypeVar("E", bound=Evaluation)


class DualOracle(Protocol[E]):
    """A family's blocks, seen through prices. Units are the family's own."""

    capacity: NDArray[np.float64]

    def price(self, prices: NDArray[np.float64]) -> E: ...

    def dual_value(self, prices: NDArray[np.float64], priced: E) -> float: ...


@dataclass(frozen=True, eq=False)
class Ascent:
    """Best prices found, their dual value, and how many evaluations it took."""

    prices: NDArray[np.float64]
    value: float
    iterations: int


@njit(cache=True)
def _step(prices, excess, mean, square, first, second, bias1, bias2, step, scale, lower, upper):
    """One projected step along momentum over the root of the mean square."""
    for i in range(len(prices)):
        mean[i] = first * mean[i] + (1.0 - first) * excess[i]
        square[i] = second * square[i] + (1.0 - second) * excess[i] * excess[i]
        if prices[i] > lower[i] or mean[i] > 0.0:
            move = scale * step[i] * (mean[i] / bias1) / (np.sqrt(square[i] / bias2) + 1e-8)
            prices[i] = min(upper[i], max(lower[i], prices[i] + move))


def ascend(
    oracle: DualOracle[E],
    start: NDArray[np.float64],
    *,
    iterations: int,
    step: float | NDArray[np.float64] = 0.2,
    patience: float = 60.0,
    lower: float | NDArray[np.float64] = 0.0,
    upper: float | NDArray[np.float64] = np.inf,
    deadline: float = np.inf,
    watch: Callable[[int, float, E], bool] | None = None,
) -> Ascent:
    """Raise the dual value from `start`.

    Parameters
    ----------
    oracle : DualOracle
    start : (rows,) float64
        Prices within [lower, upper].
    iterations : int
        Most evaluations.
    step : float or (rows,) float64
        First step, in units of price; about the size prices should move.
    patience : float
        Iterations after which the step has halved.
    lower, upper : float or (rows,) float64
        Where prices may go: 0 and infinity for capacity rows, minus infinity below for equations,
        the cost of exceeding a soft row above.
    deadline : float
        `time.perf_counter()` value at which to stop.
    watch : callable, optional
        Called with (iteration, best value, evaluation); returns True to stop.

    Returns
    -------
    Ascent
        Best prices by dual value. At least one evaluation is begun; the value is minus infinity if
        the oracle itself ran out of time (`OutOfTime`) in that one.
    """
    prices = start.astype(np.float64).copy()
    mean, square = np.zeros_like(prices), np.zeros_like(prices)
    unit = np.where(oracle.capacity > 0, oracle.capacity, 1.0)
    sizes, low, high = (np.broadcast_to(v, prices.shape) for v in (step, lower, upper))
    sizes, low, high = (np.ascontiguousarray(v, dtype=np.float64) for v in (sizes, low, high))
    first, second = 0.9, 0.99
    best, best_prices = -np.inf, prices.copy()
    done = 0
    for t in range(iterations):
        try:
            priced = oracle.price(prices)
        except OutOfTime:
            break
        value = oracle.dual_value(prices, priced)
        done = t + 1
        if value > best:
            best = value
            best_prices[:] = prices
        if watch is not None and watch(t, best, priced):
            break
        if time.perf_counter() > deadline or value == np.inf:
            break
        excess = (priced.usage - oracle.capacity) / unit
        bias = (1.0 - first**done, 1.0 - second**done)
        scale = 1.0 / (1.0 + t / patience)
        _step(prices, excess, mean, square, first, second, *bias, sizes, scale, low, high)
    return Ascent(best_prices, best, done)


def on_grid(prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prices rounded to the grid of proofs."""
    return np.asarray(np.rint(prices * PRICE_GRID) / PRICE_GRID)
