"""Claims of the theorem table beside its cells: obviously, false-name-proof, in expectation.

*Obviously*: a clock on which traders drop out learns nothing about those who stay, so whatever they
would have paid cannot decide anything. All winners at once are given other reports beyond the
prices they trade at; the outcome must be the same. (With truth-telling and individual rationality,
which the table claims beside it, staying in while the price suits is then obviously dominant: Li,
AER 107 (2017), Milgrom and Segal, JPE 128 (2020).)

*False-name-proof*: no trader gains by one extra report on either side.

*Truthful in the price of flat bids*: where every trader has one price for all its units, no other
price for all of them pays.

*In expectation*: a seller is left out by lot, each of the k with the same probability, so the
expected welfare is the mean over whom the lot may leave out.
"""

from __future__ import annotations

import numpy as np

from mechanisms import rules
from mechanisms.audit.asking import Asked, same
from mechanisms.audit.candidates import candidate_reports
from mechanisms.audit.checks import welfare
from mechanisms.audit.false_names import false_name
from mechanisms.audit.findings import own_utility
from mechanisms.audit.sampling import SIDES
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS, MINOR

#: The note of rules that are truthful where everybody has one price and a public quantity.
TRUE_PRICE = "truthful in the price of flat bids"
#: Other reports of the winners that are tried, and lots that are drawn.
TRIES, LOTS = 4, 40


def check(note: str, rule: Asked, market: Market) -> list[str]:
    """What contradicts a note of the table on one market."""
    if note == "obviously":
        return _obviously(rule, market)
    if note == TRUE_PRICE:
        return _flat_prices(rule, market)
    return _false_names(rule, market) if note == "false-name-proof" else []


def _flat_prices(rule: Asked, market: Market) -> list[str]:
    """Everybody asks for its units at the price of its first; nobody gains by another price."""
    for side in SIDES:
        for i in range(market.n_buyers if side == "buyer" else market.n_sellers):
            prices = market.reports(side)[market.units_of(side, i)]
            market = market.with_report(side, i, int(prices[0])) if len(prices) else market
    outcome, found = rule(market), []
    for side in SIDES:
        for i in range(market.n_buyers if side == "buyer" else market.n_sellers):
            have = own_utility(market, outcome, side, i)
            for price in candidate_reports(rule, market, outcome, side, i):
                gain = own_utility(market, rule(market.with_report(side, i, price)), side, i) - have
                if gain > 0:
                    told = f"{side} {i} gains {gain / HALF_UNITS!r} at {price / HALF_UNITS!r}"
                    found.append(f"{told}, flat at {market.values}, {market.costs}")
    return found


def _obviously(rule: Asked, market: Market) -> list[str]:
    outcome = rule(market)
    if outcome.prices is None or not outcome.trades:
        return []
    pays, gets = (round(price * HALF_UNITS) for price in outcome.prices)
    low, high = market.price_range
    rng = np.random.default_rng(len(market.values) + 7 * int(market.values.sum()) % 1000)
    for _ in range(TRIES):
        values, costs = market.values.copy(), market.costs.copy()
        won, sold = outcome.buyer_units > 0, outcome.seller_units > 0
        if pays + MINOR <= high:
            steps = rng.integers(1, (high - pays) // MINOR + 1, int(won.sum()))
            values[won] = pays + MINOR * steps
        if gets - MINOR >= low:
            steps = rng.integers(1, (gets - low) // MINOR + 1, int(sold.sum()))
            costs[sold] = gets - MINOR * steps
        moved = market.replace(values=values, costs=costs)
        if not same(outcome, rule(moved)):
            return [f"winners at {values.tolist()}, {costs.tolist()} change the outcome"]
    return []


def _false_names(rule: Asked, market: Market) -> list[str]:
    outcome = rule(market)
    found = []
    for side in SIDES:
        count = market.n_buyers if side == "buyer" else market.n_sellers
        for i in range(count):
            best = false_name(rule, market, outcome, side, i)
            if best.gain > 0:
                added = f"{best.extra_side} at {np.asarray(best.price) / HALF_UNITS}"
                found.append(f"{side} {i} gains {best.gain / HALF_UNITS!r} with an extra {added}")
    return found


def expected_welfare(mechanism: str, market: Market) -> float:
    """Mean welfare over the lots of a seeded rule, half minor units: each outcome counts once."""
    drawn: dict[bytes, int] = {}
    for seed in range(LOTS):
        outcome = rules.run(mechanism, market, seed=seed)
        drawn[outcome.seller_units.tobytes()] = welfare(market, outcome)
    return float(np.mean(list(drawn.values())))
