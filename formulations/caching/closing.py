"""Closing a gap: arcs that no better schedule uses are left out, the rest goes to HiGHS.

Under the prices of the bound, a schedule that makes a choice costs at least the bound, plus what
the pair's plan loses by going through the arc, plus what the slot block loses by making the choice.
Where that exceeds the best known schedule the arc is out. What is left of the network is small when
the gap is; HiGHS finds the best schedule in it, or that there is none below the known one. The
latter is its word: it settles what is worth trying, and never raises the certified bound.
"""

from __future__ import annotations

import time

import numpy as np
from numba import njit

from formulations import highs
from formulations.caching.blocks import FloatArray, IntArray
from formulations.caching.network_arrays import Arcs, arcs_within, build_program, read_program
from formulations.caching.oracle import LinkOracle
from formulations.caching.sizes import ARRAYS
from formulations.caching.slots import fill
from formulations.claims import Claim, settle

#: Most arcs that are worth handing over.
MOST_ARCS = 60_000


def remaining(links: LinkOracle, prices: FloatArray, bound: float, known: float) -> Arcs:
    """Arcs that a schedule cheaper than `known` may use."""
    blocks, pricer = links.blocks, links.pricer
    value, _ = pricer.slots(-prices[: blocks.n_choices])
    loss = np.zeros(blocks.n_choices)
    _slot_losses(
        blocks,
        -prices[: blocks.n_choices],
        pricer.energy_price,
        value.reshape(blocks.n_servers, -1),
        loss,
        pricer.levels,
        int(pricer.capacity_levels.max()),
        pricer.capacity_levels,
    )
    # Sums of prices are not exact: keep what is close.
    slack = known - bound + 1e-7 * max(1.0, abs(known))
    return arcs_within(blocks, links.weights(prices), loss, slack)


def close(
    links: LinkOracle,
    prices: FloatArray,
    bound: float,
    known: float,
    picked: IntArray,
    *,
    seconds: float,
    until: float = np.inf,
    gap: float,
) -> tuple[float, tuple[IntArray, IntArray] | None, int]:
    """HiGHS on what is left of the network for some seconds, from the known schedule.

    Returns its bound (its own word; the given bound when too much is left, also for the time until
    `until`, in which HiGHS has to begin), a schedule cheaper than
    `known` as choices and flows or None, and the number of arcs left.
    """
    arcs = remaining(links, prices, bound, known)
    left = until - time.perf_counter()
    too_many = len(arcs.place) > MOST_ARCS or ARRAYS * len(arcs.place) > left
    if too_many or links.pricer.hurried:  # losses are what exact slots lose
        return bound, None, len(arcs.place)
    program = build_program(links.blocks, arcs)
    taken = np.isin(program.choice, links.blocks.first[:-1] + picked)
    columns = (program.z + np.arange(len(taken))).astype(np.int32)
    start = (columns, taken.astype(np.float64))
    found = highs.run(program.lp, time_limit=seconds, gap=gap, start=start)
    claim = Claim(found.details["solver"], found.bound)
    # The known schedule is among what is left, so nothing above it can be claimed.
    claimed, _ = settle(claim, floor=bound, known=known)
    better = None
    if found.values is not None:
        better = read_program(links.blocks, program, found.values)
    return claimed, better, len(arcs.place)


@njit(cache=True, nogil=True)
def _slot_losses(blocks, cost, energy_price, value, loss, level, most, capacity_levels):  # type: ignore[no-untyped-def]
    """At least what a slot's least cost rises when a choice is made (choices,)."""
    pairs, slots = blocks.n_pairs, blocks.n_slots
    ahead, behind = np.zeros((pairs + 1, most + 1)), np.zeros((pairs + 1, most + 1))
    net = np.zeros(pairs)
    for n in range(blocks.n_servers):
        levels = capacity_levels[n]
        for t in range(slots):
            y, base = energy_price[n, t], 0.0
            for p in range(pairs):
                q = n * pairs + p
                first, end = blocks.first[q * slots + t], blocks.first[q * slots + t + 1]
                base += cost[first]
                net[p] = 0.0
                for c in range(first + 1, end):
                    worth = cost[first] - cost[c] - y * blocks.energy[q] * (c - first - 1)
                    net[p] = max(net[p], worth)
            for p in range(pairs):
                fill(ahead[p + 1], ahead[p], level[n * pairs + p], net[p], levels)
            for p in range(pairs - 1, -1, -1):
                fill(behind[p], behind[p + 1], level[n * pairs + p], net[p], levels)
            base -= y * blocks.energy_budget[n]
            for p in range(pairs):
                q, without, beside = n * pairs + p, 0.0, 0.0
                w = level[q]
                for m in range(levels + 1):
                    without = max(without, ahead[p, m] + behind[p + 1, levels - m])
                for m in range(levels - w + 1):
                    beside = max(beside, ahead[p, m] + behind[p + 1, levels - w - m])
                first, end = blocks.first[q * slots + t], blocks.first[q * slots + t + 1]
                loss[first] = max(0.0, base - without - value[n, t])
                for c in range(first + 1, end):
                    worth = cost[first] - cost[c] - y * blocks.energy[q] * (c - first - 1)
                    loss[c] = max(0.0, base - beside - worth - value[n, t])
