"""Compiled dynamics of many cache servers in step: decide, pay, age, observe.

Servers of a `CachingInstance` without coupling separate exactly, so a server is the unit of
learning: one set of weights decides for all of them. B servers with the same number of pairs are
laid out in one set of arrays and advance together.

The state of a server before slot t is what is resident, the ages of thoughts kappa, and averages
of the requests seen so far; requests of slot t are seen before its decision (mecopt.caching).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.caching import feasibility

if TYPE_CHECKING:
    from mecopt.caching.instance import CachingInstance

#: Weight of the newest slot in the two averages of the requests (about 2 and 8 slots long).
FAST, SLOW = 0.5, 0.12


class Servers(NamedTuple):
    """B servers of P pairs over T slots; a pair's numbers are repeated for every server."""

    requests: NDArray[np.int64]  # (B, P, T)
    memory: NDArray[np.int64]  # (B, P) MB
    capacity: NDArray[np.int64]  # (B,) MB
    energy: NDArray[np.int64]  # (B, P) per request, 10 J
    budget: NDArray[np.int64]  # (B,) per slot, 10 J
    thoughts: NDArray[np.int64]  # (B, P) g
    vanish: NDArray[np.int64]  # (B, P) Delta
    kappa_max: NDArray[np.int64]  # (B, P)
    accuracy: NDArray[np.float64]  # (B, P, K + 1) cost of a request at age kappa
    switch: NDArray[np.float64]  # (B, P)
    serve: NDArray[np.float64]  # (B, P) edge transmission and computing, per request
    cloud: NDArray[np.float64]  # (B, P)
    unit: NDArray[np.float64]  # (B,) mean cloud cost of a request: the unit of scores and rewards


class State(NamedTuple):
    """What a server remembers between slots."""

    resident: NDArray[np.bool_]  # (B, P)
    kappa: NDArray[np.int64]  # (B, P)
    averages: NDArray[np.float64]  # (B, P, 3) fast, slow, and mean since the start
    remembers: bool  # whether averages are kept (see `start`)


def of_instances(picks: Sequence[tuple[CachingInstance, int]]) -> Servers:
    """Lay (instance, server) pairs out as a batch.

    Raises
    ------
    ValueError
        If they differ in the number of pairs or slots, or an instance couples its servers.
    """
    if not picks:
        raise ValueError("servers: there is none")
    first = picks[0][0]
    for instance, server in picks:
        if instance.coupling is not None:
            raise ValueError("instance: its servers are coupled, T2DRL decides for one at a time")
        if instance.requests.shape[1:] != first.requests.shape[1:]:
            raise ValueError(
                f"instance: pairs and slots {instance.requests.shape[1:]} differ from "
                f"{first.requests.shape[1:]} in the same batch"
            )
        if not 0 <= server < instance.requests.shape[0]:
            raise ValueError(f"server = {server} must be below {instance.requests.shape[0]}")
    ages = 1 + max(int(instance.kappa_max.max()) for instance, _ in picks)

    def rows(name: str) -> NDArray:
        return np.stack([getattr(instance, name) for instance, _ in picks])

    def accuracy(instance: CachingInstance) -> NDArray[np.float64]:
        table = instance.accuracy_cost
        return np.pad(table, ((0, 0), (0, ages - table.shape[1])), mode="edge")

    cloud = rows("cloud_cost")
    return Servers(
        requests=np.stack([instance.requests[server] for instance, server in picks]),
        memory=rows("memory_mb"),
        capacity=np.array([instance.capacity_mb[server] for instance, server in picks]),
        energy=rows("energy_10j"),
        budget=np.array([instance.energy_budget_10j[server] for instance, server in picks]),
        thoughts=rows("thoughts"),
        vanish=rows("vanish"),
        kappa_max=rows("kappa_max"),
        accuracy=np.stack([accuracy(instance) for instance, _ in picks]),
        switch=rows("switch_cost"),
        serve=rows("edge_cost") + rows("compute_cost"),
        cloud=cloud,
        unit=np.maximum(cloud.mean(axis=1), 1e-12),
    )


def start(servers: Servers, *, averages: bool = True) -> State:
    """Empty servers that have seen nothing.

    Without `averages` (an ablation) nothing is remembered of the requests: in place of both
    averages stand those of the slot, in place of the mean stands one, what scenarios have.
    """
    shape = servers.memory.shape
    resident, kappa = np.zeros(shape, bool), np.zeros(shape, np.int64)
    return State(resident, kappa, np.zeros((*shape, 3)), averages)


@njit(cache=True)
def see(servers: Servers, t: int, state: State) -> None:
    """Fold the requests of slot t into the averages (once per slot, before the decision)."""
    b_, p_, _ = servers.requests.shape
    for b in range(b_):
        for p in range(p_):
            r = float(servers.requests[b, p, t])
            seen = state.averages[b, p]
            if not state.remembers:
                seen[0], seen[1], seen[2] = r, r, 1.0
                continue
            seen[0] += (FAST if t > 0 else 1.0) * (r - seen[0])
            seen[1] += max(SLOW, 1.0 / (t + 1)) * (r - seen[1])
            seen[2] += (r - seen[2]) / (t + 1)


@njit(cache=True)
def age(servers: Servers, b: int, p: int, kappa: int, x: int) -> int:
    """Age of thoughts of a resident pair after serving x requests."""
    grown = kappa + servers.thoughts[b, p] * x - servers.vanish[b, p]
    return min(servers.kappa_max[b, p], max(0, grown))


@njit(cache=True)
def gain(servers: Servers, b: int, p: int, kappa: int, x: int) -> float:
    """What serving x requests at the edge saves against the cloud, residency paid for."""
    if x == 0:
        return 0.0
    cost = servers.serve[b, p] + servers.accuracy[b, p, age(servers, b, p, kappa, x)]
    return x * (servers.cloud[b, p] - cost)


@njit(cache=True)
def decide(
    servers: Servers,
    t: int,
    state: State,
    score: NDArray[np.float64],
    share: NDArray[np.float64],
    layer: bool,
    a: NDArray[np.bool_],
    x: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Decisions that fit, from scores and shares (B, P), with or without the feasibility layer.

    Parameters
    ----------
    a, x : (B, P), written

    Returns
    -------
    excess : (B,)
        How far each action was from feasible; zero with the layer.
    """
    b_, p_ = servers.memory.shape
    excess = np.zeros(b_)
    advantage = np.zeros(p_)
    requests = servers.requests[:, :, t]
    for b in range(b_):
        memory, capacity = servers.memory[b], servers.capacity[b]
        energy, budget = servers.energy[b], servers.budget[b]
        if layer:
            feasibility.keep(score[b], memory, capacity, a[b])
            for p in range(p_):
                x[b, p] = 0
                if a[b, p]:
                    x[b, p] = feasibility.wanted_requests(share[b, p], requests[b, p])
                    n = max(1, x[b, p])
                    advantage[p] = gain(servers, b, p, state.kappa[b, p], n) / n
            feasibility.trim(x[b], advantage, energy, budget)
        else:
            excess[b] = feasibility.clipped(
                score[b], share[b], requests[b], memory, capacity, energy, budget, a[b], x[b]
            )
    return excess


@njit(cache=True)
def pay(
    servers: Servers, t: int, state: State, a: NDArray[np.bool_], x: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Costs (B,) of the slot's decisions; the state moves on."""
    b_, p_ = servers.memory.shape
    cost = np.zeros(b_)
    for b in range(b_):
        for p in range(p_):
            requests = servers.requests[b, p, t]
            cost[b] += servers.cloud[b, p] * requests
            if a[b, p]:
                if not state.resident[b, p]:
                    cost[b] += servers.switch[b, p]
                cost[b] -= gain(servers, b, p, state.kappa[b, p], x[b, p])
                state.kappa[b, p] = age(servers, b, p, state.kappa[b, p], x[b, p])
            else:
                state.kappa[b, p] = 0
            state.resident[b, p] = a[b, p]
    return cost
