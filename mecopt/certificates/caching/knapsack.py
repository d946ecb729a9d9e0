"""Exact least cost of one slot: one choice per pair within memory and energy, in integers.

The saving of a choice is what it costs less than "off". Labels (memory left, energy left) -> saving
are carried from pair to pair. A label is dropped when even the bound on the pairs to come does not
bring it above a known saving; the bound is a table over memory with energy at a price (any price
gives a valid bound; the search looks for a good one).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

#: (saving, energy used)
Item = tuple[int, int]
#: (memory, its items)
Group = tuple[int, list[Item]]

_LEVELS = 256
_HALVINGS = 24


def cheapest(pairs: Sequence[tuple[int, int, Sequence[int]]], memory: int, energy: int) -> int:
    """Least cost of a slot.

    Parameters
    ----------
    pairs : sequence of (memory, energy per request, costs)
        Costs of the choices: off, resident with 0, 1, ... requests served.
    memory, energy : int
        What the server has.
    """
    base, groups = 0, []
    for size, each, costs in pairs:
        base += costs[0]
        items: list[Item] = []
        for served, cost in enumerate(costs[1:]):
            saving = costs[0] - cost
            if saving > (items[-1][0] if items else 0) and served * each <= energy:
                items.append((saving, served * each))
        if items and size <= memory:
            groups.append((size, items))
    return base - _most_saved(groups, memory, energy)


def _most_saved(groups: list[Group], memory: int, energy: int) -> int:
    if not groups:
        return 0
    unit = max(gcd(*(size for size, _ in groups)), -(-memory // _LEVELS), 1)
    low, high = 0, max(max(s for s, _ in items) for _, items in groups) + 1
    # Least of the convex D(price): its slope is energy less what the best choices use.
    known, best = 0, None
    price = 0
    for _ in range(_HALVINGS):
        bound, used, saved, fits = _relaxed(groups, memory, energy, price, unit)
        if best is None or bound < best[0]:
            best = (bound, price)
        if used <= energy:
            known = max(known, saved if fits else 0)
            high = price
        else:
            low = price
        if high <= low + 1 or (used <= energy and price == 0):
            break
        price = (low + high) // 2
    assert best is not None
    bound, price = best
    if bound == known:
        return known
    # Pairs whose choice matters most first, so that few labels live long.
    order = sorted(groups, key=lambda g: -max(s - price * e for s, e in g[1]) / g[0] if g[0] else 0)
    return _labels(order, memory, energy, price, unit, known)


def _tables(groups: list[Group], levels: int, price: int, unit: int) -> list[list[int]]:
    """rows[i][m]: most that groups i.. save, energy paid, within m units of memory."""
    rows = [[0] * (levels + 1)]
    for size, items in reversed(groups):
        after, w = rows[-1], size // unit
        net = max(0, max(s - price * e for s, e in items))
        row = after[:w] + [
            max(a, net + b) for a, b in zip(after[w:], after[: levels + 1 - w], strict=True)
        ]
        rows.append(row)
    return rows[::-1]


def _relaxed(
    groups: list[Group], memory: int, energy: int, price: int, unit: int
) -> tuple[int, int, int, bool]:
    """D(price), and of its choices: energy used, saving, whether they fit memory exactly."""
    levels = memory // unit
    rows = _tables(groups, levels, price, unit)
    room, used, saved, taken = levels, 0, 0, 0
    for i, (size, items) in enumerate(groups):
        w = size // unit
        net, spent, saving = max((s - price * e, -e, s) for s, e in items)
        if net > 0 and w <= room and net + rows[i + 1][room - w] > rows[i + 1][room]:
            room -= w
            used -= spent
            saved += saving
            taken += size
    return rows[0][levels] + price * energy, used, saved, taken <= memory


def _labels(
    groups: list[Group], memory: int, energy: int, price: int, unit: int, known: int
) -> int:
    rows = _tables(groups, memory // unit, price, unit)
    labels = {(memory, energy): 0}
    for i, (size, items) in enumerate(groups):
        ahead = rows[i + 1]
        grown: dict[tuple[int, int], int] = {}
        ways = [(0, 0, 0), *((size, e, s) for s, e in items)]
        for (room, power), value in labels.items():
            for need, spent, saving in ways:
                left, rest = room - need, power - spent
                if left < 0 or rest < 0:
                    continue
                total = value + saving
                if total + price * rest + ahead[left // unit] <= known:
                    continue
                key = (left, rest)
                if total > grown.get(key, -1):
                    grown[key] = total
        labels = grown
    return max([known, *labels.values()])
