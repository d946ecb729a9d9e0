"""Clocks that jump as a policy says: who is asked when, and when they stop.

A clock's place counts its ticks from its own end of the grid (-1 before the first announcement),
which makes the two sides alike: the clocks have met when their places add up to the ticks of the
grid. A policy sees only what was said aloud (`State`).

Whose clock moves (``alternation``):

``tick``
    The clocks move in turn. A move that passes the other clock by one tick ends the auction, and is
    heard by nobody. Where the clocks meet depends on the jumps alone, not on the market.
``unit``
    The clock on whose side fewer have stopped moves, the buyers' clock if they are level: the
    ``unit`` clocks of `mechanisms.double_dutch.rule`, with jumps. No clock passes the other one;
    the auction ends when they have met, or everybody on the side that would move has stopped.

With sealed stops the clocks go on, past each other, until t-DDA's clearing has what it needs: the
stops of the first pair that is not profitable, or of everybody on a side that is used up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mechanisms.double_dutch.clocks import BUYER, SELLER, Grid, histograms
from mecopt.market.instance import Market

ALTERNATIONS = ("tick", "unit")


class State(NamedTuple):
    """What the auctioneer knows before a clock moves."""

    ticks: int
    turn: int  # 0 buyer clock, 1 seller clock
    buyer_clock: int
    seller_clock: int
    buyers_stopped: int
    sellers_stopped: int
    last_stopped: int  # how many stopped at the previous move of this clock
    last_jump: int
    other_jump: int  # the previous jump of the other clock
    n_buyers: int
    n_sellers: int


Policy = Callable[[State], int]


class Move(NamedTuple):
    """Where a clock went, in ticks from its own end of the grid, and how many it has heard."""

    place: int
    heard: int


#: Of the buyers' and the sellers' clock.
Moves = tuple[list[Move], list[Move]]


class Walk(NamedTuple):
    """What was announced.

    Parameters
    ----------
    moves : (list of Move, list of Move)
        Of the buyers' and the sellers' clock, those that were heard.
    places : (int, int)
        Where the clocks ended; -1 for a clock that never moved.
    schedule : tuple of int
        Every announcement: the level m of the buyers' clock, -m - 1 for the sellers' one.
    """

    moves: Moves
    places: tuple[int, int]
    schedule: tuple[int, ...]


def walk(
    market: Market, grid: Grid, policy: Policy, *, alternation: str = "tick", sealed: bool = False
) -> Walk:
    """Move the clocks to the end of the auction.

    Raises
    ------
    ValueError
        If the policy asks for a jump below one tick.
    """
    stops_b, stops_s = histograms(market.values, market.costs, *grid)
    so_far = np.cumsum(stops_b[::-1]).tolist(), np.cumsum(stops_s).tolist()
    traders = market.n_buyers, market.n_sellers
    moves: Moves = ([], [])
    place, heard = [-1, -1], [0, 0]
    last_stopped, last_jump = [1, 1], [1, 1]
    schedule: list[int] = []
    turn = SELLER
    while True:
        ahead = _next(alternation, sealed, turn, place, heard, traders, moves, grid.ticks)
        if ahead is None:
            break
        turn, most = ahead
        state = State(
            grid.ticks,
            turn,
            grid.ticks - max(place[0], 0),
            max(place[1], 0),
            heard[0],
            heard[1],
            last_stopped[turn],
            last_jump[turn],
            last_jump[1 - turn],
            traders[0],
            traders[1],
        )
        jump = int(policy(state))
        if jump < 1:
            raise ValueError(f"policy: jump = {jump} must be at least one tick")
        target = min(place[turn] + jump, most)
        last_jump[turn] = target - place[turn]
        place[turn] = target
        schedule.append(grid.ticks - target if turn == BUYER else -target - 1)
        if not sealed and sum(place) > grid.ticks:
            break  # heard by nobody
        last_stopped[turn] = so_far[turn][target] - heard[turn]
        heard[turn] = so_far[turn][target]
        moves[turn].append(Move(target, heard[turn]))
    return Walk(moves, (place[0], place[1]), tuple(schedule))


def _next(
    alternation: str,
    sealed: bool,
    turn: int,
    place: list[int],
    heard: list[int],
    traders: tuple[int, int],
    moves: Moves,
    ticks: int,
) -> tuple[int, int] | None:
    """Whose clock moves next, and how far it may; None at the end. `turn` moved last."""
    reached = max(place[BUYER], 0), max(place[SELLER], 0)
    met = sum(reached) >= ticks
    crossed = sum(reached) > ticks
    needed = (True, True)
    if sealed:
        needed = _needed(moves, heard, traders, ticks, crossed=crossed)
    if not any(needed):
        return None
    if alternation == "tick":
        turn = 1 - turn
        if sealed and place[turn] == ticks:
            turn = 1 - turn  # this clock has arrived, the other one goes on alone
        # A jump never passes the other clock by more than the tick that ends the auction.
        most = ticks if sealed else min(ticks, ticks - reached[1 - turn] + 1)
        return (turn, most) if most > place[turn] else None
    turn = BUYER if heard[BUYER] <= heard[SELLER] else SELLER
    if sealed:
        turn = turn if needed[turn] else 1 - turn
        return turn, ticks if met else ticks - reached[1 - turn]
    if met or heard[turn] == traders[turn]:
        return None
    return turn, ticks - reached[1 - turn]


def _needed(
    moves: Moves,
    heard: list[int],
    traders: tuple[int, int],
    ticks: int,
    *,
    crossed: bool,
) -> tuple[bool, bool]:
    """Of which sides t-DDA needs further stops: of pair k + 1, the first that is not profitable.

    Without a seller k + 1 the k-th pair alone sets the prices.
    """
    k = profitable(moves, ticks) if crossed else min(heard)
    if k == traders[SELLER]:
        return False, False
    buyers, sellers = (k >= heard[side] and heard[side] < traders[side] for side in (BUYER, SELLER))
    return buyers, sellers


def profitable(moves: Moves, ticks: int) -> int:
    """How many pairs of announced stops are profitable, the best buyer with the cheapest seller."""
    places = [move.place for move in moves[SELLER]]
    most = 0
    for move in moves[BUYER]:  # supply at the price that this move announced
        at = bisect_right(places, ticks - move.place)
        most = max(most, min(move.heard, moves[SELLER][at - 1].heard if at else 0))
    return most
