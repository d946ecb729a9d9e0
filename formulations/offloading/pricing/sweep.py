"""Pricing of all blocks at once: their values, and the shared time that their plans use."""

from __future__ import annotations

import numpy as np
from numba import njit

from formulations.offloading.pricing.labels import price_block
from formulations.offloading.pricing.tables import cumulate

#: How `price_all` ended.
DONE, NO_ROOM, STOPPED = 0, 1, 2


@njit(cache=True, nogil=True)
def price_all(blocks, price, horizon, branch, only, choice, value, usage, scratch):
    """Price the flagged blocks; `usage` is overwritten with the shared time of all plans.

    Returns `DONE`; or `NO_ROOM` when `scratch` was too small (the caller makes room and calls
    again), `STOPPED` when it asks to stop.
    """
    stride, shift = blocks.stride, blocks.shift
    cumulate(price, stride, shift, scratch.cum)
    for u in range(len(value)):
        if only[u]:
            value[u] = price_block(blocks, u, price, horizon, branch, choice, scratch)
            if np.isnan(value[u]):
                return STOPPED if scratch.stop[0] != 0 else NO_ROOM
    usage[:] = 0.0
    chain_ptr, chain_row, chain_service = blocks.chain_ptr, blocks.chain_row, blocks.chain_service
    loose_ptr, loose_row, loose_service = blocks.loose_ptr, blocks.loose_row, blocks.loose_service
    start, loose_start = scratch.start, scratch.loose_start
    for o in choice:
        if o < 0:
            continue
        for i in range(chain_ptr[o], chain_ptr[o + 1]):
            occupy_rows(usage, chain_row[i], stride, shift, start[i], chain_service[i])
        for i in range(loose_ptr[o], loose_ptr[o + 1]):
            occupy_rows(usage, loose_row[i], stride, shift, loose_start[i], loose_service[i])
    return DONE


@njit(cache=True, inline="always")
def occupy_rows(usage, row, stride, shift, start, service):
    """Add the time [start, start + service) to the rows it overlaps."""
    t = start
    end = start + service
    b = t >> shift
    while t < end and b < stride - 1:
        edge = min(end, (b + 1) << shift)
        usage[row + b] += edge - t
        t = edge
        b += 1


@njit(cache=True)
def plan_rows(blocks, choice, start, loose_start):
    """Rows, time used (ns) and task of every bucket the chosen plans touch."""
    stride, shift = blocks.stride, blocks.shift
    chain_ptr, chain_row, chain_service = blocks.chain_ptr, blocks.chain_row, blocks.chain_service
    loose_ptr, loose_row, loose_service = blocks.loose_ptr, blocks.loose_row, blocks.loose_service
    count = 0
    for o in choice:
        if o >= 0:
            for i in range(chain_ptr[o], chain_ptr[o + 1]):
                count += (chain_service[i] >> shift) + 2
            for i in range(loose_ptr[o], loose_ptr[o + 1]):
                count += (loose_service[i] >> shift) + 2
    row = np.empty(count, dtype=np.int64)
    amount = np.empty(count)
    task = np.empty(count, dtype=np.int64)
    n = 0
    for k in range(len(choice)):
        o = choice[k]
        if o < 0:
            continue
        chain = chain_ptr[o + 1] - chain_ptr[o]
        for j in range(chain + loose_ptr[o + 1] - loose_ptr[o]):
            if j < chain:
                i = chain_ptr[o] + j
                base, t, end = chain_row[i], start[i], start[i] + chain_service[i]
            else:
                i = loose_ptr[o] + j - chain
                base, t, end = loose_row[i], loose_start[i], loose_start[i] + loose_service[i]
            b = t >> shift
            while t < end and b < stride - 1:
                edge = min(end, (b + 1) << shift)
                row[n] = base + b
                amount[n] = edge - t
                task[n] = k
                n += 1
                t = edge
                b += 1
    return row[:n], amount[:n], task[:n]
