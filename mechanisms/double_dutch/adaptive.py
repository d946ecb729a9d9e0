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

from mechanisms.double_dutch.clocks import make_grid
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
    clock = [grid.ticks + 1, -1]  # nothing announced yet
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
            min(clock[0], grid.ticks),
            max(clock[1], 0),
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
        if turn == 0:
            target = max(clock[0] - jump, max(clock[1], 0) - 1, 0)
        else:
            target = min(clock[1] + jump, min(clock[0], grid.ticks) + 1, grid.ticks)
        if target == clock[turn]:
            break  # the end of the grid
        last_jump[turn] = abs(target - clock[turn])
        clock[turn] = target
        schedule.append(target if turn == 0 else -target - 1)
        if clock[0] < clock[1]:
            break
        price = grid.price(target)
        left = waiting[turn]
        yes = market.values[left] >= price if turn == 0 else market.costs[left] <= price
        new = left[yes]
        waiting[turn] = left[~yes]
        stopped[turn].extend(new.tolist())
        heard_at[turn].extend([target] * len(new))
        last_stopped[turn] = len(new)
        turn = 1 - turn
    count = min(len(stopped[0]), len(stopped[1]))
    buyers, sellers = np.zeros(market.n_buyers, bool), np.zeros(market.n_sellers, bool)
    buyers[stopped[0][:count]] = True
    sellers[stopped[1][:count]] = True
    twice = 2 * grid.low + (min(clock[0], grid.ticks) + max(clock[1], 0)) * grid.step
    amount = twice // 2
    if count:
        low, high = grid.price(heard_at[1][count - 1]), grid.price(heard_at[0][count - 1])
        amount = min(max(amount, low), high)
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
        pays=int(amount),
        gets=int(amount),
        rounds=len(schedule),
    )
