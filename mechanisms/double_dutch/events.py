"""The event-driven clocks: sort the stops once, then jump from acceptance to acceptance.

It says everything a live auction would say, in order, and reaches the outcome of the counting
kernel; the log is what an auditor replays.
"""

from __future__ import annotations

import bisect

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
    *,
    stop_early: bool = False,
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
    stop_early : bool
        End once everybody of the shorter side is matched.
    """
    low, step, ticks = grid
    # A place counts the ticks of a clock from its own end of the grid, which makes the sides alike:
    # the clocks have crossed when their places add up to more than the ticks of the grid.
    places = [ticks - (values - low) // step, -((low - costs) // step)]
    order = [np.argsort(place, kind="stable") for place in places]
    stops = [places[side][order[side]].tolist() for side in (BUYER, SELLER)]
    heard: list[tuple[int, int, int]] = []  # (side, place, agent)
    taken, clock = [0, 0], [0, 0]

    def accept(side: int, count: int) -> None:
        for n in range(taken[side], taken[side] + count):
            heard.append((side, stops[side][n], int(order[side][n])))
        taken[side] += count

    def is_over() -> bool:
        return stop_early and min(taken) == min(len(values), len(costs))

    def stopped_by(side: int, at: int) -> int:
        """How many more of a side stop when its clock has reached a place."""
        return bisect.bisect_right(stops[side], at) - taken[side]

    if alternation == "sealed":
        accept(BUYER, len(values))
        accept(SELLER, len(costs))
        clock = [ticks, ticks]
    elif alternation == "synchronous":
        last = ticks // 2  # the round after it announces prices that have crossed
        for at in range(last + 1):
            for side in (BUYER, SELLER):
                accept(side, stopped_by(side, at))
            if is_over():
                clock = [at, at]
                break
        else:
            clock = [last + 1, last + 1]
    elif alternation == "tick":
        turn, ahead = first, [0, 0]  # next place of each clock
        while ahead[turn] <= ticks:
            clock[turn] = ahead[turn]
            if sum(clock) > ticks:
                break
            accept(turn, stopped_by(turn, clock[turn]))
            if is_over():
                break
            ahead[turn] += 1
            turn = 1 - turn
    else:
        turn = first
        while True:
            left = taken[turn] < len(stops[turn])
            target = stops[turn][taken[turn]] if left else ticks + 1
            if target + clock[1 - turn] > ticks:
                # Nobody stops before the clocks cross: run to one tick past, or the grid's end.
                clock[turn] = min(ticks - clock[1 - turn] + 1, ticks)
                break
            clock[turn] = target
            accept(turn, 1 if alternation == "unit" else stopped_by(turn, target))
            if is_over():
                break
            turn = 1 - turn
    said = np.array(heard, dtype=np.int64).reshape(-1, 3)
    sides = said[:, 0].astype(np.int8)
    level = np.where(sides == BUYER, ticks - said[:, 1], said[:, 1])
    final = ticks - clock[BUYER], clock[SELLER]
    rounds = clock[SELLER] + 1 if alternation == "synchronous" else sum(clock) + 2
    log = ClockLog(low, step, ticks, sides, level, said[:, 2].copy(), final)
    return log, (min(taken), *final, rounds)
