"""The market: money in half minor units, files, sources, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from mecopt.market import scenarios as markets
from mecopt.market.from_offloading import from_offloading
from mecopt.market.instance import Market
from mecopt.market.sources import from_frame, read_market
from mecopt.market.units import HALF_UNITS, round_range
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task


def test_midpoint_of_two_reports_is_whole():
    """Reports are even numbers of half minor units, so their mean is an integer."""
    market = Market.of([0.1], [0.300001])
    assert (int(market.values[0]), int(market.costs[0])) == (200_000, 600_002)
    assert (market.values[0] + market.costs[0]) % 2 == 0


def test_price_range_is_a_round_number_that_covers_every_report():
    """1, 2, 5 x 10^n: 9 money units need a range of 10, exactly 10 does too, 11 needs 20."""
    tops = [round_range(x * HALF_UNITS)[1] // HALF_UNITS for x in (9, 10, 11)]
    assert tops == [10, 10, 20]


def test_several_units_fall_for_buyers_and_rise_for_sellers():
    """A buyer worth 9 and 7 and a seller with costs 1 and 2 hold two units each."""
    market = Market.of([[9, 7], [4]], [[1, 2], [6]])
    assert market.wanted.tolist() == [2, 1] and market.seats.tolist() == [2, 1]
    assert not market.unit_demand


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Market.of([-1], [1]), r"values\[0\] = -1.0 is negative"),
        (lambda: Market.of([1, float("nan")], [1]), r"values\[1\] = nan is not a number"),
        (lambda: Market.of([1], [float("inf")]), r"costs\[0\] = inf is infinite"),
        (lambda: Market.of(["a"], [1]), "values = .* must be numbers"),
        (lambda: Market.of([], [1]), "values: the list is empty"),
        (lambda: Market.of([1], []), "costs: the list is empty"),
        (
            lambda: Market.of([5], [1], price_range=(0, 2)),
            r"values\[0\] = 5.0 is outside the price",
        ),
        (lambda: Market.of([1], [1], price_range=(2, 2)), "price_range .* must rise"),
        (lambda: Market.of([[1, 2]], [1]), r"values\[1\] = 2.0 rises within a buyer"),
        (lambda: Market.of([1], [[2, 1]]), r"costs\[1\] = 1.0 falls within a seller"),
        (lambda: Market.of([1], [1], seats=[-1]), r"seats\[0\] = -1 is below zero"),
        (lambda: Market.of([1], [1], compatible=[[True, True]]), r"compatible must have shape"),
        (lambda: Market.of([1], [1], link_cost=[[-1]]), r"link_cost\[0, 0\] = -1.0 is negative"),
        (lambda: Market.of([1], [1], memory_gb=[1]), "give both or neither"),
        (lambda: Market.of([1, 1], [1], buyer_names=["a", "a"]), "duplicate name 'a'"),
    ],
)
def test_malformed_markets_are_refused(build, message):
    """The error names the argument, the position and the value."""
    with pytest.raises(ValueError, match=message):
        build()


def test_a_market_file_is_csv_with_side_value_and_units(tmp_path):
    """Two units at 4 make one buyer with two equal marginals."""
    path = tmp_path / "market.csv"
    path.write_text("side,value,units\nbuyer,9,1\nbuyer,4,2\nseller,3,\n")
    market = read_market(path)
    assert market.wanted.tolist() == [1, 2]
    assert (market.values / HALF_UNITS).tolist() == [9, 4, 4]


def test_rows_with_one_id_are_one_trader_and_compatibility_names_sellers():
    """u1 wants two units at 9 and 7, and only edge B can serve u2."""
    table = pd.DataFrame(
        {
            "side": ["buyer", "buyer", "buyer", "seller", "seller"],
            "value": [9, 7, 5, 1, 2],
            "id": ["u1", "u1", "u2", "A", "B"],
            "compatible": ["", "", "B", "", ""],
        }
    )
    market = from_frame(table)
    assert market.buyer_names == ("u1", "u2") and market.wanted.tolist() == [2, 1]
    assert market.compatible.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("side,value\nbuyer,1\nseller,-2\n", "line 3: value = '-2' is negative"),
        ("side,value\nbuyer,x\nseller,2\n", "line 2: value = 'x' is not a number"),
        ("side,value\nbuyer,\nseller,2\n", "line 2: value = '' is not a number"),
        ("side,value\nbidder,1\nseller,2\n", "line 2: side = 'bidder' must be buyer or seller"),
        ("side,value\nbuyer,1\n", "side: there is no seller"),
        ("side\nbuyer\n", "column 'value' is missing"),
        ("side,value,colour\nbuyer,1,red\n", "unknown column 'colour'"),
        ("side,value,units\nbuyer,1,1\nseller,1,-1\n", "line 3: units = '-1' is negative"),
        ("side,value,units\nbuyer,1,1.5\nseller,1,1\n", "line 2: units = '1.5' must be a whole"),
        (
            "side,value,id,compatible\nbuyer,1,u,C\nseller,1,A,\n",
            "line 2: compatible = 'C': unknown seller id 'C'",
        ),
        ("", "market.csv: is empty"),
    ],
)
def test_malformed_market_files_name_field_and_line(tmp_path, text, message):
    """Lines are counted from 1, with the header."""
    path = tmp_path / "market.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_market(path)


def test_a_market_survives_a_file(tmp_path):
    """Content hash and every array are the same after saving and loading."""
    market = markets.generate("graph", 3, n=6, servers=2)
    market.save(tmp_path / "market.json.gz")
    again = read_market(tmp_path / "market.json.gz")
    assert again.content_hash == market.content_hash
    assert np.array_equal(again.link_cost, market.link_cost)


def test_a_changed_market_file_is_refused(tmp_path):
    """A file whose content does not match its hash is not read."""
    path = tmp_path / "market.json"
    Market.of([2], [1]).save(path)
    path.write_text(path.read_text().replace('"values":[4000000]', '"values":[3000000]'))
    with pytest.raises(ValueError, match="content_hash does not match"):
        read_market(path)


def test_a_missing_market_file_is_named(tmp_path):
    """FileNotFoundError with the path."""
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        read_market(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("kind", markets.KINDS)
def test_generators_are_seeded(kind):
    """Equal seeds give equal markets, other seeds other markets."""
    one, two = (markets.generate(kind, 5, n=8) for _ in range(2))
    assert one.content_hash == two.content_hash != markets.generate(kind, 6, n=8).content_hash


def test_unknown_generators_are_refused():
    """The message lists what there is."""
    with pytest.raises(ValueError, match="kind: unknown 'wide', one of balanced"):
        markets.generate("wide")


def offload(upload_s: float, compute_s: float) -> Option:
    return Option("edge", [Stage("uplink", upload_s), Stage("edge", compute_s)])


def test_a_market_from_an_offloading_instance():
    """Task 0 costs 0.5 s locally and 0.1 + 0.2 s at the edge: it can bear 0.2 s for a seat.

    Task 1 costs 0.25 s locally and 0.1 + 0.2 = 0.3 s at the edge: no price makes it move. At a mean
    service time of 0.2 s the server has 1 s / 0.2 s = 5 seats, but only two tasks want one.
    """
    resources = [Resource("uplink", kind="uplink"), Resource("device", 2**31 - 1, "device")]
    resources.append(Resource("edge", kind="server"))
    tasks = [
        Task(0.0, [Option("local", [Stage("device", local)]), offload(0.1, 0.2)], drop_cost_s=9)
        for local in (0.5, 0.25)
    ]
    market = from_offloading(OffloadingInstance.from_tasks(resources, tasks), end_s=1.0)
    assert market.seats.tolist() == [2] and market.meta["service_s"] == [0.2]
    assert market.compatible.tolist() == [[True], [False]]
    assert int(market.surplus[0, 0]) == 0.2 * HALF_UNITS


def test_a_window_without_tasks_is_refused():
    """The error names the window."""
    tasks = [Task(0.0, [Option("local", [Stage("device", 1.0)])], drop_cost_s=2)]
    resources = [Resource("device", kind="device"), Resource("edge", kind="server")]
    instance = OffloadingInstance.from_tasks(resources, tasks)
    with pytest.raises(ValueError, match=r"no task is released in \[5, 6\)"):
        from_offloading(instance, start_s=5, end_s=6)
