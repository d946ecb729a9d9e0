"""Exact pricing of one block: cheapest plan of an owner under prices, by label setting.

Under prices the cost of an option is non-decreasing in the time its chain is reached, because
waiting at a shared resource is allowed in the relaxation. So a label (free times of the private
resources, cost) that is nowhere later and nowhere dearer dominates. Labels whose cost plus a lower
bound on the rest exceeds the price of the plan found last time are dropped as well.

`price_block` does this in phases: `open_options` works out what each option costs by the time its
chain is reached, `bound_by_hint` prices the plan found last time (both in
`formulations.offloading.pricing.options`), `_cheapest_plan` sets the labels task by task and reads
the plan off the best of the last, and `write_starts` (`formulations.offloading.pricing.starts`)
finds when its stages run. Phases are inlined: a call would cost as much as a small block.

The kernels unpack `Blocks` once: attribute access inside compiled loops costs reference counting.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from formulations.offloading.pricing.lone import price_lone
from formulations.offloading.pricing.options import bound_by_hint, occupy_private, open_options
from formulations.offloading.pricing.starts import write_starts
from formulations.offloading.pricing.tables import INF, complete


@njit(cache=True)
def price_block(blocks, u, price, horizon, branch, choice, scratch):
    """Cheapest plan of one block under prices.

    Parameters
    ----------
    blocks : Blocks
    u : int
        The block.
    price : (rows,) float64
        `scratch.cum` must hold its running integral (`cumulate`).
    horizon : int
        Latest chain start of options without a deadline, ns.
    branch : Branch
    choice : (K,) int64, read and written
        In: a plan whose priced cost prunes the labels (global option or -1). Out: the cheapest.
    scratch : Scratch
        `start` and `loose_start` are written for the chosen plan.

    Returns
    -------
    value : float
        Priced cost of the plan, ns; infinite if there is none; NaN if `scratch` is too small, or
        asks to stop.
    """
    if blocks.block_ptr[u] == blocks.block_ptr[u + 1]:
        return 0.0
    if blocks.n_dims[u] == 0:
        return price_lone(blocks, u, price, horizon, branch, choice, scratch)
    has_room, opened = open_options(blocks, u, price, horizon, branch, scratch)
    if not has_room:
        return np.nan
    bound = bound_by_hint(blocks, u, price, branch, choice, scratch, opened)
    value = _cheapest_plan(blocks, u, price, branch, choice, scratch, opened, bound)
    if np.isfinite(value):
        write_starts(blocks, u, price, horizon, branch, choice, scratch, opened)
    return value


@njit(cache=True, inline="always")
def _cheapest_plan(blocks, u, price, branch, choice, scratch, opened, bound):
    """Set the labels task by task, write the cheapest plan to `choice` and return its cost.

    Infinite when there is no plan, NaN when there is no room for the labels or no time.
    """
    (
        block_ptr, task, n_dims, release, _, drop_cost, weight, fixed, _,
        base_lag, source_ptr, source_dim, source_service, source_lag,
        chain_ptr, chain_row, chain_service, chain_gap, _, _, _, _, _, stride, shift, _, _, _,
    ) = blocks  # fmt: skip
    _, droplike, earliest = branch
    (
        cum, table, table_ptr, table_lo, offset_ptr, offsets, _, _,
        free, cost, parent, taken, stop,
    ) = scratch  # fmt: skip
    option_at, option, latest, extra, to_go = opened
    first = block_ptr[u]
    n, dims = block_ptr[u + 1] - first, n_dims[u]
    level = np.zeros(n + 2, dtype=np.int64)
    level[1] = 1
    fresh = np.empty(dims, dtype=np.int64)
    for d in range(dims):
        free[0, d] = 0
    cost[0] = 0.0
    count, room = 1, len(cost)
    for j in range(n):
        k = task[first + j]
        then = release[task[first + j + 1]] if j + 1 < n else 2**62
        for at in range(level[j], level[j + 1]):
            if stop[0] != 0:
                return np.nan
            for c in range(option_at[j] - 1, option_at[j + 1]):
                for d in range(dims):
                    fresh[d] = free[at, d]
                o = np.int64(-1)
                if c < option_at[j]:  # use nothing, pay the drop cost
                    if droplike[k] != 1:
                        continue
                    total = cost[at] + drop_cost[k]
                else:
                    o = option[c]
                    reach = occupy_private(
                        fresh, o, release[k], max(release[k] + base_lag[o], earliest[o]),
                        source_ptr, source_dim, source_service, source_lag,
                    )  # fmt: skip
                    total = INF
                    if reach <= latest[c]:
                        total = cost[at] + extra[c] + complete(
                            chain_ptr[o], chain_ptr[o + 1], reach, chain_row, chain_service,
                            chain_gap, stride, shift, price, cum,
                            table, table_ptr, table_lo, offsets, offset_ptr,
                            weight[k], release[k], fixed[o],
                        )  # fmt: skip
                    if droplike[k] == 2 and total > cost[at] + drop_cost[k]:
                        total = cost[at] + drop_cost[k]
                        o = np.int64(-1)
                if total + to_go[j + 1] > bound or total == INF:
                    continue
                for d in range(dims):
                    fresh[d] = max(fresh[d], then)
                if count == room:
                    return np.nan
                count = _insert(
                    free, cost, parent, taken, dims, level[j + 1], count, fresh, total, at, o
                )
        level[j + 2] = count
    if level[n] == level[n + 1]:
        return INF
    best = level[n]
    for at in range(level[n], level[n + 1]):
        if cost[at] < cost[best]:
            best = at
    value = cost[best]
    for j in range(n - 1, -1, -1):
        choice[task[first + j]] = taken[best]
        best = parent[best]
    return value


@njit(cache=True, inline="always")
def _insert(free, cost, parent, taken, dims, begin, count, fresh, total, at, o):
    """Add a label to its level [begin, count) unless one there dominates it.

    A label that is nowhere later and nowhere dearer dominates; those the new one dominates give
    their place to the last of the level. Returns the new count.
    """
    b = begin
    while b < count:
        below = cost[b] <= total
        above = cost[b] >= total
        for d in range(dims):
            below = below and free[b, d] <= fresh[d]
            above = above and free[b, d] >= fresh[d]
        if below:
            return count
        if above:
            count -= 1
            cost[b] = cost[count]
            parent[b] = parent[count]
            taken[b] = taken[count]
            for d in range(dims):
                free[b, d] = free[count, d]
            continue
        b += 1
    cost[count] = total
    parent[count] = at
    taken[count] = o
    for d in range(dims):
        free[count, d] = fresh[d]
    return count + 1
