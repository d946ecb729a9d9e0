r"""Efficient trade: which buyer is served by which seller, and at which competitive prices.

Sets: buyers i, sellers (servers) j, edges E of compatible pairs.
Parameters: surplus s_ij = value_i - link_ij - cost_j (half minor units), seats n_j, memory m_i,
server memory M_j. Variables: x_ij in {0, 1}, buyer i is served by j.

    maximize    sum_E s_ij x_ij
    (buyer)     sum_j x_ij <= 1            for every i,     dual u_i >= 0
    (seats)     sum_i x_ij <= n_j          for every j,     dual q_j >= 0
    (memory)    sum_i m_i x_ij <= M_j      for every j      only where memory is given

Without (memory) the polytope is integral (Shapley, Shubik 1971), an LP solves it, and the duals are
competitive prices ``cost_j + q_j``. They form a lattice (Demange, Gale 1985): the lowest vector is
what buyers would pay under VCG (Leonard 1983), the highest suits the sellers. Both are computed
here in whole numbers by relaxing ``q_l >= q_j + s_il - s_ij`` for i served by j; that they exist
proves the assignment optimal, whatever the solver's tolerance was. With (memory) it is a MILP, its
LP bound is reported apart, and there are no prices. One good without edges is solved by sorting.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations import highs
from formulations.claims import exceeds
from formulations.dual.stopping import check_stopping
from mecopt.market.instance import Market

IntArray = NDArray[np.int64]
_ABSENT = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Assignment:
    """An optimal assignment.

    Parameters
    ----------
    welfare : int
        Sum of values minus costs and link costs, half minor units.
    trades : int
    method : str
        ``sort``, ``lp`` or ``milp``.
    server : (B,) int64 or None
        Seller of each buyer, -1 for none (None for ``sort``).
    proved : bool
        Exact prices certify the optimum (``milp``: the solver claims it).
    lp_bound : float
        Optimum of the LP relaxation, half minor units.
    lowest_price, highest_price : (J,) int64 or None
        Lowest and highest competitive price of a seat, half minor units. A server without seats
        has the top of the price range.
    """

    welfare: int
    trades: int
    method: str
    server: IntArray | None
    proved: bool
    lp_bound: float
    lowest_price: IntArray | None = None
    highest_price: IntArray | None = None


def solve(market: Market, *, method: str = "auto", time_limit: float | None = None) -> Assignment:
    """Most welfare any allocation of this market can have.

    Parameters
    ----------
    method : str
        ``sort`` (one good), ``lp`` (unit demand), ``milp`` (with memory), or ``auto``.
    time_limit : float, optional
        Seconds, of the LP and the MILP together. When they are over, the best assignment found so
        far is returned, at least what a greedy rule finds; `lp_bound` holds all the same.

    Raises
    ------
    ValueError
        If the method is unknown or does not fit the market, or `time_limit` is out of range.
    RuntimeError
        If what HiGHS answers is not an assignment.
    """
    check_stopping(time_limit)
    deadline = time.perf_counter() + (np.inf if time_limit is None else time_limit)
    needed = "milp" if market.memory is not None else "lp" if market.is_graph else "sort"
    if method == "auto":
        method = needed
    if method not in ("sort", "lp", "milp"):
        raise ValueError(f"method = {method!r} must be auto, sort, lp or milp")
    if (method == "sort" and needed != "sort") or (method == "lp" and needed == "milp"):
        raise ValueError(f"method = {method!r} does not fit this market, it needs {needed!r}")
    if method == "sort":
        return _sort(market)
    surplus = market.surplus
    server = greedy(market, surplus)
    # Every buyer with the seller that suits best: what no assignment exceeds.
    most = float(np.maximum(surplus, 0).max(axis=1, initial=0).sum())
    bound, found = _highs(market, surplus, deadline=deadline)
    if method == "milp":
        _, found = _highs(market, surplus, integer=True, deadline=deadline)
    if found is not None and _worth(surplus, found) >= _worth(surplus, server):
        server = found
    served = np.flatnonzero(server >= 0)
    welfare = _worth(surplus, server)
    if bound is None or exceeds(float(welfare), bound):  # not said in time, or not true
        bound = most
    if method == "milp":
        return Assignment(welfare, len(served), method, server, False, bound)
    low = lowest_surplus_prices(surplus, market.seats, server)
    high = highest_surplus_prices(surplus, market.seats, server)
    if low is None or high is None:
        return Assignment(welfare, len(served), method, server, False, bound)
    return _priced(market, method, server, welfare, bound, low, high)


def greedy_if_proved(market: Market) -> Assignment | None:
    """The greedy assignment where exact competitive prices prove it optimal, without a solver.

    None elsewhere, and for markets with memory limits. Small markets, of which an audit asks about
    thousands, are mostly of this kind.
    """
    if market.memory is not None:
        return None
    surplus = market.surplus
    server = greedy(market, surplus)
    low = lowest_surplus_prices(surplus, market.seats, server)
    high = highest_surplus_prices(surplus, market.seats, server)
    if low is None or high is None:
        return None
    welfare = _worth(surplus, server)
    return _priced(market, "lp", server, welfare, float(welfare), low, high)


def _priced(
    market: Market,
    method: str,
    server: IntArray,
    welfare: int,
    bound: float,
    low: IntArray,
    high: IntArray,
) -> Assignment:
    """An assignment that the lowest and the highest prices of surplus prove optimal."""
    top, open_ = market.price_range[1], market.seats > 0
    return Assignment(
        welfare,
        int(np.count_nonzero(server >= 0)),
        method,
        server,
        True,
        bound,
        lowest_price=np.where(open_, market.reserve + low, top),
        highest_price=np.where(open_, market.reserve + high, top),
    )


def _sort(market: Market) -> Assignment:
    value, cost = np.sort(market.values)[::-1], np.sort(market.costs)
    n = min(len(value), len(cost))
    gain = value[:n] - cost[:n]
    k = int(np.count_nonzero(gain >= 0))
    welfare = int(gain[:k].sum())
    bottom, top = market.price_range
    low = int(value[k]) if k < len(value) else bottom
    high = int(cost[k]) if k < len(cost) else top
    if k:
        low, high = max(low, int(cost[k - 1])), min(high, int(value[k - 1]))
    one = np.ones(market.n_sellers, dtype=np.int64)
    return Assignment(welfare, k, "sort", None, True, float(welfare), low * one, high * one)


def greedy(market: Market, surplus: IntArray) -> IntArray:
    """Seller of each buyer (B,), -1 for none: pairs by falling surplus while seats last."""
    server = np.full(market.n_buyers, -1, dtype=np.int64)
    seats = market.seats.copy()
    room = None if market.server_memory is None else market.server_memory.copy()
    buyers, sellers = np.nonzero(surplus > 0)
    order = np.argsort(-surplus[buyers, sellers], kind="stable")
    for i, j in zip(buyers[order].tolist(), sellers[order].tolist(), strict=True):
        if server[i] >= 0 or seats[j] == 0:
            continue
        if room is not None and market.memory is not None:
            if market.memory[i] > room[j]:
                continue
            room[j] -= market.memory[i]
        server[i] = j
        seats[j] -= 1
    return server


def _worth(surplus: IntArray, server: IntArray) -> int:
    """Sum of surpluses of an assignment, half minor units."""
    served = np.flatnonzero(server >= 0)
    return int(surplus[served, server[served]].sum())


def _check(market: Market, server: IntArray) -> None:
    """Raise RuntimeError where an assignment of the solver takes more than there is."""
    served = np.flatnonzero(server >= 0)
    taken = np.bincount(server[served], minlength=market.n_sellers)
    ok = bool((taken <= market.seats).all())
    if market.memory is not None and market.server_memory is not None:
        memory = np.zeros(market.n_sellers, dtype=np.int64)
        np.add.at(memory, server[served], market.memory[served])
        ok = ok and bool((memory <= market.server_memory).all())
    if not ok:
        raise RuntimeError("HiGHS answers an assignment that takes more than seats or memory")


def _highs(
    market: Market, surplus: IntArray, *, integer: bool = False, deadline: float = np.inf
) -> tuple[float | None, IntArray | None]:
    """Optimum over the edges with positive surplus, and an assignment; None where none in time."""
    buyer, server = np.nonzero(surplus > 0)
    answer = np.full(market.n_buyers, -1, dtype=np.int64)
    if len(buyer) == 0:
        return 0.0, answer
    n, m = market.n_buyers, market.n_sellers
    edge, one = np.arange(len(buyer)), np.ones(len(buyer))
    entries = [(buyer, edge, one), (n + server, edge, one)]
    upper = [np.ones(n), market.seats.astype(float)]
    if market.memory is not None and market.server_memory is not None:
        entries.append((n + m + server, edge, market.memory[buyer].astype(float)))
        upper.append(market.server_memory.astype(float))
    most = np.concatenate(upper)
    # Minor units: the solver's absolute tolerances are then far below the smallest difference.
    cost = surplus[buyer, server] / -2.0
    lp = highs.program(entries, cost, one, np.full(len(most), -np.inf), most)
    if integer:
        highs.make_integer(lp, 0, len(buyer))
    seconds = max(0.0, deadline - time.perf_counter())
    found = highs.run(lp, time_limit=seconds, gap=0.0, absolute_gap=0.5)
    if found.values is None or (found.late and not integer):
        return None, None
    used = np.flatnonzero(found.values > 0.5)
    answer[buyer[used]] = server[used]
    if integer or market.memory is None:  # vertices of the LP are assignments without memory
        _check(market, answer)
    return -2.0 * found.objective, answer


def _edges(surplus: IntArray) -> IntArray:
    """Surplus with absent edges at a value low enough never to bind and safe to subtract."""
    return np.where(surplus == _ABSENT, -(2**60), surplus)


def lowest_surplus_prices(surplus: IntArray, seats: IntArray, server: IntArray) -> IntArray | None:
    """Lowest duals (J,) above the reserve that support an assignment; None if it is not optimal."""
    s = _edges(surplus)
    served = np.flatnonzero(server >= 0)
    left = np.flatnonzero(server < 0)
    own = server[served]
    q = np.maximum(0, s[left].max(axis=0, initial=0))
    q[seats == 0] = 0
    got = s[served, own]
    for _ in range(len(q) + 1):
        push = q[own] - got
        raised = np.maximum(q, (s[served] + push[:, None]).max(axis=0, initial=0))
        raised[seats == 0] = 0
        if np.array_equal(raised, q):
            return q if _supports(q, s, seats, server) else None
        q = raised
    return None


def highest_surplus_prices(surplus: IntArray, seats: IntArray, server: IntArray) -> IntArray | None:
    """Highest duals (J,) above the reserve that support an assignment; None if not optimal."""
    s = _edges(surplus)
    served = np.flatnonzero(server >= 0)
    own = server[served]
    got = s[served, own]
    q = np.full(len(seats), 2**59, dtype=np.int64)
    np.minimum.at(q, own, got)
    sold = np.bincount(own, minlength=len(seats))
    q[sold < seats] = 0
    for _ in range(len(q) + 1):
        # Buyer i must not prefer l: q_j <= q_l + s_ij - s_il, for servers l that have seats.
        rival = np.where(seats > 0, q[None, :] - s[served], 2**59).min(axis=1, initial=2**59)
        lowered = q.copy()
        np.minimum.at(lowered, own, got + rival)
        if np.array_equal(lowered, q):
            break
        q = lowered
    q[seats == 0] = 0
    return q if _supports(q, s, seats, server) else None


def _supports(q: IntArray, s: IntArray, seats: IntArray, server: IntArray) -> bool:
    """Whether prices and assignment satisfy complementary slackness exactly (weak duality)."""
    served = np.flatnonzero(server >= 0)
    sold = np.bincount(server[served], minlength=len(seats))
    gain = np.where(seats > 0, s - q, -(2**60)).max(axis=1, initial=0)
    gain = np.maximum(gain, 0)
    chosen = np.zeros(len(server), dtype=np.int64)
    chosen[served] = s[served, server[served]] - q[server[served]]
    idle_is_free = bool((q[(sold < seats)] == 0).all())
    return bool((q >= 0).all() and (sold <= seats).all() and idle_is_free) and np.array_equal(
        gain, chosen
    )
