"""Indoor WiFi links: path loss through walls, and the rates of 802.11ax.

**Path loss** in dB at a distance of d metres (at least 1) through w walls, on a carrier of f GHz:

    (L)  40.05 + 20 log10(f / 2.4) + 20 log10(min(d, 10)) + [d > 10] 35 log10(d / 10) + 7 w

This is the form of IEEE 802.11-14/0980 (TGax simulation scenarios) for offices, without shadowing
(N; that we use it is D). Its form for homes breaks at 5 m and has 5 dB a wall.

**Rooms** are squares with a side of s metres that tile the floor from the origin. A straight link
from a to b crosses as many walls as there are lines of this grid between its ends:

    (W)  |floor(a_x / s) - floor(b_x / s)| + |floor(a_y / s) - floor(b_y / s)|

A position on a line belongs to the room on the side of the larger coordinate.

**Rate** of HE-MCS m with Q_m bits a subcarrier and code rate R_m, over N data subcarriers and S
spatial streams, with a symbol of 12.8 us and a guard interval of G us:

    (R)  N Q_m R_m S / (12.8 us + G)

The highest MCS whose least receiver sensitivity is met is used; where none is met, the rate is 0.
The sensitivities are those of IEEE 802.11ax-2021 Table 27-51, which do not depend on the streams.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks

FloatArray = NDArray[np.float64]


class Mcs(NamedTuple):
    """A modulation and coding scheme: bits a subcarrier, code rate, sensitivity at 20 MHz."""

    modulation_bits: int
    code_rate: Fraction
    sensitivity_dbm: float


#: HE-MCS 0 to 11 (N, IEEE 802.11ax-2021 section 27.5 and Table 27-51).
HE_MCS = (
    Mcs(1, Fraction(1, 2), -82.0),
    Mcs(2, Fraction(1, 2), -79.0),
    Mcs(2, Fraction(3, 4), -77.0),
    Mcs(4, Fraction(1, 2), -74.0),
    Mcs(4, Fraction(3, 4), -70.0),
    Mcs(6, Fraction(2, 3), -66.0),
    Mcs(6, Fraction(3, 4), -65.0),
    Mcs(6, Fraction(5, 6), -64.0),
    Mcs(8, Fraction(3, 4), -59.0),
    Mcs(8, Fraction(5, 6), -57.0),
    Mcs(10, Fraction(3, 4), -54.0),
    Mcs(10, Fraction(5, 6), -52.0),
)
#: Data subcarriers of a channel, by its width in MHz (N, IEEE 802.11ax-2021).
DATA_SUBCARRIERS = {20: 234, 40: 468, 80: 980, 160: 1960}
#: What a channel needs above the sensitivity at 20 MHz, in dB, by its width in MHz (N, as above).
SENSITIVITY_RISE_DB = {20: 0.0, 40: 3.0, 80: 6.0, 160: 9.0}
#: Symbol without guard interval, and the guard intervals there are, in us (N, as above).
SYMBOL_US = 12.8
GUARDS_US = (0.8, 1.6, 3.2)
#: Most spatial streams of a user (N, as above).
MOST_STREAMS = 8


def path_loss_db(distance_m: ArrayLike, walls: ArrayLike, carrier_ghz: float) -> FloatArray:
    """Path loss in dB by (L).

    Parameters
    ----------
    distance_m : array_like
        Distances in m; below 1 m taken as 1 m.
    walls : array_like
        Numbers of walls, of a shape that broadcasts with the distances.
    carrier_ghz : float
        Carrier frequency in GHz.

    Raises
    ------
    ValueError
        If a distance or a number of walls is negative or not finite, or the carrier not positive.
    """
    d, w = (np.asarray(v, dtype=np.float64) for v in (distance_m, walls))
    for name, values in (("distance_m", d), ("walls", w)):
        checks.refuse(
            ~(np.isfinite(values) & (values >= 0)), name, values, "must be >= 0 and finite"
        )
    _check_positive("carrier_ghz", carrier_ghz)
    near, far = np.clip(d, 1.0, 10.0), np.maximum(d, 10.0)
    return (
        40.05
        + 20.0 * np.log10(carrier_ghz / 2.4)
        + 20.0 * np.log10(near)
        + 35.0 * np.log10(far / 10.0)
        + 7.0 * w
    )


def walls_between(a_m: ArrayLike, b_m: ArrayLike, room_m: float) -> NDArray[np.int64]:
    """(n, m) numbers of room walls between two lists of positions, by (W).

    Parameters
    ----------
    a_m, b_m : (n, 2) and (m, 2) array_like
        Positions on the floor in m.
    room_m : float
        Side of a room in m.

    Raises
    ------
    ValueError
        If positions are not finite pairs, or the side is not positive.
    """
    _check_positive("room_m", room_m)
    rooms = []
    for name, given in (("a_m", a_m), ("b_m", b_m)):
        positions = np.asarray(given, dtype=np.float64)
        if positions.ndim != 2 or positions.shape[1] != 2:
            raise ValueError(f"{name} must have shape (n, 2), has {positions.shape}")
        checks.refuse(~np.isfinite(positions), name, positions, "must be finite")
        room = np.floor(positions / room_m)
        checks.refuse(np.abs(room) > 2**53, name, positions, f"is too far for rooms of {room_m!r}")
        rooms.append(room.astype(np.int64))
    return np.abs(rooms[0][:, None, :] - rooms[1][None, :, :]).sum(axis=2)


def phy_rate_bps(
    rssi_dbm: ArrayLike, width_mhz: int = 40, streams: int = 1, guard_us: float = 0.8
) -> FloatArray:
    """Rate in bit/s by (R) at a received power in dBm; 0 below the lowest sensitivity.

    Parameters
    ----------
    rssi_dbm : array_like
        Received power; minus infinity where nothing arrives.
    width_mhz : int
        Width of the channel, a key of `DATA_SUBCARRIERS` (40 is P).
    streams : int
        Spatial streams (1 is D).
    guard_us : float
        Guard interval, one of `GUARDS_US` (0.8 is D).

    Raises
    ------
    ValueError
        If the standard has no such width, streams or guard interval, or a power is no number.
    """
    if width_mhz not in DATA_SUBCARRIERS:
        widths = ", ".join(map(str, DATA_SUBCARRIERS))
        raise ValueError(f"width_mhz = {width_mhz!r} must be one of {widths}")
    if guard_us not in GUARDS_US:
        raise ValueError(f"guard_us = {guard_us!r} must be one of {', '.join(map(str, GUARDS_US))}")
    checks.whole("streams", streams, least=1)
    if streams > MOST_STREAMS:
        raise ValueError(f"streams = {streams} must be at most {MOST_STREAMS}")
    power = np.asarray(rssi_dbm, dtype=np.float64)
    checks.refuse(np.isnan(power), "rssi_dbm", power, "must be a number")
    least = np.array([m.sensitivity_dbm for m in HE_MCS]) + SENSITIVITY_RISE_DB[width_mhz]
    bits = np.array([float(m.modulation_bits * m.code_rate) for m in HE_MCS])
    rates = DATA_SUBCARRIERS[width_mhz] * streams * bits / (SYMBOL_US + guard_us) * 1e6
    return np.concatenate([[0.0], rates])[np.searchsorted(least, power, side="right")]


def _check_positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} = {value} must be > 0 and finite")
