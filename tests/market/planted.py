"""Rules with one fault each, and a truthful one, for the audit to judge.

They are written as a reader would write a rule: pairs and prices in money. All but the faults are
trade reduction: the k-th pair is left out and sets the prices.
"""

import random

import numpy as np

from mechanisms.outcome import Outcome

CENT = 0.01


def ranked(market):
    """Buyers by falling bid, sellers by rising ask, ties by place, and the efficient trades."""
    buyers = sorted(range(market.n_buyers), key=lambda i: -market.bids[i])
    sellers = sorted(range(market.n_sellers), key=lambda j: market.asks[j])
    pairs = list(zip(buyers, sellers, strict=False))
    return buyers, sellers, [(i, j) for i, j in pairs if market.bids[i] >= market.asks[j]]


def reduced(market, pays=0.0, gets=0.0):
    """Trade reduction, with something added to what everybody pays and gets."""
    _, _, pairs = ranked(market)
    if len(pairs) < 2:
        return Outcome.from_trades(market, [], 0, 0)
    i, j = pairs[-1]
    return Outcome.from_trades(
        market, pairs[:-1], float(market.bids[i]) + pays, float(market.asks[j]) + gets
    )


def truthful(market):
    """Trade reduction."""
    return reduced(market)


def pay_as_bid(market):
    """Everybody at its own report."""
    _, _, pairs = ranked(market)
    bids = [float(market.bids[i]) for i, _ in pairs]
    return Outcome.from_trades(market, pairs, bids, [float(market.asks[j]) for _, j in pairs])


def one_step_low(market):
    """Winning buyers pay a cent less than the report at which they would just have won."""
    return reduced(market, pays=-CENT)


def leaks_a_cent(market):
    """One price, and sellers get a cent more than buyers pay."""
    return _posted(market, 0, CENT)


def skims_a_cent(market):
    """One price, and sellers get a cent less than buyers pay."""
    return _posted(market, 0, -CENT)


def _posted(market, pays, gets):
    buyers = [i for i in range(market.n_buyers) if market.bids[i] >= 5]
    sellers = [j for j in range(market.n_sellers) if market.asks[j] <= 5]
    pairs = list(zip(buyers, sellers, strict=False))
    return Outcome.from_trades(market, pairs, 5 + pays, 5 + gets)


def by_head_count(market):
    """A posted price that falls with the number of sellers: a false seller is a discount."""
    price = 10 - float(market.n_sellers)
    _, _, pairs = ranked(market)
    good = [(i, j) for i, j in pairs if market.bids[i] >= price >= market.asks[j]]
    return Outcome.from_trades(market, good, price, price)


def first_listed(market):
    """A posted price at which those who are listed first trade."""
    return _posted(market, 0, 0)


def favours_ties(market):
    """Of equals the first listed pays a cent less."""
    _, _, pairs = ranked(market)
    price = 5.0
    good = [(i, j) for i, j in pairs if market.bids[i] >= price >= market.asks[j]]
    pays = [price - CENT * (n == 0) for n in range(len(good))]
    return Outcome.from_trades(market, good, pays, pays)


def lottery(market):
    """A posted price, rationed by a lot that nobody seeded; truthful whatever the lot is."""
    buyers = [i for i in range(market.n_buyers) if market.bids[i] >= 5]
    sellers = [j for j in range(market.n_sellers) if market.asks[j] <= 5]
    random.SystemRandom().shuffle(buyers)
    random.SystemRandom().shuffle(sellers)
    return Outcome.from_trades(market, list(zip(buyers, sellers, strict=False)), 5, 5)


def at_a_loss(market):
    """The best buyer trades with the dearest seller at the middle, whatever that is."""
    i, j = int(np.argmax(market.bids)), int(np.argmax(market.asks))
    price = round(float(market.bids[i] + market.asks[j]) / 2, 6)
    return Outcome.from_trades(market, [(i, j)], price, price)


def short_arrays(market):
    """Units of one buyer too few."""
    units = np.zeros(market.n_buyers - 1, dtype=np.int64)
    return Outcome("short", units, np.zeros(market.n_sellers, dtype=np.int64), 0, 0)


def discount(market):
    """A posted price of 5, and 4 for a bid between 6.20 and 6.25."""
    buyers = [i for i in range(market.n_buyers) if market.bids[i] >= 5]
    sellers = [j for j in range(market.n_sellers) if market.asks[j] <= 5]
    pairs = list(zip(buyers, sellers, strict=False))
    pays = [4 if 6.2 <= market.bids[i] <= 6.25 else 5 for i, _ in pairs]
    return Outcome.from_trades(market, pairs, pays, 5)


def raises(market):
    """Fails when somebody bids above 9.5."""
    if market.bids.max() > 9.5:
        raise RuntimeError("too dear for me")
    return reduced(market)
