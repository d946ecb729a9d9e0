"""First phase of pricing a block: what an owner's options cost by the time they are reached."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.offloading.pricing.blocks import Blocks
from formulations.offloading.pricing.tables import INF, build_tables, cheapest_moment, complete


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
    free: NDArray[np.int64]  # (labels, private resources) free times
    cost: NDArray[np.float64]  # (labels,) priced cost so far
    parent: NDArray[np.int64]  # (labels,) label of the task before
    taken: NDArray[np.int64]  # (labels,) global option, -1 for the drop
    stop: NDArray[np.int64]  # (1,) anything but 0 ends pricing (`formulations.offloading.clock`)


class Opened(NamedTuple):
    """The options of an owner that its plan may use, in order of its n tasks."""

    option_at: NDArray[np.int64]  # (n + 1,) first option of each task
    option: NDArray[np.int64]  # global index
    latest: NDArray[np.int64]  # latest reach of the chain, or of the end; -1 when always late
    extra: NDArray[np.float64]  # price of loose stages
    to_go: NDArray[np.float64]  # (n + 1,) lower bound on the plan from each task on


def scratch_for(blocks: Blocks, stop: NDArray[np.int64]) -> Scratch:
    """Allocate work space (`more_room` makes it larger when a block asks for more)."""
    stages = len(blocks.chain_row)
    longest = int(np.diff(blocks.chain_ptr).max(initial=1))
    labels = 256 * (int(np.diff(blocks.block_ptr).max(initial=0)) + 1)
    return Scratch(
        cum=np.zeros(len(blocks.capacity)),
        table=np.empty(1 << 14),
        table_ptr=np.zeros(stages, dtype=np.int64),
        table_lo=np.zeros(stages, dtype=np.int64),
        offset_ptr=np.zeros((stages, 2), dtype=np.int64),
        offsets=np.empty(2 * longest * max(stages, 1) + 2 * longest, dtype=np.int64),
        start=np.zeros(stages, dtype=np.int64),
        loose_start=np.zeros(len(blocks.loose_row), dtype=np.int64),
        free=np.zeros((labels, int(blocks.n_dims.max(initial=1))), dtype=np.int64),
        cost=np.zeros(labels),
        parent=np.zeros(labels, dtype=np.int64),
        taken=np.zeros(labels, dtype=np.int64),
        stop=stop,
    )


def more_room(scratch: Scratch) -> Scratch:
    """Four times the room for tables and labels; what they held is lost."""
    labels, dims = scratch.free.shape
    return scratch._replace(
        table=np.empty(4 * len(scratch.table)),
        free=np.zeros((4 * labels, dims), dtype=np.int64),
        cost=np.zeros(4 * labels),
        parent=np.zeros(4 * labels, dtype=np.int64),
        taken=np.zeros(4 * labels, dtype=np.int64),
    )


@njit(cache=True, inline="always")
def occupy_private(held, o, released, reach, ptr, dim, service, lag):
    """Occupy an option's private resources (free times `held`); returns its chain's reach."""
    for i in range(ptr[o], ptr[o + 1]):
        d = dim[i]
        held[d] = max(held[d], released) + service[i]
        reach = max(reach, held[d] + lag[i])
    return reach


@njit(cache=True, inline="always")
def latest_start(released, deadline, horizon, ahead):
    """Latest moment from which `ahead` ns of work end on time; the horizon without a deadline."""
    last = horizon
    if deadline < 2**62:
        last = released + deadline - ahead
    return last


@njit(cache=True, inline="always")
def open_options(blocks, u, price, horizon, branch, scratch):
    """Tables, latest reach and least cost of every option of an owner, under prices.

    Returns whether the table had room for them, and time was not over, and `Opened`.
    """
    (
        block_ptr, task, _, release, deadline, drop_cost, weight, fixed, option_ptr,
        base_lag, _, _, _, _,
        chain_ptr, chain_row, chain_service, chain_gap,
        loose_ptr, _, _, _, _, stride, shift, _, _, _,
    ) = blocks  # fmt: skip
    allowed, droplike, earliest = branch
    cum, table, table_ptr, table_lo, offset_ptr, offsets, _, _, _, _, _, _, stop = scratch
    first = block_ptr[u]
    n = block_ptr[u + 1] - first
    n_options = 0
    for j in range(n):
        n_options += option_ptr[task[first + j] + 1] - option_ptr[task[first + j]]
    option_at = np.empty(n + 1, dtype=np.int64)
    option = np.empty(n_options, dtype=np.int64)
    latest = np.empty(n_options, dtype=np.int64)
    extra = np.zeros(n_options)
    to_go = np.zeros(n + 1)
    opened = Opened(option_at, option, latest, extra, to_go)
    used = n_off = m = 0
    for j in range(n):
        if stop[0] != 0:
            return False, opened
        k = task[first + j]
        option_at[j] = m
        best = drop_cost[k] if droplike[k] > 0 else INF
        for o in range(option_ptr[k], option_ptr[k + 1]):
            if allowed[o] == 0:
                continue
            lo, hi = chain_ptr[o], chain_ptr[o + 1]
            span = 0
            for i in range(lo, hi):
                span += chain_service[i] + chain_gap[i]
            last = latest_start(release[k], deadline[k], horizon, span)
            reach = max(release[k] + base_lag[o], earliest[o])
            if loose_ptr[o] < loose_ptr[o + 1]:
                extra[m] = _price_loose(blocks, o, k, price, horizon, scratch)
            feasible = reach <= last and extra[m] < INF
            if not feasible and droplike[k] != 2:
                extra[m] = 0.0
                continue
            option[m] = o
            latest[m] = last if feasible else -1
            if feasible:
                if hi > lo:
                    used, n_off = build_tables(
                        lo, hi, reach, last, weight[k], release[k], fixed[o],
                        chain_row, chain_service, chain_gap, stride, shift, price, cum,
                        table, table_ptr, table_lo, offsets, offset_ptr, used, n_off,
                    )  # fmt: skip
                    if used < 0:
                        return False, opened
                idle = extra[m] + complete(
                    lo, hi, reach, chain_row, chain_service, chain_gap, stride, shift, price, cum,
                    table, table_ptr, table_lo, offsets, offset_ptr,
                    weight[k], release[k], fixed[o],
                )  # fmt: skip
                best = min(best, idle)
            m += 1
        to_go[j] = best
    option_at[n] = m
    for j in range(n - 1, -1, -1):
        to_go[j] += to_go[j + 1]
    return True, opened


@njit(cache=True, inline="always")
def bound_by_hint(blocks, u, price, branch, choice, scratch, opened):
    """Priced cost of the plan in `choice`, with a margin for rounding; infinite if impossible."""
    (
        block_ptr, task, n_dims, release, _, drop_cost, weight, fixed, _,
        base_lag, source_ptr, source_dim, source_service, source_lag,
        chain_ptr, chain_row, chain_service, chain_gap, _, _, _, _, _, stride, shift, _, _, _,
    ) = blocks  # fmt: skip
    _, droplike, earliest = branch
    cum, table, table_ptr, table_lo, offset_ptr, offsets, _, _, _, _, _, _, _ = scratch
    option_at, option, latest, extra, _ = opened
    held = np.zeros(n_dims[u], dtype=np.int64)
    bound = 0.0
    # The margin covers the rounding of what is added up, however much of it cancels.
    size = 0.0
    for row in range(stride - 1, len(cum), stride):
        size += cum[row]
    for j in range(len(option_at) - 1):
        k = task[block_ptr[u] + j]
        hinted = INF
        if choice[k] < 0 and droplike[k] > 0:  # both kinds pay it
            hinted = drop_cost[k]
        for c in range(option_at[j], option_at[j + 1]):
            o = option[c]
            size += abs(fixed[o])
            # A task that is late in the branch occupies, and pays the drop cost.
            if o != choice[k] and (choice[k] >= 0 or droplike[k] != 2):
                continue
            reach = occupy_private(
                held, o, release[k], max(release[k] + base_lag[o], earliest[o]),
                source_ptr, source_dim, source_service, source_lag,
            )  # fmt: skip
            if o == choice[k] and reach <= latest[c]:
                hinted = extra[c] + complete(
                    chain_ptr[o], chain_ptr[o + 1], reach, chain_row, chain_service, chain_gap,
                    stride, shift, price, cum, table, table_ptr, table_lo, offsets, offset_ptr,
                    weight[k], release[k], fixed[o],
                )  # fmt: skip
            elif o == choice[k] and droplike[k] > 0:
                hinted = drop_cost[k]
        bound += hinted
        size += abs(hinted)
    if bound < INF:
        bound += 1e-9 * size
    return bound


@njit(cache=True)
def _price_loose(blocks, o, k, price, horizon, scratch):
    """Price of an option's loose stages, each at its cheapest moment; infinite without room."""
    total = 0.0
    for i in range(blocks.loose_ptr[o], blocks.loose_ptr[o + 1]):
        service = blocks.loose_service[i]
        begin = blocks.release[k] + blocks.loose_head[i]
        ahead = blocks.loose_tail[i] + service
        last = latest_start(blocks.release[k], blocks.deadline[k], horizon, ahead)
        if last < begin:
            return INF
        scratch.loose_start[i], paid = cheapest_moment(
            price, scratch.cum, blocks.loose_row[i], blocks.stride, blocks.shift, service,
            begin, last,
        )  # fmt: skip
        total += paid
    return total
