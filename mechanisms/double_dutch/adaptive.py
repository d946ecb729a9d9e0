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

from mechanisms.double_dutch.clocks import Grid, make_grid
from mechanisms.outcome import Outcome, as_units, require_unit_demand, rule
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
    name: str = "dda-adaptive",
) -> Outcome:
    """Clear a market with clocks that jump as a policy says; the buyer clock moves first.

    Raises
    ------
    ValueError
        As `mechanisms.double_dutch.rule.run`, or if the policy asks for a jump below one tick.
    """
    require_unit_demand(market, name)
    grid = make_grid(market, ticks=ticks, step=step)
    # Ticks that each clock has come from its own end of the grid; -1: nothing announced yet.
    place = [-1, -1]
    stopped: tuple[list[int], list[int]] = ([], [])
    heard_at: tuple[list[int], list[int]] = ([], [])
    waiting = [np.arange(market.n_buyers), np.arange(market.n_sellers)]
    last_stopped, last_jump = [1, 1], [1, 1]
    schedule: list[int] = []
    turn = 0
    while True:
        state = State(
            grid.ticks,
            turn,
            grid.ticks - max(place[0], 0),
            max(place[1], 0),
            len(stopped[0]),
            len(stopped[1]),
            last_stopped[turn],
            last_jump[turn],
            market.n_buyers,
            market.n_sellers,
        )
        jump = int(policy(state))
        if jump < 1:
            raise ValueError(f"policy: jump = {jump} must be at least one tick")
        # A jump never passes the other clock by more than the tick that ends the auction.
        crossed = grid.ticks - max(place[1 - turn], 0) + 1
        target = min(place[turn] + jump, crossed, grid.ticks)
        if target == place[turn]:
            break  # the end of the grid
        last_jump[turn] = target - place[turn]
        place[turn] = target
        level = grid.ticks - target if turn == 0 else target
        schedule.append(level if turn == 0 else -level - 1)
        if sum(place) > grid.ticks:
            break
        price = grid.price(level)
        left = waiting[turn]
        yes = market.values[left] >= price if turn == 0 else market.costs[left] <= price
        new = left[yes]
        waiting[turn] = left[~yes]
        stopped[turn].extend(new.tolist())
        heard_at[turn].extend([level] * len(new))
        last_stopped[turn] = len(new)
        turn = 1 - turn
    count = min(len(stopped[0]), len(stopped[1]))
    buyers, sellers = np.zeros(market.n_buyers, bool), np.zeros(market.n_sellers, bool)
    buyers[stopped[0][:count]] = True
    sellers[stopped[1][:count]] = True
    levels = grid.ticks - max(place[0], 0), max(place[1], 0)
    last = (heard_at[0][count - 1], heard_at[1][count - 1]) if count else None
    price = _clamped(grid, levels, last)
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


def _clamped(grid: Grid, levels: tuple[int, int], last: tuple[int, int] | None) -> int:
    """Midpoint of the final clocks, clamped to the announced prices of the last matched pair."""
    middle = (grid.price(levels[0]) + grid.price(levels[1])) // 2
    if last is None:
        return middle
    return min(max(middle, grid.price(last[1])), grid.price(last[0]))
