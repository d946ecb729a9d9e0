"""Pictures of what steps cost and of what prices say: welfare by broadcasts, price by time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mecopt.bench import plot
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS
from mecopt.offloading.prices import Prices


def welfare_against_broadcasts(rows: Iterable[Mapping[str, Any]]) -> Figure:
    """Lost welfare against broadcasts: fixed steps, the best of all policies, what was learned.

    Parameters
    ----------
    rows : mappings
        With ``auctioneer`` (``fixed``, ``best``, ``learned`` and others), ``broadcasts`` and
        ``welfare``, the share of the optimum; ``ticks`` where a step is fixed.
    """
    rows = list(rows)
    figure = plot.new_figure(7.5, 4.5)
    axes = figure.subplots()
    styles = {
        "fixed": ("o-", plot.PALETTE[7], "fixed steps"),
        "best": ("s-", plot.PALETTE[2], "best of all policies"),
        "learned": ("D", plot.ORANGE, "learned, one mark a seed"),
        "bisection": ("*", plot.BLUE, "bisection (two prices a broadcast)"),
        "doubling": ("^", plot.PALETTE[3], "doubling"),
    }
    for name, (mark, colour, label) in styles.items():
        found = [row for row in rows if row["auctioneer"] == name]
        found.sort(key=lambda row: row["broadcasts"])
        if not found:
            continue
        lost = [1 - row["welfare"] for row in found]
        spent = [row["broadcasts"] for row in found]
        axes.plot(spent, lost, mark, color=colour, label=label, markersize=6, linewidth=1)
        for row in found:
            if name == "fixed" and row["ticks"] in (1, 2, 5, 7, 10, 20, 50):
                at = (row["broadcasts"], 1 - row["welfare"])
                axes.annotate(str(row["ticks"]), at, (4, 4), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("broadcasts, mean")
    axes.set_ylabel("1 - E[W] / E[W*]")
    axes.grid(True, which="both", color=plot.GRID, linewidth=0.5)
    axes.legend(frameon=False, fontsize=8)
    return figure


def price_of_server_time(
    market: Market, lowest: NDArray[np.int64], highest: NDArray[np.int64], duals: Prices
) -> Figure:
    """Price of a second of each server by time: competitive prices as a band, duals as a line.

    Parameters
    ----------
    market : Market
        Of `mecopt.market.from_waiting`.
    lowest, highest : (goods,) int64
        Competitive prices of the seats, half minor units.
    duals : Prices
        Dual prices of the instance that the market was made from, averaged over the market's slots.
    """
    server, start, slot = (np.array(market.meta[name]) for name in ("server", "start_s", "slot_s"))
    found = np.unique(server)
    figure = plot.new_figure(8, 2.6 * len(found))
    unit = market.meta.get("unit_of_account", 1.0) / HALF_UNITS
    for axes, r in zip(figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0], found,
                       strict=True):  # fmt: skip
        mine = server == r
        edges = np.append(start[mine], start[mine][-1] + slot[mine][-1])
        low, high = (price[mine] * unit / slot[mine] for price in (lowest, highest))
        axes.stairs(high, edges, baseline=low, fill=True, color=plot.PALETTE[4], alpha=0.5,
                    label="competitive prices of seats, lowest to highest")  # fmt: skip
        axes.stairs(duals_by_slot(duals, int(r), edges), edges, color=plot.INK, baseline=None,
                    label="duals of the certified bound")  # fmt: skip
        axes.set_title(duals.resource_names[r], loc="left", fontsize=9)
        axes.set_ylabel("s of cost per s")
    axes.set_xlabel("time, s")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def duals_by_slot(duals: Prices, resource: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean dual price of a resource between edges, s of cost per s."""
    rows = duals.value[duals.row_ptr[resource] : duals.row_ptr[resource + 1]]
    bucket_s = duals.bucket_ns * 1e-9
    paid = np.concatenate([[0.0], np.cumsum(rows)]) * bucket_s
    at = np.interp(edges, np.arange(len(rows) + 1) * bucket_s, paid)
    mean: NDArray[np.float64] = np.diff(at) / np.diff(edges)
    return mean
