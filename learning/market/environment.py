"""Many double Dutch auctions at once, for training: jumps in, states and losses out.

The clocks, whose turn it is and the ends are those of `mechanisms.double_dutch.walk` with the
``unit`` alternation (a test holds them against each other). Money is counted in shares of the mean
optimum of the markets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanisms.double_dutch import clocks
from mechanisms.double_dutch.walk import State
from mecopt.market.instance import Market

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Pool(NamedTuple):
    """Markets as the clocks see them; side 0 buyers, side 1 sellers.

    Parameters
    ----------
    heard : (M, 2, ticks + 2)
        How many stop within the first u prices of their clock.
    money : (M, 2, ticks + 2)
        Sum of their reports, in shares of the mean optimum; a cost counts negative.
    best : (M,)
        Optimum of each market, in the same shares.
    traders : (2,)
    """

    heard: IntArray
    money: FloatArray
    best: FloatArray
    traders: IntArray

    @property
    def ticks(self) -> int:
        """Ticks of the grid."""
        return self.heard.shape[2] - 2


def make_pool(draw: Callable[[int], Market], seeds: range, *, ticks: int) -> Pool:
    """Draw markets; all must have as many traders.

    Raises
    ------
    ValueError
        If they have not, or nobody could trade in any of them.
    """
    first = draw(seeds[0])
    heard = np.zeros((len(seeds), 2, ticks + 2), dtype=np.int64)
    money = np.zeros((len(seeds), 2, ticks + 2))
    best = np.zeros(len(seeds))
    for row, seed in enumerate(seeds):
        market = draw(seed)
        if (market.n_buyers, market.n_sellers) != (first.n_buyers, first.n_sellers):
            raise ValueError(f"draw: {market!r} has another size than {first!r}")
        low, step, _ = clocks.make_grid(market, ticks=ticks)
        from_top = ticks - (market.values - low) // step
        from_bottom = -((low - market.costs) // step)
        sides = ((from_top, market.values), (from_bottom, -market.costs))
        for side, (at, worth) in enumerate(sides):
            heard[row, side, 1:] = np.bincount(at, minlength=ticks + 1).cumsum()
            money[row, side, 1:] = np.bincount(at, weights=worth, minlength=ticks + 1).cumsum()
        k = min(market.n_buyers, market.n_sellers)
        gain = np.sort(market.values)[::-1][:k] - np.sort(market.costs)[:k]
        best[row] = gain[gain > 0].sum()
    if not best.any():
        raise ValueError("draw: nobody could trade in any of the markets")
    traders = np.array([first.n_buyers, first.n_sellers])
    unit = best.mean()
    return Pool(heard, money / unit, best / unit, traders)


class Position(NamedTuple):
    """Where N auctions stand; the last axis of two is the side.

    Parameters
    ----------
    row : (N,)
        Which market of the pool.
    place : (N, 2)
        How many prices each clock has announced.
    jump, last_stopped : (N, 2)
        Of each clock's last move.
    worth : (N, 2)
        Mean report of those who stopped at it.
    gained : (N,)
        By the pairs matched so far.
    """

    row: IntArray
    place: IntArray
    jump: IntArray
    last_stopped: IntArray
    worth: FloatArray
    gained: FloatArray

    def of(self, which: NDArray[Any]) -> Position:
        """Some of the auctions."""
        return Position(*(field[which] for field in self))


def begin(rows: IntArray) -> Position:
    """Auctions of these markets before the first announcement."""
    shape = (len(rows), 2)
    ones, zeros = np.ones(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    return Position(rows, zeros, ones, ones, np.zeros(shape), np.zeros(len(rows)))


def state(pool: Pool, at: Position) -> State:
    """What is known before the next move, each field an array (N,)."""
    heard, ticks, n = _heard(pool, at), pool.ticks, np.arange(len(at.row))
    turn = _turn(heard)
    fields = (
        turn,
        ticks - np.maximum(at.place[:, 0] - 1, 0),
        np.maximum(at.place[:, 1] - 1, 0),
        heard[:, 0],
        heard[:, 1],
        at.last_stopped[n, turn],
        at.jump[n, turn],
        at.jump[n, 1 - turn],
    )
    return State(ticks, *fields, *pool.traders.tolist())  # type: ignore[arg-type]


def after(pool: Pool, at: Position, jumps: IntArray) -> tuple[Position, NDArray[np.bool_]]:
    """Where the auctions stand after one jump (N,) each, and which of them have ended."""
    ticks, n = pool.ticks, np.arange(len(at.row))
    before = _heard(pool, at)
    turn = _turn(before)
    other = 1 - turn
    start = at.place[n, turn]
    end = np.minimum(start + jumps, ticks + 2 - np.maximum(at.place[n, other], 1))
    new = pool.heard[at.row, turn, end] - before[n, turn]
    mean = pool.money[at.row, turn, end] - pool.money[at.row, turn, start]
    mean = mean / np.maximum(new, 1)
    matched = np.minimum(new, before[n, other] - before[n, turn])
    place, jump = at.place.copy(), at.jump.copy()
    last_stopped, worth = at.last_stopped.copy(), at.worth.copy()
    place[n, turn], jump[n, turn] = end, end - start
    last_stopped[n, turn], worth[n, turn] = new, mean
    gained = at.gained + matched * (mean + at.worth[n, other])
    to = Position(at.row, place, jump, last_stopped, worth, gained)
    heard = _heard(pool, to)
    turn = _turn(heard)
    met = np.maximum(place, 1).sum(axis=1) >= ticks + 2
    return to, met | (heard[n, turn] == pool.traders[turn])


def lost(pool: Pool, at: Position) -> FloatArray:
    """What ended auctions have left of the optimum of their own markets."""
    missing: FloatArray = pool.best[at.row] - at.gained
    return missing


def _heard(pool: Pool, at: Position) -> IntArray:
    return pool.heard[at.row[:, None], [[0, 1]], at.place]


def _turn(heard: IntArray) -> IntArray:
    """The side where fewer have stopped, buyers if they are level."""
    return (heard[:, 0] > heard[:, 1]).astype(np.int64)
