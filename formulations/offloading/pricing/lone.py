"""Pricing of an owner that has no resource to itself: its tasks have nothing to do with each other.

Then the cheapest plan is the cheapest option of every task, and most options need no look. Prices
are never negative, so an option costs at least its `floor`, what it costs without prices when
nothing waits. Options are taken by floor until it reaches the least cost found: first every stage
starts as early as it can, which needs no tables and leaves a cost T; then stages may wait for
cheaper moments, but only until a moment from which on even free stages would end at T or above.
`mecopt.certificates.offloading.pricing` knows the same T.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from formulations.offloading.pricing.options import latest_start
from formulations.offloading.pricing.starts import start_chain
from formulations.offloading.pricing.tables import (
    INF,
    build_tables,
    cheapest_moment,
    complete,
    cumulate,
    price_between,
)


@njit(cache=True)
def price_lone(blocks, u, price, horizon, branch, choice, scratch):
    """What `formulations.offloading.pricing.labels.price_block` does, for such an owner."""
    total = 0.0
    for j in range(blocks.block_ptr[u], blocks.block_ptr[u + 1]):
        if scratch.stop[0] != 0:
            return np.nan
        k = blocks.task[j]
        cost, option = _cheapest_option(blocks, k, choice[k], price, horizon, branch, scratch)
        choice[k] = option
        total += cost
    return total


@njit(cache=True, nogil=True)
def rank_at_once(blocks, price, horizon, branch, scratch, cost):
    """Write what every option costs when its shared stages start as early as they can, ns.

    Private resources count as free; infinite where the option would be late or is not allowed.
    """
    cumulate(price, blocks.stride, blocks.shift, scratch.cum)
    for k in range(len(blocks.release)):
        for o in range(blocks.option_ptr[k], blocks.option_ptr[k + 1]):
            cost[o] = INF
            if branch.allowed[o] != 0:
                cost[o] = _at_once(blocks, k, o, price, horizon, branch, scratch, -INF)


@njit(cache=True, nogil=True)
def force_options(blocks, k, price, horizon, branch, scratch, enough, cost):
    """Write lower bounds on the cost of every option of a task when it must take that one, ns.

    An option whose floor is at least `enough` gets its floor; one that is not allowed, infinity.
    Returns the least cost of the task as it is, NaN when the table has no room.
    """
    cumulate(price, blocks.stride, blocks.shift, scratch.cum)
    first = blocks.option_ptr[k]
    for o in range(first, blocks.option_ptr[k + 1]):
        value = INF
        if branch.allowed[o] != 0:
            value = blocks.floor[o]
            if value < enough:
                value = _at_once(blocks, k, o, price, horizon, branch, scratch, -INF)
                waiting = _waiting(blocks, k, o, price, horizon, branch, scratch, value, value)
                if np.isnan(waiting):
                    return waiting
                value = min(value, waiting)
        cost[o - first] = value
    return _cheapest_option(blocks, k, -1, price, horizon, branch, scratch)[0]


@njit(cache=True)
def _cheapest_option(blocks, k, hint, price, horizon, branch, scratch):
    """Least cost of a task and the option that has it, -1 for the drop; its starts are written."""
    cheapest, floor = blocks.cheapest, blocks.floor
    best, chosen = INF, np.int64(-1)
    if branch.droplike[k] != 0:
        best = blocks.drop_cost[k]
    if hint >= 0 and branch.allowed[hint] != 0 and floor[hint] < best:
        cost = _at_once(blocks, k, hint, price, horizon, branch, scratch, best)
        if cost < best:
            best, chosen = cost, hint
    first, last = blocks.option_ptr[k], blocks.option_ptr[k + 1]
    for j in range(first, last):
        o = cheapest[j]
        if floor[o] >= best:
            break
        if branch.allowed[o] != 0 and o != chosen:
            cost = _at_once(blocks, k, o, price, horizon, branch, scratch, best)
            if cost < best:
                best, chosen = cost, o
    at_once = best
    for j in range(first, last):
        o = cheapest[j]
        if floor[o] >= best:
            break
        if branch.allowed[o] != 0:
            cost = _waiting(blocks, k, o, price, horizon, branch, scratch, best, at_once)
            if np.isnan(cost):
                return cost, chosen
            if cost < best:
                best, chosen = cost, o
    return best, chosen


@njit(cache=True, inline="always")
def _reach(blocks, k, o, branch):
    """When the option's chain is reached."""
    return max(blocks.release[k] + blocks.base_lag[o], branch.earliest[o])


@njit(cache=True, inline="always")
def _span(blocks, o):
    """Time from the reach of an option's chain to its end when nothing waits."""
    span = np.int64(0)
    for i in range(blocks.chain_ptr[o], blocks.chain_ptr[o + 1]):
        span += blocks.chain_service[i] + blocks.chain_gap[i]
    return span


@njit(cache=True)
def _at_once(blocks, k, o, price, horizon, branch, scratch, limit):
    """Cost when every stage starts as early as it can; starts are written when it is below a limit.

    Infinite when it would be late.
    """
    stride, shift, cum = blocks.stride, blocks.shift, scratch.cum
    reach = _reach(blocks, k, o, branch)
    span = _span(blocks, o)
    if reach > latest_start(blocks.release[k], blocks.deadline[k], max(horizon, reach), span):
        return INF
    cost = blocks.weight[k] * (reach + span - blocks.release[k]) + blocks.fixed[o]
    t = reach
    for i in range(blocks.chain_ptr[o], blocks.chain_ptr[o + 1]):
        ends = t + blocks.chain_service[i]
        cost += price_between(price, cum, blocks.chain_row[i], stride, shift, t, ends)
        t = ends + blocks.chain_gap[i]
    for i in range(blocks.loose_ptr[o], blocks.loose_ptr[o + 1]):
        begin = blocks.release[k] + blocks.loose_head[i]
        ends = begin + blocks.loose_service[i]
        cost += price_between(price, cum, blocks.loose_row[i], stride, shift, begin, ends)
    if cost < limit:
        t = reach
        for i in range(blocks.chain_ptr[o], blocks.chain_ptr[o + 1]):
            scratch.start[i] = t
            t += blocks.chain_service[i] + blocks.chain_gap[i]
        for i in range(blocks.loose_ptr[o], blocks.loose_ptr[o + 1]):
            scratch.loose_start[i] = blocks.release[k] + blocks.loose_head[i]
    return cost


@njit(cache=True)
def _waiting(blocks, k, o, price, horizon, branch, scratch, limit, at_once):
    """Cost when stages may wait; starts are written when it is below a limit.

    Ends at which the option would cost `at_once` without prices, or later, are not looked at, and
    a cost at the limit or above means nothing else. NaN when the table has no room.
    """
    released, weight, fixed = blocks.release[k], blocks.weight[k], blocks.fixed[o]
    lo, hi = blocks.chain_ptr[o], blocks.chain_ptr[o + 1]
    reach = _reach(blocks, k, o, branch)
    span = _span(blocks, o)
    useful = blocks.deadline[k]
    if weight > 0.0 and at_once < INF and (at_once - fixed) / weight < 2.0**52:
        # What rounding takes off is given back: a proof must not have more time than this.
        useful = min(useful, np.int64((at_once - fixed) / weight + 1e-3))
    last = latest_start(released, useful, max(horizon, reach), span)
    last = min(last, max(horizon, reach))
    if last < reach:
        return INF
    cost = 0.0
    for i in range(blocks.loose_ptr[o], blocks.loose_ptr[o + 1]):
        cost += _loose(blocks, k, i, price, horizon, scratch, useful)[1]
        if cost + blocks.floor[o] >= limit:
            return INF
    if hi > lo:
        used, _ = build_tables(
            lo, hi, reach, last, weight, released, fixed,
            blocks.chain_row, blocks.chain_service, blocks.chain_gap, blocks.stride, blocks.shift,
            price, scratch.cum, scratch.table, scratch.table_ptr, scratch.table_lo,
            scratch.offsets, scratch.offset_ptr, 0, 0,
        )  # fmt: skip
        if used < 0:
            return np.nan
    cost += complete(
        lo, hi, reach, blocks.chain_row, blocks.chain_service, blocks.chain_gap, blocks.stride,
        blocks.shift, price, scratch.cum, scratch.table, scratch.table_ptr, scratch.table_lo,
        scratch.offsets, scratch.offset_ptr, weight, released, fixed,
    )  # fmt: skip
    if cost < limit:
        start_chain(blocks, k, o, reach, last, price, scratch)
        for i in range(blocks.loose_ptr[o], blocks.loose_ptr[o + 1]):
            scratch.loose_start[i] = _loose(blocks, k, i, price, horizon, scratch, useful)[0]
    return cost


@njit(cache=True, inline="always")
def _loose(blocks, k, i, price, horizon, scratch, useful):
    """Cheapest start of a loose stage, and its price; infinite when it has no time."""
    service = blocks.loose_service[i]
    begin = blocks.release[k] + blocks.loose_head[i]
    ahead = blocks.loose_tail[i] + service
    latest = max(horizon, begin)
    last = min(latest_start(blocks.release[k], useful, latest, ahead), latest)
    if last < begin:
        return begin, INF
    return cheapest_moment(
        price, scratch.cum, blocks.loose_row[i], blocks.stride, blocks.shift, service, begin, last
    )
