"""DDA-G: one ascending clock per server, for markets with compatibility, seats and link cost.

A single pair of clocks cannot clear such a market. Here every server's price starts at its cost and
ticks up by `step` whenever its seats are full and another buyer wants in; buyers come in the order
of a falling surplus clock and each joins the server where it is best off. This is the auction
algorithm for assignment with similar objects (Bertsekas, Castanon, "The auction algorithm for the
transportation problem", Annals of OR 20 (1989)): when nobody moves any more, every buyer is within
one step of its best choice and unsold seats are at cost, so that W >= W* - n * step for n buyers.

All holders of a server pay its one price, to that server: the budget is strongly balanced and
nobody pays more than its surplus. Buyers' regret is measured, not bounded: clocks miss the lowest
competitive prices by up to min(buyers, servers) steps.

With fine steps, `scaling` walks through coarser steps first. Prices may then end above cost at a
server with unsold seats, which would void the bound: those prices are put back to cost and the
buyers who now envy them move again, at the fine step.
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False
from __future__ import annotations

import numpy as np
from numba import njit

from mechanisms.double_dutch.clocks import make_grid
from mechanisms.outcome import Outcome, rule, seated
from mecopt.market.instance import Market


@rule
def run(
    market: Market,
    *,
    ticks: int | None = None,
    step: float | None = None,
    scaling: bool = False,
) -> Outcome:
    """Clear a market by one clock per server.

    Parameters
    ----------
    ticks, step
        Size of a tick, as for the two clocks: 100 ticks over the price range by default.
    scaling : bool
        Approach a fine step through coarser ones.

    Returns
    -------
    Outcome
        `server` and `server_price`; `rounds` counts bids.

    Raises
    ------
    ValueError
        Buyers with several units, sellers with uneven seats, memory limits.
    """
    if market.memory is not None:
        raise ValueError("server-clocks: counts seats, the market has memory limits")
    size = make_grid(market, ticks=ticks, step=step).step
    surplus, seats = market.surplus, market.seats
    order = np.argsort(-surplus.max(axis=1), kind="stable")
    price = np.zeros(market.n_sellers, dtype=np.int64)
    bids = 0
    sizes = [size]
    while scaling and 5 * sizes[-1] < (market.price_range[1] - market.price_range[0]) // 20:
        sizes.append(5 * sizes[-1])
    for phase in reversed(sizes):
        price = np.maximum(price - phase, 0)
        server = np.full(market.n_buyers, -1, dtype=np.int64)
        bids += ascend(surplus, seats, order, phase, price, server)
    while True:
        sold = np.bincount(server[server >= 0], minlength=len(seats))
        idle = (sold < seats) & (price > 0)
        if not idle.any():
            break
        # Once cost is restored everybody chooses afresh, as if the fine clocks had started there.
        price[idle] = 0
        price[:] = np.maximum(price - size, 0)
        server[:] = -1
        bids += ascend(surplus, seats, order, size, price, server)
    price = market.reserve + price
    told = {"step": size, "scaling": scaling}
    return seated("server-clocks", market, server, price, price, parameters=told, rounds=bids)


@njit(cache=True)
def ascend(surplus, seats, order, step, price, server):
    """Run the clocks until nobody moves; fills `price` (above cost) and `server`, counts bids.

    A full server asks its holders in turn to pay one step more; a newcomer takes the seat of the
    one whose turn it is, and when all have been asked the clock has ticked.
    """
    n, m = surplus.shape
    first = np.zeros(m + 1, dtype=np.int64)
    for j in range(m):
        first[j + 1] = first[j] + seats[j]
    holder = np.empty(first[m], dtype=np.int64)
    held = np.zeros(m, dtype=np.int64)
    asked = np.zeros(m, dtype=np.int64)
    join = np.empty(m, dtype=np.int64)  # what a newcomer would have to pay
    for j in range(m):
        join[j] = price[j] if seats[j] > 0 else 2**61
    bids = 0
    found = 0
    for place in range(n):
        i = order[place]
        while i >= 0:
            best, choice = np.int64(-1), -1
            row = surplus[i]
            for j in range(m):
                # Absent edges are the lowest integer: compare before subtracting.
                if row[j] >= join[j] and row[j] - join[j] > best:
                    best = row[j] - join[j]
                    choice = j
            if choice < 0:
                break
            bids += 1
            j = choice
            if held[j] < seats[j]:
                holder[first[j] + held[j]] = i
                held[j] += 1
                server[i] = j
                if held[j] == seats[j]:
                    join[j] = price[j] + step
                break
            # Of those not asked yet, the one with the best alternative leaves.
            seat = first[j] + asked[j]
            least = np.int64(2**62)
            for place_of in range(seat, first[j + 1]):
                other = surplus[holder[place_of]]
                elsewhere = np.int64(0)
                for k in range(m):
                    if k != j and other[k] >= join[k] and other[k] - join[k] > elsewhere:
                        elsewhere = other[k] - join[k]
                if other[j] - elsewhere < least:
                    least = other[j] - elsewhere
                    found = place_of
            displaced = holder[found]
            holder[found] = holder[seat]
            holder[seat] = i
            server[i] = j
            server[displaced] = -1
            asked[j] += 1
            if asked[j] == seats[j]:
                asked[j] = 0
                price[j] += step
                join[j] = price[j] + step
            i = displaced
    return bids
