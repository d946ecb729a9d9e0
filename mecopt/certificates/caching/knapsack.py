"""Least cost of one slot: one choice per pair within memory and energy, in integers.

The saving of a choice is what it costs less than "off". With a price y on energy what is left is a
knapsack in memory, and a table over memory levels (rounded so that the bound holds) gives D(y),
which no choice of the slot exceeds. The most that is saved is found by labels (memory left, energy
left) -> saving, carried from pair to pair, the most decided first. A label is dropped when even the
table of the pairs to come does not bring it above what is claimed; when none is left, nothing
saves more than the claim. When there are more than `LABELS` labels the answer is D(y), which is
valid and weaker, as in the solver.

A `Hint` says where to look: a price and the claim. Any hint gives a valid answer. Without one the
price of least D is searched for, and the claim is what the choices at that price save.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

from mecopt.certificates.budget import Budget
from mecopt.certificates.scales import FINE

#: (saving, energy used)
Item = tuple[int, int]
#: (memory, its items)
Group = tuple[int, list[Item]]

_LEVELS = 256
_HALVINGS = 60
#: Most labels of a search. The solver stops at half as many (`formulations.caching.slots.LABELS`),
#: so that what it finds is found here.
LABELS = 1 << 18


class Hint(NamedTuple):
    """Price of a unit of energy, in 1 / (FINE RATIO) units of price, and the least cost claimed."""

    price: int
    least: int


def cheapest(
    pairs: Sequence[tuple[int, int, Sequence[int]]],
    memory: int,
    energy: int,
    budget: Budget,
    hint: Hint | None = None,
) -> int:
    """Least cost of a slot, or a lower bound of it when labels run out.

    Parameters
    ----------
    pairs : sequence of (memory, energy per request, costs)
        Costs of the choices: off, resident with 0, 1, ... requests served.
    memory, energy : int
        What the server has.
    budget : Budget
    hint : Hint, optional
    """
    base, groups = 0, []
    for size, each, costs in pairs:
        base += costs[0]
        budget.spend(len(costs))
        items: list[Item] = []
        for served, cost in enumerate(costs[1:]):
            saving = costs[0] - cost
            if saving > (items[-1][0] if items else 0) and served * each <= energy:
                items.append((saving, served * each))
        if items and size <= memory:
            groups.append((size, items))
    if not groups:
        return base
    slot = _Slot(groups, memory, energy, budget)
    return base - slot.most_saved(None if hint is None else (hint.price, base - hint.least))


class _Slot:
    """Pairs that save something, the memory levels of their tables, and the tables at a price.

    Savings count FINE-fold, so that prices of energy have room below them.
    """

    def __init__(self, groups: list[Group], memory: int, energy: int, budget: Budget) -> None:
        self.groups = [(size, [(s * FINE, e) for s, e in items]) for size, items in groups]
        self.memory, self.energy, self.budget = memory, energy, budget
        self.unit = max(gcd(*(size for size, _ in groups)), -(-memory // _LEVELS), 1)
        self.levels = memory // self.unit
        self.n_items = sum(len(items) for _, items in groups)

    def most_saved(self, hint: tuple[int, int] | None) -> int:
        """The most the choices of the slot save, or D at the price when labels run out."""
        if hint is None:
            price, known = self._best_price()
        else:
            price, known = hint[0], max(hint[1], 0) * FINE
        net = [max(0, *(s - price * e for s, e in items)) for _, items in self.groups]
        bound = self._table(self.groups, net)[0][self.levels] + price * self.energy
        found = self._search(price, bound, known, net) if bound > known else None
        return (bound if found is None else found) // FINE

    def _table(self, groups: list[Group], net: list[int]) -> list[list[int]]:
        """rows[i][m]: most that groups i.. save, energy paid, within m levels of memory."""
        rows = [[0] * (self.levels + 1)]
        for (size, _), gain in zip(reversed(groups), reversed(net), strict=True):
            after, w = rows[-1], size // self.unit
            self.budget.spend(len(after) >> 3)
            rows.append(
                after[:w]
                + [
                    a if a > b + gain else b + gain
                    for a, b in zip(after[w:], after[: self.levels + 1 - w], strict=True)
                ]
            )
        return rows[::-1]

    def _best_price(self) -> tuple[int, int]:
        """The price of least D, a convex function whose slope is the energy its choices leave.

        Also the most that choices at some price save which fit.
        """
        low, high = 0, max(s for _, items in self.groups for s, _ in items) + 1
        known, price = 0, 0
        tried: list[tuple[int, int]] = []
        for _ in range(_HALVINGS):
            bound, used, saved = self._relaxed(price)
            tried.append((bound, price))
            if used <= self.energy:
                known = max(known, saved)
                high = price
            else:
                low = price
            if high <= low + 1 or (used <= self.energy and price == 0):
                break
            price = (low + high) // 2
        return min(tried)[1], known

    def _relaxed(self, price: int) -> tuple[int, int, int]:
        """D(price), energy of its choices, and their saving (0 if they exceed the memory)."""
        self.budget.spend(self.n_items)
        best = [max((s - price * e, -e, s) for s, e in items) for _, items in self.groups]
        rows = self._table(self.groups, [max(0, net) for net, _, _ in best])
        room, used, saved, taken = self.levels, 0, 0, 0
        for i, ((size, _), (net, spent, saving)) in enumerate(zip(self.groups, best, strict=True)):
            w = size // self.unit
            if net > 0 and w <= room and net + rows[i + 1][room - w] > rows[i + 1][room]:
                room -= w
                used -= spent
                saved += saving
                taken += size
        return rows[0][self.levels] + price * self.energy, used, saved * (taken <= self.memory)

    def _search(self, price: int, bound: int, known: int, net: list[int]) -> int | None:
        """The most that is saved, `known` if nothing is above it, None when labels run out."""
        groups, may_be_off = self._left(price, bound, known, net)
        tops = [max(0, *(s - price * e for s, e in items)) for _, items in groups]
        rows = self._table(groups, tops)
        labels = {(self.memory, self.energy): 0}
        made = 0
        for i, (size, items) in enumerate(groups):
            ahead, unit, spend = rows[i + 1], self.unit, self.budget.spend
            ways = [(0, 0, 0)] if may_be_off[i] else []
            ways += [(size, e, s) for s, e in items]
            grown: dict[tuple[int, int], int] = {}
            for (room, power), value in labels.items():
                spend(len(ways))
                for need, spent, saving in ways:
                    space, rest = room - need, power - spent
                    if space < 0 or rest < 0:
                        continue
                    total = value + saving
                    if total + price * rest + ahead[space // unit] <= known:
                        continue
                    key = (space, rest)
                    if total > grown.get(key, -1):
                        grown[key] = total
                if made + len(grown) > LABELS:
                    return None
            made += len(grown)
            labels = grown
        return max([known, *labels.values()])

    def _left(
        self, price: int, bound: int, known: int, net: list[int]
    ) -> tuple[list[Group], list[bool]]:
        """Pairs with the choices that may save more than `known`, the most decided pair first.

        Also whether a pair may be off. What the table of all other pairs does not bring above
        `known` is left out.
        """
        groups, levels = self.groups, self.levels
        behind = self._table(groups, net)
        ahead = self._table(groups[::-1], net[::-1])[::-1]
        paid = price * self.energy
        left = []
        for i, (size, items) in enumerate(groups):
            before, after, w = ahead[i], behind[i + 1][::-1], size // self.unit
            self.budget.spend((levels >> 2) + len(items))
            without = max(map(int.__add__, before, after)) + paid
            beside = max(map(int.__add__, before, after[w:])) + paid
            kept = [(s, e) for s, e in items if s - price * e + beside > known]
            if kept:
                regret = max(bound - without, bound - beside - net[i])
                left.append((-regret, i, (size, kept), without > known))
        left.sort(key=lambda entry: entry[:2])
        return [group for _, _, group, _ in left], [off for _, _, _, off in left]
