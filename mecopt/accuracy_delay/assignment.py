"""An assignment: what a decision costs every user, as the core's own replay finds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mecopt import checks
from mecopt.accuracy_delay.instance import (
    ACCURACY_SCALE,
    LOCAL,
    ROOT_SCALE,
    UNITS_PER_NS,
    UNITS_PER_S,
    QuerySnapshot,
)


@dataclass(frozen=True, eq=False)
class Assignment:
    """The outcome of one decision on one snapshot; made by `replay` only.

    Parameters
    ----------
    instance : QuerySnapshot
    choice : (N,) int64
        Server of each user, -1 for the device.
    units : int
        Sum of delays less what leaving the device is worth, in 2^-20 ns, exactly.
    """

    instance: QuerySnapshot
    choice: NDArray[np.int64]
    units: int

    @property
    def objective(self) -> float:
        """Objective in s; infinite when the accuracy asked for is not reached."""
        return self.weighted_s if self.is_feasible else float("inf")

    @property
    def weighted_s(self) -> float:
        """Sum of delays - kappa sum of u over offloaded queries, s, whatever the accuracy."""
        return seconds_of(self.units)

    @cached_property
    def accuracy_units(self) -> int:
        """Sum of expected accuracies in units of 10^-9."""
        x, away = self.instance, self.choice != LOCAL
        edge = x.accuracy_edge_units[away, self.choice[away]]
        return int(edge.sum()) + int(x.accuracy_local_units[~away].sum())

    @property
    def is_feasible(self) -> bool:
        """Whether the mean expected accuracy is what the snapshot asks for."""
        return self.accuracy_units >= self.instance.accuracy_needed_units

    @property
    def expected_accuracy(self) -> float:
        """Mean probability of a correct answer."""
        return self.accuracy_units / (ACCURACY_SCALE * self.instance.n_users)

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """(M,) queries at each server."""
        away = self.choice[self.choice != LOCAL]
        return np.bincount(away, minlength=self.instance.n_servers).astype(np.int64)

    @cached_property
    def delay_s(self) -> NDArray[np.float64]:
        """(N,) delay of each query, s."""
        x = self.instance
        users = np.flatnonzero(self.choice != LOCAL)
        at = self.choice[users]
        delay = x.local_ns.astype(np.float64)
        shared = self.count[at] * x.linear_ns[users, at].astype(np.float64)
        total = np.bincount(at, weights=x.root[users, at], minlength=x.n_servers)
        upload = x.root[users, at] * (total[at] / ROOT_SCALE**2)
        delay[users] = x.queue_ns[at] + shared + upload
        return delay * 1e-9

    @property
    def mean_delay_s(self) -> float:
        """Mean delay, s."""
        return float(self.delay_s.mean())

    @property
    def offloaded_share(self) -> float:
        """Share of queries that leave the device."""
        return float((self.choice != LOCAL).mean())

    @property
    def bandwidth_share(self) -> NDArray[np.float64]:
        """(N,) share of its server's bandwidth that each offloaded query gets; 0 on the device."""
        x = self.instance
        users = np.flatnonzero(self.choice != LOCAL)
        at = self.choice[users]
        weight = x.root[users, at].astype(np.float64)
        if x.shares == "equal":
            weight = np.ones(len(users))
        total = np.bincount(at, weights=weight, minlength=x.n_servers)
        share = np.zeros(x.n_users)
        np.divide(weight, total[at], out=weight, where=total[at] > 0)
        share[users] = weight
        return share

    def table(self) -> pd.DataFrame:
        """One row per user: server ("" on the device), delay, accuracy, uncertainty."""
        x, away = self.instance, self.choice != LOCAL
        edge = x.accuracy_edge[np.arange(x.n_users), np.maximum(self.choice, 0)]
        return pd.DataFrame(
            {
                "user": x.users,
                "server": [x.servers[j] if j != LOCAL else "" for j in self.choice],
                "delay_s": self.delay_s,
                "bandwidth_share": self.bandwidth_share,
                "accuracy": np.where(away, edge, x.accuracy_local),
                "uncertainty": x.uncertainty,
            }
        )


def replay(instance: QuerySnapshot, choice: ArrayLike) -> Assignment:
    """Price a decision.

    Parameters
    ----------
    instance : QuerySnapshot
    choice : (N,) int
        Server of each user, -1 for the device.

    Raises
    ------
    ValueError
        Names the user or server of the first constraint that does not hold. An accuracy that is
        not reached is no error: it makes the objective infinite.
    """
    given = _checked(instance, choice)
    units = int(instance.local_ns[given == LOCAL].sum()) * UNITS_PER_NS
    for j in range(instance.n_servers):
        units += server_units(instance, j, np.flatnonzero(given == j))
    given.setflags(write=False)
    return Assignment(instance, given, units)


def seconds_of(units: int) -> float:
    """Largest number of seconds that is not above `units` of 2^-20 ns.

    Costs and bounds are rounded alike, so that they meet at an optimum, and no bound is above the
    exact value that its certificate proves.
    """
    value = units / UNITS_PER_S
    above, below = value.as_integer_ratio()
    return math.nextafter(value, -math.inf) if above * UNITS_PER_S > units * below else value


def server_units(x: QuerySnapshot, j: int, users: NDArray[np.int64]) -> int:
    """Delays of the users of one server less their worth, in 2^-20 ns, exactly."""
    n = len(users)
    shared = n * (int(x.queue_ns[j]) + int(x.linear_ns[users, j].sum()))
    worth = int(x.worth_ns[users].sum())
    return UNITS_PER_NS * (shared - worth) + int(x.root[users, j].sum()) ** 2


def _checked(x: QuerySnapshot, choice: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(choice)
    if given.shape != (x.n_users,):
        raise ValueError(f"choice must have shape ({x.n_users},), has {given.shape}")
    if given.dtype.kind not in "iu":
        raise ValueError(f"choice: must hold whole numbers, has dtype {given.dtype}")
    given = given.astype(np.int64)
    wrong = (given < LOCAL) | (given >= x.n_servers)
    checks.refuse(wrong, "choice", given, f"is no server 0..{x.n_servers - 1}, and not -1 (device)")
    away = given != LOCAL
    lost = away & ~x.reachable[np.arange(x.n_users), np.maximum(given, 0)]
    checks.refuse(lost, "choice", given, "is a server that the user does not reach (rate 0)")
    count = np.bincount(given[away], minlength=x.n_servers)
    checks.refuse(count > x.room, "queries at server", count, "are more than it has room for")
    return given
