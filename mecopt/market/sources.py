"""Where markets come from: a table, a CSV file, an offloading instance.

A market table has one row per trader: ``side`` (buyer or seller), ``value`` (a buyer's value or a
seller's cost, per unit) and, optionally, ``units`` (1 by default), ``id`` and ``compatible`` (on a
buyer's row, the ids of the sellers that can serve it, separated by blanks or semicolons; empty
means all). Rows with the same side and id are further units of one trader, at their own price.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecopt.market.instance import Market
from mecopt.market.units import LARGEST
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS

_COLUMNS = ("side", "value", "units", "id", "compatible")


def from_frame(
    table: pd.DataFrame, *, price_range: tuple[float, float] | None = None, where: str = "market"
) -> Market:
    """Market from a table (columns in the module docstring).

    Raises
    ------
    ValueError
        Names the field and the row (counted from 1) of whatever is malformed.
    """
    for column in ("side", "value"):
        if column not in table.columns:
            raise ValueError(f"{where}: column {column!r} is missing")
    unknown = [str(c) for c in table.columns if c not in _COLUMNS]
    if unknown:
        raise ValueError(f"{where}: unknown column {unknown[0]!r}, one of {', '.join(_COLUMNS)}")
    prices: dict[str, dict[str, list[float]]] = {"buyer": {}, "seller": {}}
    allowed: dict[str, tuple[int, list[str]]] = {}
    for position, row in enumerate(table.to_dict("records"), start=1):
        at = f"{where}: row {position}"
        side = str(row["side"]).strip().lower()
        if side not in prices:
            raise ValueError(f"{at}: side = {row['side']!r} must be buyer or seller")
        value = _number(at, "value", row["value"])
        units = _units(at, row.get("units", 1))
        given = row.get("id")
        name = f"{side} {position}" if _blank(given) else str(given).strip()
        prices[side].setdefault(name, []).extend([value] * units)
        if not _blank(row.get("compatible")):
            if side == "seller":
                raise ValueError(f"{at}: compatible belongs on a buyer's row")
            allowed[name] = (position, str(row["compatible"]).replace(";", " ").split())
    for side, traders in prices.items():
        if not traders:
            raise ValueError(f"{where}: side: there is no {side}")
    buyers, sellers = list(prices["buyer"]), list(prices["seller"])
    for position, ids in allowed.values():
        for one in ids:
            if one not in prices["seller"]:
                at = f"{where}: row {position}"
                raise ValueError(f"{at}: compatible: unknown seller id {one!r}")
    compatible = None
    if allowed:
        served = {name: set(ids) for name, (_, ids) in allowed.items()}
        compatible = [[j in served.get(i, prices["seller"]) for j in sellers] for i in buyers]

    def prices_of(side: str) -> list[Any]:
        rows = list(prices[side].values())
        return rows if any(len(row) != 1 for row in rows) else [row[0] for row in rows]

    try:
        return Market.of(
            prices_of("buyer"),
            prices_of("seller"),
            price_range=price_range,
            compatible=compatible,
            buyer_names=buyers,
            seller_names=sellers,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def read_market(
    path: str | os.PathLike[str], *, price_range: tuple[float, float] | None = None
) -> Market:
    """Market from a CSV file, or from the JSON file that `Market.save` writes.

    Raises
    ------
    FileNotFoundError, ValueError
        Names the file, and the field and row of whatever is malformed.
    """
    if str(path).endswith((".json", ".json.gz")):
        market = Market.load(path)
        if price_range is not None:
            raise ValueError(f"price_range: {path} already states its own")
        return market
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        table = pd.read_csv(path, dtype=str, skipinitialspace=True, comment="#")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        raise ValueError(f"{path}: not a readable CSV table ({error})") from None
    return from_frame(table, price_range=price_range, where=str(path))


def _blank(value: Any) -> bool:
    return value is None or bool(pd.isna(value)) or not str(value).strip()


def _number(at: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{at}: {name} = {value!r} is not a number") from None
    if not np.isfinite(number):
        raise ValueError(f"{at}: {name} = {value!r} is not a finite number")
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{at}: {name} = {value!r} must be between 0 and {LARGEST}")
    return number


def _units(at: str, value: Any) -> int:
    if _blank(value):
        return 1
    units = _number(at, "units", value)
    if units != int(units):
        raise ValueError(f"{at}: units = {value!r} must be a whole number")
    return int(units)


def from_offloading(
    instance: OffloadingInstance,
    *,
    start_s: float = 0.0,
    end_s: float,
    reserve: float | Sequence[float] = 0.0,
    seats: Sequence[int] | None = None,
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

    Returns
    -------
    Market
        `meta` holds `task` (index of each buyer's task), `service_s` (mean service time of each
        server: divide a seat's price by it to compare with a solver's dual price) and the window.

    Raises
    ------
    ValueError
        Without servers, tasks in the window, or a finite value for one of them.
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
    outside, route, service = _routes(x, tasks, servers)
    used_by = np.isfinite(service).any(axis=0)
    mean_service = np.ones(len(servers))
    mean_service[used_by] = np.nanmean(service[:, used_by], axis=0)
    if seats is None:
        capacity = np.minimum(x.capacity[servers], len(tasks))
        fit = np.maximum(1, (end_s - start_s) * capacity / np.maximum(mean_service, 1e-9))
        seats = [int(n) for n in np.minimum(fit, len(tasks))]
    shift = max(0.0, -float(outside.min()), -float(route[np.isfinite(route)].min(initial=0.0)))
    compatible = np.isfinite(route) & (route <= outside[:, None])
    return Market.of(
        outside + shift,
        np.broadcast_to(np.asarray(reserve, dtype=float), len(servers)) * mean_service,
        seats=seats,
        compatible=compatible,
        link_cost=np.where(compatible, route + shift, 0.0),
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


def _routes(
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
            latency_ns = _idle_latency(x, int(option))
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


def _idle_latency(x: OffloadingInstance, option: int) -> int:
    """Latency of an option in ns when nobody else is there (longest path of its stages)."""

    @cache
    def finish(stage: int) -> int:
        before = x.pred[x.pred_ptr[stage] : x.pred_ptr[stage + 1]]
        return max((finish(int(p)) for p in before), default=0) + int(x.believed_ns[stage])

    return max(finish(s) for s in range(x.stage_ptr[option], x.stage_ptr[option + 1]))
