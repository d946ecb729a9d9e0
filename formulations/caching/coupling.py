"""Prices of what couples servers: how choices pay them, and what plans use."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.caching.blocks import Blocks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Coupling:
    """Prices of what couples servers: how choices pay them, and what plans use.

    Rows: one per slot with a backhaul, one per place q T + t with forwarding, else none.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.is_link = blocks.overflow_cost > 0
        self.is_forwarding = bool(np.isfinite(blocks.hop).any())
        self.capacity = np.zeros(0)
        self.upper = np.zeros(0)
        self.step = np.zeros(0)
        #: Prices from which the bound is raised.
        self.start = np.zeros(0)
        if self.is_link:
            self.capacity = blocks.link_capacity.astype(np.float64)
            self.upper = np.full(blocks.n_slots, blocks.overflow_cost)
            self.step = 0.2 * self.upper
            self.start = np.zeros(blocks.n_slots)
        elif self.is_forwarding:
            self.capacity = blocks.requests.astype(np.float64)
            self.upper = np.full(len(self.capacity), np.inf)
            self.step = np.full(len(self.capacity), 0.2)
            self.start = np.repeat(_worth(blocks), blocks.n_slots)

    def pay(self, prices: FloatArray, weight: FloatArray) -> None:
        """Add the prices (rows,) to the weights of the choices."""
        if self.is_link:
            _pay_link(self.blocks, prices, weight)
        elif self.is_forwarding:
            _pay_births(self.blocks, prices, weight)

    def use(self, prices: FloatArray, plans: IntArray) -> FloatArray:
        """Tokens to the cloud (T,), or requests taken from each cell (Q T,)."""
        usage = np.zeros(len(self.capacity))
        if self.is_link:
            _use_link(self.blocks, plans, usage)
        elif self.is_forwarding:
            _use_births(self.blocks, prices, plans, usage)
        return usage


def _worth(blocks: Blocks) -> FloatArray:
    """(Q,) what serving a request at the edge saves at most, accuracy and hops aside.

    At these prices of requests no plan gains by serving the same one twice.
    """
    first, number = blocks.first[:-1], np.diff(blocks.first)
    serves = number > 2
    saving = np.zeros(len(number))
    saving[serves] = blocks.cost[first[serves] + 1] - blocks.cost[first[serves] + 2]
    each = saving.reshape(blocks.n_servers, blocks.n_pairs, blocks.n_slots).max(axis=(0, 2))
    return np.tile(np.maximum(each, 0.0), blocks.n_servers)


@njit(cache=True, nogil=True)
def _pay_link(blocks, price, weight):
    slots = blocks.n_slots
    for place in range(len(blocks.first) - 1):
        each = price[place % slots] * blocks.tokens[place // slots]
        first = blocks.first[place]
        for c in range(first, blocks.first[place + 1]):
            served = max(0, c - first - 1)
            weight[c] += each * (blocks.requests[place] - served)


@njit(cache=True, nogil=True)
def _use_link(blocks, plans, usage):
    slots = blocks.n_slots
    for place in range(len(plans)):
        served = max(0, plans[place] - 1)
        sent = blocks.requests[place] - served
        usage[place % slots] += blocks.tokens[place // slots] * sent


@njit(cache=True, nogil=True, inline="always")
def _sources(blocks, price, place):
    """Cells a pair may serve, cheapest first: unit costs (3,), places (3,), requests (3,)."""
    step = blocks.n_pairs * blocks.n_slots
    q = place // blocks.n_slots
    cost, cell, most = np.empty(3), np.empty(3, np.int64), np.empty(3, np.int64)
    count = 0
    for away in (0, -1, 1):
        other = place + away * step
        if other < 0 or other >= len(price) or (away != 0 and blocks.hop[q] == np.inf):
            continue
        each = price[other] + (0.0 if away == 0 else blocks.hop[q])
        k = count
        while k > 0 and cost[k - 1] > each:
            cost[k], cell[k], most[k] = cost[k - 1], cell[k - 1], most[k - 1]
            k -= 1
        cost[k], cell[k], most[k] = each, other, blocks.requests[other]
        count += 1
    return cost, cell, most, count


@njit(cache=True, nogil=True)
def _pay_births(blocks, price, weight):
    for place in range(len(blocks.first) - 1):
        first, end = blocks.first[place], blocks.first[place + 1]
        if end - first < 3:
            continue
        cost, _, most, count = _sources(blocks, price, place)
        c, paid = first + 2, 0.0
        for i in range(count):
            for _ in range(most[i]):
                if c < end:
                    paid += cost[i]
                    weight[c] += paid
                    c += 1


@njit(cache=True, nogil=True)
def _use_births(blocks, price, plans, usage):
    for place in range(len(plans)):
        left = plans[place] - 1
        if left <= 0:
            continue
        _, cell, most, count = _sources(blocks, price, place)
        for i in range(count):
            taken = min(left, most[i])
            usage[cell[i]] += taken
            left -= taken


@njit(cache=True, nogil=True)
def share_births(blocks, picked, flow):
    """Cut choices (Q T,) down to the requests there are, and say where those come from (Q T, 3).

    Every pair takes its own cell's first, then what neighbours have left.
    """
    free = blocks.requests.copy()
    flow[:] = 0
    for place in range(len(picked)):
        own = min(max(picked[place] - 1, 0), free[place])
        flow[place, 1] = own
        free[place] -= own
    step = blocks.n_pairs * blocks.n_slots
    for place in range(len(picked)):
        left = picked[place] - 1 - flow[place, 1]
        if left > 0 and blocks.hop[place // blocks.n_slots] < np.inf:
            for j, other in ((0, place - step), (2, place + step)):
                if 0 <= other < len(free):
                    flow[place, j] = min(left, free[other])
                    free[other] -= flow[place, j]
                    left -= flow[place, j]
        if picked[place] > 0:
            picked[place] = 1 + flow[place].sum()
