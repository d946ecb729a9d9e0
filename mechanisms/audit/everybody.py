"""Best responses of all traders of a large market, group by group.

What a trader can get by each report (its menu) depends on the others' reports, not on its own true
one. Under a rule whose outcome is decided at a grid, or near the margin of trade, traders have the
same others where it matters if they stop at the same level, have the same report, or are all far
from the margin on the same side of it; only their places in the order that breaks ties differ.
Being earlier in that order never turns a win into a loss and moves no price but at one place. So a
group whose first and last member have one menu all have it, and one whose ends differ is halved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanisms.audit.asking import Asked
from mechanisms.audit.candidates import SMALL, candidate_reports, is_exact, windows
from mechanisms.audit.checks import utilities
from mechanisms.audit.deviations import Deviation
from mechanisms.audit.findings import paid, units_of
from mechanisms.audit.sampling import SIDES
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side

IntArray = NDArray[np.int64]


class _Menu(NamedTuple):
    """Units and amount at each report, the amounts times one scale."""

    units: IntArray
    amount: IntArray
    scale: int
    schedule_changed: bool

    def like(self, other: _Menu) -> bool:
        """Whether two traders get the same by the same reports."""
        return np.array_equal(self.units, other.units) and np.array_equal(self.amount, other.amount)


def applies(asked: Asked, market: Market) -> bool:
    """Whether traders of this market can be examined in groups."""
    known = asked.declared
    if known is None or known.priority is None or market.range_is_derived:
        return False
    if not market.unit_demand:
        return False
    large = market.n_buyers + market.n_sellers > SMALL
    return large and is_exact(asked, market) and asked.options.get("ties", "index") == "index"


def best_responses(asked: Asked, market: Market, truthful: Outcome) -> tuple[Deviation, ...]:
    """The best response of every trader, buyers first; as `best_response` finds it one by one."""
    out: list[Deviation] = []
    held = utilities(market, truthful)
    for side, have in zip(SIDES, held, strict=True):
        reports = np.array(candidate_reports(asked, market, truthful, side, 0), dtype=np.int64)
        truth = market.reports(side)
        found: list[Deviation | None] = [None] * len(truth)
        for members, menu in _shared(asked, market, truthful, side, reports):
            sign = 1 if side == "buyer" else -1
            worth = truth[members][:, None] * menu.units[None, :] * menu.scale
            get = sign * (worth - menu.amount[None, :]) / menu.scale
            best = get.argmax(axis=1)
            base = have[members] / truthful.scale
            gains = get[np.arange(len(members)), best] - base
            for i, gain, at in zip(members.tolist(), gains.tolist(), best.tolist(), strict=True):
                report = int(reports[at]) if gain > 0 else int(truth[i])
                tried = len(reports)
                found[i] = Deviation(side, i, report, max(gain, 0.0), menu.schedule_changed, tried)
        out += [deviation for deviation in found if deviation is not None]
    return tuple(out)


def _shared(
    asked: Asked, market: Market, truthful: Outcome, side: Side, reports: IntArray
) -> Iterator[tuple[IntArray, _Menu]]:
    """Traders with one menu, and it."""
    for members in _groups(asked, market, truthful, side):
        parts: list[tuple[IntArray, _Menu | None, _Menu | None]] = [(members, None, None)]
        while parts:
            part, first, last = parts.pop()
            first = first or _menu(asked, market, truthful, side, int(part[0]), reports)
            if len(part) == 1:
                yield part, first
                continue
            last = last or _menu(asked, market, truthful, side, int(part[-1]), reports)
            if first.like(last):
                yield part, first
                continue
            if len(part) == 2:
                yield part[:1], first
                yield part[1:], last
                continue
            middle = len(part) // 2
            parts += [(part[:middle], first, None), (part[middle:], None, last)]


def _groups(asked: Asked, market: Market, truthful: Outcome, side: Side) -> Iterator[IntArray]:
    """Traders whose menus can differ only by their place in the order of ties, in that order."""
    known = asked.declared
    if known is None or known.priority is None:
        raise AssertionError("nothing is declared")
    prices = market.reports(side)
    if known.breakpoints == "grid":
        told = truthful.parameters
        up = 1 if side == "seller" else 0
        key = (prices - told["low"] + up * (told["step"] - 1)) // told["step"]
    else:
        key = _far_apart(market, truthful, side)
    rank = np.empty(len(prices), dtype=np.int64)
    rank[known.priority(market, side, asked.options)] = np.arange(len(prices))
    order = np.lexsort((rank, key))
    cuts = np.flatnonzero(np.diff(key[order])) + 1
    yield from np.split(order, cuts)


def _far_apart(market: Market, truthful: Outcome, side: Side) -> IntArray:
    """Group of each trader: its report where it is near a margin, else between which margins."""
    prices = market.reports(side)
    near = np.unique(np.concatenate(windows(market, truthful)[side]))
    place = np.searchsorted(near, prices)
    equal = np.isin(prices, near)
    # Between two neighbouring reports of one window there is nobody else; what lies between other
    # neighbours is far from every margin.
    return np.where(equal, 2 * place + 1, 2 * place)


def _menu(
    asked: Asked, market: Market, truthful: Outcome, side: Side, trader: int, reports: IntArray
) -> _Menu:
    units = np.empty(len(reports), dtype=np.int64)
    amount = np.empty(len(reports), dtype=np.int64)
    schedule, changed, scale = truthful.parameters.get("schedule"), False, truthful.scale
    for n, report in enumerate(reports.tolist()):
        outcome = asked(market.with_report(side, trader, report))
        units[n], amount[n] = units_of(outcome, side, trader), paid(outcome, side, trader)
        changed |= outcome.parameters.get("schedule") != schedule
        scale = outcome.scale
    return _Menu(units, amount, scale, changed)
