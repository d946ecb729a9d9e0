"""The event-driven clocks: sort the stops once, then jump from acceptance to acceptance.

It says everything a live auction would say, in order, and reaches the outcome of the counting
kernel; the log is what an auditor replays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mechanisms.double_dutch.clocks import BUYER, SELLER, Grid
from mechanisms.outcome import ClockLog


def clock_log(
    values: NDArray[np.int64],
    costs: NDArray[np.int64],
    grid: Grid,
    alternation: str,
    first: int,
) -> tuple[ClockLog, tuple[int, int, int, int]]:
    """Log of one auction, and (trades, final buyer level, final seller level, broadcasts).

    Parameters
    ----------
    values, costs : (B,), (J,) int64
        Half minor units, in tie order.
    alternation : str
        One of the four, or ``sealed``: both clocks run to the ends of the grid.
    first : int
        0 when the buyer clock moves first, else 1.
    """
    low, step, ticks = grid
    level = [(values - low) // step, -((low - costs) // step)]
    order = [np.argsort(-level[0], kind="stable"), np.argsort(level[1], kind="stable")]
    stops = [level[side][order[side]].tolist() for side in (BUYER, SELLER)]
    heard: list[tuple[int, int, int]] = []  # (side, level, agent)
    taken = [0, 0]
    clock = [ticks, 0]

    def accept(side: int, count: int) -> None:
        for n in range(taken[side], taken[side] + count):
            heard.append((side, stops[side][n], int(order[side][n])))
        taken[side] += count

    def stopped_by(side: int, at: int) -> int:
        """How many more of a side stop when its clock has reached a level."""
        n = taken[side]
        while n < len(stops[side]) and (
            stops[side][n] >= at if side == BUYER else stops[side][n] <= at
        ):
            n += 1
        return n - taken[side]

    if alternation == "sealed":
        accept(BUYER, len(values))
        accept(SELLER, len(costs))
        clock = [0, ticks]
        rounds = 2 * (ticks + 1)
    elif alternation in ("synchronous", "tick"):
        rounds = _march(clock, ticks, alternation, first, accept, stopped_by)
    else:
        turn = first
        while True:
            other = 1 - turn
            left = taken[turn] < len(stops[turn])
            target = stops[turn][taken[turn]] if left else (-1 if turn == BUYER else ticks + 1)
            if (target >= clock[other]) if turn == BUYER else (target <= clock[other]):
                clock[turn] = target
                accept(turn, 1 if alternation == "unit" else stopped_by(turn, target))
                turn = other
                continue
            # Nobody stops before the clocks cross: run to one tick past, or to the grid's end.
            if turn == BUYER:
                clock[BUYER] = max(clock[SELLER] - 1, 0)
            else:
                clock[SELLER] = min(clock[BUYER] + 1, ticks)
            break
        rounds = (ticks - clock[BUYER] + 1) + (clock[SELLER] + 1)
    said = np.array(heard, dtype=np.int64).reshape(-1, 3)
    log = ClockLog(
        low=low,
        step=step,
        ticks=ticks,
        side=said[:, 0].astype(np.int8),
        level=said[:, 1].copy(),
        agent=said[:, 2].copy(),
        final=(clock[BUYER], clock[SELLER]),
    )
    return log, (min(taken), clock[BUYER], clock[SELLER], rounds)


def _march(
    clock: list[int],
    ticks: int,
    alternation: str,
    first: int,
    accept: Callable[[int, int], None],
    stopped_by: Callable[[int, int], int],
) -> int:
    """Clocks that move whatever is accepted; returns the broadcasts."""
    rounds = 0
    if alternation == "synchronous":
        for r in range(ticks + 1):
            rounds += 1
            clock[BUYER], clock[SELLER] = ticks - r, r
            if clock[BUYER] < clock[SELLER]:
                break
            for side in (BUYER, SELLER):
                accept(side, stopped_by(side, clock[side]))
        return rounds
    ahead = [ticks, 0]  # next level of each clock
    turn = first
    while 0 <= ahead[turn] <= ticks:
        rounds += 1
        clock[turn] = ahead[turn]
        if clock[BUYER] < clock[SELLER]:
            break
        accept(turn, stopped_by(turn, clock[turn]))
        ahead[turn] += -1 if turn == BUYER else 1
        turn = 1 - turn
    return rounds
