"""Markets made from an offloading instance: what tasks would pay for server time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mecopt.market.instance import Market
from mecopt.market.units import rounded
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS


def from_offloading(
    instance: OffloadingInstance,
    *,
    start_s: float = 0.0,
    end_s: float,
    reserve: float | Sequence[float] = 0.0,
    seats: Sequence[int] | None = None,
    unit: float = 1.0,
) -> Market:
    """Market for server time among the tasks released in a window; money is seconds of cost.

    A buyer is a task, its value what it would cost to stay off the servers (the cheapest option
    without a server, or the drop cost), and the link cost of a server what the task costs there on
    an idle system: the price it can bear is the saving. A seller is a server. Believed times are
    used throughout, as an operator would.

    Parameters
    ----------
    instance : OffloadingInstance
    start_s, end_s : float
        Window [start, end) of release times, s.
    reserve : float or one per server
        Price of server time below which a server does not sell, s of cost per s of service.
    seats : sequence of int, optional
        Tasks each server may take; by default what fits its capacity over the window at the mean
        service time of the window's tasks, at least one.
    unit : float
        Unit of account of the market, in seconds of cost (`Market.of`). Amounts are rounded to a
        millionth of it.

    Returns
    -------
    Market
        `meta` holds `task` (index of each buyer's task), `service_s` (mean service time of each
        server: divide a seat's price by it to compare with a solver's dual price) and the window.

    Raises
    ------
    ValueError
        Without servers, tasks in the window, or a finite value for one of them; with amounts too
        small for the unit of account.
    """
    x = instance
    if not 0 <= start_s < end_s:
        raise ValueError(f"start_s = {start_s}, end_s = {end_s} must rise from 0 or more")
    servers = [r for r, kind in enumerate(x.resource_kinds) if kind == "server"]
    release = x.release_ns * 1e-9
    tasks = np.flatnonzero((release >= start_s) & (release < end_s))
    if not servers:
        raise ValueError("instance: has no resource of kind 'server'")
    if len(tasks) == 0:
        raise ValueError(f"start_s, end_s: no task is released in [{start_s}, {end_s}) s")
    outside, route, service = routes(x, tasks, servers)
    used_by = np.isfinite(service).any(axis=0)
    mean_service = np.ones(len(servers))
    mean_service[used_by] = np.nanmean(service[:, used_by], axis=0)
    if seats is None:
        capacity = np.minimum(x.capacity[servers], len(tasks))
        fit = np.maximum(1, (end_s - start_s) * capacity / np.maximum(mean_service, 1e-9))
        seats = [int(n) for n in np.minimum(fit, len(tasks))]
    shift = max(0.0, -float(outside.min()), -float(route[np.isfinite(route)].min(initial=0.0)))
    compatible = np.isfinite(route) & (route <= outside[:, None])
    money = rounded(
        {
            "values": outside + shift,
            "costs": np.broadcast_to(np.asarray(reserve, dtype=float), len(servers)) * mean_service,
            "link_cost": np.where(compatible, route + shift, 0.0),
        },
        unit=unit,
    )
    return Market.of(
        money["values"],
        money["costs"],
        link_cost=money["link_cost"],
        unit=unit,
        seats=seats,
        compatible=compatible,
        buyer_names=[x.task_names[k] for k in tasks],
        seller_names=[x.resource_names[r] for r in servers],
        meta={
            "source": "offloading",
            "instance": x.content_hash,
            "task": tasks.tolist(),
            "service_s": mean_service.tolist(),
            "window_s": [start_s, end_s],
        },
    )


def routes(
    x: OffloadingInstance, tasks: NDArray[np.intp], servers: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Cheapest ways of tasks on an idle system, in seconds.

    (N,) cost of staying off the servers; (N, J) cost at each server, infinite where there is no
    way, and the server time that way takes.
    """
    column = {r: j for j, r in enumerate(servers)}
    outside = np.full(len(tasks), np.inf)
    route = np.full((len(tasks), len(servers)), np.inf)
    service = np.full((len(tasks), len(servers)), np.nan)
    for row, k in enumerate(tasks):
        if x.drop_cost_ns[k] < INFINITE_NS:
            outside[row] = x.drop_cost_ns[k] * 1e-9
        for option in x.options_of(int(k)):
            stages = range(x.stage_ptr[option], x.stage_ptr[option + 1])
            latency_ns = idle_latency(x, int(option))
            if latency_ns > x.deadline_ns[k]:
                continue
            cost = x.latency_weight[k] * latency_ns * 1e-9 + x.fixed_cost_ns[option] * 1e-9
            used = {column[r] for s in stages if (r := int(x.stage_resource[s])) in column}
            if not used:
                outside[row] = min(outside[row], cost)
            elif len(used) == 1:
                (j,) = used
                if cost < route[row, j]:
                    route[row, j] = cost
                    service[row, j] = 1e-9 * sum(
                        int(x.believed_ns[s]) for s in stages if x.stage_resource[s] == servers[j]
                    )
        if not np.isfinite(outside[row]):
            raise ValueError(
                f"instance: {x.task_names[k]!r} can neither stay local nor be dropped: no value"
            )
    return outside, route, service


def idle_latency(x: OffloadingInstance, option: int, held: dict[int, int] | None = None) -> int:
    """Latency of an option in ns when nobody else is there (longest path of its stages).

    `held` says of stages when they may start at the earliest, ns after the release.
    """
    return max(finish_times(x, option, held).values())


def finish_times(
    x: OffloadingInstance, option: int, held: dict[int, int] | None = None
) -> dict[int, int]:
    """When each stage of an option ends on an idle system, ns after the release."""
    earliest = held or {}

    @cache
    def finish(stage: int) -> int:
        before = x.pred[x.pred_ptr[stage] : x.pred_ptr[stage + 1]]
        ready = max((finish(int(p)) for p in before), default=0)
        return max(ready, earliest.get(stage, 0)) + int(x.believed_ns[stage])

    return {s: finish(s) for s in range(x.stage_ptr[option], x.stage_ptr[option + 1])}
