"""The caching instance: models resident at edge servers, requests served there or in the cloud.

Sets: servers n, pairs p (an agent's service and its model), slots t. A decision says what is
resident, a[n,p,t] in {0, 1}, and how many requests are served at the edge, x[n,p,t] in 0..R[n,p,t];
the rest go to the cloud.

    (memory)   sum_p memory[p] a[n,p,t] <= capacity[n]                     for all n, t
    (energy)   sum_p energy[p] x[n,p,t] <= budget[n]                       for all n, t
    (resident) x[n,p,t] <= R[n,p,t] a[n,p,t]
    (age)      kappa[n,p,t] = a min(kappa_max, max(0, kappa[n,p,t-1] + g x - Delta)), 0 at the start

Costs per slot: switching when a rises, edge transmission and compute per request served, cloud per
request not served, and accuracy x c_acc (1 - alpha) / max(0.05, kappa log(1 / beta)), with the age
of that slot. Requests of a slot are seen before it is decided; loads act at once; all start empty.

Paper: arXiv 2501.14205 (T2DRL), section "system model"; decisions on its defects are listed in
docs/equations.md. Memory counts in MB, energy in 10 J, both whole numbers, so that knapsacks are
exact; costs are multiples of 2^-30, so that replays are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks, files
from mecopt.caching import coupling as couplings
from mecopt.caching import grid
from mecopt.caching.coupling import Backhaul, Coupling, Forwarding
from mecopt.caching.kernel import Pairs, pairs_of
from mecopt.caching.pair import Pair

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

#: Least denominator of the accuracy cost: a cold context is finite (D).
LEAST_WARMTH = 0.05

FORMAT = files.Format("mecopt.caching-instance", version=1, finite=True)

_NAMES = ("server_names", "pair_names", "model_names")
_PER_PAIR = ("thoughts", "vanish", "kappa_max")
_COSTS = ("switch_cost", "edge_cost", "compute_cost", "cloud_cost")


@dataclass(frozen=True, eq=False)
class CachingInstance(files.Saved):
    """Model caching and inference offloading (frozen, validated, serialisable).

    N servers, P pairs, T slots.

    Parameters
    ----------
    server_names : tuple of str, length N
    pair_names, model_names : tuple of str, length P
    requests : (N, P, T) int64
        Requests born at each server.
    memory_mb : (P,) int64
        What is resident, MB.
    capacity_mb : (N,) int64
    energy_10j : (P,) int64
        Energy per request served at the edge, in units of 10 J.
    energy_budget_10j : (N,) int64
        Energy per slot, in units of 10 J.
    thoughts, vanish, kappa_max : (P,) int64
        Thoughts added per request (g >= 1), vanishing per slot (Delta), and at most held.
    inaccuracy : (P,) float64
        1 - alpha, 0..1.
    log_inverse_beta : (P,) float64
        log(1 / beta) > 0.
    accuracy_weight : float
        c_acc.
    switch_cost, edge_cost, compute_cost, cloud_cost : (P,) float64
        Costs, per load or per request; rounded to multiples of 2^-30.
    slot_s : float
        Length of a slot, s (for display; energy budgets are per slot).
    coupling : Backhaul, Forwarding or None
    meta : mapping
        Provenance (scenario, preset, seed, tags); JSON-able, not part of the hash.

    Raises
    ------
    ValueError
        Names the argument, the position and the value of whatever is malformed.
    """

    server_names: tuple[str, ...]
    pair_names: tuple[str, ...]
    model_names: tuple[str, ...]
    requests: IntArray
    memory_mb: IntArray
    capacity_mb: IntArray
    energy_10j: IntArray
    energy_budget_10j: IntArray
    thoughts: IntArray
    vanish: IntArray
    kappa_max: IntArray
    inaccuracy: FloatArray
    log_inverse_beta: FloatArray
    accuracy_weight: float
    switch_cost: FloatArray
    edge_cost: FloatArray
    compute_cost: FloatArray
    cloud_cost: FloatArray
    slot_s: float = 1.0
    coupling: Coupling | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in _NAMES:
            put(self, name, checks.names(name, getattr(self, name)))
        checks.mapping("meta", self.meta)
        n, p = len(self.server_names), len(self.pair_names)
        for name, size in (("server_names", n), ("pair_names", p)):
            if size == 0:
                raise ValueError(f"{name}: the list is empty")
            checks.no_duplicates(name, getattr(self, name))
        if len(self.model_names) != p:
            raise ValueError(f"model_names must have {p} entries, has {len(self.model_names)}")
        shape = np.shape(self.requests)
        if len(shape) != 3 or shape[:2] != (n, p):
            raise ValueError(f"requests must have shape ({n}, {p}, slots), has {shape}")
        if shape[2] == 0:
            raise ValueError("requests: there are zero slots, need at least one")
        put(self, "requests", grid.whole("requests", self.requests, shape))
        put(self, "memory_mb", grid.whole("memory_mb", self.memory_mb, (p,), "1 MB"))
        put(self, "capacity_mb", grid.whole("capacity_mb", self.capacity_mb, (n,), "1 MB"))
        put(self, "energy_10j", grid.whole("energy_10j", self.energy_10j, (p,), "10 J"))
        budget = grid.whole("energy_budget_10j", self.energy_budget_10j, (n,), "10 J")
        put(self, "energy_budget_10j", budget)
        for name in _PER_PAIR:
            put(self, name, grid.whole(name, getattr(self, name), (p,)))
        for name in _COSTS:
            put(self, name, grid.cost(name, getattr(self, name), (p,)))
        put(self, "accuracy_weight", float(self.accuracy_weight))
        put(self, "slot_s", float(self.slot_s))
        if self.coupling is not None:
            put(self, "coupling", self.coupling.checked(n, p, shape[2]))
        self._check_thoughts()

    def _check_thoughts(self) -> None:
        p = self.n_pairs
        checks.refuse(self.thoughts < 1, "thoughts", self.thoughts, "must be at least 1")
        checks.refuse(
            self.kappa_max < self.thoughts,
            "kappa_max",
            self.kappa_max,
            "is below the thoughts of one request",
        )
        checks.refuse(self.kappa_max > 10_000, "kappa_max", self.kappa_max, "is larger than 10000")
        for name in ("inaccuracy", "log_inverse_beta"):
            given = np.asarray(getattr(self, name))
            if given.dtype.kind not in "iuf":
                raise ValueError(f"{name}: must hold numbers, has dtype {given.dtype}")
            if given.shape != (p,):
                raise ValueError(f"{name} must have shape ({p},), has {given.shape}")
            checks.refuse(~np.isfinite(given), name, given, "is not a finite number")
            object.__setattr__(self, name, checks.frozen(given, np.float64))
        wrong = (self.inaccuracy < 0) | (self.inaccuracy > 1)
        checks.refuse(wrong, "inaccuracy", self.inaccuracy, "must be between 0 and 1")
        beta = self.log_inverse_beta
        checks.refuse(beta <= 0, "log_inverse_beta", beta, "must be > 0")
        if not (np.isfinite(self.accuracy_weight) and 0 <= self.accuracy_weight <= 1e4):
            raise ValueError(f"accuracy_weight = {self.accuracy_weight} must be in 0..1e4")
        if not (np.isfinite(self.slot_s) and self.slot_s > 0):
            raise ValueError(f"slot_s = {self.slot_s} must be > 0")
        # Thoughts and energy of a slot must add up in 64 bits, whatever is decided.
        largest = float(self.requests.sum(dtype=np.float64))
        for name in ("thoughts", "energy_10j"):
            if largest * float(getattr(self, name).max()) >= 2.0**62:
                raise ValueError(f"{name}: over all requests they add up to more than 2^62")
        if isinstance(self.coupling, Backhaul):
            most = float(self.coupling.tokens.max())
            if largest * most >= 2.0**62:
                raise ValueError("tokens: over all requests they add up to more than 2^62")

    # ---------------------------------------------------------------- sizes and views
    @property
    def n_servers(self) -> int:
        return len(self.server_names)

    @property
    def n_pairs(self) -> int:
        return len(self.pair_names)

    @property
    def n_slots(self) -> int:
        return int(self.requests.shape[2])

    @property
    def is_forwarding(self) -> bool:
        """Whether requests may be served next door (decisions are flows then)."""
        return isinstance(self.coupling, Forwarding)

    @cached_property
    def accuracy_cost(self) -> FloatArray:
        """(P, K + 1) accuracy cost of one request at age kappa, K = max(kappa_max).

        c_acc (1 - alpha) / max(0.05, kappa log(1 / beta)), rounded to multiples of 2^-30.
        """
        kappa = np.arange(int(self.kappa_max.max()) + 1)
        warmth = np.maximum(LEAST_WARMTH, kappa * self.log_inverse_beta[:, None])
        value = self.accuracy_weight * self.inaccuracy[:, None] / warmth
        return grid.cost("accuracy_cost", value, value.shape)

    @cached_property
    def serve_cost(self) -> FloatArray:
        """(P,) transmission and compute of a request served at the edge."""
        return checks.frozen(self.edge_cost + self.compute_cost, np.float64)

    @cached_property
    def cloud_only(self) -> NDArray[np.bool_]:
        """(P,) pairs larger than every server: their requests always go to the cloud."""
        return checks.frozen(self.memory_mb > self.capacity_mb.max(), np.bool_)

    @cached_property
    def pairs(self) -> Pairs:
        """What compiled policies read."""
        return pairs_of(self)

    @cached_property
    def blinded(self) -> CachingInstance:
        """The same instance without any request: what a policy may know beforehand."""
        return replace(self, requests=np.zeros_like(self.requests))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything that can change a replay; names and meta left out."""
        digest = hashlib.sha256(b"mecopt.caching/1")
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, float) and f.name != "slot_s":
                value = np.array(value)
            if isinstance(value, np.ndarray):
                digest.update(f"{f.name}{value.dtype.str}{value.shape}".encode())
                digest.update(value.tobytes())
        if self.coupling is not None:
            for name, value in self.coupling.to_document().items():
                digest.update(f"{name}{value!r}".encode())
        return digest.hexdigest()

    #: Which family of problems this is, and what its files look like.
    family: ClassVar[str] = "caching"
    format: ClassVar = FORMAT
    texts: ClassVar = _NAMES
    readers: ClassVar = {"coupling": couplings.from_document}

    @property
    def cost_unit(self) -> str:
        """Costs have no unit."""
        return ""

    def spread(self, cost: float) -> str:
        """A sum of costs per slot (the paper's mean), in words."""
        return (
            f"over {self.n_servers} servers and {self.n_slots} slots "
            f"({cost / self.n_slots:.6g} a slot)"
        )

    def __repr__(self) -> str:
        extra = "" if self.coupling is None else f", {type(self.coupling).__name__.lower()}"
        outside = int(self.cloud_only.sum())
        if outside:
            what = "pair" if outside == 1 else "pairs"
            extra += f", {outside} {what} larger than every server (cloud only)"
        return (
            f"CachingInstance({self.n_servers} servers, {self.n_pairs} pairs, "
            f"{self.n_slots} slots, {int(self.requests.sum())} requests{extra}, "
            f"hash {self.content_hash[:12]})"
        )

    # ---------------------------------------------------------------- construction
    @classmethod
    def from_pairs(
        cls,
        requests: ArrayLike,
        pairs: Sequence[Pair],
        *,
        capacity_gb: ArrayLike,
        energy_budget_j: ArrayLike,
        accuracy_weight: float = 2.5,
        slot_s: float = 1.0,
        coupling: Coupling | None = None,
        server_names: Sequence[str] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> CachingInstance:
        """Build an instance from physical units.

        Parameters
        ----------
        requests : (N, P, T) int
        pairs : sequence of Pair
        capacity_gb, energy_budget_j : (N,) float
            Memory of each server, GB, and its energy per slot, J.

        Raises
        ------
        ValueError
            Memory that is no whole number of MB, energy that is no whole number of 10 J, and
            whatever `CachingInstance` refuses.
        """
        capacity = np.atleast_1d(np.asarray(capacity_gb, dtype=np.float64))
        budget = np.atleast_1d(np.asarray(energy_budget_j, dtype=np.float64))

        def per_pair(name: str) -> NDArray[Any]:
            return np.array([getattr(p, name) for p in pairs])

        beta = per_pair("beta").astype(np.float64)
        checks.refuse(~((beta > 0) & (beta < 1)), "beta", beta, "must be between 0 and 1")
        as_they_are: dict[str, Any] = {n: per_pair(n) for n in (*_PER_PAIR, *_COSTS)}
        return cls(
            server_names=tuple(server_names or ())
            or tuple(f"server {n}" for n in range(len(capacity))),
            pair_names=tuple(p.name for p in pairs),
            model_names=tuple(p.model for p in pairs),
            requests=np.asarray(requests),
            memory_mb=grid.multiples("memory_gb", per_pair("memory_gb"), grid.MB_GB, "GB"),
            capacity_mb=grid.multiples("capacity_gb", capacity, grid.MB_GB, "GB"),
            energy_10j=grid.multiples("energy_j", per_pair("energy_j"), grid.ENERGY_J, "J"),
            energy_budget_10j=grid.multiples("energy_budget_j", budget, grid.ENERGY_J, "J"),
            inaccuracy=1.0 - per_pair("accuracy").astype(np.float64),
            log_inverse_beta=-np.log(beta),
            accuracy_weight=accuracy_weight,
            slot_s=slot_s,
            coupling=coupling,
            meta=dict(meta or {}),
            **as_they_are,
        )
