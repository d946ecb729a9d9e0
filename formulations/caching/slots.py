r"""Slot blocks: the cheapest choices of one slot within memory and energy, solved exactly.

A slot block holds a copy of every pair's choice (off, or resident with x requests served) and both
resource rows; its costs are prices only. It is a multiple-choice knapsack with two dimensions:

.. math::

    \max \sum_p r_{p x_p}\ \text{s.t.}\ \sum_{p\ resident} m_p \le M
    \ \text{[memory]},\quad \sum_p e_p x_p \le E\ \text{[energy]},

with r the saving over "off". All choices of a pair need the same memory, so with a price y on
energy alone what is left is a knapsack in memory with one item per pair, and a table over memory
levels gives the bound

.. math::

    D(y) = y E + \max \sum_{p\ resident} \max_x (r_{px} - y e_p x)\ \text{s.t. [memory]}.

D is convex; the crossing of two tangents finds its least value in a few tables. Choices that
cannot beat the incumbent (the choices of the call before, as a rule) are dropped; what remains is
settled by label setting over pairs, the most decided first, with the table of the pairs to come as
the bound and labels of equal memory and energy merged. Tables have at most `LEVELS` memory levels
(rounded so that the bound holds); labels hold exact numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.caching.blocks import Blocks

#: Most memory levels in a table.
LEVELS = 256
#: Most labels of one search; when they run out, the bound is returned in place of the optimum.
LABELS = 1 << 17
_BUCKETS = 1 << 13
#: Most tables on the way to the energy price.
_TANGENTS = 12


class SlotWork(NamedTuple):
    """Scratch for the slot with most choices. Candidates are pairs worth being resident."""

    level: NDArray[np.int64]  # (Q,) memory in table units, rounded down
    levels: NDArray[np.int64]  # (N,) capacity in table units
    start: NDArray[np.int64]  # first item of each candidate
    pair: NDArray[np.int64]  # pair of each candidate
    saving: NDArray[np.float64]  # of each item
    served: NDArray[np.int64]
    net: NDArray[np.float64]  # best saving less energy, of each candidate
    best: NDArray[np.int64]  # item of it, -1 for none
    behind: NDArray[np.float64]  # (P + 1, levels + 1) table of a candidate and those after it
    ahead: NDArray[np.float64]  # (P + 1, levels + 1) table of those before a candidate
    kept: NDArray[np.int64]  # (P,) choices of the incumbent, 0 for off
    regret: NDArray[np.float64]
    rest: NDArray[np.bool_]  # whether off may still be best
    limit: NDArray[np.float64]  # an item worth no more, energy paid, cannot be best
    order: NDArray[np.int64]
    start_left: NDArray[np.int64]  # candidates, pairs and items that are left, in order
    pair_left: NDArray[np.int64]
    saving_left: NDArray[np.float64]
    served_left: NDArray[np.int64]
    rest_left: NDArray[np.bool_]
    value: NDArray[np.float64]  # labels: saving, what is left, and where they come from
    memory: NDArray[np.int64]
    energy: NDArray[np.int64]
    units: NDArray[np.int64]
    parent: NDArray[np.int64]
    item: NDArray[np.int64]
    bucket: NDArray[np.int64]  # hash table of the labels of a layer


def slot_work(blocks: Blocks) -> SlotWork:
    """Scratch for `price_slots` on these blocks."""
    n, slots = blocks.n_pairs, blocks.n_slots
    number = np.diff(blocks.first).reshape(blocks.n_servers, n, slots)
    items = int(number.sum(axis=1).max(initial=0)) + 1
    capacity = int(blocks.memory_capacity.max())
    unit = int(np.gcd.reduce(blocks.memory[blocks.memory <= capacity], initial=0)) or 1
    unit = max(unit, -(-capacity // LEVELS))
    levels = capacity // unit

    def whole(size: int) -> NDArray[np.int64]:
        return np.zeros(size, dtype=np.int64)

    return SlotWork(
        level=blocks.memory // unit,
        levels=blocks.memory_capacity // unit,
        start=whole(n + 1),
        pair=whole(n),
        saving=np.zeros(items),
        served=whole(items),
        net=np.zeros(n),
        best=whole(n),
        behind=np.zeros((n + 1, levels + 1)),
        ahead=np.zeros((n + 1, levels + 1)),
        kept=whole(n),
        regret=np.zeros(n),
        rest=np.zeros(n, dtype=np.bool_),
        limit=np.zeros(n),
        order=whole(n),
        start_left=whole(n + 1),
        pair_left=whole(n),
        saving_left=np.zeros(items),
        served_left=whole(items),
        rest_left=np.zeros(n, dtype=np.bool_),
        value=np.zeros(LABELS),
        memory=whole(LABELS),
        energy=whole(LABELS),
        units=whole(LABELS),
        parent=whole(LABELS),
        item=whole(LABELS),
        bucket=np.full(_BUCKETS, -1, dtype=np.int64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _collect(blocks, n, t, cost, picked, work):
    """Items worth more than off and than every smaller one; candidates, cost of off, incumbent.

    The incumbent is what `picked` says, less choices that are not worth their place.
    """
    items, candidates, base, found = 0, 0, 0.0, 0.0
    for p in range(blocks.n_pairs):
        q = n * blocks.n_pairs + p
        place = q * blocks.n_slots + t
        first, count = blocks.first[place], blocks.first[place + 1] - blocks.first[place]
        idle, begin, best = cost[first], items, 0.0
        base += idle
        for x in range(count - 1):
            worth = idle - cost[first + 1 + x]
            if worth > best:
                best = worth
                work.saving[items] = worth
                work.served[items] = x
                items += 1
        if items > begin:
            work.start[candidates] = begin
            work.pair[candidates] = q
            candidates += 1
        worth = idle - cost[first + picked[place]]
        work.kept[p] = 0
        if worth > 0.0:
            work.kept[p] = picked[place]
            found += worth
    work.start[candidates] = items
    return candidates, base, found


@njit(cache=True, nogil=True, error_model="numpy")
def fill(row, source, w, net, levels):
    """One row of a memory table: `source` with one more candidate of memory w, worth `net`."""
    for m in range(min(w, levels + 1)):
        row[m] = source[m]
    for m in range(w, levels + 1):
        row[m] = max(source[m], net + source[m - w])


@njit(cache=True, nogil=True, error_model="numpy")
def _tangent(blocks, n, candidates, price, work):
    """Fill the table at an energy price; D(price), and energy and saving of its choices.

    The saving is -1 when they do not fit after all (rounded memory levels).
    """
    start, pair, saving, served = work.start, work.pair, work.saving, work.served
    net, best, table, level = work.net, work.best, work.behind, work.level
    levels = work.levels[n]
    for i in range(candidates):
        each = price * blocks.energy[pair[i]]
        top, at = 0.0, -1
        for j in range(start[i], start[i + 1]):
            worth = saving[j] - each * served[j]
            if worth > top:
                top, at = worth, j
        net[i], best[i] = top, at
    table[candidates, :] = 0.0
    for i in range(candidates - 1, -1, -1):
        fill(table[i], table[i + 1], level[pair[i]], net[i], levels)
    room, used, memory, total = levels, 0, 0, 0.0
    for i in range(candidates):
        w, j = level[pair[i]], best[i]
        work.order[i] = -1
        if j >= 0 and w <= room and net[i] + table[i + 1, room - w] > table[i + 1, room]:
            work.order[i] = j
            room -= w
            used += blocks.energy[pair[i]] * served[j]
            memory += blocks.memory[pair[i]]
            total += saving[j]
    if memory > blocks.memory_capacity[n]:
        total = -1.0
    return table[0, levels] + price * blocks.energy_budget[n], used, total


@njit(cache=True, nogil=True, error_model="numpy")
def _energy_price(blocks, n, candidates, guess, found, work):
    """Energy price of least D, its bound, and the best saving, whose choices are in `kept`."""
    budget, own = blocks.energy_budget[n], n * blocks.n_pairs
    low, value_low, slope_low = 0.0, np.inf, 0.0
    high, value_high, slope_high = np.inf, np.inf, 0.0
    price, best_price, best = guess, guess, np.inf
    for _ in range(_TANGENTS):
        value, used, total = _tangent(blocks, n, candidates, price, work)
        slope = float(budget - used)
        if value < best:
            best, best_price = value, price
        if slope >= 0.0:
            if total > found:
                found = total
                for p in range(len(work.kept)):
                    work.kept[p] = 0
                for i in range(candidates):
                    if work.order[i] >= 0:
                        work.kept[work.pair[i] - own] = 1 + work.served[work.order[i]]
            high, value_high, slope_high = price, value, slope
            if price == 0.0 or slope == 0.0:
                break
        else:
            low, value_low, slope_low = price, value, slope
        if value_low == np.inf:
            price = 0.0
        elif high == np.inf:
            price = 2.0 * price + 1e-3
        else:
            crossing = (value_low - slope_low * low) - (value_high - slope_high * high)
            trial = crossing / (slope_high - slope_low)
            least = value_low + slope_low * (trial - low)
            if not low < trial < high or least >= best - 1e-12 * abs(best):
                break
            price = trial
    return best_price, best, found


@njit(cache=True, nogil=True, error_model="numpy")
def _reduce(blocks, n, candidates, price, bound, found, work):
    """Leave out choices that cannot beat `found`, and put decided candidates first.

    Returns the number of candidates left. The table must be the one of `price` and `bound`.
    """
    start, pair, saving, served = work.start, work.pair, work.saving, work.served
    net, level, levels = work.net, work.level, work.levels[n]
    behind, ahead, order, regret = work.behind, work.ahead, work.order, work.regret
    ahead[0, :] = 0.0
    for i in range(candidates):
        fill(ahead[i + 1], ahead[i], level[pair[i]], net[i], levels)
    spare, whole = bound - found, behind[0, levels]
    for i in range(candidates):
        row, after, w = ahead[i], behind[i + 1], level[pair[i]]
        without, beside = 0.0, -np.inf
        for m in range(levels + 1):
            without = max(without, row[m] + after[levels - m])
        for m in range(levels - w + 1):
            beside = max(beside, row[m] + after[levels - w - m])
        work.rest[i] = whole - without < spare
        work.limit[i] = whole - spare - beside  # an item worth no more cannot win
        regret[i] = max(whole - without, whole - beside - net[i])
        k = i
        while k > 0 and regret[order[k - 1]] < regret[i]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = i
    left, items = 0, 0
    for k in range(candidates):
        i = order[k]
        begin, each = items, price * blocks.energy[pair[i]]
        for j in range(start[i], start[i + 1]):
            if saving[j] - each * served[j] > work.limit[i]:
                work.saving_left[items] = saving[j]
                work.served_left[items] = served[j]
                items += 1
        if items > begin:
            work.start_left[left] = begin
            work.pair_left[left] = pair[i]
            work.rest_left[left] = work.rest[i]
            left += 1
    work.start_left[left] = items
    return left


@njit(cache=True, nogil=True, error_model="numpy")
def _bound_tables(blocks, n, left, price, work):
    """The memory table of the candidates that are left, at an energy price."""
    work.behind[left, :] = 0.0
    for i in range(left - 1, -1, -1):
        p, top = work.pair_left[i], 0.0
        for j in range(work.start_left[i], work.start_left[i + 1]):
            worth = work.saving_left[j] - price * blocks.energy[p] * work.served_left[j]
            top = max(top, worth)
        fill(work.behind[i], work.behind[i + 1], work.level[p], top, work.levels[n])


@njit(cache=True, nogil=True, error_model="numpy")
def _search(blocks, n, left, price, bound, found, work):
    """Label setting over the candidates left: best saving (choices in `kept`), and labels made.

    When labels run out the saving returned is `bound`, which nothing exceeds.
    """
    value, memory, energy, units = work.value, work.memory, work.energy, work.units
    parent, item, bucket, behind = work.parent, work.item, work.bucket, work.behind
    value[0], memory[0], energy[0] = 0.0, blocks.memory_capacity[n], blocks.energy_budget[n]
    units[0], parent[0], item[0] = work.levels[n], -1, -1
    first, end, made, own = 0, 1, 1, n * blocks.n_pairs
    floor = found + 1e-12 * abs(found)
    for i in range(left):
        p, after = work.pair_left[i], behind[i + 1]
        for label in range(first, end):
            for j in range(work.start_left[i] - 1, work.start_left[i + 1]):
                room, energy_left, level_left = memory[label], energy[label], units[label]
                gain = value[label]
                if j < work.start_left[i]:
                    if not work.rest_left[i]:
                        continue
                else:
                    room -= blocks.memory[p]
                    energy_left -= blocks.energy[p] * work.served_left[j]
                    level_left -= work.level[p]
                    gain += work.saving_left[j]
                    if room < 0 or energy_left < 0:
                        continue
                if gain + price * energy_left + after[level_left] <= floor:
                    continue
                # Merge with a label of this layer that has the same left.
                key = (room * 1000003 + energy_left * 7919) & (_BUCKETS - 1)
                other = bucket[key]
                if end <= other < made and memory[other] == room and energy[other] == energy_left:
                    if value[other] >= gain:
                        continue
                    at = other
                else:
                    if made == len(value):
                        return bound, made
                    at = made
                    bucket[key] = made
                    made += 1
                value[at], memory[at], energy[at], units[at] = gain, room, energy_left, level_left
                parent[at], item[at] = label, (j if j >= work.start_left[i] else -1)
        first, end = end, made
    at = -1
    for label in range(first, end):
        if value[label] > found:
            found, at = value[label], label
    if at >= 0:
        for p in range(len(work.kept)):
            work.kept[p] = 0
        for i in range(left - 1, -1, -1):
            if item[at] >= 0:
                work.kept[work.pair_left[i] - own] = 1 + work.served_left[item[at]]
            at = parent[at]
    return found, made


@njit(cache=True, nogil=True, error_model="numpy")
def price_slot(blocks, n, t, cost, price, picked, work, hurry):
    """Least cost of slot t of server n, its energy price, labels; picked[q T + t] gets choices.

    `price` and `picked` are where to start: picked must fit the slot. In a `hurry` they are where
    it ends, and the cost is the bound that `price` gives.
    """
    candidates, base, found = _collect(blocks, n, t, cost, picked, work)
    if hurry:
        return base - _tangent(blocks, n, candidates, price, work)[0], price, 0
    y, bound, found = _energy_price(blocks, n, candidates, price, found, work)
    labels = 0
    if found < bound - 1e-12 * abs(bound):
        _tangent(blocks, n, candidates, y, work)
        left = _reduce(blocks, n, candidates, y, bound, found, work)
        _bound_tables(blocks, n, left, y, work)
        found, labels = _search(blocks, n, left, y, bound, found, work)
    for p in range(blocks.n_pairs):
        picked[(n * blocks.n_pairs + p) * blocks.n_slots + t] = work.kept[p]
    return base - found, y, labels


@njit(cache=True, nogil=True, error_model="numpy")
def price_slots(blocks, n, begin, end, cost, price, picked, value, work, hurry=False):
    """Least cost of slots [begin, end) of server n, or bounds in a `hurry` (see `price_slot`).

    value (T,), energy prices (T,) and picked (Q T,) are updated there. Returns the labels made.
    """
    total = 0
    for t in range(begin, end):
        value[t], price[t], labels = price_slot(blocks, n, t, cost, price[t], picked, work, hurry)
        total += labels
    return total
