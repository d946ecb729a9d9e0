"""A double Dutch auction whose step is chosen as it runs, as ToN's learned auctioneer does.

At each turn a policy chooses by how many ticks of the shared grid the moving clock jumps
(`mechanisms.double_dutch.walk` says whose turn it is). Everybody whose clock has reached its stop
is taken, in index order, so that a jump blurs who came first. The price is the midpoint of the
final clocks, clamped to the announced prices of the last matched pair.

What is left of the properties of fixed steps (d is the largest jump that was made, in money):

* Nobody trades at a loss and no money is missing: everybody stops on its own side of its report.
* ``unit``, ``clamped``: W >= W* - d k. Let the clocks meet at x with as many sellers as buyers or
  fewer (the mirror image otherwise). All T sellers that stopped trade, and they are the T cheapest.
  Buyers who stopped and do not trade are of the last group, worth at most x + d, so putting them in
  the place of the buyers who do gains at most d each. Any further pair needs a seller above x and a
  buyer worth at most x + d.
* ``mcafee``: W >= (1 - 1/k') (W* - 2 d k) for k' profitable pairs of stops: a stop is less than d
  from the report, and the argument for a fixed grid asks for no more.
* Truthfulness is lost: a policy sees only what was said aloud, but by what it says a report moves
  the prices that are announced to everybody else, and McAfee's rule may then clear another number
  of pairs at quite another price. It is lost through the acceptances alone. A policy that reads
  nothing but the place of the clock that moves (`constant`, or a list of prices fixed beforehand)
  is a grid of its own for each side, and the proofs for sealed stops hold with d as the step
  (`mechanisms.audit.theorems`): regret below d with ``mcafee``.

`schedule` in the outcome's parameters lists every announcement, so that an auditor can see it move.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mechanisms.double_dutch.clocks import (
    BUYER,
    SELLER,
    Grid,
    make_grid,
    mark_buyers,
    mark_sellers,
)
from mechanisms.double_dutch.walk import (
    ALTERNATIONS,
    Move,
    Moves,
    Policy,
    State,
    profitable,
    walk,
)
from mechanisms.outcome import Outcome, as_units, require_unit_demand, rule
from mecopt import checks
from mecopt.market.instance import Market

Mask = NDArray[np.bool_]


def doubling(state: State) -> int:
    """Double the jump while nobody stops, return to one tick when somebody does."""
    return 1 if state.last_stopped else max(1, 2 * state.last_jump)


def constant(jump: int) -> Policy:
    """Every jump has as many ticks: fixed steps."""
    return lambda state: jump


@rule
def run(
    market: Market,
    *,
    policy: Policy = doubling,
    ticks: int | None = None,
    step: float | None = None,
    alternation: str = "tick",
    pricing: str = "clamped",
    name: str = "dda-adaptive",
) -> Outcome:
    """Clear a market with clocks that jump as a policy says; the buyer clock moves first.

    Parameters
    ----------
    policy : callable
        State -> ticks of the next jump.
    ticks, step
        The grid, as for fixed steps.
    alternation : {"tick", "unit"}
        Whose clock moves: in turn, or that of the side where fewer have stopped
        (`mechanisms.double_dutch.walk`).
    pricing : str
        ``clamped``, or ``mcafee``: stops are sealed, the clocks go on until everything that
        clearing needs is known, and t-DDA clears the announced prices at which traders stopped (the
        combination that ToN prints).
    name : str

    Raises
    ------
    ValueError
        As `mechanisms.double_dutch.rule.run`, or if the policy asks for a jump below one tick.
    """
    require_unit_demand(market, name)
    checks.one_of("alternation", alternation, ALTERNATIONS)
    checks.one_of("pricing", pricing, ("clamped", "mcafee"))
    grid = make_grid(market, ticks=ticks, step=step)
    if pricing == "mcafee":
        return _sealed(market, grid, policy, alternation, f"{name}-mcafee")
    moves, place, schedule = walk(market, grid, policy, alternation=alternation)
    count = min(moves[side][-1].heard if moves[side] else 0 for side in (BUYER, SELLER))
    buyers, sellers, last = _winners(market, grid, moves, count)
    price = _clamped(grid, (grid.ticks - max(place[0], 0), max(place[1], 0)), last)
    return Outcome(
        mechanism=name,
        parameters=_told(grid, schedule),
        buyer_units=as_units(buyers),
        seller_units=as_units(sellers),
        pays=price,
        gets=price,
        rounds=len(schedule),
    )


def _sealed(market: Market, grid: Grid, policy: Policy, alternation: str, name: str) -> Outcome:
    """t-DDA's clearing of the prices at which traders stopped, by counting."""
    moves, _, schedule = walk(market, grid, policy, alternation=alternation, sealed=True)
    k = profitable(moves, grid.ticks)
    count, pays, gets = max(k - 1, 0), 0, 0
    if k:
        pays, gets = _stop(grid, moves, BUYER, k), _stop(grid, moves, SELLER, k)
    if k and k < market.n_sellers:  # without a seller k + 1 the midpoint is infinite
        after_b = _stop(grid, moves, BUYER, k + 1) if k < market.n_buyers else 0
        twice = after_b + _stop(grid, moves, SELLER, k + 1)
        if 2 * gets <= twice <= 2 * pays:
            pays = gets = twice // 2  # prices of the grid are even: exact
            count = k
    buyers, sellers, _ = _winners(market, grid, moves, count)
    return Outcome(
        mechanism=name,
        parameters={**_told(grid, schedule), "pricing": "mcafee"},
        buyer_units=as_units(buyers),
        seller_units=as_units(sellers),
        pays=pays,
        gets=gets,
        rounds=len(schedule),
    )


def _stop(grid: Grid, moves: Moves, side: int, rank: int) -> int:
    """The price at which the rank-th trader of a side stopped."""
    place = _last_taken(moves[side], rank)[1].place
    return grid.price(grid.ticks - place if side == BUYER else place)


def _winners(
    market: Market, grid: Grid, moves: Moves, count: int
) -> tuple[Mask, Mask, tuple[int, int] | None]:
    """The first `count` of each side in the order of stops, and the levels of the last pair."""
    if not count:
        return np.zeros(market.n_buyers, bool), np.zeros(market.n_sellers, bool), None
    (before_b, at_b), (before_s, at_s) = (_last_taken(part, count) for part in moves)
    top, level = grid.price(grid.ticks - before_b.place), grid.ticks - at_b.place
    buyers = mark_buyers(market.values, grid.price(level), top, count - before_b.heard)
    low, high = grid.price(before_s.place), grid.price(at_s.place)
    sellers = mark_sellers(market.costs, low, high, count - before_s.heard)
    return buyers, sellers, (level, at_s.place)


def _told(grid: Grid, schedule: tuple[int, ...]) -> dict[str, object]:
    return {"low": grid.low, "step": grid.step, "ticks": grid.ticks, "schedule": schedule}


def _last_taken(moves: list[Move], count: int) -> tuple[Move, Move]:
    """The move that heard the count-th trader, and the one before it."""
    before = Move(-1, 0)
    for move in moves:
        if move.heard >= count:
            return before, move
        before = move
    raise AssertionError("fewer were heard")


def _clamped(grid: Grid, levels: tuple[int, int], last: tuple[int, int] | None) -> int:
    """Midpoint of the final clocks, clamped to the announced prices of the last matched pair."""
    middle = (grid.price(levels[0]) + grid.price(levels[1])) // 2
    if last is None:
        return middle
    return min(max(middle, grid.price(last[1])), grid.price(last[0]))
