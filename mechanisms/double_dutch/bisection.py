"""The trades of the `unit` double Dutch auction, found by bisecting the broadcast price.

Instead of walking the clocks tick by tick, the auctioneer announces one pair of neighbouring
prices: sellers say whether they would sell at level m, buyers whether they would buy at m + 1.
D(m + 1) <= S(m) holds from some level x on; x is where the clocks cross. With T trades and the
buyer clock first, x = max(stop of the T-th seller, stop of buyer T + 1), so the answers at x and
x - 1 fix winners and the clamped price (seller first: the mirror image). At most
floor(log2(N + 1)) + 1 broadcasts for N ticks: what any learned auctioneer has to beat.
"""

from __future__ import annotations

import numpy as np

from mechanisms.double_dutch import clocks
from mechanisms.outcome import Outcome, as_units, require_unit_demand, rule
from mecopt import checks
from mecopt.market.instance import Market


@rule
def run(
    market: Market,
    *,
    first_mover: str = "buyer",
    ticks: int | None = None,
    step: float | None = None,
    price_range: tuple[float, float] | None = None,
) -> Outcome:
    """Winners and clamped price of ``dda-unit-clamped`` in logarithmically many broadcasts.

    Raises
    ------
    ValueError
        As `mechanisms.double_dutch.rule.run`.
    """
    checks.one_of("first_mover", first_mover, ("buyer", "seller"))
    require_unit_demand(market, "bisection")
    grid = clocks.make_grid(market, ticks=ticks, step=step, price_range=price_range)
    # Seller first is buyer first in the mirror: swap the sides and turn the price axis round.
    top = grid.price(grid.ticks)
    values, costs, low = market.values, market.costs, grid.low
    if first_mover == "seller":
        values, costs = top - costs, top - values
        low = 0
    size, last = grid.step, grid.ticks

    def demand(level: int) -> int:
        return int(np.count_nonzero(values >= low + level * size))

    def supply(level: int) -> int:
        return int(np.count_nonzero(costs <= low + level * size))

    broadcasts = 0
    lo, hi = 0, last  # the crossing level lies in lo .. hi: D(last + 1) = 0 <= S(last)
    while lo < hi:
        middle = (lo + hi) // 2
        broadcasts += 1
        if demand(middle + 1) <= supply(middle):
            hi = middle
        else:
            lo = middle + 1
    x = lo
    above, at = demand(x + 1), demand(x)
    below, under = supply(x - 1) if x > 0 else 0, supply(x)
    trades = min(at, under)
    floor = low + x * size
    buyers = clocks.mark_buyers(values, floor, floor + size, trades - above)
    sellers = clocks.mark_sellers(costs, floor - size, floor, trades - below)
    # Buyer T + 1 stopped at x and the seller clock passed it, but no winner stopped there: half a
    # step above. Otherwise the price is clamped to a winner's stop at x.
    price = floor + size // 2 if at > trades == above else floor
    if first_mover == "seller":
        buyers, sellers, price = sellers, buyers, top - price
    return Outcome(
        mechanism="dda-bisection",
        buyer_units=as_units(buyers),
        seller_units=as_units(sellers),
        pays=price,
        gets=price,
        parameters={"first_mover": first_mover, "step": size, "ticks": last, "low": grid.low},
        rounds=broadcasts,
    )
