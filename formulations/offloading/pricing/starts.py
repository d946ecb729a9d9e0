"""Last phase of pricing a block: when the stages of its cheapest plan start."""

from __future__ import annotations

import numpy as np
from numba import njit

from formulations.offloading.pricing.options import latest_start, occupy_private
from formulations.offloading.pricing.tables import complete, next_kink, price_between


@njit(cache=True, inline="always")
def write_starts(blocks, u, price, horizon, branch, choice, scratch, opened):
    """Write the starts of the chain stages that the plan in `choice` uses to `scratch.start`."""
    (
        block_ptr, task, n_dims, release, deadline, _, _, _, _,
        base_lag, source_ptr, source_dim, source_service, source_lag,
        chain_ptr, _, chain_service, chain_gap, _, _, _, _, _, _, _, _, _, _,
    ) = blocks  # fmt: skip
    _, droplike, earliest = branch
    held = np.zeros(n_dims[u], dtype=np.int64)
    for j in range(block_ptr[u + 1] - block_ptr[u]):
        k = task[block_ptr[u] + j]
        o = choice[k]
        late = o < 0
        if late:
            if droplike[k] != 2:
                continue
            o = opened.option[opened.option_at[j]]  # occupies, and is of no use
        reach = occupy_private(
            held, o, release[k], max(release[k] + base_lag[o], earliest[o]),
            source_ptr, source_dim, source_service, source_lag,
        )  # fmt: skip
        if late:
            continue
        span = np.int64(0)
        for i in range(chain_ptr[o], chain_ptr[o + 1]):
            span += chain_service[i] + chain_gap[i]
        last = latest_start(release[k], deadline[k], horizon, span)
        start_chain(blocks, k, o, reach, last, price, scratch)


@njit(cache=True, inline="always")
def start_chain(blocks, k, o, reach, last, price, scratch):
    """Write the cheapest starts of an option's chain, whose tables allow a reach up to `last`."""
    (
        _, _, _, release, _, _, weight, fixed, _, _, _, _, _, _,
        chain_ptr, chain_row, chain_service, chain_gap, _, _, _, _, _, stride, shift, _, _, _,
    ) = blocks  # fmt: skip
    cum, table, table_ptr, table_lo, offset_ptr, offsets, start, _, _, _, _, _, _ = scratch
    top = last  # of the stage at hand
    hi = chain_ptr[o + 1]
    for i in range(chain_ptr[o], hi):
        t = reach
        ends = t + chain_service[i]
        begin, end = offset_ptr[i, 0], offset_ptr[i, 1]
        if end > begin:
            at = next_kink(t, shift, table_ptr[i], table_lo[i], offsets, begin, end)
            now = price_between(price, cum, chain_row[i], stride, shift, t, ends)
            now += complete(
                i + 1, hi, ends + chain_gap[i], chain_row, chain_service, chain_gap,
                stride, shift, price, cum,
                table, table_ptr, table_lo, offsets, offset_ptr,
                weight[k], release[k], fixed[o],
            )  # fmt: skip
            if table[at] < now:
                t = _waits_until(
                    at, top, table, table_ptr[i], table_lo[i], offsets, begin, end, shift
                )
        start[i] = t
        reach = t + chain_service[i] + chain_gap[i]
        top += chain_service[i] + chain_gap[i]


@njit(cache=True, inline="always")
def _waits_until(at, top, table, first, low, offsets, begin, end, shift):
    """Start of a stage that waits for a cheaper moment, from table entry `at` on, at most `top`."""
    per = end - begin
    last = first + ((top >> shift) - low + 1) * per
    while at < last and table[at + 1] == table[at]:
        at += 1
    t = top
    if at < last:
        step = at - first
        t = min(((low + step // per) << shift) + offsets[begin + step % per], top)
    return t
