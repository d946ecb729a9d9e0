"""A caching plan: what a decision costs and does, as the core's own replay finds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mecopt import checks
from mecopt.caching import coupling as couplings
from mecopt.caching import kernel
from mecopt.caching.coupling import Backhaul, Forwarding
from mecopt.caching.instance import CachingInstance


@dataclass(frozen=True, eq=False)
class CachingPlan:
    """The outcome of one decision on one instance; made by `replay` and `rollout` only.

    Parameters
    ----------
    instance : CachingInstance
    a : (N, P, T) bool
        What is resident.
    x : (N, P, T) int64
        Requests served at each server, wherever they were born.
    flow : (N, 3, P, T) int64
        ``flow[n, j]`` are served at n and born at n + j - 1; without forwarding only j = 1 is used.
    kappa : (N, P, T) int64
        Age of thoughts after each slot.
    parts : tuple of str
        Names of the rows of `cost`.
    cost : (C, N, T) float64
        Cost by part, server and slot. Cloud costs belong to the server where a request was born,
        hops to the server that serves, and overflow of a shared link in equal shares to all.
    """

    instance: CachingInstance
    a: NDArray[np.bool_]
    x: NDArray[np.int64]
    flow: NDArray[np.int64]
    kappa: NDArray[np.int64]
    parts: tuple[str, ...]
    cost: NDArray[np.float64]

    @cached_property
    def objective(self) -> float:
        """Sum of costs over servers and slots."""
        return float(self.cost.sum())

    @property
    def cost_split(self) -> dict[str, float]:
        """Sum of costs by part."""
        return dict(zip(self.parts, self.cost.sum(axis=(1, 2)).tolist(), strict=True))

    @property
    def to_cloud(self) -> NDArray[np.int64]:
        """(N, P, T) requests of each cell that go to the cloud."""
        return self.instance.requests - couplings.taken(self.flow)

    @property
    def edge_share(self) -> float:
        """Share of all requests that are served at the edge (0 when there are none)."""
        return float(self.x.sum() / max(int(self.instance.requests.sum()), 1))

    def timeline(self) -> pd.DataFrame:
        """One row per server, pair and slot in which it is resident: kappa, served, to cloud."""
        x = self.instance
        n, p, t = np.nonzero(self.a)
        return pd.DataFrame(
            {
                "server": [x.server_names[i] for i in n],
                "pair": [x.pair_names[i] for i in p],
                "slot": t,
                "kappa": self.kappa[n, p, t],
                "served": self.x[n, p, t],
                "to_cloud": self.to_cloud[n, p, t],
            }
        )


def replay(instance: CachingInstance, a: ArrayLike, x: ArrayLike) -> CachingPlan:
    """Price a complete decision.

    Parameters
    ----------
    instance : CachingInstance
    a : (N, P, T) bool
        What is resident.
    x : (N, P, T) or (N, 3, P, T) int
        Requests served where they are born, or flows (`CachingPlan`) with forwarding.

    Raises
    ------
    ValueError
        Names the server, pair and slot of the first constraint that does not hold.
    """
    resident, flow = _checked(instance, a, x)
    served = flow.sum(axis=1)
    to_cloud = instance.requests - couplings.taken(flow)
    _check_constraints(instance, resident, served, to_cloud)
    return price(instance, resident, served, flow, to_cloud)


def price(
    instance: CachingInstance,
    resident: NDArray[np.bool_],
    served: NDArray[np.int64],
    flow: NDArray[np.int64],
    to_cloud: NDArray[np.int64],
) -> CachingPlan:
    """The plan of decisions that are known to be feasible (what `replay` checks is not checked)."""
    i = instance
    kappa = np.zeros(i.requests.shape, dtype=np.int64)
    cost = np.zeros((len(kernel.PARTS), i.n_servers, i.n_slots))
    kernel.replay_kernel(
        i.pairs, i.edge_cost, i.compute_cost, resident, served, to_cloud, kappa, cost
    )
    parts: tuple[str, ...] = kernel.PARTS
    if isinstance(i.coupling, Backhaul):
        over = i.coupling.overflow_cost * i.coupling.overflow(to_cloud) / i.n_servers
        cost = np.concatenate([cost, np.broadcast_to(over, (1, i.n_servers, i.n_slots))])
        parts += ("overflow",)
    elif isinstance(i.coupling, Forwarding):
        away = flow[:, 0] + flow[:, 2]
        hops = np.einsum("p,npt->nt", i.coupling.hop_cost, away)
        cost = np.concatenate([cost, hops[None]])
        parts += ("hops",)
    for array in (resident, served, flow, kappa, cost):
        array.setflags(write=False)
    return CachingPlan(i, resident, served, flow, kappa, parts, cost)


def _checked(
    instance: CachingInstance, a: ArrayLike, x: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    shape = instance.requests.shape
    resident = np.asarray(a)
    if resident.shape != shape:
        raise ValueError(f"a must have shape {shape}, has {resident.shape}")
    if resident.dtype.kind not in "b":
        whole = _integers("a", resident)
        checks.refuse((whole != 0) & (whole != 1), "a", whole, "must be 0 or 1")
    served = _integers("x", np.asarray(x))
    if served.ndim == 3:
        if served.shape != shape:
            raise ValueError(f"x must have shape {shape}, has {served.shape}")
        served = couplings.expand(served)
    flow_shape = (shape[0], 3, *shape[1:])
    if served.shape != flow_shape:
        raise ValueError(f"x must have shape {shape} or {flow_shape}, has {served.shape}")
    checks.refuse(served < 0, "x", served, "is negative")
    if not instance.is_forwarding:
        away = served.copy()
        away[:, 1] = 0
        checks.refuse(away > 0, "x", away, "is served next door, without a forwarding coupling")
    for n, j in ((0, 0), (shape[0] - 1, 2)):
        if served[n, j].any():
            raise ValueError(f"x[{n}, {j}] > 0: there is no server {n + j - 1}")
    return np.ascontiguousarray(resident, dtype=np.bool_).copy(), served.copy()


def _integers(name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind not in "biu":
        raise ValueError(f"{name}: must hold whole numbers, has dtype {values.dtype}")
    return values.astype(np.int64)


def _check_constraints(
    i: CachingInstance,
    resident: NDArray[np.bool_],
    served: NDArray[np.int64],
    to_cloud: NDArray[np.int64],
) -> None:
    checks.refuse(to_cloud < 0, "requests - x", to_cloud, "more are served than were born")
    checks.refuse((served > 0) & ~resident, "x", served, "is served by a pair that is not resident")
    memory = np.einsum("p,npt->nt", i.memory_mb, resident.astype(np.int64))
    over = memory > i.capacity_mb[:, None]
    checks.refuse(over, "memory of a [server, slot]", memory, "MB is more than the capacity")
    energy = np.einsum("p,npt->nt", i.energy_10j, served)
    over = energy > i.energy_budget_10j[:, None]
    checks.refuse(over, "energy of x [server, slot]", energy, "x 10 J is more than the budget")
