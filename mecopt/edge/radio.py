"""Uplink rates from distance: 3GPP UMi path loss, thermal noise, CQI table.

Path loss is deterministic: the mean, in dB, of the line-of-sight and the non-line-of-sight formula
of 3GPP TR 38.901 Table 7.4.1-1 (street canyon), weighted by the line-of-sight probability of Table
7.4.2-1. No shadowing is drawn, and the LOS formula is the one below the breakpoint. So a rate never
rises with distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.data.tables import Table

#: Mean Earth radius, m (IUGG).
EARTH_RADIUS_M = 6_371_008.8

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Link:
    """Radio of one carrier.

    Parameters
    ----------
    carrier_ghz, occupied_hz : float
        Carrier frequency in GHz; width of the resource blocks in Hz.
    power_dbm, gain_db, noise_figure_db, noise_dbm_per_hz : float
        Transmit power, antenna gain, noise figure of the receiver, thermal noise density.
    site_height_m, user_height_m : float
    overhead : float
        Share of the resource elements that carries no data.
    cqi_snr_db, cqi_efficiency : (n,) float
        Least signal-to-noise ratio (dB) of each CQI, and its bit/s/Hz; both rising.
    """

    carrier_ghz: float
    occupied_hz: float
    power_dbm: float
    gain_db: float
    noise_figure_db: float
    noise_dbm_per_hz: float
    site_height_m: float
    user_height_m: float
    overhead: float
    cqi_snr_db: FloatArray
    cqi_efficiency: FloatArray


def occupied_bandwidth(bandwidths: Table, bandwidth_mhz: int, scs_khz: int) -> tuple[float, float]:
    """Width of the resource blocks in Hz (12 subcarriers each) and the uplink overhead.

    Raises
    ------
    ValueError
        If the table has no such carrier.
    """
    fits = (bandwidths["bandwidth_mhz"] == bandwidth_mhz) & (bandwidths["scs_khz"] == scs_khz)
    at = np.flatnonzero(fits)
    if len(at) == 0:
        raise ValueError(
            f"bandwidth_mhz = {bandwidth_mhz} with scs_khz = {scs_khz}: no row in {bandwidths.path}"
        )
    return float(bandwidths["n_rb"][at[0]] * 12 * scs_khz * 1e3), float(
        bandwidths["ul_overhead"][at[0]]
    )


def los_probability(distance_m: ArrayLike) -> FloatArray:
    """UMi line-of-sight probability at a ground distance (TR 38.901 Table 7.4.2-1)."""
    d = np.maximum(np.asarray(distance_m, dtype=np.float64), 18.0)
    return 18.0 / d + np.exp(-d / 36.0) * (1.0 - 18.0 / d)


def path_loss_db(
    distance_m: ArrayLike, carrier_ghz: float, site_height_m: float, user_height_m: float
) -> FloatArray:
    """Mean UMi path loss in dB at a ground distance in m (below 10 m taken as 10 m)."""
    ground = np.maximum(np.asarray(distance_m, dtype=np.float64), 10.0)
    log_d = np.log10(np.hypot(ground, site_height_m - user_height_m))
    log_f = np.log10(carrier_ghz)
    los = 32.4 + 21.0 * log_d + 20.0 * log_f
    nlos = 35.3 * log_d + 22.4 + 21.3 * log_f - 0.3 * (user_height_m - 1.5)
    p = los_probability(ground)
    return p * los + (1.0 - p) * np.maximum(los, nlos)


def snr_db(distance_m: ArrayLike, link: Link) -> FloatArray:
    """Signal-to-noise ratio in dB over the occupied bandwidth."""
    noise = link.noise_dbm_per_hz + 10.0 * np.log10(link.occupied_hz) + link.noise_figure_db
    loss = path_loss_db(distance_m, link.carrier_ghz, link.site_height_m, link.user_height_m)
    return link.power_dbm + link.gain_db - loss - noise


def rate_bps(distance_m: ArrayLike, link: Link) -> FloatArray:
    """Rate in bit/s at a ground distance in m; 0 where not even the lowest CQI works."""
    cqi = np.searchsorted(link.cqi_snr_db, snr_db(distance_m, link), side="right")
    efficiency = np.concatenate([[0.0], link.cqi_efficiency])[cqi]
    return efficiency * link.occupied_hz * (1.0 - link.overhead)


def ground_distance_m(
    latitude_a: ArrayLike, longitude_a: ArrayLike, latitude_b: ArrayLike, longitude_b: ArrayLike
) -> FloatArray:
    """(n, m) great-circle distances in m between two lists of positions in degrees."""
    a, b = (np.radians(np.asarray(x, dtype=np.float64)) for x in (latitude_a, latitude_b))
    east = np.radians(np.subtract.outer(np.asarray(longitude_a), np.asarray(longitude_b)))
    h = (
        np.sin(np.subtract.outer(a, b) / 2) ** 2
        + np.multiply.outer(np.cos(a), np.cos(b)) * np.sin(east / 2) ** 2
    )
    return 2.0 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(h, 1.0)))
