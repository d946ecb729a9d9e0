"""Checks of a market: every failure is a `ValueError` that names the argument and the value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.market.units import HALF_UNITS, to_money

IntArray = NDArray[np.int64]


def check_market(m: Any) -> None:
    """Validate a `Market`, which imports this module.

    Errors name the argument, the position and the value.
    """
    low, high = m.price_range
    ends = f"({low / HALF_UNITS:g}, {high / HALF_UNITS:g})"
    if not low < high:
        raise ValueError(f"price_range = {ends} must rise")
    if low < 0 and m.is_graph:
        raise ValueError(f"price_range = {ends}: a graph market has no prices below zero")
    for side, prices, ptr in (("values", m.values, m.buyer_ptr), ("costs", m.costs, m.seller_ptr)):
        if prices.ndim != 1:
            raise ValueError(f"{side} must be one-dimensional, has shape {prices.shape}")
        if len(prices) == 0:
            raise ValueError(f"{side}: the list is empty")
        outside = (prices < low) | (prices > high)
        checks.refuse(
            outside,
            side,
            to_money(prices),
            f"is outside the price range {low / HALF_UNITS:g} to {high / HALF_UNITS:g}",
        )
        checks.refuse(prices % 2 != 0, side, prices, "is not a whole number of minor units")
        if ptr is not None:
            _check_units(side, prices, ptr)
    edges = (m.n_buyers, m.n_sellers)
    for name, shape in {
        "compatible": edges,
        "link_cost": edges,
        "memory": edges[:1],
        "server_memory": edges[1:],
    }.items():
        array = getattr(m, name)
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, has {array.shape}")
        if array is not None and name != "compatible":
            checks.refuse(array < 0, name, array, "is negative")
    if (m.memory is None) != (m.server_memory is None):
        raise ValueError("memory and server_memory: give both or neither")
    for name, count in (("buyer_names", edges[0]), ("seller_names", edges[1])):
        names = getattr(m, name)
        if names and len(names) != count:
            raise ValueError(f"{name} must have {count} entries, has {len(names)}")
        checks.no_duplicates(name, names)


def yes_or_no(name: str, given: Any) -> NDArray[np.bool_]:
    """Frozen true and false; numbers and texts are refused, not converted."""
    array = np.asarray(given)
    if array.size and array.dtype.kind != "b":
        raise ValueError(f"{name}: must hold true or false, has dtype {array.dtype}")
    return checks.frozen(array, np.bool_)


def _check_units(side: str, prices: IntArray, ptr: IntArray) -> None:
    if ptr.ndim != 1 or len(ptr) < 2 or ptr[0] != 0 or ptr[-1] != len(prices):
        raise ValueError(f"{side}: unit pointers must rise from 0 to {len(prices)}")
    checks.refuse(np.diff(ptr) < 0, f"units of {side}", np.diff(ptr), "is below zero")
    inside = np.ones(len(prices), dtype=bool)
    inside[ptr[:-1][ptr[:-1] < len(prices)]] = False
    step = np.diff(prices, prepend=prices[:1])
    wrong = inside & ((step > 0) if side == "values" else (step < 0))
    order = "rises within a buyer" if side == "values" else "falls within a seller"
    checks.refuse(wrong, side, to_money(prices), order)
