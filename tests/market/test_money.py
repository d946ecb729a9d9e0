"""The money grid: what lies on it, what is refused, and how a computed amount gets there."""

import numpy as np
import pytest

from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS, rounded, to_half_units


def test_floating_point_noise_is_no_fraction():
    """0.1 + 0.2 is 0.30000000000000004, which is 300,000 minor units."""
    assert to_half_units([0.1 + 0.2, 1.1 * 3, 999999.999999]).tolist() == [
        600_000,
        6_600_000,
        1_999_999_999_998,
    ]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Market.of([6e-7, 4e-7], [1e-7]),
            r"values\[0\] = 6e-07 is not on the grid of 1e-06, nearest 1e-06; unit=0.001 ",
        ),
        (lambda: Market.of([1e-13], [1]), r"values\[0\] = 1e-13 is not on the .* unit=1e-09"),
        (lambda: Market.of([6e5, 1e-12], [1]), r"values\[1\] = 1e-12 is not on the grid of 1e-06"),
        (lambda: Market.of([1 / 3], [0]), r"values\[0\] = 0.33\d* is not .*0.333333; round it"),
        (lambda: Market.of([[9, 1 / 3]], [0]), r"values\[1\] = 0.33\d* is not on the grid"),
        (lambda: Market.of([9], [1], price_range=(0, 9 + 1e-7)), r"price_range\[1\] = 9.0000001"),
        (lambda: Market.of([9], [1], link_cost=[[1e-8]]), r"link_cost\[0, 0\] = 1e-08 is not"),
        (
            lambda: Market.of([9], [1], memory_gb=[15.231233024], server_memory_gb=[80]),
            r"memory_gb\[0\] = 15.231233024 GB is not on the grid of 0.001 GB, nearest 15.231",
        ),
        (lambda: Market.of([2e6], [1]), r"values\[0\] = 2000000.0 is above 1e\+06; unit=1000 "),
        (lambda: Market.of([9], [1], unit=-1), "unit = -1 must be a number from 1e-15 to 1e.15"),
        (lambda: Market.of([9], [1], unit="EUR"), "unit = 'EUR' must be a number from"),
        (lambda: Market([9.5], [1], price_range=(0, 10)), "values: must hold whole numbers"),
        (lambda: Market([8], [2], price_range=(0, 9.5)), "price_range: must hold whole numbers"),
        (lambda: Market.of(None, [1]), "values = None must be numbers, one or more per trader"),
        (lambda: Market(None, [2], price_range=(0, 2)), "values: must hold whole numbers"),
        (lambda: Market([8], [2], price_range=(8,)), r"price_range = \(8,\) must be two prices"),
        (lambda: Market([8], [2], price_range=(0, 8), meta=5), "meta: must be an object"),
        (lambda: Market([8], [2], (0, 8), buyer_names="a"), "buyer_names: must be a list of names"),
        (lambda: Market.of([9], [1], compatible=[["no"]]), "compatible: must hold true or false"),
    ],
)
def test_nothing_is_rounded_in_silence(build, message):
    """The message names argument, value and grid, and a unit that fits if there is one."""
    with pytest.raises(ValueError, match=message):
        build()


def test_a_unit_of_account_moves_the_grid():
    """6e-7 of money is 600 units of 1e-9; the range and link costs are given in money as well."""
    market = Market.of([6e-7], [1e-7], price_range=(0, 1e-6), link_cost=[[2e-8]], unit=1e-9)
    counted = [market.values[0], market.costs[0], market.price_range[1], market.link_cost[0, 0]]
    assert [int(x) // HALF_UNITS for x in counted] == [600, 100, 1000, 20]
    assert market.meta["unit_of_account"] == 1e-9


def test_one_price_per_trader_in_lists_is_unit_demand():
    """[[9], [7]] is what [9, 7] is; so are seats of one each, and pointers that say so."""
    plain = Market.of([9, 7], [2, 3])
    for market in (Market.of([[9], [7]], [[2], [3]]), Market.of([9, 7], [2, 3], seats=[1, 1])):
        assert market.unit_demand and market.content_hash == plain.content_hash
    assert Market.of(np.array([[9], [7]]), [2, 3]).content_hash == plain.content_hash
    assert Market.of(np.array([[9, 7], [5, 4]]), [2]).wanted.tolist() == [2, 2]
    assert plain.replace(buyer_ptr=[0, 1, 2]).unit_demand
    assert not Market.of([[9], []], [2]).unit_demand


def test_computed_amounts_are_rounded_where_that_keeps_three_digits():
    """1/3 becomes 0.333333; amounts of at most 0.0001 would keep two digits only."""
    assert rounded({"values": 1 / 3, "costs": 1e-9}) == {"values": 0.333333, "costs": 0.0}
    with pytest.raises(ValueError, match="values: the largest amount, 0.0001, would be rounded to"):
        rounded({"values": np.array([1e-4, 1e-5]), "costs": np.zeros(2)})
    assert rounded({"values": np.array([123.4567e-6])}, unit=1e-6)["values"][0] == pytest.approx(
        123.4567e-6, rel=1e-12
    )
