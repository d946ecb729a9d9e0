"""Path loss through walls and the rates of 802.11ax, by hand and against the tabulated standard."""

import csv
import math

import numpy as np
import pytest

from mecopt.data import resolve_data_dir
from mecopt.edge.wifi import DATA_SUBCARRIERS, HE_MCS, path_loss_db, phy_rate_bps, walls_between

#: The tabulated rates in the data folder.
RATES = "network/wifi6_80211ax_he_rates.csv"


# ------------------------------------------------------------------ path loss
def test_path_loss_by_hand():
    """At 2.4 GHz: 40.05 at 1 m; + 20 at 10 m; + 35 more at 100 m; 7 for each of two walls."""
    loss = path_loss_db([1.0, 10.0, 100.0, 10.0], [0, 0, 0, 2], carrier_ghz=2.4)
    assert loss == pytest.approx([40.05, 60.05, 95.05, 74.05], abs=1e-12)


def test_path_loss_rises_with_the_carrier():
    """Doubling the frequency costs 20 log10(2) = 6.02 dB."""
    rise = path_loss_db(5.0, 0, 4.8) - path_loss_db(5.0, 0, 2.4)
    assert rise == pytest.approx(20 * math.log10(2), abs=1e-12)


def test_path_loss_never_falls_and_is_flat_below_a_metre():
    """The two slopes meet at 10 m."""
    loss = path_loss_db(np.linspace(0.0, 70.0, 1401), 0, 5.0)
    assert (np.diff(loss) >= 0).all() and np.abs(np.diff(loss)).max() < 0.5
    assert loss[0] == path_loss_db(1.0, 0, 5.0)


@pytest.mark.parametrize(
    ("distance", "walls", "carrier", "message"),
    [
        ([3.0, -1.0], 0, 5.0, r"distance_m\[1\] = -1.0 must be >= 0 and finite"),
        (math.nan, 0, 5.0, "distance_m = nan must be >= 0 and finite"),
        (3.0, -1, 5.0, "walls = -1.0 must be >= 0 and finite"),
        (3.0, 0, 0.0, "carrier_ghz = 0.0 must be > 0 and finite"),
    ],
)
def test_links_that_are_none(distance, walls, carrier, message):
    """Each is refused with name, position and value."""
    with pytest.raises(ValueError, match=message):
        path_loss_db(distance, walls, carrier)


# ------------------------------------------------------------------ walls
def test_walls_by_hand():
    """Rooms of 10 m: from (5, 5) none to (9, 1), one to (15, 5), 1 + 2 to (15, 25), one below 0."""
    found = walls_between([[5, 5]], [[9, 1], [15, 5], [15, 25], [-5, 5]], room_m=10.0)
    assert found.tolist() == [[0, 1, 3, 1]]


def test_a_position_on_a_line_belongs_to_the_larger_side():
    """From (10, 5), on the line, there is a wall to (9, 5) and none to (11, 5)."""
    assert walls_between([[10, 5]], [[9, 5], [11, 5]], room_m=10.0).tolist() == [[1, 0]]


def test_walls_do_not_depend_on_the_direction():
    """Swapping both lists transposes the matrix."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 50, (4, 2)), rng.uniform(0, 50, (7, 2))
    there = walls_between(a, b, 10.0)
    assert there.shape == (4, 7) and (there == walls_between(b, a, 10.0).T).all()


@pytest.mark.parametrize(
    ("positions", "room", "message"),
    [
        ([1.0, 2.0], 10.0, r"b_m must have shape \(n, 2\), has \(2,\)"),
        ([[1.0, math.inf]], 10.0, r"b_m\[0, 1\] = inf must be finite"),
        ([[1.0, 2.0]], -1.0, "room_m = -1.0 must be > 0 and finite"),
    ],
)
def test_floors_that_are_none(positions, room, message):
    """Each is refused with the value."""
    with pytest.raises(ValueError, match=message):
        walls_between([[0.0, 0.0]], positions, room)


# ------------------------------------------------------------------ rates
@pytest.mark.parametrize(
    ("rssi", "width", "streams", "guard", "mbps"),
    [
        (-82, 20, 1, 0.8, 8.6),  # MCS 0: 234 x 1 x 1/2 / 13.6 us = 8.603
        (-79, 40, 1, 0.8, 17.2),  # MCS 0: 468 x 1 x 1/2 / 13.6 us = 17.206
        (-61, 40, 1, 1.6, 162.5),  # MCS 7: 468 x 6 x 5/6 / 14.4 us = 162.5
        (-49, 40, 1, 0.8, 286.8),  # MCS 11: 468 x 10 x 5/6 / 13.6 us = 286.765
        (-50, 80, 1, 3.2, 408.3),  # MCS 9 (MCS 10 needs -48): 980 x 8 x 5/6 / 16 us = 408.333
        (-43, 160, 2, 0.8, 2402.0),  # MCS 11: 1960 x 10 x 5/6 x 2 / 13.6 us = 2401.961
    ],
)
def test_rates_by_hand(rssi, width, streams, guard, mbps):
    """Rates of the standard, rounded to 0.1 Mbit/s, exactly at a sensitivity or above it."""
    assert float(phy_rate_bps(rssi, width, streams, guard)) / 1e6 == pytest.approx(mbps, abs=0.05)


def test_rates_are_a_staircase_that_ends_in_silence():
    """Just below each sensitivity at 40 MHz (3 dB above that at 20) the next lower rate is used."""
    least = np.array([m.sensitivity_dbm for m in HE_MCS]) + 3.0
    at, below = phy_rate_bps(least), phy_rate_bps(np.nextafter(least, -np.inf))
    assert (np.diff(at) > 0).all()
    assert below[0] == 0.0 and (below[1:] == at[:-1]).all()
    assert phy_rate_bps([-math.inf, 100.0]).tolist() == [0.0, at[-1]]


def test_the_table_of_the_standard():
    """Every row of the tabulated standard: sensitivity, data subcarriers and rate."""
    path = resolve_data_dir() / RATES
    if not path.is_file():
        pytest.skip(f"no real data: {path}")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(HE_MCS) * len(DATA_SUBCARRIERS) * 2 * 3
    for row in rows:
        width, streams = int(row["width_mhz"]), int(row["nss"])
        guard, least = float(row["guard_interval_us"]), float(row["min_rx_sensitivity_dbm"])
        assert DATA_SUBCARRIERS[width] == int(row["data_subcarriers"])
        rate = phy_rate_bps([least, least - 0.01], width, streams, guard)
        assert rate[0] / 1e6 == pytest.approx(float(row["rate_mbps"]), abs=0.0501), row
        assert rate[1] < rate[0], row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width_mhz": 30}, "width_mhz = 30 must be one of 20, 40, 80, 160"),
        ({"guard_us": 0.4}, "guard_us = 0.4 must be one of 0.8, 1.6, 3.2"),
        ({"streams": 0}, "streams = 0 must be a whole number >= 1"),
        ({"streams": 9}, "streams = 9 must be at most 8"),
        ({"rssi_dbm": [-60.0, math.nan]}, r"rssi_dbm\[1\] = nan must be a number"),
    ],
)
def test_radios_that_are_none(arguments, message):
    """What the standard does not have is refused with the value."""
    with pytest.raises(ValueError, match=message):
        phy_rate_bps(**{"rssi_dbm": -60.0, **arguments})
