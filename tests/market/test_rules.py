"""Sealed one-good rules: worked examples from the literature, by hand, and by brute force."""

import numpy as np
import pytest

from formulations.market import assignment
from mechanisms import muda, rules
from mechanisms.double_dutch.order import rising
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS


def amounts(name, values, costs, **options):
    """(payments of winning buyers, receipts of winning sellers) in money, best trader first."""
    top = options.pop("top", 20)
    outcome = rules.run(name, Market.of(values, costs, price_range=(0, top)), **options)
    unit = outcome.scale * HALF_UNITS
    pay = outcome.payment[outcome.buyer_units > 0] / unit
    get = outcome.receipt[outcome.seller_units > 0] / unit
    return pay.tolist(), get.tolist()


@pytest.mark.parametrize(
    ("values", "costs", "expected"),
    [
        ([9], [4], ([], [])),
        ([9, 8], [4], ([], [])),
        ([9], [4, 3], ([], [])),
        ([9, 8], [4, 3], ([8], [4])),  # no pair k + 1: one trade, buyers pay 8, sellers get 4
        ([9, 4], [8, 3], ([6], [6])),  # the mean of 4 and 8 suits the pair (9, 3)
    ],
)
def test_mcafee_examples(values, costs, expected):
    """McAfee, JET 56 (1992) 434-450, on the examples worked in the code beside
    Segal-Halevi, Gonen, "Strongly Budget Balanced Auctions for Multi-Sided Markets", AAAI 2020
    (github.com/erelsgl/auctions, mcafee_protocol.py).

    With 9 against 4, 3 that implementation has no trade; so have we: the missing buyer counts as 0
    and the mean (0 + 4) / 2 = 2 does not cover the seller's cost of 3.
    """
    assert amounts("mcafee", values, costs) == expected


def test_sbba_price_is_the_next_seller_if_it_suits_the_last_buyer():
    """Segal-Halevi et al., SAGT 2016, case 1: k = 3, c_4 = 6 <= v_3 = 7: all three pairs at 6."""
    assert amounts("sbba", [9, 8, 7, 4], [1, 3, 4, 6]) == ([6, 6, 6], [6, 6, 6])


def test_sbba_otherwise_excludes_the_last_buyer_and_a_seller_by_lot():
    """SAGT 2016, case 2: c_4 = 12 > v_3 = 7: price 7, buyers 9 and 8, two of the three sellers."""
    market = Market.of([9, 8, 7, 4], [1, 3, 4, 12], price_range=(0, 20))
    left_out = set()
    for seed in range(40):
        outcome = rules.run("sbba", market, seed=seed)
        assert outcome.prices == (7, 7) and outcome.buyer_units.tolist() == [1, 1, 0, 0]
        left_out |= set(np.flatnonzero(outcome.seller_units[:3] == 0).tolist())
    assert left_out == {0, 1, 2}


def test_mcafee_leaves_money_on_the_table_and_sbba_does_not():
    """SAGT 2016, introduction: the auctioneer may keep almost all the gain from trade.

    Ten buyers worth 10, ten sellers with cost 0: McAfee's nine trades go at 10 and 0, the
    auctioneer keeps 90 of 90. SBBA trades nine at one price and keeps nothing.
    """
    pays, gets = amounts("mcafee", [10] * 10, [0] * 10)
    assert (pays, gets) == ([10] * 9, [0] * 9)
    pays, gets = amounts("sbba", [10] * 10, [0] * 10)
    assert pays == gets == [10] * 9


def test_sbba_keeps_one_minus_one_over_k_in_expectation():
    """The lot costs the last buyer and, on average, a mean seller: at least (1 - 1/k) W* is left.

    Values 9, 8, 7 and costs 1, 2, 6: W* = 15, k = 3. The lot leaves out 1, 2 or 6: W = 9, 10 or 14,
    mean 11 >= 10.
    """
    market = Market.of([9, 8, 7], [1, 2, 6], price_range=(0, 10))
    welfare = []
    for seed in range(300):
        outcome = rules.run("sbba", market, seed=seed)
        gain = (market.values * outcome.buyer_units).sum()
        welfare.append((gain - (market.costs * outcome.seller_units).sum()) / HALF_UNITS)
    assert set(welfare) == {9, 10, 14}
    assert np.mean(welfare) > 10.5


def test_muda_example_of_the_paper():
    """Segal-Halevi et al., AAAI 2018, example 1: one buyer, two sellers, price 50 from outside.

    The buyer wants four units at 50 (100, 90, 80, 60); the sellers offer 10, 20, 40 and 15, 25, 35,
    45. The four cheapest units win: two of each seller. Without seller 1 the units at 35 and 45
    would trade, 50 - 35 + 50 - 45 = 20; without seller 2 the one at 40: 50 - 40 = 10.
    """
    market = Market.of(
        [[100, 90, 80, 60, 40, 20]],
        [[10, 20, 40, 60, 70], [15, 25, 35, 45, 65]],
        price_range=(0, 100),
    )
    everybody = np.ones(6, bool), np.ones(10, bool)
    orders = np.arange(1), np.arange(2)
    bought, sold, pays, gets = muda.trade_at_price(
        market, 50 * HALF_UNITS, ration="vickrey", among=everybody, orders=orders
    )
    assert bought.tolist() == [4] and sold.tolist() == [2, 2]
    assert pays[0] / HALF_UNITS == 200
    assert (gets / HALF_UNITS).tolist() == [100 - 20, 100 - 10]


def test_muda_lottery_serves_in_order_at_one_price():
    """The same half by lottery with seller 2 first: it sells its four units, seller 1 none."""
    market = Market.of([[100, 90, 80, 60]], [[10, 20, 40], [15, 25, 35, 45]])
    _, sold, pays, gets = muda.trade_at_price(
        market,
        50 * HALF_UNITS,
        ration="lottery",
        among=(np.ones(4, bool), np.ones(7, bool)),
        orders=(np.arange(1), np.array([1, 0])),
    )
    assert sold.tolist() == [0, 4]
    assert int(pays.sum()) == int(gets.sum()) == 200 * HALF_UNITS


def test_textbook_double_auction():
    """Values 100, 90, 80, 70, 60 and costs 80, 85, 95, 100, 110: k = 2, prices 85 to 90.

    The textbook table of the double-auction literature: average 87.5, VCG buyers max(85, 80) = 85
    and sellers min(90, 95) = 90, trade reduction one trade at 90 and 85, McAfee (80 + 95) / 2 =
    87.5.
    """
    values, costs = [100, 90, 80, 70, 60], [80, 85, 95, 100, 110]
    assert amounts("k-double-0.5", values, costs, top=200) == ([87.5] * 2, [87.5] * 2)
    assert amounts("vcg", values, costs, top=200) == ([85] * 2, [90] * 2)
    assert amounts("trade-reduction", values, costs, top=200) == ([90], [85])
    assert amounts("double-english", values, costs, top=200) == ([90], [85])
    assert amounts("mcafee", values, costs, top=200) == ([87.5] * 2, [87.5] * 2)


def test_k_double_prices_are_exact_rationals():
    """k = 1/3 between 5 and 7 is 17/3: numerator and denominator, no rounding."""
    market = Market.of([9, 7, 4], [2, 5, 8], price_range=(0, 10))
    outcome = rules.run("k-double-1/3", market)
    assert outcome.scale == 3 and outcome.payment[0] == 17 * HALF_UNITS


def test_posted_price_rations_the_longer_side_by_lot():
    """At 5: buyers 9, 8, 6 would trade with one seller; who does depends on the seed alone."""
    market = Market.of([9, 8, 6, 1], [2, 7], price_range=(0, 10))
    winners = {int(np.argmax(rules.run("posted", market, seed=s).buyer_units)) for s in range(30)}
    assert winners == {0, 1, 2}


def test_tpd_prices_the_longer_side_by_its_first_loser():
    """Threshold 5: two buyers (9, 8) and one seller (2): buyer 9 pays 8, the seller gets 5."""
    assert amounts("tpd", [9, 8], [2, 7], top=10) == ([8], [5])
    assert amounts("tpd", [9, 4], [2, 3], top=10) == ([5], [3])
    assert amounts("tpd", [9, 4], [2, 7], top=10) == ([5], [5])


def test_double_english_clears_like_trade_reduction():
    """Dropping out pair by pair excludes exactly the last efficient pair, ties included."""
    for seed in range(200):
        kind = ("lattice", "thin", "five-to-one")[seed % 3]
        market = markets.generate(kind, seed, n=7)
        one, two = (rules.run(name, market) for name in ("double-english", "trade-reduction"))
        assert np.array_equal(one.payment, two.payment)
        assert np.array_equal(one.receipt, two.receipt)


def test_fast_order_is_the_stable_order():
    """Ties keep the order of the list, for small and for very large prices."""
    rng = np.random.default_rng(0)
    for n, top in ((1, 5), (2, 1), (500, 40), (500, 2**40), (70_000, 2**61)):
        prices = rng.integers(0, top, n)
        assert np.array_equal(rising(prices), np.argsort(prices, kind="stable"))


def test_vcg_runs_a_deficit():
    """Values 9, costs 2: the buyer pays 2, the seller gets 9 (alone, each is pivotal)."""
    market = Market.of([9], [2], price_range=(0, 10))
    outcome = rules.run("vcg", market)
    # No second buyer or seller: critical reports are 2 and 9.
    assert (outcome.payment[0] / HALF_UNITS, outcome.receipt[0] / HALF_UNITS) == (2, 9)


def test_no_mechanism_trades_without_a_profitable_pair():
    """Zero trades is a legal outcome."""
    market = Market.of([1, 2], [8, 9], price_range=(0, 10))
    for name in rules.NAMES:
        outcome = rules.run(name, market)
        assert outcome.trades == 0 and not outcome.payment.any() and not outcome.receipt.any()


def test_sort_and_highs_agree_on_the_optimum():
    """Two independent ways to W*."""
    for seed in range(20):
        market = markets.generate("lattice", seed, n=10)
        sort, lp = assignment.solve(market), assignment.solve(market, method="lp")
        assert sort.welfare == lp.welfare and lp.proved


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("k-double-2", {}, "k = 2 must lie between 0 and 1"),
        ("k-double-x", {}, "k = 'x' must be a number"),
        ("uniform-price-2", {}, "k = 2 must lie between 0 and 1"),
        ("posted", {"threshold": 11}, "threshold = 11 is outside"),
        ("muda", {"ration": "queue"}, "ration = 'queue' must be one of lottery, vickrey"),
        ("english", {}, "mechanism: unknown 'english'"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    """Errors name the option and its value."""
    with pytest.raises(ValueError, match=message):
        rules.run(name, Market.of([9], [2], price_range=(0, 10)), **options)


@pytest.mark.parametrize(
    "name", [n for n in rules.NAMES if n not in (*rules.UNITS_NAMES, "server-clocks")]
)
def test_unit_rules_refuse_multi_unit_bids(name):
    """The rules of `UNITS_NAMES` sell several units to one trader, no others."""
    with pytest.raises(ValueError, match="multi-unit|unit demand"):
        rules.run(name, Market.of([[9, 7]], [[1, 2]], price_range=(0, 10)))
