"""Bianchi's fixed point against hand calculation, the literature and a slot-level simulation."""

import math

import numpy as np
import pytest

from mecopt.edge.contention import AMPDU_BITS, Contention, airtime_s, fixed_point
from tests.support.slotted_csma import simulate


# ------------------------------------------------------------------ the fixed point
def test_a_station_alone():
    """It never collides and waits for the mean of 0 .. 15: tau = 2 / (16 + 1), 7.5 idle slots."""
    alone = fixed_point(1)
    assert alone.transmit_probability == pytest.approx(2 / 17, rel=1e-15)
    assert alone.collision_probability == 0.0
    assert alone.mean_backoff_slots == 7.5
    assert alone.idle_slots_per_success == pytest.approx(7.5, rel=1e-15)
    assert alone.collisions_per_success == 0.0


def test_two_stations_without_backoff_growth():
    """With one window of 4 values tau = 2 / 5, whatever the retries, and p = 1 - 3/5 = 2/5.

    A slot is idle with 9/25, a success with 2 x 2/5 x 3/5 = 12/25 and a collision with 4/25. A
    frame makes 1 + 2/5 attempts when it is retried once, and draws 1.5 slots for each.
    """
    two = fixed_point(2, Contention(cw_min=3, cw_max=3, retry_limit=1))
    assert two.transmit_probability == pytest.approx(0.4, rel=1e-12)
    assert two.collision_probability == pytest.approx(0.4, abs=1e-12)
    assert two.idle_slots_per_success == pytest.approx(9 / 12, rel=1e-11)
    assert two.collisions_per_success == pytest.approx(4 / 12, rel=1e-11)
    assert two.mean_backoff_slots == pytest.approx(1.4 * 1.5, rel=1e-12)


@pytest.mark.parametrize("stations", [2, 5, 8, 50])
def test_both_equations_hold(stations):
    """The two probabilities solve (P) and, summed here term by term, (T)."""
    x = fixed_point(stations)
    tau, p = x.transmit_probability, x.collision_probability
    assert p == pytest.approx(1 - (1 - tau) ** (stations - 1), abs=2e-12)
    windows = [16, 32, 64, 128, 256, 512, 1024, 1024]
    slots = sum(p**i * (w + 1) / 2 for i, w in enumerate(windows))
    assert tau == pytest.approx(sum(p**i for i in range(8)) / slots, rel=1e-12)


@pytest.mark.parametrize("stations", [2, 10, 50])
def test_without_a_retry_limit_it_is_bianchis_formula(stations):
    """Bianchi's equation (7) with W = 32 and five doublings, where retries never end."""
    x = fixed_point(stations, Contention(cw_min=31, cw_max=1023, retry_limit=400))
    p, w, m = x.collision_probability, 32, 5
    closed = 2 * (1 - 2 * p) / ((1 - 2 * p) * (w + 1) + p * w * (1 - (2 * p) ** m))
    assert x.transmit_probability == pytest.approx(closed, rel=1e-12)


@pytest.mark.parametrize(("stations", "tolerance"), [(2, 0.1), (5, 0.03), (8, 0.03)])
def test_a_simulation_agrees(stations, tolerance):
    """Slot by slot, tau, the idle slots and the drawn backoff come out within 2.5 per cent.

    The collision probability does within 3 per cent, and for two stations within 10: that
    collisions do not depend on the past is an approximation, and with two it is at its weakest,
    because both have just doubled their windows after every collision.
    """
    x, seen = fixed_point(stations), simulate(stations, slots=100_000, seed=stations)
    for name in ("transmit_probability", "idle_slots_per_success", "mean_backoff_slots"):
        assert getattr(x, name) == pytest.approx(seen[name], rel=0.025), name
    for name in ("collision_probability", "collisions_per_success"):
        assert getattr(x, name) == pytest.approx(seen[name], rel=tolerance), name


def test_a_simulation_that_drops_frames_agrees():
    """Six stations, windows of 4 and 8 values and a single retry: more than a tenth is dropped."""
    small = {"cw_min": 3, "cw_max": 7, "retry_limit": 1}
    x, seen = fixed_point(6, Contention(**small)), simulate(6, slots=60_000, seed=1, **small)
    assert x.collision_probability**2 > 0.1
    for name, value in seen.items():
        assert getattr(x, name) == pytest.approx(value, rel=0.03), name


def test_more_stations_contend_more():
    """Collisions and backoff rise with the stations; tau and the idle slots fall."""
    points = [fixed_point(n) for n in range(1, 30)]
    for name, sign in (
        ("collision_probability", 1),
        ("mean_backoff_slots", 1),
        ("collisions_per_success", 1),
        ("transmit_probability", -1),
        ("idle_slots_per_success", -1),
    ):
        assert (sign * np.diff([getattr(x, name) for x in points]) > 0).all(), name


# ------------------------------------------------------------------ airtime
def test_airtime_alone_by_hand():
    """1 Mbit at 100 Mbit/s takes 10 ms in two frames, each with 197.5 us beside its payload.

    DIFS 34 + 7.5 idle slots of 9 + preamble 48 + SIFS 16 + block ack 32 = 197.5 us.
    """
    assert airtime_s(1e6, 100e6, fixed_point(1)) == pytest.approx(10e-3 + 2 * 197.5e-6, rel=1e-12)


def test_airtime_with_collisions_by_hand():
    """3/4 of an idle slot and 1/3 of a collision per success, as two stations without growth have.

    One frame of 1000 bits at 10 Mbit/s lasts 48 + 100 us. 34 + 0.75 x 9 + 148 + 16 + 32 = 236.75 us
    and a third of 148 + 34 us are 297.41666... us.
    """
    two = fixed_point(2, Contention(cw_min=3, cw_max=3, retry_limit=1))
    expected = (236.75 + 182 / 3) * 1e-6
    assert airtime_s(1000, 10e6, two) == pytest.approx(expected, rel=1e-10)


def test_a_payload_fills_whole_frames_first():
    """At a high rate the aggregate is the limit: one bit more than it holds starts a frame."""
    alone = fixed_point(1)
    one, two = airtime_s([AMPDU_BITS, AMPDU_BITS + 1], 200e6, alone)
    assert two - one == pytest.approx(197.5e-6 + 1 / 200e6, rel=1e-9)
    assert airtime_s(300, 1e6, alone, frame_bits=100) == pytest.approx(300e-6 + 3 * 197.5e-6)


def test_a_slow_frame_ends_at_the_longest_duration():
    """At 10 Mbit/s a frame holds (5484 - 48) us x 10 bit/us = 54,360 bits, below the aggregate."""
    alone = fixed_point(1)
    one, two = airtime_s([54_359, 54_361], 10e6, alone)
    assert one == pytest.approx(5435.9e-6 + 197.5e-6, rel=1e-12)
    assert two == pytest.approx(5436.1e-6 + 2 * 197.5e-6, rel=1e-12)


def test_airtime_is_payload_over_bianchis_throughput():
    """Equation (13) of Bianchi for frames of one length: E[P] / S is what one of them takes."""
    x, bits, rate = fixed_point(5), 12_000, 86e6
    sent = 48e-6 + bits / rate
    tau = x.transmit_probability
    some = 1 - (1 - tau) ** 5
    good = 5 * tau * (1 - tau) ** 4
    slot = (1 - some) * 9e-6 + good * (34e-6 + sent + 48e-6) + (some - good) * (sent + 34e-6)
    assert airtime_s(bits, rate, x) == pytest.approx(slot / good, rel=1e-9)


def test_airtime_is_vectorised_and_monotone():
    """It rises with the payload and falls with the rate; nothing gets through at a rate of 0."""
    times = airtime_s(
        np.arange(0, 3_000_000, 9973)[:, None], [0.0, 17.2e6, 286.8e6], fixed_point(7)
    )
    assert times.shape == (301, 3)
    assert np.isinf(times[:, 0]).all() and (times[0, 1:] == 0.0).all()
    assert (np.diff(times[:, 1:], axis=0) > 0).all()
    assert (times[1:, 1] > times[1:, 2]).all()


# ------------------------------------------------------------------ bad input
@pytest.mark.parametrize("stations", [0, -1, 2.0, True])
def test_stations_that_are_none(stations):
    """Only whole numbers of at least 1 are."""
    with pytest.raises(ValueError, match=r"stations = .* must be a whole number >= 1"):
        fixed_point(stations)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cw_min": 0}, "cw_min = 0 must be a whole number >= 1"),
        ({"cw_min": 63, "cw_max": 31}, "cw_max = 31 must be a whole number >= 63"),
        ({"retry_limit": -1}, "retry_limit = -1 must be a whole number >= 0"),
        ({"slot_s": -9e-6}, r"slot_s = -9e-06 must be >= 0"),
        ({"difs_s": math.inf}, "difs_s = inf must be >= 0 and finite"),
        ({"longest_frame_s": 48e-6}, "longest_frame_s = 4.8e-05 must exceed preamble_s = 4.8e-05"),
    ],
)
def test_parameters_that_are_none(change, message):
    """Windows that fall and impossible times are refused with the value."""
    with pytest.raises(ValueError, match=message):
        Contention(**change)


@pytest.mark.parametrize(
    ("bits", "rate", "frame", "message"),
    [
        ([1.0, -2.0], 1e6, 100, r"bits\[1\] = -2.0 must be >= 0 and finite"),
        (math.nan, 1e6, 100, "bits = nan must be >= 0 and finite"),
        (1.0, -1.0, 100, "rate_bps = -1.0 must be >= 0 and finite"),
        (1.0, math.inf, 100, "rate_bps = inf must be >= 0 and finite"),
        (1.0, 1e6, 0, "frame_bits = 0 must be a whole number >= 1"),
    ],
)
def test_uploads_that_are_none(bits, rate, frame, message):
    """Payloads, rates and frames are refused with name, position and value."""
    with pytest.raises(ValueError, match=message):
        airtime_s(bits, rate, fixed_point(2), frame_bits=frame)
