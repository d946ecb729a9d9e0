"""What an auditor computes from one outcome: feasibility, welfare, rationality, budget, the log.

Nothing here imports a mechanism: an outcome is judged from the market's true reports alone. Money
is exact; amounts are half minor units times the outcome's `scale`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from formulations.market import assignment
from formulations.market import units as units_program
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market

IntArray = NDArray[np.int64]
#: Up to this many units a side the sorted optimum is checked again by HiGHS.
SOLVER_LIMIT = 200


class Optimum(NamedTuple):
    """Most welfare any allocation can have, half minor units, and how it was established."""

    welfare: int
    trades: int
    margin: int  # price at the margin of efficient trade
    lp_bound: float
    methods: str


def optimum(market: Market, *, solver: bool = True) -> Optimum:
    """Most welfare any allocation can have, established by two methods that must agree.

    One good: a sort, and a clearing price p with sum (v - p)+ + sum (p - c)+ equal to the sum over
    the sorted pairs (weak duality: no allocation can have more); small markets also by HiGHS,
    unless `solver` is false. A graph: HiGHS, and exact dual prices (without memory limits).

    Raises
    ------
    RuntimeError
        If the two disagree.
    """
    if market.is_graph:
        best = assignment.solve(market)
        if best.method == "lp" and not best.proved:
            raise RuntimeError("the assignment LP's optimum has no supporting prices")
        methods = "HiGHS, exact prices" if best.proved else "HiGHS (MILP)"
        margin = sum(market.price_range) // 2
        return Optimum(best.welfare, best.trades, margin, best.lp_bound, methods)
    value, cost = np.sort(market.values)[::-1], np.sort(market.costs)
    n = min(len(value), len(cost))
    k = int(np.searchsorted(-(value[:n] - cost[:n]), 0, side="right"))
    most = int((value[:k] - cost[:k]).sum())
    bottom = market.price_range[0]
    low = max(int(cost[k - 1]) if k else bottom, int(value[k]) if k < len(value) else bottom)
    dual = int(np.maximum(value - low, 0).sum() + np.maximum(low - cost, 0).sum())
    methods = "sort, exact price"
    if dual != most:
        raise RuntimeError(f"sorted welfare {most} and dual value {dual} disagree")
    if solver and max(len(value), len(cost)) <= SOLVER_LIMIT:
        if market.unit_demand:
            solved: float = assignment.solve(market, method="lp").welfare
        else:
            solved = units_program.most_welfare(market)
        if solved != most:
            raise RuntimeError(f"sorted welfare {most} and HiGHS's {solved} disagree")
        methods += ", HiGHS"
    return Optimum(most, k, low, float(most), methods)


def unit_gains(market: Market, outcome: Outcome) -> tuple[IntArray, IntArray]:
    """True value each buyer gets net of link cost, and true cost each seller bears, half units."""
    if market.unit_demand and outcome.server is None:
        return market.values * outcome.buyer_units, market.costs * outcome.seller_units
    worth = _first_units(market.values, market.buyer_ptr, outcome.buyer_units)
    spent = _first_units(market.costs, market.seller_ptr, outcome.seller_units)
    if outcome.server is not None and market.link_cost is not None:
        served = np.flatnonzero(outcome.server >= 0)
        worth[served] -= market.link_cost[served, outcome.server[served]]
    return worth, spent


def welfare(market: Market, outcome: Outcome) -> int:
    """True values minus costs and link costs of what is traded, half minor units."""
    worth, spent = unit_gains(market, outcome)
    return total(worth) - total(spent)


def _first_units(prices: IntArray, ptr: IntArray | None, units: NDArray[np.integer]) -> IntArray:
    if ptr is None:
        return prices * units.astype(np.int64)
    total = np.concatenate([[0], np.cumsum(prices)])
    # A unit that nobody wants or has is worth nothing; `infeasibilities` says that it is there.
    return total[ptr[:-1] + np.clip(units, 0, np.diff(ptr))] - total[ptr[:-1]]


def utilities(market: Market, outcome: Outcome) -> tuple[IntArray, IntArray]:
    """(B,), (J,) utility of every trader at its true report, half minor units times scale."""
    worth, spent = unit_gains(market, outcome)
    return worth * outcome.scale - outcome.payment, outcome.receipt - spent * outcome.scale


def total(amounts: IntArray) -> int:
    """Exact sum (whole numbers of any size)."""
    if len(amounts) == 0 or int(np.abs(amounts).max()) < 2**62 // len(amounts):
        return int(amounts.sum())
    return sum(amounts.tolist())


def budget_verdict(outcome: Outcome) -> tuple[int, str]:
    """Auctioneer's surplus (half minor units times scale), and deficit, strong or weak."""
    surplus = total(outcome.payment) - total(outcome.receipt)
    return surplus, "deficit" if surplus < 0 else "strong" if surplus == 0 else "weak"


def infeasibilities(market: Market, outcome: Outcome) -> list[str]:
    """What of an allocation cannot be carried out, or pays somebody who does not trade."""
    found = []
    bought, sold = outcome.buyer_units, outcome.seller_units
    if (bought < 0).any() or (sold < 0).any():
        found.append("negative units")
    if (bought > market.wanted).any():
        found.append("a buyer gets more units than it wants")
    if (sold > market.seats).any():
        found.append("a seller sells more units than it has")
    if int(bought.sum(dtype=np.int64)) != int(sold.sum(dtype=np.int64)):
        found.append(f"{int(bought.sum())} units bought but {int(sold.sum())} sold")
    if (outcome.payment[bought == 0] != 0).any() or (outcome.receipt[sold == 0] != 0).any():
        found.append("money moves to or from somebody who does not trade")
    if market.is_graph:
        found += _graph_infeasibilities(market, outcome)
    if outcome.log is not None:
        found += log_infidelities(market, outcome)
    return found


def _graph_infeasibilities(market: Market, outcome: Outcome) -> list[str]:
    if outcome.server is None:
        return ["a graph market needs to know who serves whom"]
    found = []
    served = np.flatnonzero(outcome.server >= 0)
    at = outcome.server[served]
    if not np.array_equal(outcome.server >= 0, outcome.buyer_units > 0):
        found.append("served buyers and buying buyers differ")
    if not np.array_equal(np.bincount(at, minlength=market.n_sellers), outcome.seller_units):
        found.append("seats used and units sold differ")
    if market.compatible is not None and not market.compatible[served, at].all():
        found.append("a buyer is served by an incompatible seller")
    if market.memory is not None and market.server_memory is not None:
        used = np.bincount(at, weights=market.memory[served], minlength=market.n_sellers)
        if (used > market.server_memory).any():
            found.append("a server's memory is exceeded")
    return found


def log_infidelities(market: Market, outcome: Outcome) -> list[str]:
    """Replay what was said aloud: stops follow from the reports, the outcome from the stops."""
    log = outcome.log
    if log is None:
        return []
    found = []
    sides = {"buyer": (0, market.values, outcome.buyer_units)}
    sides["seller"] = (1, market.costs, outcome.seller_units)
    stops: dict[str, list[tuple[int, int]]] = {}
    for name, (code, prices, _) in sides.items():
        said = [
            (int(a), int(m))
            for s, m, a in zip(log.side, log.level, log.agent, strict=True)
            if s == code
        ]
        stops[name] = said
        if len({a for a, _ in said}) != len(said):
            found.append(f"a {name} stops twice")
        for agent, level in said:
            price, bid = log.low + level * log.step, int(prices[agent])
            first = (
                price <= bid < price + log.step if code == 0 else price - log.step < bid <= price
            )
            if not first:
                found.append(f"{name} {agent} stops at {price} with a report of {bid}")
    pricing = outcome.parameters.get("pricing")
    count = min(len(stops["buyer"]), len(stops["seller"]))
    if pricing in ("mcafee", "trade-reduction", "trade-reduction-critical"):
        pairs = zip(stops["buyer"], stops["seller"], strict=False)
        k = sum(1 for (_, b), (_, s) in pairs if b >= s)
        count = outcome.trades
        if count not in (max(k - 1, 0), k):
            found.append(f"{count} trades from {k} profitable pairs of stops")
    for name, (_, _, units) in sides.items():
        winners = {a for a, _ in stops[name][:count]}
        if winners != set(np.flatnonzero(units).tolist()):
            found.append(f"the first {count} {name}s to stop are not the winners")
    if pricing in ("mid", "clamped") and count and not found:
        price = 2 * log.low + sum(log.final) * log.step
        if pricing == "clamped":
            low = 2 * (log.low + stops["seller"][count - 1][1] * log.step)
            high = 2 * (log.low + stops["buyer"][count - 1][1] * log.step)
            price = min(max(price, low), high)
        charged = set((2 * outcome.payment[outcome.buyer_units > 0]).tolist())
        if charged != {price}:
            found.append(f"the clocks end at price {price / 2}, winners pay {charged}")
    return found
