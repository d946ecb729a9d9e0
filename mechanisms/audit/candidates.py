"""Reports worth trying, and for which rules they contain a best response.

The mechanism is a black box ``market -> outcome``. What makes a *finite* search exact is declared
rule by rule (`mechanisms.rules.Declaration`):

* on a fixed grid an outcome depends on a report only through its level, so the grid's prices are
  all there is to try;
* a sealed one-good rule decides by comparing a report with the others, with fixed thresholds, and
  with at most one price computed from the others between two neighbouring reports (McAfee's
  midpoint); its prices are constant or monotone in a report in between. So every other report,
  each threshold, each one minor unit up and down, and the ends of the range contain a best
  response. (A percentage grid misses the threshold bid, and reports "truthful".)
* In a large one-good market, reports away from the margin of trade only change the ranking of those
  who trade anyway or not at all: the other reports within a few ranks of the margin are enough.

With several units the same prices are asked for units (`mechanisms.audit.unit_reports`). Elsewhere
(graphs, functions of somebody's own) a best response may lie anywhere: the
largest gain found among the reports tried is a lower bound on the regret. The reports tried are
then those of the sealed rules, prices spread over the range, and the trader's own report one minor
unit up and down.

A price range that nobody gave covers the reports, so a report can move it. It is derived again for
every deviation, and the reports that move it are tried for every range within reach.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mechanisms.audit.asking import Asked
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS, MINOR, round_range

IntArray = NDArray[np.int64]
#: Ranks on each side of the margin whose reports are tried in a large market.
WINDOW = 3
#: Up to this many traders every other report is tried (for MUDA: every midpoint of two).
SMALL = 16
#: Prices spread over the range that are tried where nothing is known of a rule.
SPREAD = 41
#: Ranges above the present one that a report may reach.
RANGES_ABOVE = 2


def is_exact(asked: Asked, market: Market) -> bool:
    """Whether `candidate_reports` contains a best response of every trader."""
    known = asked.declared
    if known is None or market.is_graph:
        return False
    if market.range_is_derived and known.uses_range:
        return False
    small = market.n_buyers + market.n_sellers <= SMALL
    if not market.unit_demand:
        return known.menu_of_units and small
    return known.breakpoints in ("grid", "reports") or (known.breakpoints == "midpoints" and small)


def candidate_reports(
    asked: Asked, market: Market, outcome: Outcome, side: Side, trader: int
) -> list[int]:
    """Reports (half minor units) worth trying for one trader, or for nobody's extra one (-1)."""
    if not market.range_is_derived or (asked.declared and not asked.declared.uses_range):
        return _inside(asked, market, outcome, side, trader)
    reports: set[int] = set()
    below = -MINOR
    for top in _tops(market, side, trader):
        extra = trader < 0
        moved = market.with_extra(side, top) if extra else market.with_report(side, trader, top)
        last = (moved.n_buyers if side == "buyer" else moved.n_sellers) - 1
        tried = _inside(asked, moved, asked(moved), side, last if extra else trader)
        reports |= {r for r in (*tried, below + MINOR, top) if below < r <= top}
        below = top
    return sorted(reports)


def _tops(market: Market, side: Side, trader: int) -> list[int]:
    """Tops of the ranges that the reports can have when one trader changes its own."""
    others = max(int(a.max(initial=0)) for a in _others(market, side, trader))
    tops = [round_range(others)[1]]
    above = 0
    while above < RANGES_ABOVE:
        tops.append(round_range(tops[-1] + MINOR)[1])
        above += tops[-1] > market.price_range[1]
    return tops


def _inside(asked: Asked, market: Market, outcome: Outcome, side: Side, trader: int) -> list[int]:
    """Candidates inside the price range that a market has."""
    low, high = market.price_range
    told, known = outcome.parameters, asked.declared
    if known is not None and known.breakpoints == "grid":
        level = np.arange(told["ticks"] + 1)
        prices = told["low"] + level * told["step"]
        inside = max(low, told["low"]), min(high, told["low"] + told["ticks"] * told["step"])
        return np.unique(np.clip(prices, *inside)).tolist()
    small = market.n_buyers + market.n_sellers <= SMALL
    if market.is_graph:
        reports = _graph_reports(market, outcome)
    elif small:
        reports = np.concatenate([*_others(market, side, trader), [low, high]])
        if known is not None and known.breakpoints == "midpoints" and market.unit_demand:
            reports = np.unique((reports[:, None] + reports[None, :]) // 2 // MINOR * MINOR)
    else:
        by_side = windows(market, outcome)
        reports = np.concatenate(by_side["buyer"] + by_side["seller"])
    thresholds = [int(told["threshold"])] if _has_threshold(told) else []
    base = np.concatenate([reports, thresholds]).astype(np.int64)
    if known is None:
        own = market.reports(side)[market.units_of(side, trader)] if trader >= 0 else base[:0]
        base = np.concatenate([base, own, _spread(low, high)])
    near = np.concatenate([base, base - MINOR, base + MINOR, [low, high]])
    return np.unique(near[(near >= low) & (near <= high)]).tolist()


def _has_threshold(told: object) -> bool:
    threshold = told.get("threshold") if isinstance(told, dict) else None
    return isinstance(threshold, int | np.integer) and not isinstance(threshold, bool)


def _spread(low: int, high: int) -> IntArray:
    return np.linspace(low, high, SPREAD).astype(np.int64) // MINOR * MINOR


def _others(market: Market, side: Side, trader: int) -> tuple[IntArray, IntArray]:
    """Values and costs without those of one trader (of nobody where it is -1)."""
    values, costs = market.values, market.costs
    if trader < 0:
        return values, costs
    own = market.units_of(side, trader)
    return (np.delete(values, own), costs) if side == "buyer" else (values, np.delete(costs, own))


def _graph_reports(market: Market, outcome: Outcome) -> IntArray:
    """Reports worth trying where thresholds are sums and differences of reports and link costs.

    Small graphs: values, costs, and where a buyer would change its mind. Large ones: twenty prices
    over the range and every server's price.
    """
    if market.n_buyers * market.n_sellers > 64:
        prices = np.linspace(*market.price_range, 21).astype(np.int64) // MINOR * MINOR
        extra = outcome.server_price if outcome.server_price is not None else market.reserve
        return np.concatenate([prices, extra // MINOR * MINOR])
    reports = [market.values, market.costs]
    if market.link_cost is not None:
        reports.append((market.values[:, None] - market.link_cost).ravel())
        reports.append((market.link_cost + market.reserve).ravel())
    return np.concatenate(reports)


@lru_cache(maxsize=2)
def windows(market: Market, outcome: Outcome) -> dict[Side, list[IntArray]]:
    """Reports within a few ranks of each margin of trade (and of each threshold), by side."""
    value, cost = np.sort(market.values)[::-1], np.sort(market.costs)
    n = min(len(value), len(cost))
    margins = {int(np.count_nonzero(value[:n] >= cost[:n])), outcome.trades}
    if _has_threshold(outcome.parameters):
        r = outcome.parameters["threshold"]
        margins |= {int(np.count_nonzero(value >= r)), int(np.count_nonzero(cost <= r))}
    near = [slice(max(rank - 1 - WINDOW, 0), rank + WINDOW + 1) for rank in margins]
    return {"buyer": [value[part] for part in near], "seller": [cost[part] for part in near]}


def fewer(
    asked: Asked, market: Market, outcome: Outcome, side: Side, trader: int, most: int
) -> list[int]:
    """At most so many candidates; of a rule that is not declared also as many that are spread.

    So the prices at which others' reports are met keep their places beside those spread over the
    range.
    """
    reports = candidate_reports(asked, market, outcome, side, trader)
    if asked.declared is not None or market.is_graph:
        return some(reports, most)
    spread = _spread(*market.price_range)
    anywhere = {int(r) for r in np.concatenate([spread - MINOR, spread, spread + MINOR])}
    critical = [r for r in reports if r not in anywhere]
    return sorted({*some(critical, most), *some([r for r in reports if r in anywhere], most)})


def some(values: list[int], most: int) -> list[int]:
    """At most so many of some values, evenly spread, with the first and the last."""
    if len(values) <= most:
        return values
    at = np.unique(np.linspace(0, len(values) - 1, most).round().astype(int))
    return [values[i] for i in at]


def in_money(reports: IntArray) -> tuple[float, ...]:
    """Reports as money, for people and files (exact: they lie on a grid of 1e-6)."""
    return tuple((np.asarray(reports) / HALF_UNITS).tolist())
