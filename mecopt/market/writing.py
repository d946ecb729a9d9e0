"""A market as the CSV that `mecopt.market.sources` reads."""

from __future__ import annotations

import csv
import io
import os
from itertools import groupby

from mecopt import files
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS

_SIDES: tuple[Side, ...] = ("buyer", "seller")


def to_csv(market: Market) -> str:
    """A market as CSV text: one row per step (units of one trader at one price).

    Prices are per 1 of the good and quantities in the good; the price range, the lot size and the
    unit of account are not in the file, they are arguments of `read_market`.

    Raises
    ------
    ValueError
        For memory limits, which CSV cannot hold (`Market.save` writes JSON).

    Examples
    --------
    >>> print(to_csv(Market.of([[9, 9, 7]], [[2, 3]], price_range=(0, 10), lot=0.5)))
    side,id,value,units
    buyer,buyer 0,9,1
    buyer,buyer 0,7,0.5
    seller,seller 0,2,0.5
    seller,seller 0,3,0.5
    <BLANKLINE>
    """
    if market.memory is not None:
        raise ValueError("market: CSV holds no memory limits; Market.save writes JSON")
    unit = market.meta.get("unit_of_account", 1.0) / HALF_UNITS
    graph = ["compatible", "link_cost"] if market.is_graph else []
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["side", "id", "value", "units", *graph])
    for side in _SIDES:
        for i in range(market.n_buyers if side == "buyer" else market.n_sellers):
            prices = market.reports(side)[market.units_of(side, i)].tolist()
            edges = _edges(market, i, unit) if graph and side == "buyer" else [""] * len(graph)
            for price, units in groupby(prices):
                count = len(list(units)) * market.lot
                row = [f"{price * unit:.15g}", f"{count:.15g}", *edges]
                out.writerow([side, market.name_of(side, i), *row])
    return text.getvalue()


def write_csv(market: Market, path: str | os.PathLike[str]) -> None:
    """Write `to_csv` to a file."""
    files.write_bytes(path, to_csv(market).encode())


def _edges(market: Market, buyer: int, unit: float) -> list[str]:
    """Cells of ``compatible`` and ``link_cost`` of a buyer."""
    servers = range(market.n_sellers)
    if market.compatible is not None:
        servers = [j for j in servers if market.compatible[buyer, j]]  # type: ignore[assignment]
    names = ";".join(market.name_of("seller", j) for j in servers) or "-"
    if market.link_cost is None or not len(servers):
        return [names, ""]
    return [names, ";".join(f"{market.link_cost[buyer, j] * unit:.15g}" for j in servers)]
