"""Pictures of who trades at what price under each rule, and of who gets the welfare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mechanisms.audit.row import MechanismAudit
from mechanisms.outcome import Outcome
from mecopt.bench import plot
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

BUYER, SELLER, PRICE, LOST = plot.BLUE, plot.ORANGE, plot.INK, "#D9D9D9"
#: Panels beside each other, and up to how many units of a side are drawn one by one.
COLUMNS, FEW = 3, 60
#: Buyers of a graph that are drawn.
MOST_BUYERS = 80


def trades(market: Market, outcomes: Sequence[tuple[str, Outcome]]) -> Figure:
    """One panel per rule: supply and demand with its trades and prices, or the graph it serves."""
    rows = -(-len(outcomes) // COLUMNS)
    height = 3.2 if market.is_graph else 2.3
    figure = plot.new_figure(10.0, 0.5 + height * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, (name, outcome) in zip(panels, outcomes, strict=False):
        if market.is_graph:
            _graph(panel, market, outcome)
        else:
            _curves(panel, market, outcome)
        plot.title(panel, f"{name}: {outcome.trades} trades", 8.5)
    for panel in panels[len(outcomes) :]:
        panel.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=6, frameon=False, fontsize=9)
    return figure


def _curves(axes: Axes, market: Market, outcome: Outcome) -> None:
    """Steps of demand and supply; units that trade, and what is paid and received for each."""
    bought, sold = outcome.buyer_units, outcome.seller_units
    sides = (
        (market.bids, market.buyer_ptr, bought, outcome.payment, BUYER, -1, "demand"),
        (market.asks, market.seller_ptr, sold, outcome.receipt, SELLER, 1, "supply"),
    )
    lot = market.lot
    few = max(len(market.bids), len(market.asks)) <= FEW
    for prices, ptr, units, amounts, colour, sign, label in sides:
        owner = np.arange(len(prices)) if ptr is None else _owners(ptr)
        first = owner if ptr is None else ptr[owner]
        place = np.arange(len(prices)) - first
        order = np.argsort(sign * prices, kind="stable")
        at = np.arange(len(prices) + 1) * lot
        level = np.append(prices[order], prices[order][-1])
        axes.step(at, level, where="post", color=colour, linewidth=1.2, label=label)
        trading = (place < units[owner])[order]
        if not trading.any():
            continue
        spot = (np.flatnonzero(trading) + 0.5) * lot
        per_unit = amounts[owner] / np.maximum(units[owner], 1) / (outcome.scale * HALF_UNITS)
        what = "bought" if sign < 0 else "sold"
        paid = "paid" if sign < 0 else "received"
        size = 3.5 if few else 1.5
        axes.plot(spot, prices[order][trading], "o", color=colour, markersize=size, label=what)
        mark = 4 if few else 1.5
        axes.plot(
            spot, per_unit[order][trading], "_" if few else ".", color=PRICE,
            markersize=mark + 2, alpha=0.9 if sign < 0 else 0.45,
            markeredgewidth=1.6, label=paid,
        )  # fmt: skip
    plot.clean(axes, "y")
    axes.tick_params(labelsize=7.5)
    if lot != 1:
        axes.set_xlabel(f"quantity, lots of {lot:g}", fontsize=7.5, color=plot.MUTED)


def _owners(ptr: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))


def _graph(axes: Axes, market: Market, outcome: Outcome) -> None:
    """Buyers on the left by value, servers on the right with their price; who serves whom."""
    n, m = min(market.n_buyers, MOST_BUYERS), market.n_sellers
    order = np.argsort(-market.values, kind="stable")[:n]
    left = np.empty(market.n_buyers)
    left[order] = np.linspace(1, 0, n) if n > 1 else [0.5]
    right = np.linspace(1, 0, m) if m > 1 else np.array([0.5])
    can = np.ones((market.n_buyers, m), bool) if market.compatible is None else market.compatible
    possible = [((0, left[i]), (1, right[j])) for i in order for j in np.flatnonzero(can[i])]
    axes.add_collection(LineCollection(possible, colors="#E8E8E8", linewidths=0.5, zorder=0))
    server = outcome.server if outcome.server is not None else np.full(market.n_buyers, -1)
    served = [((0, left[i]), (1, right[server[i]])) for i in order if server[i] >= 0]
    axes.add_collection(LineCollection(served, colors=PRICE, linewidths=1.1, zorder=1))
    taken = server[order] >= 0
    for mask, face, label in ((taken, BUYER, "served buyer"), (~taken, "white", "not served")):
        axes.plot(
            np.zeros(int(mask.sum())), left[order[mask]], "o", color=BUYER,
            markerfacecolor=face, markersize=4, label=label,
        )  # fmt: skip
    axes.plot(np.ones(m), right, "s", color=SELLER, markersize=5, label="server, price of a seat")
    if outcome.server_price is not None and m <= 12:
        for y, price, sold in zip(right, outcome.server_price, outcome.seller_units, strict=True):
            if sold:
                text = f"{price / HALF_UNITS:.3g}"
                axes.annotate(
                    text, (1, y), (5, 0), textcoords="offset points", va="center", fontsize=7
                )
    axes.set_xlim(-0.1, 1.3)
    axes.set_ylim(-0.05, 1.05)
    axes.axis("off")


def welfare_split(rows: Sequence[MechanismAudit]) -> Figure:
    """Who gets what of W*: buyers, sellers, auctioneer; and what is lost."""
    rows = [row for row in rows if not row.error]
    figure = plot.new_figure(9.5, 1.1 + 0.27 * len(rows))
    axes = figure.subplots()
    place = np.arange(len(rows))[::-1]
    parts = (
        ("buyers", [row.buyers_welfare or 0.0 for row in rows], BUYER),
        ("sellers", [row.sellers_welfare or 0.0 for row in rows], SELLER),
        ("auctioneer", [row.surplus or 0.0 for row in rows], plot.PALETTE[2]),
        ("lost", [row.welfare_lost or 0.0 for row in rows], LOST),
    )
    above, below = np.zeros(len(rows)), np.zeros(len(rows))
    for label, amounts, colour in parts:
        amount = np.array(amounts)
        start = np.where(amount >= 0, above, below)
        axes.barh(place, amount, left=start, height=0.72, color=colour, label=label)
        above, below = above + np.maximum(amount, 0), below + np.minimum(amount, 0)
    best = rows[0].optimal_welfare if rows else 0.0
    axes.axvline(best, color=plot.INK, linewidth=1)
    axes.annotate(
        " W*", (best, 1), xycoords=("data", "axes fraction"), fontsize=9, va="bottom", ha="center"
    )
    axes.axvline(0, color=plot.MUTED, linewidth=0.8)
    axes.set_yticks(place, [row.mechanism for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    plot.clean(axes, "x")
    axes.tick_params(labelsize=8)
    axes.set_xlabel("money, units of account", fontsize=9, color=plot.MUTED)
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure
