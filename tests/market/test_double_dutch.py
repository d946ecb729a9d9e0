"""The double Dutch auction: rules by hand, three engines that agree, and what it refuses."""

import itertools
from functools import partial

import numpy as np
import pytest

from formulations.market import assignment
from mechanisms.double_dutch import bisection, clocks
from mechanisms.double_dutch import rule as double_dutch
from mechanisms.double_dutch.adaptive import constant, doubling
from mechanisms.double_dutch.adaptive import run as run_adaptive
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS
from tests.support import reference_clock

# Buyers stop at 9, 7, 4 and sellers at 2, 5, 8 on a grid of whole prices from 0 to 10.
THREE = Market.of([9, 7, 4], [2, 5, 8], price_range=(0, 10))


def run(market=THREE, ticks=10, **options):
    style = {"alternation": "unit", "pricing": "clamped", **options}
    return double_dutch.run(market, ticks=ticks, **style)


def money(outcome):
    return (outcome.payment / HALF_UNITS).tolist(), (outcome.receipt / HALF_UNITS).tolist()


@pytest.mark.parametrize(
    ("pricing", "pays", "gets"),
    [
        # Buyer 9, seller 2, buyer 7, seller 5; buyer 4 < 5: the buyer clock runs to 4.
        ("mid", [4.5, 4.5, 0], [4.5, 4.5, 0]),  # below the seller's stop of 5: irrational
        ("clamped", [5, 5, 0], [5, 5, 0]),
        ("own-clock", [9, 7, 0], [2, 5, 0]),
        ("mcafee", [6, 6, 0], [6, 6, 0]),  # (4 + 8) / 2 = 6 suits buyer 7 and seller 5
        ("trade-reduction", [7, 0, 0], [5, 0, 0]),
        ("trade-reduction-critical", [7, 0, 0], [5, 0, 0]),  # both winners come first in ties
    ],
)
def test_pricing_rules_on_three_by_three(pricing, pays, gets):
    """The six pricings of one auction, by hand."""
    assert money(run(pricing=pricing)) == (pays, gets)


def test_critical_payment_is_one_step_more_behind_the_excluded_trader():
    """Buyer 0 (worth 7) is excluded; buyer 1 would lose the tie at 7, so it must pay 8."""
    market = Market.of([7, 9], [2, 1], price_range=(0, 10))
    assert money(run(market, pricing="trade-reduction-critical")) == ([0, 8], [0, 1])
    assert money(run(market, pricing="trade-reduction")) == ([0, 7], [0, 2])


def test_mid_price_with_one_clock_per_turn_ends_mid_range():
    """Ticks alternate: 10-0, 9-1, ... cross at 4 and 5, whatever the bids: one trade is lost."""
    outcome = run(Market.of([4, 3], [1, 2], price_range=(0, 10)), alternation="tick")
    assert outcome.trades == 0
    assert run(Market.of([4, 3], [1, 2], price_range=(0, 10))).trades == 2


def test_alternations_order_as_published():
    """Low values: unit is close to the optimum, flip loses half, tick almost everything."""
    market = markets.generate("low-values", 0, n=1000)
    best = assignment.solve(market).welfare

    def ratio(alternation):
        outcome = run(market, ticks=100, alternation=alternation)
        return (
            float(
                (market.values * outcome.buyer_units).sum()
                - (market.costs * outcome.seller_units).sum()
            )
            / best
        )

    unit, flip, tick = (ratio(a) for a in ("unit", "flip", "tick"))
    assert unit > 0.998
    assert 0.3 < flip < 0.6
    assert tick < 0.2


@pytest.mark.parametrize("first", ["buyer", "seller"])
def test_event_counting_and_tick_by_tick_agree(first):
    """Winners, prices and broadcasts on random auctions with ties and exact multiples."""
    rng = np.random.default_rng(7)
    for alternation, pricing in itertools.product(double_dutch.ALTERNATIONS, double_dutch.PRICINGS):
        for _ in range(25):
            ticks, size = int(rng.integers(1, 10)), 2 * int(rng.integers(1, 4))
            values, costs = (
                2 * rng.integers(0, size * ticks // 2 + 1, rng.integers(1, 7)) for _ in range(2)
            )
            market = Market(values, costs, price_range=(0, size * ticks))
            style = {"alternation": alternation, "pricing": pricing, "first_mover": first}
            (pays, gets), rounds = reference_clock.auction(
                values.tolist(), costs.tolist(), 0, size, ticks, alternation, pricing, first
            )
            for log in (False, True):
                outcome = double_dutch.run(market, ticks=ticks, log=log, **style)
                assert {i: outcome.payment[i] for i in np.flatnonzero(outcome.buyer_units)} == pays
                assert {j: outcome.receipt[j] for j in np.flatnonzero(outcome.seller_units)} == gets
                assert outcome.rounds == rounds


@pytest.mark.parametrize("first", ["buyer", "seller"])
def test_an_auction_can_end_when_no_acceptance_can_come(first):
    """Both engines and the bell agree on the ending that the shorter side brings about."""
    rng = np.random.default_rng(8)
    for alternation, pricing in itertools.product(
        double_dutch.ALTERNATIONS, ("mid", "clamped", "own-clock")
    ):
        for _ in range(15):
            ticks, size = int(rng.integers(1, 10)), 2 * int(rng.integers(1, 4))
            values, costs = (
                2 * rng.integers(0, size * ticks // 2 + 1, rng.integers(1, 5)) for _ in range(2)
            )
            market = Market(values, costs, price_range=(0, size * ticks))
            style = {"alternation": alternation, "pricing": pricing, "first_mover": first}
            (pays, gets), rounds = reference_clock.auction(
                *(values.tolist(), costs.tolist(), 0, size, ticks, alternation, pricing, first),
                early=True,
            )
            for log in (False, True):
                outcome = double_dutch.run(
                    market, ticks=ticks, log=log, ending="no-acceptance", **style
                )
                assert {i: outcome.payment[i] for i in np.flatnonzero(outcome.buyer_units)} == pays
                assert {j: outcome.receipt[j] for j in np.flatnonzero(outcome.seller_units)} == gets
                assert outcome.rounds == rounds


def test_the_ending_moves_the_midpoint():
    """One buyer of 9, one seller of 2, matched at 9 and 2: the midpoint is 5.5.

    Run on, the buyer clock falls to 1 before it is below the seller clock at 2: midpoint 1.5.
    """
    market = Market.of([9], [2], price_range=(0, 10))
    assert run(market, pricing="mid", ending="no-acceptance").prices == (5.5, 5.5)
    assert run(market, pricing="mid").prices == (1.5, 1.5)
    with pytest.raises(ValueError, match="ending = 'no-acceptance': with mcafee stops are sealed"):
        run(market, pricing="mcafee", ending="no-acceptance")


@pytest.mark.parametrize("first", ["buyer", "seller"])
def test_bisection_finds_the_trades_of_unit(first):
    """Same winners, same clamped price, at most floor(log2(N + 1)) + 1 broadcasts."""
    for seed in range(150):
        market = markets.generate("lattice" if seed % 2 else "balanced", seed, n=1 + seed % 9)
        ticks = 1 + seed % 40
        outcome = run(market, ticks=ticks, first_mover=first)
        found = bisection.run(market, ticks=ticks, first_mover=first)
        assert np.array_equal(found.buyer_units, outcome.buyer_units)
        assert np.array_equal(found.seller_units, outcome.seller_units)
        assert found.prices == outcome.prices
        assert found.rounds <= int(np.log2(ticks + 1)) + 1


def test_unit_loses_at_most_two_steps_a_trade():
    """W >= W* - 2 s k on every instance."""
    for seed in range(200):
        market = markets.generate(("balanced", "low-values", "lattice")[seed % 3], seed, n=12)
        best = assignment.solve(market)
        outcome = run(market, ticks=7 + seed % 13)
        step = outcome.parameters["step"]
        welfare = (market.values * outcome.buyer_units).sum()
        welfare -= (market.costs * outcome.seller_units).sum()
        assert welfare >= best.welfare - 2 * step * best.trades


def test_buyer_first_price_is_that_of_the_k_0_double_auction():
    """max(c_k, v_{k+1}) within half a step; seller first: min(v_k, c_{k+1})."""
    # k = 2: max(5, 4) = 5 and min(7, 8) = 7.
    buyer = run(pricing="mid").prices[0]
    seller = run(pricing="mid", first_mover="seller").prices[0]
    assert (abs(buyer - 5), abs(seller - 7)) == (0.5, 0.5)


def test_random_ties_are_seeded_and_change_who_trades():
    """Four equal buyers, one seller: the lot decides, equal seeds decide equally."""
    market = Market.of([5, 5, 5, 5], [1], price_range=(0, 10))
    winners = [int(np.argmax(run(market, ties="random", seed=s).buyer_units)) for s in range(12)]
    again = [int(np.argmax(run(market, ties="random", seed=s).buyer_units)) for s in range(12)]
    assert winners == again and len(set(winners)) > 1
    assert int(np.argmax(run(market).buyer_units)) == 0


def test_the_log_says_who_stopped_where():
    """Acceptances alternate: buyer 0 at 9, seller 0 at 2, buyer 1 at 7, seller 1 at 5."""
    log = run(log=True).log.table()
    assert log["price"].tolist() == [9, 2, 7, 5]
    assert log["side"].tolist() == ["buyer", "seller", "buyer", "seller"]


def test_no_profitable_pair_is_zero_trades():
    """Values below costs are a legal outcome of every style."""
    market = Market.of([1, 2], [8, 9], price_range=(0, 10))
    for alternation, pricing in itertools.product(double_dutch.ALTERNATIONS, double_dutch.PRICINGS):
        outcome = run(market, alternation=alternation, pricing=pricing)
        assert outcome.trades == 0 and not outcome.payment.any() and outcome.prices is None


def test_counting_is_exact_on_large_prices():
    """A price range of a million money units in 10^6 ticks: every stop is the exact quotient."""
    rng = np.random.default_rng(0)
    prices = 2 * rng.integers(0, 10**12 + 1, 1000)
    prices[:500] = prices[:500] // 2_000_000 * 2_000_000  # on the grid
    buyers, sellers = clocks.histograms(prices, prices, 0, 2_000_000, 1_000_000)
    assert np.array_equal(buyers, np.bincount(prices // 2_000_000, minlength=1_000_001))
    assert np.array_equal(sellers, np.bincount(-(-prices // 2_000_000), minlength=1_000_001))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alternation": "both"}, "alternation = 'both' must be one of synchronous"),
        ({"pricing": "fair"}, "pricing = 'fair' must be one of mid"),
        ({"first_mover": "nobody"}, "first_mover = 'nobody' must be one of"),
        ({"ties": "age"}, "ties = 'age' must be one of"),
        ({"ticks": 0}, "ticks = 0 must be a whole number >= 1"),
        ({"ticks": None, "step": 0.0}, "step = 0.0 must be above 0"),
        ({"ticks": None, "step": 11.0}, "step = 11.0 must be above 0 and at most the price range"),
        ({"ticks": None, "step": 1e-9}, "step = 1e-09 is not on the grid of 1e-06"),
        ({"ticks": 10, "step": 1.0}, "give one of them"),
        ({"price_range": (0, 8)}, r"price_range = \(0, 8\) misses values\[0\] = 9"),
    ],
)
def test_bad_options_are_refused(options, message):
    """A grid must have a positive step within the range and cover every bid."""
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_multi_unit_bids_are_refused():
    """The clocks sell one unit to each."""
    with pytest.raises(ValueError, match="rule for unit demand, the market has multi-unit bids"):
        run(Market.of([[9, 7]], [[1, 2]], price_range=(0, 10)))


def test_an_adaptive_step_reacts_to_reports():
    """The schedule that everybody sees depends on a report: no claim of truthfulness."""
    market = Market.of([9, 8], [1, 2], price_range=(0, 10))
    one = run_adaptive(market, ticks=100)
    two = run_adaptive(market.with_report("buyer", 0, 3 * HALF_UNITS), ticks=100)
    assert one.parameters["schedule"] != two.parameters["schedule"]


def test_doubling_saves_broadcasts():
    """Jumps double in silence: far fewer announcements than one per tick."""
    market = markets.generate("thin", 3)
    assert run_adaptive(market, policy=doubling).rounds < run(market, ticks=100).rounds / 2


@pytest.mark.parametrize("alternation", ["tick", "unit"])
def test_sealed_clocks_end_when_nothing_more_can_decide(alternation):
    """t-DDA clears the same as if everybody had stopped: with one-tick jumps, as the fixed grid."""
    one_tick = constant(1)
    for seed in range(80):
        kind = ("balanced", "lattice", "thin", "five-to-one")[seed % 4]
        market = markets.generate(kind, seed, n=9)
        jumping = run_adaptive(market, policy=one_tick, alternation=alternation, pricing="mcafee")
        fixed = run(market, alternation="unit", pricing="mcafee", ticks=100)
        assert np.array_equal(jumping.buyer_units, fixed.buyer_units)
        assert np.array_equal(jumping.seller_units, fixed.seller_units)
        assert np.array_equal(jumping.payment, fixed.payment)
        assert np.array_equal(jumping.receipt, fixed.receipt)
        assert jumping.rounds <= fixed.rounds


def test_steps_that_read_only_their_clock_stay_truthful_to_one_jump():
    """A list of prices fixed beforehand is a grid of its own: under t-DDA no report gains as much
    as its largest jump, 4 of 10 ticks here (every report on every tick, 40 markets)."""

    def steps(state):
        clock = 10 - state.buyer_clock if state.turn == 0 else state.seller_clock
        return 4 if clock < 5 else 2

    gains = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        market = Market.of(*rng.uniform(0, 10, (2, 3)).round(3), price_range=(0, 10))
        ask = partial(run_adaptive, policy=steps, ticks=10, alternation="unit", pricing="mcafee")
        truth = ask(market)
        for side, count in (("buyer", 3), ("seller", 3)):
            for i in range(count):
                true = market.reports(side)[i]

                def utility(outcome, side=side, i=i, true=true):
                    if side == "buyer":
                        return int(outcome.buyer_units[i] * true - outcome.payment[i])
                    return int(outcome.receipt[i] - outcome.seller_units[i] * true)

                reports = range(0, 10 * HALF_UNITS + 1, HALF_UNITS)
                tried = [utility(ask(market.with_report(side, i, r))) for r in reports]
                gains.append(max(tried) - utility(truth))
    assert 0 < max(gains) < 4 * HALF_UNITS


def test_a_jump_below_one_tick_is_refused():
    """The clocks must move."""
    with pytest.raises(ValueError, match="jump = 0 must be at least one tick"):
        run_adaptive(THREE, policy=lambda state: 0)
