"""Equal treatment of equals, and whether the order in which traders are listed decides anything.

A rule is anonymous if listing the traders differently changes nobody's outcome. Ties between equals
have to be broken somehow: where only equals change places (with several units: where nobody's
utility changes) the rule is anonymous *up to ties*. A
rule that draws lots by position (seeded, before anybody reports) is not judged by one order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanisms.audit.asking import Asked, RuleError
from mechanisms.audit.checks import utilities
from mechanisms.audit.findings import Finding, position
from mechanisms.audit.sampling import SIDES
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS

IntArray = NDArray[np.int64]
#: Other orders in which the traders are listed.
ORDERS = ("reversed", "shuffled 0", "shuffled 1")


class Treatment(NamedTuple):
    """How traders are treated that differ in nothing but their place.

    Parameters
    ----------
    equals : bool
        Traders with the same reports have the same utility.
    anonymous : str
        ``yes``, ``up to ties``, ``by lot`` (not judged), or ``no``: the order of listing decides.
    findings : tuple of Finding
    """

    equals: bool
    anonymous: str
    findings: tuple[Finding, ...] = ()


def treatment(asked: Asked, market: Market, outcome: Outcome) -> Treatment:
    """Compare equals, and the outcome with those of the same market in other orders."""
    unequal = _unequal(asked, market, outcome)
    by_lot = asked.declared is not None and asked.declared.by_lot
    if by_lot:
        return Treatment(unequal is None, "by lot")
    anonymous, moved = "yes", None
    for order in ORDERS:
        found = compare(asked, market, outcome, order)
        if found.anonymous == "no":
            anonymous, moved = "no", found.findings[0] if found.findings else None
            break
        if found.anonymous != "yes":
            anonymous = found.anonymous
    findings = [f for f in (unequal, moved) if f is not None and asked.declared is None]
    return Treatment(unequal is None, anonymous, tuple(findings))


def listed(market: Market, order: str) -> tuple[IntArray, IntArray]:
    """The permutations of buyers and sellers that an order stands for."""
    sizes = market.n_buyers, market.n_sellers
    if order == "reversed":
        return np.arange(sizes[0])[::-1], np.arange(sizes[1])[::-1]
    rng = np.random.default_rng(int(order.removeprefix("shuffled ")))
    return rng.permutation(sizes[0]), rng.permutation(sizes[1])


def compare(asked: Asked, market: Market, outcome: Outcome, order: str) -> Treatment:
    """What changes when traders are listed in another order."""
    orders = listed(market, order)
    moved = market.permuted(*orders)
    try:
        other = asked(moved)
    except RuleError as error:
        finding = Finding("error", asked.name, order=order, detail=str(error))
        return Treatment(True, "no", (finding,))
    anonymous = "yes"
    for side, new in zip(SIDES, orders, strict=True):
        back = np.argsort(new)  # where each trader is listed
        units, amount = _held(outcome, side)
        units_then, amount_then = (array[back] for array in _held(other, side))
        amount, amount_then = amount * other.scale, amount_then * outcome.scale
        if np.array_equal(units, units_then) and np.array_equal(amount, amount_then):
            continue
        anonymous = "up to ties"
        groups = _groups(market, side)
        one = np.lexsort((amount, units, groups))
        two = np.lexsort((amount_then, units_then, groups))
        unlike = (units[one] != units_then[two]) | (amount[one] != amount_then[two])
        if unlike.any() and not market.unit_demand and not market.is_graph:
            # Single units tie where whole reports do not: a tie gives nobody another utility.
            unlike &= _differs(market, outcome, moved, other, side, back)[one]
        if unlike.any():
            found = _moved(asked, market, outcome, moved, other, side, back, groups, one[unlike])
            return Treatment(True, "no", (replace(found, order=order),))
    return Treatment(True, anonymous)


def _differs(
    market: Market, outcome: Outcome, moved: Market, other: Outcome, side: Side, back: IntArray
) -> NDArray[np.bool_]:
    """Which traders of a side have another utility in the other order."""
    index = side == "seller"
    before = utilities(market, outcome)[index] * other.scale
    return before != utilities(moved, other)[index][back] * outcome.scale


def _held(outcome: Outcome, side: Side) -> tuple[IntArray, IntArray]:
    if side == "buyer":
        return outcome.buyer_units.astype(np.int64), outcome.payment
    return outcome.seller_units.astype(np.int64), outcome.receipt


def _groups(market: Market, side: Side) -> IntArray:
    """Number of the group of equals that each trader is in."""
    ptr = market.buyer_ptr if side == "buyer" else market.seller_ptr
    edges = [a for a in (market.compatible, market.link_cost) if a is not None]
    if ptr is None and not edges:
        return np.unique(market.reports(side), return_inverse=True)[1]
    count = market.n_buyers if side == "buyer" else market.n_sellers
    seen: dict[bytes, int] = {}
    out = np.empty(count, dtype=np.int64)
    for i in range(count):
        key = market.reports(side)[market.units_of(side, i)].tobytes()
        key += b"".join(
            np.ascontiguousarray(a[i] if side == "buyer" else a[:, i]).tobytes() for a in edges
        )
        out[i] = seen.setdefault(key, len(seen))
    return out


def _moved(
    asked: Asked,
    market: Market,
    outcome: Outcome,
    moved: Market,
    other: Outcome,
    side: Side,
    back: IntArray,
    groups: IntArray,
    suspects: IntArray,
) -> Finding:
    """The trader whom the other order changes most among those whom ties do not explain."""
    index = side == "seller"
    before = utilities(market, outcome)[index] / outcome.scale
    after = utilities(moved, other)[index][back] / other.scale
    inside = np.isin(groups, groups[suspects])
    trader = int(np.argmax(np.where(inside, np.abs(after - before), -1)))
    return Finding(
        "order",
        asked.name,
        gain=float(abs(after[trader] - before[trader])) / HALF_UNITS,
        side=side,
        trader=market.name_of(side, trader),
        index=trader,
        before=position(market, outcome, side, trader),
        after=position(moved, other, side, int(back[trader])),
    )


def _unequal(asked: Asked, market: Market, outcome: Outcome) -> Finding | None:
    """The two equals whose utilities differ most, if any do."""
    worst: tuple[float, Side, int, int] | None = None
    for side, held in zip(SIDES, utilities(market, outcome), strict=True):
        groups = _groups(market, side)
        order = np.lexsort((held, groups))
        sorted_groups = groups[order]
        first = np.flatnonzero(np.diff(sorted_groups, prepend=-1))
        last = np.append(first[1:], len(order)) - 1
        spread = (held[order[last]] - held[order[first]]) / outcome.scale
        at = int(np.argmax(spread))
        if spread[at] > 0 and (worst is None or spread[at] > worst[0]):
            worst = float(spread[at]), side, int(order[last[at]]), int(order[first[at]])
    if worst is None:
        return None
    gain, side, better, worse = worst
    return Finding(
        "unequal",
        asked.name,
        gain=gain / HALF_UNITS,
        side=side,
        trader=market.name_of(side, better),
        index=better,
        other=market.name_of(side, worse),
        before=position(market, outcome, side, better),
        after=position(market, outcome, side, worse),
    )
