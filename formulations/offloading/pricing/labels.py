"""Exact pricing of one block: cheapest plan of an owner under prices, by label setting.

Under prices the cost of an option is non-decreasing in the time its chain is reached, because
waiting at a shared resource is allowed in the relaxation. So a label (free times of the private
resources, cost) that is nowhere later and nowhere dearer dominates. Labels whose cost plus a lower
bound on the rest exceeds the price of the plan found last time are dropped as well.

The kernels unpack `Blocks` once: attribute access inside compiled loops costs reference counting.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.offloading.pricing.blocks import Blocks
from formulations.offloading.pricing.tables import (
    INF,
    build_tables,
    cheapest_moment,
    complete,
    next_kink,
    price_between,
)


class Branch(NamedTuple):
    """What a branch of the search allows (all of it at the root)."""

    allowed: NDArray[np.uint8]  # (O,) 1 where the option may be chosen
    droplike: NDArray[np.uint8]  # (K,) 0 must be on time; 1 may pay the drop cost and use nothing;
    # 2 may pay it, but its one option still occupies private resources
    earliest: NDArray[np.int64]  # (O,) known lower bound on the chain's start, ns (0: none)


class Scratch(NamedTuple):
    """Work space of the pricing kernels, made once per instance by `scratch_for`."""

    cum: NDArray[np.float64]
    table: NDArray[np.float64]
    table_ptr: NDArray[np.int64]
    table_lo: NDArray[np.int64]
    offset_ptr: NDArray[np.int64]
    offsets: NDArray[np.int64]
    start: NDArray[np.int64]  # (chain stages,) start of the stages of the cheapest plans
    loose_start: NDArray[np.int64]


def scratch_for(blocks: Blocks) -> Scratch:
    """Allocate work space (the tables grow when a block asks for more)."""
    stages = len(blocks.chain_row)
    longest = int(np.diff(blocks.chain_ptr).max(initial=1))
    return Scratch(
        cum=np.zeros(len(blocks.capacity)),
        table=np.empty(1 << 14),
        table_ptr=np.zeros(stages, dtype=np.int64),
        table_lo=np.zeros(stages, dtype=np.int64),
        offset_ptr=np.zeros((stages, 2), dtype=np.int64),
        offsets=np.empty(2 * longest * max(stages, 1) + 2 * longest, dtype=np.int64),
        start=np.zeros(stages, dtype=np.int64),
        loose_start=np.zeros(len(blocks.loose_row), dtype=np.int64),
    )


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
        Priced cost of the plan, ns; infinite if there is none; NaN if the table is too short.
    """
    (
        block_ptr, task, n_dims, release, deadline, drop_cost, weight, fixed, option_ptr,
        base_lag, source_ptr, source_dim, source_service, source_lag,
        chain_ptr, chain_row, chain_service, chain_gap,
        loose_ptr, loose_row, loose_service, loose_head, loose_tail, stride, shift, _,
    ) = blocks  # fmt: skip
    allowed, droplike, earliest = branch
    cum, table, table_ptr, table_lo, offset_ptr, offsets, start, loose_start = scratch
    first = block_ptr[u]
    n, dims = block_ptr[u + 1] - first, n_dims[u]
    if n == 0:
        return 0.0
    n_options = 0
    for j in range(n):
        n_options += option_ptr[task[first + j] + 1] - option_ptr[task[first + j]]
    option_at = np.empty(n + 1, dtype=np.int64)
    option = np.empty(n_options, dtype=np.int64)
    latest = np.empty(n_options, dtype=np.int64)  # latest reach of the chain, or of the end
    extra = np.zeros(n_options)  # price of loose stages
    to_go = np.zeros(n + 1)  # lower bound on the rest of the plan
    bound = 0.0  # cost of the plan handed in
    held = np.zeros(dims, dtype=np.int64)
    used = 0
    n_off = 0
    m = 0
    for j in range(n):
        k = task[first + j]
        option_at[j] = m
        best = drop_cost[k] if droplike[k] > 0 else INF
        hinted = INF
        if choice[k] < 0 and droplike[k] > 0:  # both kinds pay it
            hinted = drop_cost[k]
        for o in range(option_ptr[k], option_ptr[k + 1]):
            if allowed[o] == 0:
                continue
            lo, hi = chain_ptr[o], chain_ptr[o + 1]
            span = 0
            for i in range(lo, hi):
                span += chain_service[i] + chain_gap[i]
            last = horizon
            if deadline[k] < 2**62:
                last = release[k] + deadline[k] - span
            reach = max(release[k] + base_lag[o], earliest[o])
            feasible = reach <= last
            extra[m] = 0.0
            for i in range(loose_ptr[o], loose_ptr[o + 1]):
                s0 = release[k] + loose_head[i]
                s1 = horizon
                if deadline[k] < 2**62:
                    s1 = release[k] + deadline[k] - loose_tail[i] - loose_service[i]
                if s1 < s0:
                    feasible = False
                    break
                loose_start[i], paid = cheapest_moment(
                    price, cum, loose_row[i], stride, shift, loose_service[i], s0, s1
                )
                extra[m] += paid
            if not feasible and droplike[k] != 2:
                continue
            if feasible and hi > lo:
                used, n_off = build_tables(
                    lo, hi, reach, last, weight[k], release[k], fixed[o],
                    chain_row, chain_service, chain_gap, stride, shift, price, cum,
                    table, table_ptr, table_lo, offsets, offset_ptr, used, n_off,
                )  # fmt: skip
                if used < 0:
                    return np.nan
            option[m] = o
            latest[m] = last if feasible else -1
            if feasible:
                idle = extra[m] + complete(
                    lo, hi, reach, chain_row, chain_service, chain_gap, stride, shift, price, cum,
                    table, table_ptr, table_lo, offsets, offset_ptr,
                    weight[k], release[k], fixed[o],
                )  # fmt: skip
                best = min(best, idle)
            if o == choice[k] or (choice[k] < 0 and droplike[k] == 2):
                for i in range(source_ptr[o], source_ptr[o + 1]):
                    d = source_dim[i]
                    held[d] = max(held[d], release[k]) + source_service[i]
                    reach = max(reach, held[d] + source_lag[i])
                if o != choice[k]:
                    pass  # late in the branch: it occupies, and pays the drop cost
                elif reach <= latest[m]:
                    hinted = extra[m] + complete(
                        lo, hi, reach, chain_row, chain_service, chain_gap, stride, shift, price,
                        cum, table, table_ptr, table_lo, offsets, offset_ptr,
                        weight[k], release[k], fixed[o],
                    )  # fmt: skip
                elif droplike[k] > 0:
                    hinted = drop_cost[k]
            m += 1
        to_go[j] = best
        bound += hinted
    option_at[n] = m
    for j in range(n - 1, -1, -1):
        to_go[j] += to_go[j + 1]
    if bound < INF:
        bound += 1e-9 * abs(bound) + 1.0
    # -------------------------------------------------------------------- labels, task by task
    room = 64 * (n + 1)
    free = np.zeros((room, dims), dtype=np.int64)
    cost = np.zeros(room)
    parent = np.zeros(room, dtype=np.int64)
    taken = np.zeros(room, dtype=np.int64)
    level = np.zeros(n + 2, dtype=np.int64)
    level[1] = 1
    fresh = np.empty(dims, dtype=np.int64)
    count = 1
    for j in range(n):
        k = task[first + j]
        then = release[task[first + j + 1]] if j + 1 < n else 2**62
        for at in range(level[j], level[j + 1]):
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
                    reach = max(release[k] + base_lag[o], earliest[o])
                    for i in range(source_ptr[o], source_ptr[o + 1]):
                        d = source_dim[i]
                        fresh[d] = max(fresh[d], release[k]) + source_service[i]
                        reach = max(reach, fresh[d] + source_lag[i])
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
                    elif droplike[k] == 2:
                        total = cost[at] + drop_cost[k]
                        o = np.int64(-1)
                    else:
                        continue
                if total + to_go[j + 1] > bound or total == INF:
                    continue
                for d in range(dims):
                    fresh[d] = max(fresh[d], then)
                # Pareto: nowhere later and nowhere dearer dominates.
                dominated = False
                b = level[j + 1]
                while b < count:
                    below = cost[b] <= total
                    above = cost[b] >= total
                    for d in range(dims):
                        below = below and free[b, d] <= fresh[d]
                        above = above and free[b, d] >= fresh[d]
                    if below:
                        dominated = True
                        break
                    if above:
                        count -= 1
                        cost[b] = cost[count]
                        parent[b] = parent[count]
                        taken[b] = taken[count]
                        for d in range(dims):
                            free[b, d] = free[count, d]
                        continue
                    b += 1
                if dominated:
                    continue
                if count == room:
                    room *= 2
                    free, cost, parent, taken = _grow(free, cost, parent, taken, room)
                cost[count] = total
                parent[count] = at
                taken[count] = o
                for d in range(dims):
                    free[count, d] = fresh[d]
                count += 1
        level[j + 2] = count
    if level[n] == level[n + 1]:
        return INF
    best_at = level[n]
    for at in range(level[n], level[n + 1]):
        if cost[at] < cost[best_at]:
            best_at = at
    value = cost[best_at]
    for j in range(n - 1, -1, -1):
        choice[task[first + j]] = taken[best_at]
        best_at = parent[best_at]
    # -------------------------------------------------------------------- starts of the plan
    held[:] = 0
    for j in range(n):
        k = task[first + j]
        o = choice[k]
        if o < 0:
            if droplike[k] == 2:
                o = option[option_at[j]]
                for i in range(source_ptr[o], source_ptr[o + 1]):
                    d = source_dim[i]
                    held[d] = max(held[d], release[k]) + source_service[i]
            continue
        reach = max(release[k] + base_lag[o], earliest[o])
        for i in range(source_ptr[o], source_ptr[o + 1]):
            d = source_dim[i]
            held[d] = max(held[d], release[k]) + source_service[i]
            reach = max(reach, held[d] + source_lag[i])
        hi = chain_ptr[o + 1]
        for i in range(chain_ptr[o], hi):
            t = reach
            lo_off, end_off = offset_ptr[i, 0], offset_ptr[i, 1]
            if end_off > lo_off:
                at = next_kink(t, shift, table_ptr[i], table_lo[i], offsets, lo_off, end_off)
                now = price_between(
                    price, cum, chain_row[i], stride, shift, t, t + chain_service[i]
                )
                now += complete(
                    i + 1, hi, t + chain_service[i] + chain_gap[i], chain_row, chain_service,
                    chain_gap, stride, shift, price, cum,
                    table, table_ptr, table_lo, offsets, offset_ptr,
                    weight[k], release[k], fixed[o],
                )  # fmt: skip
                if table[at] < now:
                    top = horizon
                    if deadline[k] < 2**62:
                        top = release[k] + deadline[k]
                        for q in range(i, hi):
                            top -= chain_service[q] + chain_gap[q]
                    else:
                        for q in range(chain_ptr[o], i):
                            top += chain_service[q] + chain_gap[q]
                    per = end_off - lo_off
                    end = table_ptr[i] + ((top >> shift) - table_lo[i] + 1) * per
                    while at < end and table[at + 1] == table[at]:
                        at += 1
                    step = at - table_ptr[i]
                    t = top
                    if at < end:
                        t = ((table_lo[i] + step // per) << shift) + offsets[lo_off + step % per]
                        t = min(t, top)
            start[i] = t
            reach = t + chain_service[i] + chain_gap[i]
    return value


@njit(cache=True)
def _grow(free, cost, parent, taken, room):
    """Room for more labels."""
    n = len(cost)
    free2 = np.zeros((room, free.shape[1]), dtype=np.int64)
    cost2 = np.zeros(room)
    parent2 = np.zeros(room, dtype=np.int64)
    taken2 = np.zeros(room, dtype=np.int64)
    free2[:n] = free
    cost2[:n] = cost
    parent2[:n] = parent
    taken2[:n] = taken
    return free2, cost2, parent2, taken2
