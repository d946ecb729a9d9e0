"""Small markets of several units: every report there is, and rules with one fault each.

The rules are written as a reader would write them: pairs with units, prices in money.
"""

from itertools import combinations_with_replacement

import numpy as np

from mechanisms.outcome import Outcome
from mecopt.market.instance import Market

CENT = 0.01


def small(seed, top=6, most=3):
    """One or two traders a side with up to three units each, prices on `top` minor units."""
    rng = np.random.default_rng([seed, 16])

    def side():
        units = rng.integers(1, most + 1, rng.integers(1, 3))
        prices = [np.sort(2 * rng.integers(0, top + 1, n)) for n in units]
        return prices, np.concatenate([[0], np.cumsum(units)])

    values, buyer_ptr = side()
    costs, seller_ptr = side()
    return Market(
        np.concatenate([v[::-1] for v in values]),
        np.concatenate(costs),
        (0, 2 * top),
        buyer_ptr=buyer_ptr,
        seller_ptr=seller_ptr,
    )


def every_report(market, side, trader, prices=None):
    """Every falling (rising) list of prices on the grid, of all units or of fewer."""
    own = market.units_of(side, trader)
    prices = prices or range(market.price_range[0], market.price_range[1] + 1, 2)
    for count in range(1, own.stop - own.start + 1):
        for report in combinations_with_replacement(prices, count):
            yield report[::-1] if side == "buyer" else report


def best_gain(rule, market, side, trader, prices=None):
    """The most a trader can gain by any report at some prices (the grid), half minor units."""
    own = market.reports(side)[market.units_of(side, trader)]
    sign = 1 if side == "buyer" else -1

    def utility(outcome):
        units = (outcome.buyer_units, outcome.seller_units)[side == "seller"][trader]
        amount = (outcome.payment, outcome.receipt)[side == "seller"][trader]
        return sign * (int(own[:units].sum()) * outcome.scale - int(amount)) / outcome.scale

    best = max(
        utility(rule(market.with_report(side, trader, report)))
        for report in every_report(market, side, trader, prices)
    )
    return best - utility(rule(market))


def traders(market):
    """Every trader of a market."""
    yield from (("buyer", i) for i in range(market.n_buyers))
    yield from (("seller", j) for j in range(market.n_sellers))


def matched(market):
    """Efficient units as (buyer, seller, 1), best first, ties by place."""
    buyers = [i for i in range(market.n_buyers) for _ in range(market.wanted[i])]
    sellers = [j for j in range(market.n_sellers) for _ in range(market.seats[j])]
    demand = sorted(range(len(buyers)), key=lambda u: -market.bids[u])
    supply = sorted(range(len(sellers)), key=lambda u: market.asks[u])
    pairs = [
        (u, w) for u, w in zip(demand, supply, strict=False) if market.bids[u] >= market.asks[w]
    ]
    return [(buyers[u], sellers[w], market.lot) for u, w in pairs], pairs


def pay_as_bid(market):
    """Everybody at its own report."""
    trades, units = matched(market)
    bids = [float(market.bids[u]) for u, _ in units]
    return Outcome.from_trades(market, trades, bids, [float(market.asks[w]) for _, w in units])


def posted(market, kept=0.0):
    """Whoever accepts the middle of the range trades, first listed first."""
    low, high = (p / 2_000_000 for p in market.price_range)
    price = round((low + high) / 2, 2)
    buyers = [
        i
        for i in range(market.n_buyers)
        for u in range(*market.units_of("buyer", i).indices(len(market.bids)))
        if market.bids[u] >= price
    ]
    sellers = [
        j
        for j in range(market.n_sellers)
        for u in range(*market.units_of("seller", j).indices(len(market.asks)))
        if market.asks[u] <= price
    ]
    trades = [(i, j, market.lot) for i, j in zip(buyers, sellers, strict=False)]
    return Outcome.from_trades(market, trades, price, price - kept)


def skims_a_cent(market):
    """Sellers get a cent less than buyers pay."""
    return posted(market, kept=CENT)


def leaks_a_cent(market):
    """Sellers get a cent more than buyers pay."""
    return posted(market, kept=-CENT)


def last_step_sets_the_price(market):
    """One price: the last bid of all, so that whoever bids for less pays less for the rest."""
    trades, units = matched(market)
    price = float(market.bids.min()) if units else 0.0
    kept = [t for t, (_, w) in zip(trades, units, strict=True) if market.asks[w] <= price]
    return Outcome.from_trades(market, kept, price, price)


def by_size(market):
    """A posted price, and large buyers pay ten cents a unit more."""
    outcome = posted(market)
    large = market.wanted >= 2
    pays = outcome.payment + 200_000 * outcome.buyer_units * large
    return Outcome("by size", outcome.buyer_units, outcome.seller_units, pays, outcome.gets)


def at_a_loss(market):
    """Buyers pay twenty cents more than they bid."""
    trades, units = matched(market)
    bids = [float(market.bids[u]) + 0.2 for u, _ in units]
    return Outcome.from_trades(market, trades, bids, [float(market.asks[w]) for _, w in units])


def off_the_lot(market):
    """Half a lot to the first buyer."""
    return Outcome.from_trades(market, [(0, 0, market.lot / 2)], 1, 1)
