"""Best responses and false names, found by asking the mechanism again.

The mechanism is a black box ``market -> outcome``. What makes a *finite* search exact:

* on a fixed grid an outcome depends on a report only through its level, so the grid's prices are
  all there is to try;
* a sealed one-good rule decides by comparing a report with the others, with fixed thresholds, and
  with at most one price computed from the others between two neighbouring reports (McAfee's
  midpoint); its prices are constant or monotone in a report in between. So every other report,
  each threshold, each one minor unit up and down, and the ends of the range contain a best
  response. (A percentage grid misses the threshold bid, and reports "truthful".)
* In a large one-good market, reports away from the margin of trade only change the ranking of those
  who trade anyway or not at all: the other reports within a few ranks of the margin are enough.

Elsewhere (graphs, several units) thresholds are sums and differences of reports: the largest gain
found is a lower bound on the regret, unless all reports of a small lattice are enumerated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mechanisms.audit.checks import unit_gains
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS, MINOR

Mechanism = Callable[[Market], Outcome]
IntArray = NDArray[np.int64]
#: Ranks on each side of the margin whose reports are tried in a large market.
WINDOW = 3
#: Up to this many traders every other report is tried (for MUDA: every midpoint of two).
SMALL = 16


@dataclass(frozen=True)
class Deviation:
    """The most profitable report found for one trader; gains in half minor units."""

    side: Side
    trader: int
    report: int
    gain: float
    schedule_changed: bool = False

    def describe(self) -> str:
        """The deviation in one line for people."""
        return (
            f"{self.side} {self.trader} gains {self.gain / HALF_UNITS:.6g} "
            f"by reporting {self.report / HALF_UNITS:.6g}"
        )


def own_utility(truth: Market, outcome: Outcome, side: Side, trader: int) -> float:
    """True utility of one trader in an outcome, half minor units (exact below 2^53)."""
    if truth.unit_demand and outcome.server is None:
        worth = _units(outcome, side, trader) * int(truth.reports(side)[trader])
    else:
        worth = int(unit_gains(truth, outcome)[side == "seller"][trader])
    gain = outcome.scale * worth - _paid(outcome, side, trader)
    return (gain if side == "buyer" else -gain) / outcome.scale


def _units(outcome: Outcome, side: Side, trader: int) -> int:
    """Units that a buyer gets or a seller delivers."""
    return int((outcome.buyer_units if side == "buyer" else outcome.seller_units)[trader])


def _paid(outcome: Outcome, side: Side, trader: int) -> int:
    """Payment of a buyer or receipt of a seller, without writing out everybody's."""
    price = outcome.pays if side == "buyer" else outcome.gets
    if isinstance(price, int):
        return price * _units(outcome, side, trader)
    return int((outcome.payment if side == "buyer" else outcome.receipt)[trader])


def is_exact(market: Market, outcome: Outcome) -> bool:
    """Whether `candidate_reports` contains a best response for every trader."""
    if market.is_graph or not market.unit_demand:
        return False
    small = market.n_buyers + market.n_sellers <= SMALL
    return outcome.mechanism != "muda" or small


def candidate_reports(market: Market, outcome: Outcome, side: Side, trader: int) -> list[int]:
    """Reports (half minor units) worth trying for one trader (module docstring)."""
    low, high = market.price_range
    told = outcome.parameters
    if "ticks" in told:
        level = np.arange(told["ticks"] + 1)
        prices = np.clip(told["low"] + level * told["step"], low, high)
        return np.unique(prices).tolist()
    if market.is_graph:
        reports = _graph_reports(market, outcome)
    elif market.n_buyers + market.n_sellers <= SMALL:
        reports = np.concatenate([*_others(market, side, trader), [low, high]])
        if outcome.mechanism == "muda":  # thresholds are midpoints of the other half's reports
            reports = np.unique((reports[:, None] + reports[None, :]) // 2 // MINOR * MINOR)
    else:
        reports = _near_margin(market, outcome)
    thresholds = [int(told["threshold"])] if "threshold" in told else []
    base = np.concatenate([reports, thresholds]).astype(np.int64)
    near = np.concatenate([base, base - MINOR, base + MINOR, [low, high]])
    return np.unique(near[(near >= low) & (near <= high)]).tolist()


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


def _near_margin(market: Market, outcome: Outcome) -> IntArray:
    value, cost = np.sort(market.values)[::-1], np.sort(market.costs)
    n = min(len(value), len(cost))
    margins = {int(np.count_nonzero(value[:n] >= cost[:n])), outcome.trades}
    if "threshold" in outcome.parameters:
        r = outcome.parameters["threshold"]
        margins |= {int(np.count_nonzero(value >= r)), int(np.count_nonzero(cost <= r))}
    windows = [slice(max(rank - 1 - WINDOW, 0), rank + WINDOW + 1) for rank in margins]
    return np.concatenate([side[window] for side in (value, cost) for window in windows])


def choose_traders(
    market: Market, margin: int, sample: int | None, seed: int
) -> list[tuple[Side, int]]:
    """Traders to examine: all, or the five nearest the margin on each side and a random rest."""
    n, m = market.n_buyers, market.n_sellers
    everybody: list[tuple[Side, int]] = [("buyer", i) for i in range(n)]
    everybody += [("seller", j) for j in range(m)]
    if sample is None or sample >= n + m:
        return everybody
    first_b = _first_prices(market.values, market.buyer_ptr, market.price_range[0])
    first_s = _first_prices(market.costs, market.seller_ptr, market.price_range[1])
    near_b = np.argsort(np.abs(first_b - margin), kind="stable")[:5]
    near_s = np.argsort(np.abs(first_s - margin), kind="stable")[:5]
    nearest = [everybody[int(i)] for i in near_b] + [everybody[n + int(j)] for j in near_s]
    chosen: dict[tuple[Side, int], None] = dict.fromkeys(nearest)
    for i in np.random.default_rng(seed).permutation(n + m):
        if len(chosen) >= sample:
            break
        chosen[everybody[int(i)]] = None
    return list(chosen)


def _first_prices(prices: IntArray, ptr: IntArray | None, absent: int) -> IntArray:
    """Each trader's price for its first unit; `absent` for a trader without units."""
    if ptr is None:
        return prices
    return np.where(np.diff(ptr) > 0, np.append(prices, absent)[ptr[:-1]], absent)


def best_response(
    mechanism: Mechanism,
    market: Market,
    truthful: Outcome,
    side: Side,
    trader: int,
    reports: Iterable[int] | None = None,
) -> Deviation:
    """Most profitable single report of a trader when everybody else is truthful."""
    baseline = own_utility(market, truthful, side, trader)
    own = market.reports(side)[market.units_of(side, trader)]
    best, gain, changed = int(own[0]) if len(own) else 0, 0.0, False
    if reports is None:
        reports = candidate_reports(market, truthful, side, trader)
    schedule = truthful.parameters.get("schedule")
    for report in reports:
        outcome = mechanism(market.with_report(side, trader, report))
        changed |= outcome.parameters.get("schedule") != schedule
        more = own_utility(market, outcome, side, trader) - baseline
        if more > gain:
            best, gain = int(report), more
    return Deviation(side, trader, best, gain, changed)


def false_name_gain(
    mechanism: Mechanism, market: Market, truthful: Outcome, side: Side, trader: int
) -> float:
    """Most a trader can gain by one extra report on either side, half minor units.

    A second unit is worth nothing to a buyer; a unit sold that the trader does not have must be
    delivered at infinite cost; a unit a seller buys under another name is worth nothing to it.
    """
    baseline = own_utility(market, truthful, side, trader)
    worth = int(market.reports(side)[trader])
    gain = 0.0
    sides: tuple[Side, ...] = ("buyer", "seller")
    for extra_side in sides:
        for report in candidate_reports(market, truthful, extra_side, -1):
            outcome = mechanism(market.with_extra(extra_side, report))
            traded, paid = {"buyer": 0, "seller": 0}, 0
            for role, who in ((side, trader), (extra_side, -1)):
                traded[role] += _units(outcome, role, who)
                paid += (1 if role == "buyer" else -1) * _paid(outcome, role, who)
            if traded["seller"] > (side == "seller"):
                continue
            units = min(traded["buyer"], 1) if side == "buyer" else -traded["seller"]
            more = (outcome.scale * worth * units - paid) / outcome.scale - baseline
            gain = max(gain, more)
    return gain


@dataclass(frozen=True)
class Incentives:
    """What single deviations can gain, over the traders examined."""

    deviations: tuple[Deviation, ...]
    false_names: tuple[float, ...]
    exact: bool
    schedule_changed: bool


def examine(
    mechanism: Mechanism,
    market: Market,
    truthful: Outcome,
    traders: list[tuple[Side, int]],
    *,
    false_names: int = 0,
) -> Incentives:
    """Best response of each trader, and false names of the first `false_names` of them."""
    found = tuple(best_response(mechanism, market, truthful, *who) for who in traders)
    extra: tuple[float, ...] = ()
    if market.unit_demand and not market.is_graph:
        extra = tuple(
            false_name_gain(mechanism, market, truthful, *who) for who in traders[:false_names]
        )
    return Incentives(
        deviations=found,
        false_names=extra,
        exact=is_exact(market, truthful),
        schedule_changed=any(d.schedule_changed for d in found),
    )
