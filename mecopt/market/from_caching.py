"""Markets made from a caching instance: what agents would pay for a server's memory, or energy.

In the published auction (arXiv 2501.14205) users buy and edge servers sell: a user's value is the
cost it avoids, a server's cost is what its resources are worth. A caching slot has two resources,
and each is a good of its own, so that an auction's price can stand beside a solver's dual price
(`mecopt.caching.CachingPrices`):

    memory   one unit is 1 GB for one slot. A pair of w GB that would save s > 0 in this slot
             (serving its best number of requests, less switching, at the age of thoughts it has)
             stands as w buyers of value s / w.
    energy   one unit is 100 J. Each request of a resident pair takes e / 100 J units and stands as
             so many buyers, each of its share of what the request saves.

Sellers are the units the server has, each at the reserve price. Splitting an agent into unit
buyers is what a price per unit means, and the price at which such a market clears is the dual price
of the slot's relaxed knapsack; it is not an allocation (half a model cannot be resident).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.caching.instance import CachingInstance
from mecopt.caching.plan import CachingPlan
from mecopt.market.instance import Market
from mecopt.market.units import rounded

Resource = Literal["memory", "energy"]
IntArray = NDArray[np.int64]

#: Size of a unit: MB of memory, multiples of 10 J of energy.
UNIT_MB, UNIT_10J = 1000, 10


def from_caching(
    instance: CachingInstance,
    *,
    server: int,
    slot: int,
    plan: CachingPlan | None = None,
    resource: Resource = "memory",
    reserve: float = 0.0,
    unit: float = 1.0,
) -> Market:
    """Market for one resource of a server in one slot; money is cost of the instance.

    Parameters
    ----------
    instance : CachingInstance
        Without forwarding (a request of a neighbour has no single server to pay).
    server, slot : int
    plan : CachingPlan, optional
        What has been decided: residency and ages of thoughts before the slot are read off it, and,
        for energy, what is resident in the slot. Without it servers are empty, and energy has no
        buyers.
    resource : {"memory", "energy"}
    reserve : float
        Price per unit of the resource below which the server does not sell.
    unit : float
        Unit of account of the market (`Market.of`). Values are rounded to a millionth of it.

    Returns
    -------
    Market
        `meta` holds `pair` (index of each buyer's pair) and `unit` ("1 GB" or "100 J").

    Raises
    ------
    ValueError
        If server or slot is out of range, servers forward requests, nobody would buy, or savings
        are too small for the unit of account.
    """
    x = instance
    for name, value, count in (("server", server, x.n_servers), ("slot", slot, x.n_slots)):
        if not 0 <= value < count:
            raise ValueError(f"{name} = {value} must be between 0 and {count - 1}")
    if x.is_forwarding:
        raise ValueError("instance: with forwarding a request may be served by several servers")
    checks.one_of("resource", resource, ("memory", "energy"))
    if not 0 <= reserve < np.inf:
        raise ValueError(f"reserve = {reserve} must be a number >= 0")
    saved, size, units, offered = _goods(x, server, slot, plan, resource)
    good = "1 GB" if resource == "memory" else "100 J"
    pair = np.repeat(np.arange(x.n_pairs), units)
    where = f"server {server}, slot {slot}"
    if len(pair) == 0:
        raise ValueError(f"{where}: nobody would save anything with a unit of {resource}")
    if offered == 0:
        raise ValueError(f"{where}: the server has less than one unit of {resource} ({good})")
    return Market.of(
        rounded({"values": (saved / size)[pair]}, unit=unit)["values"],
        np.full(offered, float(reserve)),
        unit=unit,
        buyer_names=[
            f"{x.pair_names[p]}, unit {i + 1}" for p in range(x.n_pairs) for i in range(units[p])
        ],
        seller_names=[f"{x.server_names[server]}, unit {j + 1}" for j in range(offered)],
        meta={
            "source": "caching",
            "instance": x.content_hash,
            "server": server,
            "slot": slot,
            "unit": good,
            "pair": pair.tolist(),
        },
    )


def _goods(
    x: CachingInstance, server: int, slot: int, plan: CachingPlan | None, resource: Resource
) -> tuple[NDArray[np.float64], IntArray, IntArray, int]:
    """What a pair (for energy: a request of it) saves, the units that takes, and who has how many.

    The third entry counts the units wanted of each pair, the fourth those the server offers.
    """
    before = np.zeros(x.n_pairs, dtype=bool), np.zeros(x.n_pairs, dtype=np.int64)
    if plan is not None and slot > 0:
        before = plan.a[server, :, slot - 1], plan.kappa[server, :, slot - 1]
    requests, pairs = x.requests[server, :, slot], range(x.n_pairs)
    if resource == "memory":
        saved = np.array([best_saving(x, p, requests[p], before) for p in pairs])
        fits = x.memory_mb <= x.capacity_mb[server]
        size = np.maximum(1, np.ceil(x.memory_mb / UNIT_MB)).astype(np.int64)
        units = np.where((saved > 0) & fits, size, 0)
        offered = x.capacity_mb[server] // UNIT_MB
    else:
        resident = np.zeros(x.n_pairs, bool) if plan is None else plan.a[server, :, slot]
        saved = np.array(
            [_saving(x, p, requests[p], before[1][p]) / max(requests[p], 1) for p in pairs]
        )
        size = np.maximum(1, np.ceil(x.energy_10j / UNIT_10J)).astype(np.int64)
        units = np.where((saved > 0) & resident, size * requests, 0)
        offered = x.energy_budget_10j[server] // UNIT_10J
    return saved, size, units, int(offered)


def best_saving(
    instance: CachingInstance,
    pair: int,
    requests: int,
    before: tuple[NDArray[np.bool_], NDArray[np.int64]],
) -> float:
    """Most a pair saves in one slot against the cloud by being resident, switching paid.

    Parameters
    ----------
    instance : CachingInstance
    pair, requests : int
    before : (P,) bool, (P,) int
        Residency and age of thoughts after the slot before.

    Returns
    -------
    float
        Negative when a load costs more than any number of requests brings in.
    """
    resident, kappa = before
    switch = 0.0 if resident[pair] else float(instance.switch_cost[pair])
    savings = (_saving(instance, pair, n, kappa[pair]) for n in range(int(requests) + 1))
    return max(savings) - switch


def _saving(x: CachingInstance, p: int, served: int, kappa: int) -> float:
    """What serving requests of a resident pair saves against the cloud."""
    age = int(np.clip(kappa + x.thoughts[p] * served - x.vanish[p], 0, x.kappa_max[p]))
    return float(served * (x.cloud_cost[p] - x.serve_cost[p] - x.accuracy_cost[p, age]))
