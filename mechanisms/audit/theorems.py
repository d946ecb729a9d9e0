"""What is known about each mechanism, as data, and the evidence an audit gives for each cell.

Unit demand, one good, private values; s = step, k = efficient trades, k' = efficient trades between
the stops on the grid, W* = most welfare. Every cell is a claim that `gather` can contradict:

* ``ir``: ``yes``, or the largest violation in steps;
* ``buyers``, ``sellers``: ``yes`` (no report ever pays), ``no``, or the most another report can pay
  in steps, ``< 1`` or ``<= 0.5``; ``measured`` makes no claim;
* ``budget``: ``strong``, ``weak`` or ``deficit``;
* ``efficient``: ``yes``, ``no``, ``sincere`` (at truthful reports, which are no equilibrium), or
  ``limit`` (at truthful reports, as s -> 0);
* ``welfare``: a lower bound at truthful reports (``in expectation``: over the lot); d is the
  largest jump of a clock that chooses its steps (proofs: `mechanisms.double_dutch.adaptive`);
* ``note``: ``obviously`` and ``false-name-proof`` are claims as well (`mechanisms.audit.notes`).

Proofs of the cells that are not in the literature
--------------------------------------------------
*Regret below one step with sealed stops* (``mcafee``, ``trade-reduction``). On the grid both are
truthful for a trader whose value is a grid price, ties broken in a fixed order. A buyer worth
v in [g, g + s) stops at g. Against a report r its utility is that of a buyer worth g plus
(v - g) if it trades: u_v(r) <= u_g(r) + (v - g) <= u_g(g) + (v - g) <= u_v(g) + (v - g), less than
u_v(g) + s. Sellers alike. The bound is attained in the limit by a tie at the margin.
*Exactly truthful* with ``trade-reduction-critical``: winning is monotone in the level, and winners
pay the lowest level that wins, so a report can only trade at a level above the value.
*First mover under* ``unit``, ``mid``: with the buyer clock first and levels counted in steps the
price is max(a_T - 1/2, b_{T+1} + 1/2), whatever the winners report. A loser at level l can win only
at l + 1/2 or more, and a winner above its value loses at most half a step: regret <= s/2. Clamped,
a winner can lower the price only by its own clamp, at most half a step, and a loser at level l
pays l or more: regret < s. The second mover sets the price: unbounded.
*Synchronous clocks* cross at the middle of the grid whatever is reported, so ``mid`` and
``clamped`` are a posted price with rationing by stop order: rational for everybody, but whoever is
rationed can stop earlier at no cost.
*Sealed synchronous* runs to the ends of the grid, so it clears like sealed ``unit``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from mechanisms import rules
from mechanisms.audit import announced, notes
from mechanisms.audit import checks as audit_checks
from mechanisms.audit import incentives as audit_incentives
from mechanisms.audit.asking import Asked, ask
from mechanisms.audit.sampling import choose_traders
from mechanisms.audit.unit_reports import is_complete
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS


@dataclass(frozen=True)
class Row:
    """One line of the theorem table (cells explained in the module docstring)."""

    mechanism: str
    ir: str
    buyers: str
    sellers: str
    budget: str
    efficient: str
    welfare: str
    note: str = ""

    @property
    def cells(self) -> dict[str, str]:
        """The claims by column."""
        return {name: value for name, value in vars(self).items() if name != "mechanism"}


_SEALED_BOUND = "(1 - 1/k')(W* - 2 s k)"
_UNIT_BOUND = "W* - 2 s k"
#: Of steps that are chosen as the clocks go; d is the largest jump that was made.
_JUMP_BOUND = "W* - d k"
_SEALED_JUMPS = "(1 - 1/k')(W* - 2 d k)"
_CLASS_BOUND = "(1 - 1/k) W* per class"

TABLE: tuple[Row, ...] = (
    Row("dda-synchronous-mid", "yes", "no", "no", "strong", "no", "none", "a posted price"),
    Row("dda-synchronous-clamped", "yes", "no", "no", "strong", "no", "none", "a posted price"),
    Row("dda-synchronous-own-clock", "yes", "no", "no", "weak", "no", "none"),
    Row("dda-tick-mid", "<= 0.5", "no", "no", "strong", "no", "none"),
    Row("dda-tick-clamped", "yes", "no", "no", "strong", "no", "none", "first come"),
    Row("dda-tick-own-clock", "yes", "no", "no", "weak", "no", "none"),
    Row("dda-flip-mid", "<= 0.5", "no", "no", "strong", "no", "none"),
    Row("dda-flip-clamped", "yes", "no", "no", "strong", "no", "none"),
    Row("dda-flip-own-clock", "yes", "no", "no", "weak", "no", "none"),
    Row("dda-unit-mid", "<= 0.5", "<= 0.5", "no", "strong", "limit", _UNIT_BOUND, "buyer first"),
    Row("dda-unit-clamped", "yes", "< 1", "no", "strong", "limit", _UNIT_BOUND, "buyer first"),
    Row("dda-bisection", "yes", "< 1", "no", "strong", "limit", _UNIT_BOUND, "buyer first"),
    Row("dda-unit-own-clock", "yes", "no", "no", "weak", "limit", _UNIT_BOUND, "first price"),
    Row("dda-synchronous-mcafee", "yes", "< 1", "< 1", "weak", "no", _SEALED_BOUND, "t-DDA"),
    Row("dda-unit-mcafee", "yes", "< 1", "< 1", "weak", "no", _SEALED_BOUND),
    Row("dda-unit-trade-reduction", "yes", "< 1", "< 1", "weak", "no", _SEALED_BOUND),
    Row("dda-unit-trade-reduction-critical", "yes", "yes", "yes", "weak", "no", _SEALED_BOUND),
    Row("dda-adaptive", "yes", "no", "no", "strong", "no", "none", "step reacts to reports"),
    Row("dda-adaptive-mcafee", "yes", "no", "no", "weak", "no", "none", "t-DDA, step reacts"),
    Row("dda-learned", "yes", "no", "no", "strong", "no", _JUMP_BOUND, "step reacts to reports"),
    Row("dda-learned-mcafee", "yes", "no", "no", "weak", "no", _SEALED_JUMPS, "t-DDA, step reacts"),
    Row("k-double-0.5", "yes", "no", "no", "strong", "sincere", "W*"),
    Row("k-double-0", "yes", "yes", "no", "strong", "sincere", "W*"),
    Row("k-double-1", "yes", "no", "yes", "strong", "sincere", "W*"),
    Row("vcg", "yes", "yes", "yes", "deficit", "yes", "W*"),
    Row("trade-reduction", "yes", "yes", "yes", "weak", "no", "(1 - 1/k) W*"),
    Row(
        "mcafee",
        "yes",
        "yes",
        "yes",
        "weak",
        "no",
        "(1 - 1/k) W*",
        "variant: sentinels 0, inf",
    ),
    Row("sbba", "yes", "yes", "yes", "strong", "no", "(1 - 1/k) W* in expectation"),
    Row("muda", "yes", "yes", "yes", "strong", "no", "none", "-> W* as the market grows"),
    Row("posted", "yes", "yes", "yes", "strong", "no", "none"),
    Row("double-english", "yes", "yes", "yes", "weak", "no", "(1 - 1/k) W*", "obviously"),
    Row("tpd", "yes", "yes", "yes", "weak", "no", "none", "false-name-proof"),
    Row(
        "generalised-trade-reduction",
        "yes",
        "yes",
        "yes",
        "weak",
        "no",
        "(1 - 1/k) W*",
        "one class",
    ),
)

#: Rows for graph markets. The per-class bound is for servers with one seat each.
GRAPH_TABLE: tuple[Row, ...] = (
    Row("server-clocks", "yes", "measured", "no", "strong", "limit", "W* - s n"),
    Row("vcg", "yes", "yes", "no", "strong", "yes", "W*", "buyers only"),
    Row("generalised-trade-reduction", "yes", "yes", "yes", "weak", "no", _CLASS_BOUND),
)

#: Rows for traders with several units; reports are a price for each, and may withhold the last.
UNITS_TABLE: tuple[Row, ...] = (
    Row("uniform-price-0", "yes", "no", "no", "strong", "sincere", "W*", "demand reduction"),
    Row("uniform-price-0.5", "yes", "no", "no", "strong", "sincere", "W*", "demand reduction"),
    Row("uniform-price-1", "yes", "no", "no", "strong", "sincere", "W*", "supply reduction"),
    Row("pay-as-bid", "yes", "no", "no", "weak", "sincere", "W*", "first price"),
    Row("vcg", "yes", "yes", "yes", "deficit", "yes", "W*"),
    Row("units-reduction", "yes", "no", "no", "weak", "no", "none", notes.TRUE_PRICE),
    Row("muda", "yes", "yes", "yes", "strong", "no", "none", "-> W* as the market grows"),
)

#: Options that change the size of a step, a threshold or a lot, and no cell of a row.
_SAME_ROW = {"ticks", "step", "seed", "threshold"}

#: Cells of the table we started from that the audit or a proof corrected, and why.
CORRECTIONS = (
    "mcafee and trade-reduction on the grid: regret is below s (proved), not just at most s",
    "unit, mid: the first mover's regret is at most s/2 (proved)",
    "unit, clamped: the first mover's regret is below s (proved), the second mover's unbounded",
    "adaptive step with one price: the budget is strong, not weak",
    "synchronous, mid and clamped: one outcome, a posted price at the middle of the grid; the"
    " printed midpoint is then individually rational, and truth fails through rationing alone",
    "flip and tick, mid: irrational by up to half a step, like unit, mid",
    "k-double, k = 0 and 1: efficient at sincere reports, like every other k",
)


def table() -> pd.DataFrame:
    """The theorem table, one row per mechanism and kind of market (one good, graph, units)."""
    kinds = {"one good": TABLE, "graph": GRAPH_TABLE, "units": UNITS_TABLE}
    return pd.DataFrame(
        [{"market": kind, **vars(row)} for kind, rows in kinds.items() for row in rows]
    )


def row_of(asked: Asked, market: Market) -> Row | None:
    """What is known of a rule on markets of this kind; None where nothing is.

    A function of somebody's own has no row, whatever it is called, and neither has a rule whose
    thresholds follow a price range that the reports decide.
    """
    known = asked.declared
    if known is None or not set(asked.options) <= _SAME_ROW:
        return None
    if known.uses_range and market.range_is_derived:
        return None
    rows = GRAPH_TABLE if market.is_graph else TABLE if market.unit_demand else UNITS_TABLE
    name = asked.rule
    for family in ("k-double", "uniform-price"):
        if name == family or name.startswith(f"{family}-"):
            k = Fraction(name.removeprefix(family).removeprefix("-") or "1/2")
            name = f"{family}-{k if k in (0, 1) else 0.5}"
    return next((row for row in rows if row.mechanism == name), None)


@dataclass
class Evidence:
    """Extremes over all instances of one row, and what contradicts the row's cells."""

    row: Row
    instances: int = 0
    ir_steps: float = 0.0
    buyer_steps: float = 0.0
    seller_steps: float = 0.0
    regret_is_exact: bool = True
    budgets: set[str] = field(default_factory=set)
    lowest_ratio: float = 1.0
    contradictions: list[str] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)


def gather(
    row: Row,
    markets: Iterable[Market],
    *,
    ticks: int = 10,
    rule: Callable[[Market], Any] | None = None,
) -> Evidence:
    """Audit a row on markets: every trader's best response, exact rationality, budget, bound.

    Contradictions of "yes" cells and of bounds, and counter-examples for "no" cells (`examples`),
    are described in words. A "no" without an example after all instances is itself a
    contradiction. Regrets are counted in steps of a grid with `ticks` ticks.
    """
    options = {"ticks": ticks} if row.mechanism.startswith(("dda", "server")) else {}
    rule = ask(row.mechanism, rule or rules.mechanism(row.mechanism, **options))
    found = Evidence(row)
    for market in markets:
        _examine(found, row, market, rule, ticks)
        found.instances += 1
    for cell, key in (("buyers", "buyer"), ("sellers", "seller")):
        if getattr(row, cell) == "no" and key not in found.examples:
            found.contradictions.append(f"{cell}: no profitable report found, the table says no")
    if row.ir != "yes" and "ir" not in found.examples:
        found.contradictions.append("ir: no violation found, the table says there are some")
    if row.budget not in found.budgets:
        found.contradictions.append(f"budget: never {row.budget}")
    if row.efficient in ("no", "limit") and found.lowest_ratio == 1.0:
        found.contradictions.append("efficient: no loss found, the table says there is")
    return found


def _examine(found: Evidence, row: Row, market: Market, rule: Asked, ticks: int) -> None:
    low, high = market.price_range
    step = -((low - high) // ticks)
    where = f"values {market.values.tolist()}, costs {market.costs.tolist()}"
    outcome = rule(market)
    found.contradictions += [
        f"feasible: {problem}: {where}" for problem in audit_checks.infeasibilities(market, outcome)
    ]
    buyers, sellers = audit_checks.utilities(market, outcome)
    worst = max(0, -int(buyers.min()), -int(sellers.min())) / (outcome.scale * step)
    found.ir_steps = max(found.ir_steps, worst)
    if worst > 0:
        found.examples.setdefault("ir", f"utility {-worst:g} steps: {where}")
        if not within(worst, row.ir):
            found.contradictions.append(f"ir: {worst:g} steps: {where}")
    surplus, verdict = audit_checks.budget_verdict(outcome)
    found.budgets.add(verdict)
    order = ("deficit", "weak", "strong")
    if row.budget != "deficit" and order.index(verdict) < order.index(row.budget):
        found.contradictions.append(f"budget: surplus {surplus}: {where}")
    best = audit_checks.optimum(market, solver=False)
    welfare = audit_checks.welfare(market, outcome)
    if best.welfare:
        found.lowest_ratio = min(found.lowest_ratio, welfare / best.welfare)
    bound = _bound(row.welfare, market, best, step, low, outcome)
    if welfare < bound - 1e-6:
        found.contradictions.append(f"welfare: {welfare} below {bound}: {where}")
    if row.efficient in ("yes", "sincere") and welfare != best.welfare:
        found.contradictions.append(f"efficient: {welfare} of {best.welfare}: {where}")
    found.contradictions += [
        f"{row.note}: {problem}: {where}" for problem in notes.check(row.note, rule, market)
    ]
    if row.welfare.endswith("in expectation"):
        expected = notes.expected_welfare(row.mechanism, market)
        least = (1 - 1 / best.trades) * best.welfare if best.trades else 0.0
        if expected < least - 1e-6:
            found.contradictions.append(f"welfare: {expected} expected, below {least}: {where}")
    found.regret_is_exact &= is_complete(rule, market)
    for side, trader in choose_traders(market, best.margin, None, 0).traders:
        cell = row.buyers if side == "buyer" else row.sellers
        response = audit_incentives.best_response(rule, market, outcome, side, trader)
        steps = response.gain / step
        if side == "buyer":
            found.buyer_steps = max(found.buyer_steps, steps)
        else:
            found.seller_steps = max(found.seller_steps, steps)
        if steps > 0:
            told = f"{side} {trader} gains {response.gain / HALF_UNITS!r} by reporting"
            text = f"{told} {np.asarray(response.report) / HALF_UNITS}: {where}"
            found.examples.setdefault(side, text)
            if not within(steps, cell):
                found.contradictions.append(f"{side}s: {steps:g} steps: {text}")


def within(steps: float, cell: str) -> bool:
    """Whether a positive amount of steps is allowed by a cell."""
    if cell == "yes":
        return False
    if cell.startswith("<= "):
        return steps <= float(cell[3:])
    if cell.startswith("< "):
        return steps < float(cell[2:])
    return True


def _bound(
    claim: str,
    market: Market,
    best: audit_checks.Optimum,
    step: int,
    low: int,
    outcome: Outcome,
) -> float:
    k = best.trades
    if claim == "W*":
        return best.welfare
    if claim == _UNIT_BOUND:
        return best.welfare - 2 * step * k
    if claim == "(1 - 1/k) W*":
        return (1 - 1 / k) * best.welfare if k else 0.0
    if claim == _CLASS_BOUND:
        return sum((1 - 1 / trades) * w for trades, w, _ in outcome.parameters["classes"])
    if claim == "W* - s n":
        return best.welfare - step * market.n_buyers
    if claim == _JUMP_BOUND:
        return best.welfare - k * step * announced.largest_jump(outcome)
    if claim == _SEALED_JUMPS:
        kept = announced.profitable_pairs(market, outcome)
        lost = 2 * step * announced.largest_jump(outcome) * k
        return (1 - 1 / kept) * (best.welfare - lost) if kept else 0.0
    if claim == _SEALED_BOUND:
        stops_b = np.sort((market.values - low) // step)[::-1]
        stops_s = np.sort(-((low - market.costs) // step))
        n = min(len(stops_b), len(stops_s))
        kept = int(np.count_nonzero(stops_b[:n] >= stops_s[:n]))
        return (1 - 1 / kept) * (best.welfare - 2 * step * k) if kept else 0.0
    return -np.inf
