"""What clocks announced that choose their jumps as they go, read off their schedule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mechanisms.outcome import Outcome
from mecopt.market.instance import Market


def places(outcome: Outcome) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prices that the buyers' and the sellers' clock announced, in ticks from its own end."""
    ticks, said = outcome.parameters["ticks"], np.array(outcome.parameters["schedule"])
    return ticks - said[said >= 0], -said[said < 0] - 1


def largest_jump(outcome: Outcome) -> int:
    """Ticks of the largest jump, at least one: no stop is further from its report."""
    return max(int(np.diff(place, prepend=0).max(initial=1)) for place in places(outcome))


def profitable_pairs(market: Market, outcome: Outcome) -> int:
    """How many pairs of announced stops are profitable, the best buyer with the cheapest seller."""
    low, step = outcome.parameters["low"], outcome.parameters["step"]
    ticks, (heard_b, heard_s) = outcome.parameters["ticks"], places(outcome)
    never = ticks + 1
    first_b = ticks - (market.values - low) // step
    first_s = -((low - market.costs) // step)
    stop_b = np.sort(np.append(heard_b, never)[np.searchsorted(heard_b, first_b)])
    stop_s = np.sort(np.append(heard_s, never)[np.searchsorted(heard_s, first_s)])
    n = min(len(stop_b), len(stop_s))
    return int(np.count_nonzero(stop_b[:n] + stop_s[:n] <= ticks))
