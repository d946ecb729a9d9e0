r"""Generalised trade reduction: both sides truthful in a graph market, never a deficit.

After Babaioff, Nisan, Pavlov, "Mechanisms for a spatially distributed market", Games and Economic
Behavior 66 (2009), and Gonen, Gonen, Pavlov, "Generalized trade reduction mechanisms", EC 2007.
Servers are places, a good is shipped at the link cost, and an efficient flow is found. Two servers
belong to one *class* when goods can be rerouted between them and back at no cost, so that every
competitive price vector has the same difference between their prices. A buyer belongs to the class
of its server. Measured at one place of the class, value minus shipping and cost minus shipping are
*net* values v and costs c. In each class:

* *competition from outside*: all seats of the class are sold, and rivals outside (idle seats, or
  users of other classes, goods shipped) cap the price at a net E that no buyer of the class is
  below: everybody trades at E;
* *reduction*: otherwise the seller with the highest net cost c_s is left out with all its seats,
  and the others are sold to the buyers with the highest total value among those they can reach at
  no extra cost. Sellers get c_s, a buyer pays the highest value it keeps from being served.

A seller has one cost and any number of seats, all its own; link costs, compatibility and seats are
public. Exact ties of money are broken by fixed random numbers, drawn before anybody reports.

Why it is truthful, rational and in surplus
-------------------------------------------
Ties broken, the set T of trading buyers and units per seller is unique, and neither classes nor net
differences depend on which optimal flow carries T. Let p be any competitive net price of a class.

*Only a sold-out seller can be inside.* A seller of the class below c_s with an idle seat could take
over a unit of s at no cost: T would not be optimal. So a seller sells all its seats or none. T is
the same at every report at which it sells them all, E and the buyers' values do not involve its
report, and it leaves when its cost passes c_s (reduction) or min(E, lowest v) = E (competition):
winning is monotone, its price the critical one.
*Buyers.* T is the same at every report that keeps i in T. With competition i leaves at E, where it
becomes the lowest of its class and E >= p. In a reduction any one buyer can be replaced by one of
those of s (the class is strongly connected), so the lowest one is never served: falling below E and
being served is impossible. The served buyers are a best basis of a matroid, so winning is monotone,
and the critical value is that of the best buyer who could be served instead.
*Budget.* With competition both sides face E. In a reduction, buyers pay a value of T, at least p,
sellers get a cost of T, at most p.
*Welfare.* With one seat per seller a class of k trades loses at most its worst trade, 1/k of its
welfare. With several seats no bound is claimed.

What it gives up: a class whose seats belong to one seller trades only under competition from
outside, and where link costs differ generically every class is of that kind.
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mechanisms.outcome import Outcome, rule, seated
from mecopt.market.instance import Market

IntArray = NDArray[np.int64]
_NAME = "generalised-trade-reduction"
_FAR = 2**61  # no way between two servers


class _Scene(NamedTuple):
    """Reports with ties broken (money shifted left, a fixed random number below), and the flow."""

    value: IntArray
    cost: IntArray
    link: IntArray
    allowed: NDArray[np.bool_]
    seats: IntArray
    server: IntArray
    idle: NDArray[np.bool_]
    distance: IntArray  # of shipping from one server to another by rerouting


@rule
def run(market: Market) -> Outcome:
    """Clear a market class by class.

    Returns
    -------
    Outcome
        `server`, `server_price` (what a seat is paid) and, in `parameters`, ``classes``: trades
        and welfare (half minor units) of each class in the efficient flow, and whether it was
        reduced.

    Raises
    ------
    ValueError
        Buyers with several units, sellers with uneven seats, memory limits.
    """
    if market.memory is not None:
        raise ValueError(f"{_NAME}: the market has memory limits")
    if (market.wanted != 1).any():
        raise ValueError(f"{_NAME}: is a rule for buyers with unit demand")
    scene, bits = _efficient(market)
    server = np.full(market.n_buyers, -1, dtype=np.int64)
    buyer_price = np.zeros(market.n_sellers, dtype=np.int64)
    seller_price = market.reserve.copy()
    classes = []
    for members in _classes(scene):
        reduced = _clear(scene, members, bits, server, buyer_price, seller_price)
        inside = np.flatnonzero(np.isin(scene.server, members))
        welfare = int(market.surplus[inside, scene.server[inside]].sum())
        classes.append((len(inside), welfare, reduced))
    told = {"classes": tuple(classes)}
    return seated(_NAME, market, server, buyer_price, seller_price, parameters=told)


def _efficient(market: Market) -> tuple[_Scene, int]:
    """The efficient flow with ties broken, and the number of bits below the money."""
    n, m = market.n_buyers, market.n_sellers
    link = np.zeros((n, m), np.int64) if market.link_cost is None else market.link_cost
    allowed = np.ones((n, m), np.bool_) if market.compatible is None else market.compatible
    largest = max(market.price_range[1], int(link.max(initial=0)), 1)
    bits = 60 - (2 * (m + 2) * largest).bit_length()
    # Above the sellers' numbers: a pair without surplus trades.
    up = np.random.default_rng(0).integers(2 ** (bits - 1), 2**bits, n)
    down = np.random.default_rng(1).integers(0, 2 ** (bits - 1), m)
    value, cost = (market.values << bits) + up, (market.reserve << bits) + down
    link = link << bits
    if market.is_graph:
        server = assign(value[:, None] - link - cost, allowed, market.seats)
        distance = reroute(link, allowed, server)
    else:
        server = _best_pairs(value, cost, market.seats)
        distance = np.where(np.isin(np.arange(m), server), 0, _FAR) * (
            1 - np.eye(m, dtype=np.int64)
        )
    idle = np.bincount(server[server >= 0], minlength=m) < market.seats
    return _Scene(value, cost, link, allowed, market.seats, server, idle, distance), bits


def _best_pairs(value: IntArray, cost: IntArray, seats: IntArray) -> IntArray:
    """The efficient flow of one good, where everybody reaches everybody: by sorting."""
    order = np.argsort(cost)
    seat = np.repeat(order, seats[order])
    buyer = np.argsort(-value)[: len(seat)]
    seat = seat[: len(buyer)]
    trading = value[buyer] > cost[seat]
    server = np.full(len(value), -1, dtype=np.int64)
    server[buyer[trading]] = seat[trading]
    return server


def _classes(scene: _Scene) -> list[IntArray]:
    """The classes of a scene: for each, the servers in it that sell."""
    d = scene.distance
    linked = (d < _FAR) & (d.T < _FAR) & (d + np.where(d.T < _FAR, d.T, 0) == 0)
    sells = np.isin(np.arange(len(d)), scene.server)
    leader = np.where(sells, linked.argmax(axis=1), -1)
    return [np.flatnonzero(leader == first) for first in np.unique(leader[sells])]


def _clear(
    scene: _Scene,
    members: IntArray,
    bits: int,
    server: IntArray,
    buyer_price: IntArray,
    seller_price: IntArray,
) -> bool:
    """Trade one class (fills the last three arrays); True if it was reduced."""
    offset = scene.distance[members[0], members]  # price of each member over that of the first
    buyers = np.flatnonzero(np.isin(scene.server, members))
    at = scene.server[buyers]
    place = scene.link[buyers, at] + offset[np.searchsorted(members, at)]
    net_value = scene.value[buyers] - place
    net_cost = scene.cost[members] - offset
    cap = _outside_cap(scene, members)
    if not scene.idle[members].any() and cap is not None and cap <= int(net_value.min()):
        server[buyers] = at
        buyer_price[members] = seller_price[members] = (cap + offset) >> bits
        return False
    out = int(net_cost.argmax())
    kept = np.delete(np.arange(len(members)), out)
    if len(kept) == 0:
        return True
    # Whom a kept server reaches at no extra cost.
    reaches = scene.allowed[np.ix_(buyers, members[kept])]
    reaches &= scene.link[np.ix_(buyers, members[kept])] + offset[kept] == place[:, None]
    order = np.argsort(-net_value)
    chosen, threshold = best_basis(reaches, scene.seats[members[kept]], order, net_value)
    served = chosen >= 0
    server[buyers[served]] = members[kept][chosen[served]]
    buyer_price[members[kept]] = (threshold + offset[kept]) >> bits
    seller_price[members[kept]] = (net_cost[out] + offset[kept]) >> bits
    return True


def _outside_cap(scene: _Scene, members: IntArray) -> int | None:
    """Most a good can cost at the first member because of traders outside the class."""
    way = scene.distance[:, members[0]]
    outside = way < _FAR
    outside[members] = False
    caps = (scene.cost + way)[outside & scene.idle].tolist()
    for j in np.flatnonzero(outside & np.isin(np.arange(len(way)), scene.server)):
        users = scene.server == j
        caps.append(int((scene.value[users] - scene.link[users, j]).min()) + int(way[j]))
    return min(caps, default=None)


@njit(cache=True)
def assign(surplus, allowed, seats):
    """Most total surplus: buyers enter one by one, each by the best chain of moves it can start."""
    n, m = surplus.shape
    server = np.full(n, -1, dtype=np.int64)
    free = seats.copy()
    nowhere = np.int64(-(2**61))
    for i in range(n):
        # What the best holder of a server gains by moving to another one, or by leaving (m).
        move = np.full((m, m + 1), nowhere)
        mover = np.full((m, m + 1), -1)
        for k in range(n):
            j = server[k]
            if j < 0:
                continue
            for target in range(m + 1):
                if target == j or (target < m and not allowed[k, target]):
                    continue
                gain = -surplus[k, j]
                if target < m:
                    gain += surplus[k, target]
                if gain > move[j, target]:
                    move[j, target] = gain
                    mover[j, target] = k
        reach = np.full(m + 1, nowhere)
        before = np.full(m + 1, -1)
        for j in range(m):
            if allowed[i, j] and seats[j] > 0:
                reach[j] = surplus[i, j]
        changed = True
        while changed:
            changed = False
            for j in range(m):
                for target in range(m + 1):
                    if reach[j] == nowhere or mover[j, target] < 0:
                        continue
                    if target < m and seats[target] == 0:
                        continue
                    if reach[j] + move[j, target] > reach[target]:
                        reach[target] = reach[j] + move[j, target]
                        before[target] = j
                        changed = changed or target < m
        best, end = reach[m], m
        for j in range(m):
            if free[j] > 0 and reach[j] > best:
                best, end = reach[j], j
        if best <= 0:
            continue
        if end < m:
            free[end] -= 1
        while before[end] >= 0:
            j = before[end]
            server[mover[j, end]] = end if end < m else -1
            end = j
        server[i] = end
    return server


@njit(cache=True)
def reroute(link, allowed, server):
    """(J, J) least cost of bringing a good from one server to where another one's goods are."""
    n, m = link.shape
    distance = np.full((m, m), np.int64(_FAR))
    for j in range(m):
        distance[j, j] = 0
    for i in range(n):
        at = server[i]
        if at < 0:
            continue
        for j in range(m):
            if allowed[i, j]:
                distance[j, at] = min(distance[j, at], link[i, j] - link[i, at])
    for via in range(m):
        for j in range(m):
            if distance[j, via] == _FAR:
                continue
            for to in range(m):
                if distance[via, to] < _FAR:
                    way = distance[j, via] + distance[via, to]
                    distance[j, to] = min(distance[j, to], way)
    return distance


@njit(cache=True)
def best_basis(reaches, seats, order, value):
    """Serve the most valuable set of buyers; the best value kept out of each server.

    Greedy in falling value: a buyer is served if a chain of moves frees a seat for it. The servers
    its chains lead to are otherwise full with buyers worth more, for whom it sets the price.
    """
    n, m = reaches.shape
    chosen = np.full(n, -1, dtype=np.int64)
    free = seats.copy()
    rejected = np.zeros(n, dtype=np.bool_)
    threshold = np.full(m, np.int64(-_FAR))
    for i in order:
        found, before, mover = _chains(reaches, chosen, i)
        end = -1
        for j in range(m):
            if found[j] and free[j] > 0:
                end = j
                break
        if end < 0:
            rejected[i] = True
            continue
        free[end] -= 1
        while before[end] >= 0:
            chosen[mover[end]] = end
            end = before[end]
        chosen[i] = end
    for i in order:
        if rejected[i]:
            found, _, _ = _chains(reaches, chosen, i)
            for j in range(m):
                if found[j] and threshold[j] == -_FAR:
                    threshold[j] = value[i]
    return chosen, threshold


@njit(cache=True)
def _chains(reaches, chosen, i):
    """Servers where a buyer could sit if holders moved on: found, from which server, who moves."""
    n, m = reaches.shape
    found = reaches[i].copy()
    before = np.full(m, -1)
    mover = np.full(m, -1)
    changed = True
    while changed:
        changed = False
        for k in range(n):
            if chosen[k] < 0 or not found[chosen[k]]:
                continue
            for j in range(m):
                if reaches[k, j] and not found[j]:
                    found[j] = True
                    before[j] = chosen[k]
                    mover[j] = k
                    changed = True
    return found, before, mover
