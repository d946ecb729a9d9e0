"""Exact replay and exact Lagrangian value of a caching instance, in integers.

Costs are multiples of 2^-30 (the instance's own grid), prices of links and couplings multiples of
2^-20. For given prices the instance falls apart into pairs and slots, and

    sum over pairs of the cheapest plan (cost + prices of its choices)
    + sum over servers and slots of the cheapest choices within memory and energy (at minus prices)
    - what couples servers, priced at its capacity

is at most the cost of every schedule. A *choice* of a pair in a slot is "off", or resident with
x = 0, 1, ... requests served, as many as memory, energy and requests within reach allow.

Where servers are not coupled, what a server adds to the sum may come from a tree instead: every
schedule has a pair resident in a slot or not, so the lesser of the two values, each with plans that
keep to it and prices of its own, bounds all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mecopt.caching import Backhaul, CachingInstance, Forwarding
from mecopt.caching.instance import LEAST_WARMTH
from mecopt.certificates.budget import Budget
from mecopt.certificates.caching.knapsack import Hint, cheapest
from mecopt.certificates.scales import COST_SCALE, RATIO


def whole(cost: float) -> int:
    """A cost of the instance in integer units (it is on the grid)."""
    return round(cost * COST_SCALE)


#: Whether a pair is resident in a slot, where that is settled.
Fixed = Mapping[tuple[int, int], bool]
#: Prices of a server: by pair, slot and choice.
Links = Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Branch:
    """A pair is off in a slot (node `off`) or resident (node `on`); both come later in the list."""

    pair: int
    slot: int
    off: int
    on: int


@dataclass(frozen=True)
class Leaf:
    """Prices of a server, and where to look for the least cost of its slots (empty: nowhere)."""

    links: Links
    hints: Sequence[Hint] = ()


@dataclass(frozen=True)
class Prices:
    """Prices on the grid: those of every server, coupling rows as in the proof.

    Nodes of a server's tree, the root first, are branches or leaves: prices of that server.
    """

    servers: Sequence[Leaf]
    coupling: Sequence[int]
    trees: Mapping[int, Sequence[Branch | Leaf]] = field(default_factory=dict)


def accuracy_of(x: CachingInstance, p: int) -> Callable[[int], int]:
    """Accuracy cost of one request of a pair by age, in integer units.

    As `CachingInstance.accuracy_cost` has it, which holds every age of every pair up to the largest
    age: too much for an instance from anybody.
    """
    weight, beta = float(x.accuracy_weight), float(x.log_inverse_beta[p])
    inaccuracy = float(x.inaccuracy[p])
    known: dict[int, int] = {}

    def cost(kappa: int) -> int:
        if kappa not in known:
            known[kappa] = whole(weight * inaccuracy / max(LEAST_WARMTH, kappa * beta))
        return known[kappa]

    return cost


class Reach:
    """Which cells' requests a pair on a server may serve, and at what extra cost."""

    def __init__(self, instance: CachingInstance) -> None:
        x = self.instance = instance
        self.requests = x.requests.tolist()
        self.is_forwarding = isinstance(x.coupling, Forwarding)
        self.hop = (
            [whole(float(h)) for h in x.coupling.hop_cost]
            if isinstance(x.coupling, Forwarding)
            else None
        )

    def cells(self, n: int) -> list[int]:
        """Cells within reach of server n, its own first."""
        if not self.is_forwarding:
            return [n]
        return [n] + [m for m in (n - 1, n + 1) if 0 <= m < self.instance.n_servers]

    def most(self, n: int, p: int, t: int) -> int:
        """Most requests served; -1 when the pair does not fit the server."""
        x = self.instance
        if x.memory_mb[p] > x.capacity_mb[n]:
            return -1
        number = sum(self.requests[m][p][t] for m in self.cells(n))
        each = int(x.energy_10j[p])
        return min(number, int(x.energy_budget_10j[n]) // each) if each else number


def exact_cost(instance: CachingInstance, a: list, flow: list, budget: Budget) -> int | str:
    """Cost of a decision in integer units, or the constraint that it breaks.

    a[n][p][t] is 0 or 1; flow[n][j][p][t] are served at n and born at n + j - 1.
    """
    x = instance
    requests, kept = x.requests.tolist(), x.requests.tolist()
    accuracy = [accuracy_of(x, p) for p in range(x.n_pairs)]
    total = 0
    for n in range(x.n_servers):
        for t in range(x.n_slots):
            budget.spend(10 * x.n_pairs)
            memory = sum(int(x.memory_mb[p]) for p in range(x.n_pairs) if a[n][p][t])
            if memory > x.capacity_mb[n]:
                return f"memory of {x.server_names[n]} in slot {t} is {memory} MB"
            served = [sum(flow[n][j][p][t] for j in range(3)) for p in range(x.n_pairs)]
            energy = sum(int(x.energy_10j[p]) * served[p] for p in range(x.n_pairs))
            if energy > x.energy_budget_10j[n]:
                return f"energy of {x.server_names[n]} in slot {t} is {energy} x 10 J"
        for p in range(x.n_pairs):
            kappa, before = 0, 0
            serve = whole(float(x.edge_cost[p])) + whole(float(x.compute_cost[p]))
            for t in range(x.n_slots):
                for j in range(3):
                    amount, m = flow[n][j][p][t], n + j - 1
                    if amount < 0 or (amount and not 0 <= m < x.n_servers):
                        return f"flow[{n}][{j}][{p}][{t}] = {amount}"
                    if amount and j != 1:
                        if not isinstance(x.coupling, Forwarding):
                            return f"flow[{n}][{j}][{p}][{t}] needs a forwarding coupling"
                        total += amount * whole(float(x.coupling.hop_cost[p]))
                    if amount:
                        kept[m][p][t] -= amount
                served = sum(flow[n][j][p][t] for j in range(3))
                now = a[n][p][t]
                if now not in (0, 1) or (served and not now):
                    return f"a[{n}][{p}][{t}] = {now} with {served} served"
                if now:
                    total += 0 if before else whole(float(x.switch_cost[p]))
                    kappa += int(x.thoughts[p]) * served - int(x.vanish[p])
                    kappa = min(int(x.kappa_max[p]), max(0, kappa))
                    total += served * (serve + accuracy[p](kappa))
                else:
                    kappa = 0
                before = now
    for t in range(x.n_slots):
        sent = 0
        for n in range(x.n_servers):
            for p in range(x.n_pairs):
                left = kept[n][p][t]
                if left < 0:
                    return f"{requests[n][p][t] - left} of {requests[n][p][t]} requests are served"
                total += left * whole(float(x.cloud_cost[p]))
                if isinstance(x.coupling, Backhaul):
                    sent += left * int(x.coupling.tokens[p])
        if isinstance(x.coupling, Backhaul):
            over = max(0, sent - int(x.coupling.capacity[t]))
            total += over * whole(x.coupling.overflow_cost)
    return total


def exact_bound(instance: CachingInstance, prices: Prices, budget: Budget) -> tuple[int, int]:
    """Lagrangian value in integer units, and the leaves it was worked out from.

    Every server without a tree counts as one leaf.

    Raises
    ------
    ValueError
        If prices are missing, or a coupling's prices are out of range.
    """
    x, reach = instance, Reach(instance)
    total, leaves = -_capacity_value(x, prices.coupling), 0
    if prices.trees and x.coupling is not None:
        raise ValueError("trees of single servers do not bound coupled servers")
    every = sum(
        sum(isinstance(node, Leaf) for node in prices.trees[n]) if n in prices.trees else 1
        for n in range(x.n_servers)
    )
    for n in range(x.n_servers):
        least: Any = math.inf
        for leaf, fixed in leaves_of(x, n, prices):
            budget.spend(x.n_pairs)
            least = min(least, _server_value(x, reach, n, leaf, prices.coupling, fixed, budget))
            leaves += 1
            budget.leaf(leaves, every)
        if math.isinf(least):
            raise ValueError(f"server {n}: the tree leaves no schedule")
        total += int(least)
    return total, leaves


def leaves_of(x: CachingInstance, n: int, prices: Prices) -> Any:
    """Leaves of a server's tree with what is settled there; every schedule keeps to one of them.

    What is settled is one mapping that changes from leaf to leaf.
    """
    if n not in prices.trees:
        yield prices.servers[n], {}
        return
    nodes = prices.trees[n]
    fixed: MutableMapping[tuple[int, int], bool] = {}
    used = {0}
    # Nodes to visit, each with the place it settles; and places to free again on the way back.
    pending: list[tuple[int, tuple[int, int] | None, bool]] = [(0, None, False)]
    while pending:
        i, place, on = pending.pop()
        if i < 0:
            assert place is not None
            del fixed[place]
            continue
        if place is not None:
            if place in fixed:
                if fixed[place] != on:
                    continue  # no schedule is there
            else:
                fixed[place] = on
                pending.append((-1, place, on))
        node = nodes[i]
        if isinstance(node, Leaf):
            yield node, fixed
            continue
        if not (0 <= node.pair < x.n_pairs and 0 <= node.slot < x.n_slots):
            raise ValueError(f"server {n}, node {i}: no pair {node.pair} in slot {node.slot}")
        for child, state in ((node.off, False), (node.on, True)):
            if not i < child < len(nodes):
                raise ValueError(f"server {n}, node {i}: child {child} does not come later")
            if child in used:
                raise ValueError(f"server {n}, node {i}: child {child} is used twice")
            used.add(child)
            pending.append((child, (node.pair, node.slot), state))


def _server_value(
    x: CachingInstance,
    reach: Reach,
    n: int,
    leaf: Leaf,
    coupling: Sequence[int],
    fixed: Fixed,
    budget: Budget,
) -> Any:
    """What a server's pairs and slots add to the bound; infinite when no plan keeps to `fixed`."""
    total: Any = 0
    for p in range(x.n_pairs):
        total += _cheapest_plan(x, reach, n, p, leaf.links[p], coupling, fixed, budget)
    for t in range(x.n_slots):
        items = []
        for p in range(x.n_pairs):
            cost = [-RATIO * price for price in leaf.links[p][t]]
            items.append((int(x.memory_mb[p]), int(x.energy_10j[p]), cost))
        hint = leaf.hints[t] if leaf.hints else None
        total += cheapest(items, int(x.capacity_mb[n]), int(x.energy_budget_10j[n]), budget, hint)
    return total


def _capacity_value(x: CachingInstance, prices: Sequence[int]) -> int:
    """What couples servers, priced at its capacity."""
    if x.coupling is None:
        if prices:
            raise ValueError("coupling prices without a coupling")
        return 0
    if any(price < 0 for price in prices):
        raise ValueError(f"coupling price {min(prices)} is negative")
    if isinstance(x.coupling, Backhaul):
        if len(prices) != x.n_slots:
            raise ValueError(f"{len(prices)} link prices for {x.n_slots} slots")
        if any(price * RATIO > whole(x.coupling.overflow_cost) for price in prices):
            raise ValueError("a link price is above the cost of overflow")
        capacity = x.coupling.capacity.tolist()
    else:
        capacity = x.requests.ravel().tolist()
        if len(prices) != len(capacity):
            raise ValueError(f"{len(prices)} prices for {len(capacity)} cells")
    return RATIO * sum(c * price for c, price in zip(capacity, prices, strict=True))


def choice_costs(
    x: CachingInstance,
    reach: Reach,
    n: int,
    p: int,
    t: int,
    links: Sequence[int],
    coupling: Sequence[int],
) -> list[int]:
    """Priced cost of every choice in a slot, without accuracy and switching."""
    cloud = whole(float(x.cloud_cost[p]))
    serve = whole(float(x.edge_cost[p])) + whole(float(x.compute_cost[p]))
    born, most = reach.requests[n][p][t], reach.most(n, p, t)
    if len(links) != most + 2:
        raise ValueError(f"server {n}, pair {p}, slot {t}: {len(links)} prices, {most + 2} choices")
    token = 0
    if isinstance(x.coupling, Backhaul):
        token = RATIO * coupling[t] * int(x.coupling.tokens[p])
    # Requests within reach, the cheapest first: what one costs more, and how many there are.
    sources = []
    for m in reach.cells(n):
        extra = 0
        if reach.hop is not None:
            extra = RATIO * coupling[(m * x.n_pairs + p) * x.n_slots + t]
            extra += 0 if m == n else reach.hop[p]
        sources.append((extra, reach.requests[m][p][t]))
    idle = born * (cloud + token)
    costs, paid, number = [idle], idle, 0
    for extra, count in sorted(sources):
        # As many as choices ask for, of however many there are.
        for _ in range(min(count, most - number)):
            costs.append(paid)
            paid += extra + serve - cloud - token
            number += 1
    if most >= 0:
        costs.append(paid)
    return [cost + RATIO * price for cost, price in zip(costs, links, strict=True)]


def _cheapest_plan(
    x: CachingInstance,
    reach: Reach,
    n: int,
    p: int,
    links: Sequence[Sequence[int]],
    coupling: Sequence[int],
    fixed: Fixed,
    budget: Budget,
) -> Any:
    """Cheapest path of one pair over (slot, age), forward; infinite if none keeps to `fixed`.

    Accuracy costs never rise with age, so a path that is no dearer than another and no younger may
    do all that the other may, as cheaply: only ages that no such path covers are kept.
    """
    top, thoughts, vanish = int(x.kappa_max[p]), int(x.thoughts[p]), int(x.vanish[p])
    accuracy = accuracy_of(x, p)
    switch = whole(float(x.switch_cost[p]))
    off: Any = 0
    resident: list[tuple[int, Any]] = []  # ages falling, costs falling
    for t in range(x.n_slots):
        costs = choice_costs(x, reach, n, p, t, links[t], coupling)
        least = min(off, resident[-1][1]) if resident else off
        asked = fixed.get((p, t))
        after: dict[int, Any] = {}
        budget.spend(len(costs))
        if asked is not False:
            # Becoming resident now is starting at age 0 for the cost of switching.
            entry = [*resident, (0, off + switch)]
            budget.spend(len(costs) * (len(entry) + 2))
            for served, cost in enumerate(costs[1:]):
                gain = thoughts * served - vanish
                for kappa, paid in entry:
                    to = min(top, max(0, kappa + gain))
                    value = paid + cost + served * accuracy(to)
                    if value < after.get(to, value + 1):
                        after[to] = value
        off = math.inf if asked is True else least + costs[0]
        resident = []
        for kappa in sorted(after, reverse=True):
            if not resident or after[kappa] < resident[-1][1]:
                resident.append((kappa, after[kappa]))
    return min(off, resident[-1][1]) if resident else off
