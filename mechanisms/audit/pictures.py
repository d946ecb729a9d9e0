"""Pictures of an audit: supply and demand with the clocks' paths, welfare by step, regret."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mechanisms import rules
from mechanisms.audit import asking
from mechanisms.audit.asking import ask
from mechanisms.audit.report import AuditReport
from mechanisms.audit.statistics import StepAblation
from mechanisms.audit.trades_pictures import trades, welfare_split
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

#: Rules whose clocks can be drawn, the first that was audited is.
_LOGGED = tuple(name for name in rules.NAMES if name.startswith("dda-") and name.count("-") > 1)
_BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 4, "frameon": False}
BUYER, SELLER, PRICE = "#1f6f8b", "#c05621", "#444444"


def figures(report: AuditReport) -> dict[str, Figure]:
    """Pictures of an audit by name: ``mechanisms``, ``welfare``, ``trades`` and ``clocks``.

    ``trades`` and ``clocks`` need rules that can be made again from their address; ``clocks`` is
    drawn of a double Dutch auction that was audited, ``dda-unit-clamped`` if it is among them.
    """
    found = {"mechanisms": welfare_and_regret(report), "welfare": welfare_split(report.rows)}
    outcomes = outcomes_of(report)
    if outcomes:
        found["trades"] = trades(report.market, outcomes)
    logged = [row for row in report.rows if row.rule in _LOGGED and not report.market.is_graph]
    logged.sort(key=lambda row: row.rule != "dda-unit-clamped")
    if logged:
        rule = rules.mechanism(logged[0].rule, **{**logged[0].options, "log": True})
        found["clocks"] = supply_and_demand(report.market, rule(report.market))
    return found


def outcomes_of(report: AuditReport) -> list[tuple[str, Outcome]]:
    """Outcomes at the true reports of the rules that have an address and do not fail."""
    rows = [row for row in report.rows if row.rule and not row.error]
    made = [(row, ask(row.mechanism, asking.found(row.rule, **row.options))) for row in rows]
    return [(row.mechanism, asked(report.market)) for row, asked in made]


def supply_and_demand(market: Market, outcome: Outcome) -> Figure:
    """Demand and supply steps; beside them, the path of each clock over the acceptances.

    `outcome` must come from a double Dutch auction run with ``log=True``.

    Raises
    ------
    ValueError
        If the outcome has no log.
    """
    log = outcome.log
    if log is None:
        raise ValueError("outcome: has no clock log (run the auction with log=True)")
    figure = Figure(figsize=(9, 4), layout="constrained")
    curves, clocks = figure.subplots(1, 2, sharey=True)
    value = np.sort(market.values)[::-1] / HALF_UNITS
    cost = np.sort(market.costs) / HALF_UNITS
    marks = "o" if max(len(value), len(cost)) <= 30 else None
    for prices, colour, label in ((value, BUYER, "demand"), (cost, SELLER, "supply")):
        units = np.arange(len(prices) + 1)
        curves.step(units, np.append(prices, prices[-1]), where="post", color=colour, label=label)
        if marks:
            curves.plot(units[:-1] + 0.5, prices, marks, color=colour, markersize=4)
    if outcome.prices is not None:
        buyer, seller = outcome.prices
        end = outcome.trades
        curves.plot([0, end], [buyer, buyer], "--", color=PRICE, label="price paid")
        if seller != buyer:
            curves.plot([0, end], [seller, seller], ":", color=PRICE, label="price received")
    curves.set_xlabel("units")
    curves.set_ylabel("price")
    curves.set_title(f"{outcome.mechanism}: {outcome.trades} trades")
    curves.legend(**_BELOW)
    price = (log.low + log.level * log.step) / HALF_UNITS
    heard = np.arange(1, len(price) + 1)
    last = [(log.low + level * log.step) / HALF_UNITS for level in log.final]
    top = (log.low + log.ticks * log.step) / HALF_UNITS
    sides = ((0, BUYER, "buyer clock", top), (1, SELLER, "seller clock", log.low / HALF_UNITS))
    for side, colour, label, begin in sides:
        mine = log.side == side
        path_x = np.concatenate([[0], heard[mine], [len(price) + 1]])
        path_y = np.concatenate([[begin], price[mine], [last[side]]])
        clocks.step(path_x, path_y, where="post", color=colour, label=label)
        if marks:
            clocks.plot(heard[mine], price[mine], marks, color=colour, markersize=4)
    clocks.set_xlabel("acceptances so far")
    clocks.set_title(f"clocks, {outcome.rounds} broadcasts")
    clocks.legend(**_BELOW)
    return figure


def welfare_by_step(result: StepAblation, title: str) -> Figure:
    """Loss of welfare against the number of ticks, with intervals, on logarithmic axes."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    table = result.table
    loss = 1 - table["mean"]
    spread = np.abs(np.array([loss - (1 - table["high"]), (1 - table["low"]) - loss]))
    axes.errorbar(table["ticks"], loss, yerr=spread, fmt="o-", capsize=3, color=BUYER, label="mean")
    axes.plot(table["ticks"], 1 - table["minimum"], "s--", color=SELLER, label="worst instance")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("ticks over the price range")
    axes.set_ylabel("1 - W / W*")
    axes.set_title(f"{title}: loss falls as step^{result.slope:.2f}")
    axes.legend()
    return figure


def welfare_and_regret(report: AuditReport) -> Figure:
    """Welfare ratio and largest regret of every audited mechanism."""
    rows = [row for row in report.rows if not row.error]
    figure = Figure(figsize=(9.5, 1.2 + 0.26 * len(rows)), layout="constrained")
    welfare, regret = figure.subplots(1, 2, sharey=True)
    place = np.arange(len(rows))[::-1]
    budget = {"strong": "#2f855a", "weak": "#b7791f", "deficit": "#c53030"}
    ratios, colours = [r.welfare_ratio or 0.0 for r in rows], [budget[r.budget] for r in rows]
    welfare.barh(place, ratios, color=colours, height=0.7)
    welfare.set_yticks(place, [r.mechanism for r in rows], fontsize=8)
    welfare.set_xlabel("W / W*")
    welfare.set_xlim(0, 1.02)
    keys = [Patch(color=colour, label=f"budget {name}") for name, colour in budget.items()]
    buyers = [r.buyer_regret_max or 0.0 for r in rows]
    sellers = [r.seller_regret_max or 0.0 for r in rows]
    regret.barh(place + 0.18, buyers, height=0.34, color=BUYER, label="buyers")
    regret.barh(place - 0.18, sellers, height=0.34, color=SELLER, label="sellers")
    for spot, high in zip(place, np.maximum(buyers, sellers), strict=True):
        if high == 0:
            regret.text(0, spot, " none found", va="center", fontsize=7, color=PRICE)
    regret.set_xlabel("largest gain found from one other report")
    welfare.set_ylim(-0.6, len(rows) - 0.4)
    keys += [Patch(color=BUYER, label="buyers"), Patch(color=SELLER, label="sellers")]
    figure.legend(handles=keys, loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return figure
