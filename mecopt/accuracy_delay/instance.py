"""The accuracy-delay instance: which queries leave the device, and for which server.

Users i hold one query each, servers j a larger model. A decision gives every user a server or none
(the query is answered on the device). With n_j queries at server j, under equal shares,

    delay of i at j  =  queue_j + n_j (bits_i / rate_ij + work_i / speed_j),

and with optimal bandwidth shares the uploads to server j take, added over its users,

    (sum_i sqrt(bits_i / rate_ij))^2        (shares in proportion to the square roots),

while computing stays shared equally. The objective is

    sum of delays - kappa sum of u_i over queries that leave the device,

over decisions with at most ``room`` queries at a server and a mean expected accuracy of at least
``least_accuracy``. Paper: arXiv 2602.07958 (GOA), sections on system model and problem.

Times are rounded to nanoseconds, accuracies to 10^-9 and square roots of nanoseconds to 2^-10,
once, when an instance is made: the rounded instance is the instance, and every sum over it is exact
in whole numbers of 2^-20 ns.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mecopt import checks, files
from mecopt.accuracy_delay import queries as tables

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

FORMAT = files.Format("mecopt.query-snapshot", version=1)

#: Ways in which the users of a server share its bandwidth.
SHARES = ("equal", "optimal")
#: Choice of a user whose query stays on the device.
LOCAL = -1
#: Cost units (2^-20 ns) in a nanosecond.
UNITS_PER_NS = 2**20
#: Units of a square root of a nanosecond; their square is a cost unit.
ROOT_SCALE = 2**10
#: Cost units in a second.
UNITS_PER_S = UNITS_PER_NS * 10**9
#: Units of accuracy in one.
ACCURACY_SCALE = 10**9
#: Largest time of a single query, s.
LARGEST_S = 1e5

_PER_USER = ("bits", "work", "local_s", "uncertainty", "accuracy_local")
_PER_SERVER = ("speed", "queue_s")


@dataclass(frozen=True, eq=False)
class QuerySnapshot(files.Saved):
    """Queries of one moment, and the servers that could answer them (frozen, validated, saved).

    N users, M servers.

    Parameters
    ----------
    users, servers : tuple of str
        Names, length N and M.
    bits : (N,) float
        Upload of each query, bit.
    work : (N,) float
        Work of each query at a server, in the unit of `speed` (tokens, Gcycles, ...).
    rate_bps : (N, M) float
        Uplink rate with the whole bandwidth, bit/s; 0 where a user does not reach a server.
    speed : (M,) float
        Work per second of a server that serves one query.
    queue_s : (M,) float
        Wait before a server begins, s.
    room : (M,) int
        Most queries a server takes.
    local_s : (N,) float
        Delay on the device, s.
    uncertainty : (N,) float
        Margin uncertainty u of the device's answer, 0..1 (1 - top-1 + top-2 probability).
    accuracy_local : (N,) float
        Probability that the device's answer is correct.
    accuracy_edge : (N, M) or (M,) float
        Probability that a server's answer is correct.
    kappa_s : float
        Worth of moving one unit of uncertainty off the device, s.
    least_accuracy : float
        Mean expected accuracy that a decision must reach (0: none is asked for).
    shares : str
        ``"equal"`` or ``"optimal"`` shares of a server's bandwidth.
    meta : mapping
        Provenance (scenario, preset, seed, tags); JSON-able, not part of the hash.

    Raises
    ------
    ValueError
        Names the argument, the position and the value of whatever is malformed.
    """

    users: tuple[str, ...]
    servers: tuple[str, ...]
    bits: FloatArray
    work: FloatArray
    rate_bps: FloatArray
    speed: FloatArray
    queue_s: FloatArray
    room: IntArray
    local_s: FloatArray
    uncertainty: FloatArray
    accuracy_local: FloatArray
    accuracy_edge: FloatArray
    kappa_s: float = 0.0
    least_accuracy: float = 0.0
    shares: str = "equal"
    meta: Mapping[str, Any] = field(default_factory=dict)

    family: ClassVar[str] = "accuracy_delay"
    format: ClassVar = FORMAT
    texts: ClassVar = ("users", "servers", "shares")

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in ("users", "servers"):
            put(self, name, checks.names(name, getattr(self, name)))
            if not getattr(self, name):
                raise ValueError(f"{name}: the list is empty")
            checks.no_duplicates(name, getattr(self, name))
        n, m = len(self.users), len(self.servers)
        for name in _PER_USER:
            put(self, name, _numbers(name, getattr(self, name), (n,)))
        for name in _PER_SERVER:
            put(self, name, _numbers(name, getattr(self, name), (m,)))
        put(self, "rate_bps", _numbers("rate_bps", self.rate_bps, (n, m)))
        edge = np.asarray(self.accuracy_edge)
        if edge.shape == (m,):
            edge = np.broadcast_to(edge, (n, m))
        put(self, "accuracy_edge", _numbers("accuracy_edge", edge, (n, m)))
        put(self, "room", _room(self.room, m))
        for name in ("kappa_s", "least_accuracy"):
            put(self, name, float(_numbers(name, getattr(self, name), ())))
        checks.one_of("shares", self.shares, SHARES)
        for name in ("uncertainty", "accuracy_local", "accuracy_edge"):
            given = getattr(self, name)
            checks.refuse(given > 1, name, given, "must be between 0 and 1")
        if self.least_accuracy > 1:
            raise ValueError(f"least_accuracy = {self.least_accuracy} must be between 0 and 1")
        if self.kappa_s > LARGEST_S:
            raise ValueError(f"kappa_s = {self.kappa_s} must be at most {LARGEST_S:g} s")
        checks.refuse(self.speed <= 0, "speed", self.speed, "must be > 0")
        if not self.reachable.any():
            raise ValueError("rate_bps: no user reaches any server, every rate is 0")
        self._check_times()

    def _check_times(self) -> None:
        """No time may be so long that sums of nanoseconds are no longer exact."""
        for name in ("local_s", "queue_s"):
            given = getattr(self, name)
            checks.refuse(given > LARGEST_S, name, given, f"is longer than {LARGEST_S:g} s")
        alone = self.upload_s + self.compute_s
        checks.refuse(
            self.reachable & (alone > LARGEST_S),
            "bits / rate_bps + work / speed",
            alone,
            f"is longer than {LARGEST_S:g} s; a rate of 0 says that a server is out of reach",
        )

    # ---------------------------------------------------------------- sizes and views
    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_servers(self) -> int:
        return len(self.servers)

    @cached_property
    def reachable(self) -> NDArray[np.bool_]:
        """(N, M) whether a user reaches a server."""
        return checks.frozen(self.rate_bps > 0, np.bool_)

    @cached_property
    def upload_s(self) -> FloatArray:
        """(N, M) upload with the whole bandwidth, s; infinite out of reach."""
        out = np.full(self.rate_bps.shape, np.inf)
        # A rate may be so small that the quotient overflows: that is infinite, too.
        with np.errstate(over="ignore"):
            np.divide(self.bits[:, None], self.rate_bps, out=out, where=self.reachable)
        return checks.frozen(out, np.float64)

    @cached_property
    def compute_s(self) -> FloatArray:
        """(N, M) computing alone at a server, s."""
        with np.errstate(over="ignore"):
            return checks.frozen(self.work[:, None] / self.speed, np.float64)

    @cached_property
    def upload_ns(self) -> IntArray:
        """(N, M) upload with the whole bandwidth, ns; 0 out of reach (see `reachable`)."""
        return checks.frozen(np.rint(np.where(self.reachable, self.upload_s, 0) * 1e9), np.int64)

    @cached_property
    def compute_ns(self) -> IntArray:
        """(N, M) computing alone at a server, ns; 0 out of reach."""
        return checks.frozen(np.rint(np.where(self.reachable, self.compute_s, 0) * 1e9), np.int64)

    @cached_property
    def linear_ns(self) -> IntArray:
        """(N, M) what a query adds to the time that all queries at its server take, ns.

        With optimal shares uploads count through `root` instead.
        """
        both = self.upload_ns + self.compute_ns
        return checks.frozen(both if self.shares == "equal" else self.compute_ns, np.int64)

    @cached_property
    def root(self) -> IntArray:
        """(N, M) 2^10 sqrt(upload in ns) with optimal shares, rounded; zeros with equal shares."""
        if self.shares == "equal":
            return checks.frozen(np.zeros(self.rate_bps.shape), np.int64)
        return checks.frozen(np.rint(np.sqrt(self.upload_ns) * float(ROOT_SCALE)), np.int64)

    @cached_property
    def local_ns(self) -> IntArray:
        """(N,) delay on the device, ns."""
        return checks.frozen(np.rint(self.local_s * 1e9), np.int64)

    @cached_property
    def queue_ns(self) -> IntArray:
        """(M,) wait before a server begins, ns."""
        return checks.frozen(np.rint(self.queue_s * 1e9), np.int64)

    @cached_property
    def worth_ns(self) -> IntArray:
        """(N,) kappa u, what moving a query off the device is worth, ns."""
        return checks.frozen(np.rint(self.kappa_s * self.uncertainty * 1e9), np.int64)

    @cached_property
    def accuracy_local_units(self) -> IntArray:
        """(N,) accuracy on the device in units of 10^-9."""
        return checks.frozen(np.rint(self.accuracy_local * ACCURACY_SCALE), np.int64)

    @cached_property
    def accuracy_edge_units(self) -> IntArray:
        """(N, M) accuracy at the servers in units of 10^-9."""
        return checks.frozen(np.rint(self.accuracy_edge * ACCURACY_SCALE), np.int64)

    @property
    def accuracy_needed_units(self) -> int:
        """Sum of accuracies that a decision must reach, in units of 10^-9."""
        return self.n_users * round(self.least_accuracy * ACCURACY_SCALE)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything that can change an outcome; names and meta left out."""
        digest = hashlib.sha256(b"mecopt.query-snapshot/1")
        for name in (*_PER_USER, "rate_bps", *_PER_SERVER, "room", "accuracy_edge"):
            value = getattr(self, name)
            digest.update(f"{name}{value.dtype.str}{value.shape}".encode())
            digest.update(value.tobytes())
        digest.update(f"{self.kappa_s!r} {self.least_accuracy!r} {self.shares}".encode())
        return digest.hexdigest()

    @property
    def cost_unit(self) -> str:
        """Costs are seconds."""
        return " s"

    def spread(self, cost: float) -> str:
        """A sum of costs per query, in words."""
        return f"over {self.n_users} queries ({1e3 * cost / self.n_users:.6g} ms a query)"

    # ---------------------------------------------------------------- construction
    @classmethod
    def from_frame(
        cls,
        queries: pd.DataFrame,
        servers: pd.DataFrame,
        *,
        kappa_s: float = 0.0,
        least_accuracy: float = 0.0,
        shares: str = "equal",
        meta: Mapping[str, Any] | None = None,
    ) -> QuerySnapshot:
        """A snapshot from a table of queries and one of servers.

        Parameters
        ----------
        queries : DataFrame
            Columns ``bits``, ``work``, ``local_s``, ``uncertainty``, ``accuracy``, optionally
            ``user``, and ``rate_bps NAME`` for every server (0 or missing: out of reach).
        servers : DataFrame
            Columns ``server``, ``speed``, ``accuracy``, optionally ``queue_s`` and ``room``.
        kappa_s, least_accuracy, shares, meta
            As in the class.

        Raises
        ------
        ValueError
            Names the table, the row (counted from 1) and the column of whatever is malformed.

        Examples
        --------
        >>> import pandas as pd
        >>> queries = pd.DataFrame({"bits": [1e6], "work": [20.0], "local_s": [1.5],
        ...     "uncertainty": [0.7], "accuracy": [0.4], "rate_bps edge": [2e7]})
        >>> servers = pd.DataFrame({"server": ["edge"], "speed": [60.0], "accuracy": [0.9]})
        >>> QuerySnapshot.from_frame(queries, servers, kappa_s=2.0).n_servers
        1
        """
        of = tables.of_frames(queries, servers)
        asked: dict[str, Any] = {"kappa_s": kappa_s, "shares": shares}
        asked["least_accuracy"] = least_accuracy
        return cls(**of, **asked, meta=dict(meta or {}))

    @classmethod
    def from_csv(
        cls,
        queries: str | os.PathLike[str],
        servers: str | os.PathLike[str],
        *,
        kappa_s: float = 0.0,
        least_accuracy: float = 0.0,
        shares: str = "equal",
    ) -> QuerySnapshot:
        """A snapshot from two CSV files with the columns of `from_frame`.

        Raises
        ------
        FileNotFoundError, ValueError
            Names the file, the line and the column of whatever is malformed.
        """
        of = tables.of_files(queries, servers)
        asked: dict[str, Any] = {"kappa_s": kappa_s, "shares": shares}
        asked["least_accuracy"] = least_accuracy
        try:
            return cls(**of, **asked)
        except ValueError as error:
            raise ValueError(f"{queries}, {servers}: {error}") from None

    def __repr__(self) -> str:
        asked = f", accuracy >= {self.least_accuracy:g}" if self.least_accuracy else ""
        return (
            f"QuerySnapshot({self.n_users} users, {self.n_servers} servers, kappa "
            f"{self.kappa_s:g} s{asked}, {self.shares} shares, hash {self.content_hash[:12]})"
        )


def _numbers(name: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Frozen float64 array of a shape; what is no finite number >= 0 is refused."""
    given = np.asarray(values)
    if given.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, has {given.shape}")
    if given.dtype.kind not in "iuf":
        raise ValueError(f"{name}: must hold numbers, has dtype {given.dtype}")
    if shape == () and not (math.isfinite(given) and given >= 0):
        raise ValueError(f"{name} = {given} must be a finite number >= 0")
    checks.refuse(~np.isfinite(given), name, given, "is not a finite number")
    checks.refuse(given < 0, name, given, "is negative")
    return checks.frozen(given + 0.0, np.float64)  # -0.0 and 0.0 are one number and one hash


def _room(values: ArrayLike, m: int) -> IntArray:
    """Frozen whole numbers >= 0."""
    given = np.asarray(values)
    if given.shape != (m,):
        raise ValueError(f"room must have shape ({m},), has {given.shape}")
    if given.dtype.kind not in "iu":
        raise ValueError(f"room: must hold whole numbers, has dtype {given.dtype}")
    checks.refuse(given < 0, "room", given, "is negative")
    return checks.frozen(np.minimum(given, 2**31), np.int64)
