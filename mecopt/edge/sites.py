"""Edge sites and users on a map: which sites host GPUs, and who reaches them at which rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt.data.tables import Table
from mecopt.edge import radio


@dataclass(frozen=True, eq=False)
class Coverage:
    """What no request changes.

    Parameters
    ----------
    gpu_of_site : (sites,) int
        Kind of GPU of each site, -1 for none.
    near : (users, n) int
        Nearest GPU sites within reach, nearest first, -1 where there is none.
    near_bps : (users, n) float
        Uplink rates to them, bit/s.
    access_bps : (users,) float
        Uplink rate to the nearest of all sites; 0 out of coverage.
    """

    gpu_of_site: NDArray[np.int64]
    near: NDArray[np.int64]
    near_bps: NDArray[np.float64]
    access_bps: NDArray[np.float64]


def spread(distance_m: NDArray[np.float64], count: int, first: int) -> NDArray[np.int64]:
    """Farthest-point choice of `count` sites from a (sites, sites) distance matrix."""
    chosen = [first]
    gap = distance_m[first]
    while len(chosen) < count:
        chosen.append(int(np.argmax(gap)))
        gap = np.minimum(gap, distance_m[chosen[-1]])
    return np.array(chosen)


def cover(
    sites: Table,
    users: Table,
    link: radio.Link,
    *,
    gpu_sites: int,
    gpu_kinds: int,
    max_sites: int,
    radius_m: float,
    seed: int,
) -> Coverage:
    """Place GPUs and find the GPU sites within reach of every user.

    Parameters
    ----------
    sites, users : Table
        Positions.
    link : Link
    gpu_sites : int
        Sites with a GPU: the first is drawn, each next is the farthest from those chosen.
    gpu_kinds : int
        Kinds are given out in turn.
    max_sites, radius_m : int, float
        A user reaches the nearest `max_sites` GPU sites within `radius_m` whose rate is not 0.
    seed : int

    Raises
    ------
    ValueError
        If there are fewer sites than `gpu_sites`.
    """
    if gpu_sites > len(sites):
        raise ValueError(f"gpu_sites = {gpu_sites}: {sites.path} has {len(sites)} sites")
    place = sites["latitude_deg"], sites["longitude_deg"]
    first = int(np.random.default_rng([0, seed]).integers(len(sites)))
    chosen = spread(radio.ground_distance_m(*place, *place), gpu_sites, first)
    gpu_of_site = np.full(len(sites), -1)
    gpu_of_site[chosen] = np.arange(gpu_sites) % gpu_kinds
    distance = radio.ground_distance_m(users["latitude_deg"], users["longitude_deg"], *place)
    rate = radio.rate_bps(distance, link)
    reach = (distance <= radius_m) & (rate > 0) & (gpu_of_site >= 0)
    order = np.argsort(np.where(reach, distance, np.inf), axis=1, kind="stable")[:, :max_sites]
    near = np.where(np.take_along_axis(reach, order, axis=1), order, -1)
    access = rate[np.arange(len(users)), distance.argmin(axis=1)]
    return Coverage(gpu_of_site, near, np.take_along_axis(rate, order, axis=1), access)
