"""Markets for server time in which waiting is allowed: goods are seats of (server, time slot).

`mecopt.market.from_offloading` sells the seats of one window among the tasks released in it, and
who gets none stays off the servers. Here everything that a server can do is on sale at once:

    good    one seat of a server in one slot. A slot is as long as the mean service of the tasks, so
            that a seat is time for one of them; a server of capacity c has c seats in each.
    buyer   a task. Off the servers it costs `outside`; with a seat of slot [t, t + d) its stage at
            the server begins at max(t, its arrival there), and it costs what that makes of its
            latency. The later the slot, the less it is worth; past the deadline it is none.

Each buyer wants one seat, so the efficient assignment is a linear program, its duals are the
competitive prices, and they price what the duals of a scheduling bound price: a second of a
server at some time, among tasks that may wait for another one. Divided by the length of the slot
they are in seconds of cost per second.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import NDArray

from mecopt.market.from_offloading import finish_times, idle_latency, routes
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS, rounded
from mecopt.offloading.instance import OffloadingInstance

_S = 1e-9
#: Slots of one server, at most.
MOST_SLOTS = 10_000


def from_waiting(instance: OffloadingInstance, *, end_s: float, unit: float = 1.0) -> Market:
    """Market for the seats of all servers in all slots up to a time.

    Parameters
    ----------
    instance : OffloadingInstance
        With one server stage in every option that uses servers.
    end_s : float
        Slots that begin before this time are for sale.
    unit : float
        Unit of account of the market, in seconds of cost (`Market.of`). Amounts are rounded to a
        millionth of it.

    Returns
    -------
    Market
        Sellers are seats, one a (server, slot), reserve 0. `meta` holds `server` (resource of each
        seller), `start_s` and `slot_s` of each, and `outside_s`, the cost with nobody at a server.

    Raises
    ------
    ValueError
        Without servers, tasks, or a finite value for one of them; if an option visits servers more
        than once, a server has more than `MOST_SLOTS` slots, or amounts are too small for the unit
        of account.
    """
    x = instance
    if isinstance(end_s, bool) or not isinstance(end_s, Real) or not 0 < end_s < np.inf:
        raise ValueError(f"end_s = {end_s!r} must be a number > 0")
    servers = [r for r, kind in enumerate(x.resource_kinds) if kind == "server"]
    if not servers or x.n_tasks == 0:
        raise ValueError("instance: needs a resource of kind 'server', and tasks")
    tasks = np.arange(x.n_tasks)
    outside, _, service = routes(x, tasks, servers)
    slot_s = np.array(
        [np.nanmean(column) if np.isfinite(column).any() else np.inf for column in service.T]
    )
    for r, slot in zip(servers, slot_s, strict=True):
        if not end_s / MOST_SLOTS <= slot:
            raise ValueError(
                f"instance: a mean service of {slot:g} s on {x.resource_names[r]!r} makes more "
                f"than {MOST_SLOTS} slots up to end_s = {end_s:g}"
            )
    counts = np.where(np.isfinite(slot_s), np.ceil(end_s / slot_s), 0).astype(int)
    server = np.repeat(np.arange(len(servers)), counts)
    start_s = np.concatenate([np.arange(n) * d for n, d in zip(counts, slot_s, strict=True)])
    cost = _costs(x, servers, server, start_s, slot_s)
    shift = max(0.0, -float(outside.min()), -float(cost[np.isfinite(cost)].min(initial=0.0)))
    compatible = np.isfinite(cost) & (cost <= outside[:, None])
    money = rounded(
        {
            "values": outside + shift,
            "link_cost": np.where(compatible, cost + shift, 0.0),
        },
        unit=unit,
    )
    resource = np.array(servers)[server]
    return Market.of(
        money["values"],
        np.zeros(len(server)),
        link_cost=money["link_cost"],
        unit=unit,
        seats=x.capacity[resource].tolist(),
        compatible=compatible,
        buyer_names=list(x.task_names),
        seller_names=[
            f"{x.resource_names[r]} at {t:.4g} s" for r, t in zip(resource, start_s, strict=True)
        ],
        meta={
            "source": "offloading, waiting",
            "instance": x.content_hash,
            "server": resource.tolist(),
            "start_s": start_s.tolist(),
            "slot_s": slot_s[server].tolist(),
            "outside_s": float(outside.sum()),
        },
    )


def _costs(
    x: OffloadingInstance,
    servers: list[int],
    server: NDArray[np.intp],
    start_s: NDArray[np.float64],
    slot_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(N, goods) cost of a task whose server stage has the seat; infinite where it cannot."""
    cost = np.full((x.n_tasks, len(server)), np.inf)
    column = {r: j for j, r in enumerate(servers)}
    for k in range(x.n_tasks):
        for option in x.options_of(k):
            stages = range(x.stage_ptr[option], x.stage_ptr[option + 1])
            used = [s for s in stages if int(x.stage_resource[s]) in column]
            if not used:
                continue
            if len(used) > 1:
                raise ValueError(f"instance: {x.task_names[k]!r} has an option with two servers")
            (stage,) = used
            j = column[int(x.stage_resource[stage])]
            arrival_ns = finish_times(x, option)[stage] - int(x.believed_ns[stage])
            arrival_s = (int(x.release_ns[k]) + arrival_ns) * _S
            for good in np.flatnonzero((server == j) & (start_s + slot_s[j] > arrival_s)):
                begin_ns = round(start_s[good] / _S) - int(x.release_ns[k])
                latency_ns = idle_latency(x, option, {stage: begin_ns})
                if latency_ns > x.deadline_ns[k]:
                    break  # later slots are later still
                held = x.latency_weight[k] * latency_ns * _S + x.fixed_cost_ns[option] * _S
                cost[k, good] = min(cost[k, good], held)
    return cost


def mean_prices(market: Market, price: NDArray[np.int64], end_s: float) -> dict[int, float]:
    """Time average of the price of server time by server, s of cost per s, over [0, end_s).

    Parameters
    ----------
    market : Market
        Of `from_waiting`.
    price : (goods,) int64
        Price of a seat, half minor units.
    end_s : float
    """
    server, start, slot = (np.array(market.meta[n]) for n in ("server", "start_s", "slot_s"))
    inside = np.clip(np.minimum(start + slot, end_s) - start, 0, None)
    paid = price / HALF_UNITS * market.meta.get("unit_of_account", 1.0) / slot
    return {int(r): float((paid * inside)[server == r].sum() / end_s) for r in np.unique(server)}
