"""A double Dutch auction whose step is chosen as it runs, as ToN's learned auctioneer does.

The clocks alternate; at each turn a policy chooses by how many ticks of the shared grid the moving
clock jumps. Everybody whose clock has reached its stop is taken, in index order, so that a jump
blurs who came first. The price is the midpoint of the final clocks, clamped to the announced
prices of the last matched pair.

A policy sees only what was said aloud. That is enough to destroy truthfulness: a report moves the
schedule that everybody else sees. `schedule` in the outcome's parameters lists every announcement,
so that an auditor can see it move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mechanisms.double_dutch.clocks import (
    BUYER,
    SELLER,
    Grid,
    histograms,
    make_grid,
    mark_buyers,
    mark_sellers,
)
from mechanisms.double_dutch.order import sort_reports
from mechanisms.outcome import Outcome, as_units, require_unit_demand, rule
from mechanisms.trade_reduction import clear_mcafee
from mecopt import checks
from mecopt.market.instance import Market


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
    n_buyers: int
    n_sellers: int


Policy = Callable[[State], int]


def doubling(state: State) -> int:
    """Double the jump while nobody stops, return to one tick when somebody does."""
    return 1 if state.last_stopped else max(1, 2 * state.last_jump)


@rule
def run(
    market: Market,
    *,
    policy: Policy = doubling,
    ticks: int | None = None,
    step: float | None = None,
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
    pricing : str
        ``clamped``, or ``mcafee``: stops are sealed, the clocks run to the ends of the grid, and
        t-DDA clears the announced prices at which traders stopped (the combination that ToN
        prints).
    name : str

    Raises
    ------
    ValueError
        As `mechanisms.double_dutch.rule.run`, or if the policy asks for a jump below one tick.
    """
    require_unit_demand(market, name)
    checks.one_of("pricing", pricing, ("clamped", "mcafee"))
    grid = make_grid(market, ticks=ticks, step=step)
    if pricing == "mcafee":
        return _sealed(market, grid, policy, f"{name}-mcafee")
    moves, schedule = _walk(market, grid, policy)
    place = [moves[side][-1].place if moves[side] else -1 for side in (BUYER, SELLER)]
    if sum(place) > grid.ticks:  # the move that crosses is heard by nobody
        moves[(len(schedule) + 1) % 2].pop()
    count = min(moves[side][-1].heard if moves[side] else 0 for side in (BUYER, SELLER))
    buyers, sellers = np.zeros(market.n_buyers, bool), np.zeros(market.n_sellers, bool)
    last = None
    if count:
        (before_b, at_b), (before_s, at_s) = (_last_taken(part, count) for part in moves)
        top, level = grid.price(grid.ticks - before_b.place), grid.ticks - at_b.place
        buyers = mark_buyers(market.values, grid.price(level), top, count - before_b.heard)
        low, high = grid.price(before_s.place), grid.price(at_s.place)
        sellers = mark_sellers(market.costs, low, high, count - before_s.heard)
        last = level, at_s.place
    price = _clamped(grid, (grid.ticks - max(place[0], 0), max(place[1], 0)), last)
    return Outcome(
        mechanism=name,
        parameters={
            "low": grid.low,
            "step": grid.step,
            "ticks": grid.ticks,
            "schedule": tuple(schedule),
        },
        buyer_units=as_units(buyers),
        seller_units=as_units(sellers),
        pays=price,
        gets=price,
        rounds=len(schedule),
    )


def _sealed(market: Market, grid: Grid, policy: Policy, name: str) -> Outcome:
    """t-DDA's clearing of the prices at which everybody stopped."""
    moves, schedule = _walk(market, grid, policy, sealed=True)
    places = [np.array([move.place for move in part]) for part in moves]
    first_b = grid.ticks - (market.values - grid.low) // grid.step
    first_s = -((grid.low - market.costs) // grid.step)
    stop_b = grid.ticks - places[BUYER][np.searchsorted(places[BUYER], first_b)]
    stop_s = places[SELLER][np.searchsorted(places[SELLER], first_s)]
    values, costs = grid.low + stop_b * grid.step, grid.low + stop_s * grid.step
    told = {"low": grid.low, "step": grid.step, "ticks": grid.ticks, "schedule": tuple(schedule)}
    return clear_mcafee(
        sort_reports(name, values, costs), parameters={**told, "pricing": "mcafee"},
        rounds=len(schedule),
    )  # fmt: skip


class _Move(NamedTuple):
    """Where a clock went, in ticks from its own end of the grid, and how many it has heard."""

    place: int
    heard: int


def _walk(
    market: Market, grid: Grid, policy: Policy, *, sealed: bool = False
) -> tuple[tuple[list[_Move], list[_Move]], list[int]]:
    """Move the clocks until they cross (``sealed``: to the ends of the grid); what was announced.

    The move that crosses is the last one of its clock, and hears nobody.
    """
    stops_b, stops_s = histograms(market.values, market.costs, *grid)
    so_far = np.cumsum(stops_b[::-1]).tolist(), np.cumsum(stops_s).tolist()
    moves: tuple[list[_Move], list[_Move]] = ([], [])
    place, heard = [-1, -1], [0, 0]
    last_stopped, last_jump = [1, 1], [1, 1]
    schedule: list[int] = []
    turn = BUYER
    while True:
        if sealed and place[turn] == grid.ticks:
            turn = 1 - turn  # this clock has arrived, the other one goes on alone
        state = State(
            grid.ticks,
            turn,
            grid.ticks - max(place[0], 0),
            max(place[1], 0),
            heard[0],
            heard[1],
            last_stopped[turn],
            last_jump[turn],
            market.n_buyers,
            market.n_sellers,
        )
        jump = int(policy(state))
        if jump < 1:
            raise ValueError(f"policy: jump = {jump} must be at least one tick")
        # A jump never passes the other clock by more than the tick that ends the auction.
        most = grid.ticks if sealed else grid.ticks - max(place[1 - turn], 0) + 1
        target = min(place[turn] + jump, most, grid.ticks)
        if target == place[turn]:
            break  # the end of the grid
        last_jump[turn] = target - place[turn]
        place[turn] = target
        level = grid.ticks - target if turn == BUYER else target
        schedule.append(level if turn == BUYER else -level - 1)
        if not sealed and sum(place) > grid.ticks:
            moves[turn].append(_Move(target, heard[turn]))
            break
        last_stopped[turn] = so_far[turn][target] - heard[turn]
        heard[turn] = so_far[turn][target]
        moves[turn].append(_Move(target, heard[turn]))
        turn = 1 - turn
    return moves, schedule


def _last_taken(moves: list[_Move], count: int) -> tuple[_Move, _Move]:
    """The move that heard the count-th trader, and the one before it."""
    before = _Move(-1, 0)
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
