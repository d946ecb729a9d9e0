"""Call markets of several units: rules by hand, quantities on lots, negative prices, reserve."""

import numpy as np
import pytest

from formulations.market.units import most_welfare
from mechanisms import Outcome, rules
from mechanisms.audit import checks
from mecopt.market import scenarios
from mecopt.market.instance import Market
from mecopt.market.sources import read_market, read_markets
from mecopt.market.units import HALF_UNITS
from mecopt.market.writing import to_csv, write_csv

#: Values 9, 8, 8, 7, 4 and costs 1, 2, 3, 5, 6 in order of rank: four units trade, at 5 to 6.
MARKET = Market.of([[9, 7, 4], [8, 8]], [[1, 2, 3], [5, 6]], price_range=(0, 10))


def amounts(name, market=MARKET, **options):
    """Units and money of everybody."""
    o = rules.run(name, market, **options)
    unit = o.scale * HALF_UNITS
    return (
        (o.buyer_units.tolist(), o.seller_units.tolist()),
        ((o.payment / unit).tolist(), (o.receipt / unit).tolist()),
    )


@pytest.mark.parametrize(
    ("name", "pays", "gets"),
    [
        ("uniform-price-0", [10, 10], [15, 5]),
        ("uniform-price-0.5", [11, 11], [16.5, 5.5]),
        ("uniform-price-1/3", [32 / 3, 32 / 3], [16, 16 / 3]),
        ("pay-as-bid", [16, 16], [6, 5]),
        # Buyer 0 displaces costs 5 and 3 (value 4 is its own); buyer 1 cost 5 and value 4.
        # Seller 0 serves values 7, 8 and saves cost 6 of the other; seller 1 serves value 7 at
        # least (its cost 6 is its own; values 4 is not served): min of 7, 8, 8, 9 is 7.
        ("vcg", [8, 9], [21, 7]),
    ],
)
def test_efficient_rules_by_hand(name, pays, gets):
    """Two units each for the buyers, three and one of the sellers."""
    units, money = amounts(name)
    assert units == ([2, 2], [3, 1])
    assert money[0] == pytest.approx(pays) and money[1] == pytest.approx(gets)


def test_vcg_pays_the_harm_done_to_the_others():
    """W of the others without a trader, less W of the others with it, by the sorted optimum."""
    for seed in range(40):
        market = scenarios.generate("units-lattice", seed, n=3)
        outcome = rules.run("vcg", market)
        buyers, sellers = checks.utilities(market, outcome)
        best = checks.optimum(market, solver=False).welfare
        for side, utilities in (("buyer", buyers), ("seller", sellers)):
            for i, utility in enumerate(utilities.tolist()):
                without = market.with_report(side, i, [])
                assert utility == best - checks.optimum(without, solver=False).welfare


def test_the_reduction_leaves_out_the_two_traders_at_the_margin():
    """The fourth units are 7 (buyer 0) and 5 (seller 1): buyer 1 buys two at 7, paid 5 each."""
    units, money = amounts("units-reduction")
    assert units == ([0, 2], [2, 0])
    assert money == ([0, 14], [10, 0])


def test_one_unit_each_is_the_rule_for_one_unit():
    """Uniform price is the k-double auction, and VCG of units is VCG of one unit."""
    from mechanisms.call_market.efficient import vcg

    for seed in range(30):
        market = scenarios.generate("lattice", seed, n=5)
        for k in ("0", "0.5", "1"):
            assert amounts(f"uniform-price-{k}", market) == amounts(f"k-double-{k}", market)
        one, other = rules.run("vcg", market), vcg(market)
        assert one.payment.tolist() == other.payment.tolist()
        assert one.receipt.tolist() == other.receipt.tolist()


def test_the_optimum_agrees_with_a_linear_program():
    """Sorting, an exact clearing price and HiGHS; prices below zero as well."""
    for seed in range(60):
        market = scenarios.generate("units-lattice" if seed % 2 else "units", seed, n=1 + seed % 5)
        shifted = Market(
            market.values - HALF_UNITS,
            market.costs - HALF_UNITS,
            (-HALF_UNITS, HALF_UNITS),
            buyer_ptr=market.buyer_ptr,
            seller_ptr=market.seller_ptr,
        )
        for one in (market, shifted):
            best = checks.optimum(one)
            assert best.welfare == most_welfare(one)
            assert "HiGHS" in best.methods


def test_prices_below_zero_move_every_rule():
    """Everything four lower: the same units, and every unit's price four lower."""
    lower = Market.of([[5, 3, 0], [4, 4]], [[-3, -2, -1], [1, 2]], price_range=(-4, 6))
    for name in rules.UNITS_NAMES:
        one, other = rules.run(name, MARKET), rules.run(name, lower)
        assert one.buyer_units.tolist() == other.buyer_units.tolist()
        down = 4 * HALF_UNITS * one.scale
        assert (one.payment - down * one.buyer_units).tolist() == other.payment.tolist()
        assert (one.receipt - down * one.seller_units).tolist() == other.receipt.tolist()


def test_a_rule_that_counts_from_zero_refuses_prices_below():
    """McAfee's missing buyer is worth 0, which is more than -1."""
    market = Market.of([5], [-1], price_range=(-4, 6))
    assert "counts a missing price as 0" in rules.misfit("mcafee", market)
    with pytest.raises(ValueError, match="mcafee: a missing buyer counts as 0, a price is below"):
        rules.run("mcafee", market)


@pytest.mark.parametrize(
    ("name", "units", "pays", "gets"),
    [
        # Five costs of 6.5 against 9, 8, 8, 7: four trade between 6.5 and 6.5.
        ("uniform-price-0.5", ([2, 2], [3, 1]), [13, 13], [19.5, 6.5]),
        ("pay-as-bid", ([2, 2], [3, 1]), [16, 16], [19.5, 6.5]),
        # Seller 0 serves 7 and 8 and saves 6.5 of the other, who serves 7.
        ("vcg", ([2, 2], [3, 1]), [13, 13], [21.5, 7]),
    ],
)
def test_nothing_is_sold_below_the_reserve(name, units, pays, gets):
    """A public reserve of 6.5: asks below it count as 6.5, bids below it buy nothing."""
    assert amounts(name, reserve=6.5) == (units, (pays, gets))


def test_a_reserve_outside_the_range_is_refused():
    with pytest.raises(ValueError, match="reserve = 11 is outside the market's price range"):
        rules.run("pay-as-bid", MARKET, reserve=11)


def test_amounts_that_do_not_fit_are_refused():
    """A trader of 10^6 units at up to 10^6, in thousandths: 2 x 10^21 half units."""
    market = Market.of([[1e6] * 1_000_000], [1], price_range=(0, 1e6))
    with pytest.raises(ValueError, match="1000000 units of one trader are too many"):
        rules.run("uniform-price-0.001", market)


# ---------------------------------------------------------------- quantities, files
TABLE = """side,trader,quantity,price
buy,ann,2.5,30
buy,ann,1.5,22.5
sell,wind,2,-5
sell,gas,3,20
"""


def test_quantities_are_counted_in_lots(tmp_path):
    """2.5 and 1.5 in halves are five and three units; prices stay per 1 of the good."""
    path = tmp_path / "m.csv"
    path.write_text(TABLE)
    market = read_market(path, price_range=(-100, 100), lot=0.5)
    assert (market.wanted.tolist(), market.seats.tolist()) == ([8], [4, 6])
    assert market.bids.tolist() == [30.0] * 5 + [22.5] * 3
    assert market.asks.tolist() == [-5.0] * 4 + [20.0] * 6
    assert market.lot == 0.5


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        (TABLE, {"price_range": (-9, 99)}, r"line 2: units = '2.5' must be a whole .* --lot 0.1"),
        (TABLE, {"price_range": (-9, 99), "lot": 1.5}, "'2.5' must be a whole number of lots of"),
        (TABLE, {"lot": 0.5}, r"line 4: value = '-5' is negative; a price range that begins below"),
        (TABLE, {"lot": 0.5, "price_range": (-3, 99)}, "is outside the price range -3 to 99"),
        (TABLE, {"lot": 0}, "lot = 0 must be a number above 0"),
        (
            "side,id,units,value\nbuy,a,1,3\nbuy,a,1,4\nsell,s,1,1\n",
            {},
            "line 3: value = 4 rises within a buyer",
        ),
        (
            "side,id,units,value,round\nbuy,a,1,3,1\nsell,s,1,1,1\nbuy,a,1,3,2\n",
            {},
            "round '2': side: there is no seller",
        ),
    ],
)  # fmt: skip
def test_malformed_tables_are_refused(tmp_path, table, options, match):
    path = tmp_path / "m.csv"
    path.write_text(table)
    with pytest.raises(ValueError, match=match):
        read_markets(path, **options)


def test_a_market_written_as_csv_is_read_again(tmp_path):
    """Steps, lots, compatibility and link costs; the price range is an argument of reading."""
    made = [
        (Market.of([[9, 9, 7.5]], [[2, 3]], price_range=(0, 10), lot=0.25), {"lot": 0.25}),
        (scenarios.generate("graph", 3, n=6, servers=3), {}),
    ]
    for n, (market, options) in enumerate(made):
        path = tmp_path / f"{n}.csv"
        write_csv(market, path)
        low, high = (p / HALF_UNITS for p in market.price_range)
        again = read_market(path, price_range=(low, high), **options)
        for name in ("values", "costs", "compatible"):
            one, other = getattr(market, name), getattr(again, name)
            assert (one is None and other is None) or np.array_equal(one, other)
        if market.link_cost is not None:
            can = market.compatible
            assert np.array_equal(market.link_cost[can], again.link_cost[can])
    with pytest.raises(ValueError, match="CSV holds no memory limits"):
        to_csv(Market.of([1], [1], memory_gb=[1], server_memory_gb=[1]))


@pytest.mark.parametrize(
    ("cells", "costs"),
    [(("x;y", "1;2"), [1, 2]), (("y;x", "1;2"), [2, 1]), (("", "3"), [3, 3]), (("y", "4"), [0, 4])],
)
def test_link_costs_follow_the_sellers_that_a_row_names(tmp_path, cells, costs):
    """One number for all of them, or one each in the same order."""
    path = tmp_path / "m.csv"
    path.write_text(
        "side,id,value,compatible,link_cost\n"
        f"buy,a,9,{cells[0]},{cells[1]}\nsell,x,1,,\nsell,y,1,,\n"
    )
    assert (read_market(path).link_cost / HALF_UNITS).tolist() == [costs]


def test_link_costs_must_match_the_sellers(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("side,id,value,compatible,link_cost\nbuy,a,9,x,1;2\nsell,x,1,,\n")
    with pytest.raises(ValueError, match="line 2: link_cost = '1;2' must be one number, or one"):
        read_market(path)


def test_a_rule_of_ones_own_trades_quantities():
    """1.5 of the good in lots of half: three units at 20, which is 60 in halves of money."""
    market = Market.of([[30] * 4], [[10] * 4], price_range=(0, 50), lot=0.5)
    outcome = Outcome.from_trades(market, [(0, 0, 1.5)], 20, 20)
    assert outcome.buyer_units.tolist() == [3]
    assert (outcome.payment / HALF_UNITS).tolist() == [60]
    with pytest.raises(ValueError, match=r"pairs\[0\]: quantity.* 0.75 is not on the grid of 0.5"):
        Outcome.from_trades(market, [(0, 0, 0.75)], 20, 20)
    with pytest.raises(ValueError, match=r"'buyer 0' trades 2.5 units, wants 2"):
        Outcome.from_trades(market, [(0, 0, 2.5)], 20, 20)
