"""Who trades with whom at what price, in money, as the whole numbers of an outcome.

People who write a rule of their own think in pairs and prices; an `Outcome` counts units and half
minor units. Whatever cannot be an outcome of the market is refused here, by trader and value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS

IntArray = NDArray[np.int64]
#: A price for everybody, one per pair, or an amount in all for each trader.
Prices = float | Sequence[float] | Mapping[Any, float]


class Settled(NamedTuple):
    """Units and amounts of every trader; `server` is who serves each buyer of a graph market."""

    buyer_units: IntArray
    seller_units: IntArray
    pays: IntArray
    gets: IntArray
    server: IntArray | None


def settle(market: Market, pairs: Sequence[Any], pays: Prices, gets: Prices) -> Settled:
    """Units and amounts of trades that people wrote down (`Outcome.from_trades`)."""
    trades = [_trade(market, n, pair) for n, pair in enumerate(pairs)]
    units: dict[Side, IntArray] = {
        "buyer": np.zeros(market.n_buyers, dtype=np.int64),
        "seller": np.zeros(market.n_sellers, dtype=np.int64),
    }
    server = np.full(market.n_buyers, -1, dtype=np.int64) if market.is_graph else None
    for n, (buyer, seller, count) in enumerate(trades):
        units["buyer"][buyer] += count
        units["seller"][seller] += count
        if server is not None:
            _seat(market, server, n, buyer, seller)
    most_of: dict[Side, IntArray] = {"buyer": market.wanted, "seller": market.seats}
    for side, most in most_of.items():
        over = np.flatnonzero(units[side] > most)
        if len(over):
            i = int(over[0])
            who, verb = market.name_of(side, i), "wants" if side == "buyer" else "offers"
            traded, top = (f"{count[i] * market.lot:g}" for count in (units[side], most))
            raise ValueError(f"pairs: {who!r} trades {traded} units, {verb} {top}")
    return Settled(
        units["buyer"],
        units["seller"],
        _amounts(market, "buyer", "buyer_pays", pays, trades, units["buyer"]),
        _amounts(market, "seller", "seller_gets", gets, trades, units["seller"]),
        server,
    )


def _trade(market: Market, n: int, pair: Any) -> tuple[int, int, int]:
    """Buyer, seller and units of one pair."""
    if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str):
        raise ValueError(f"pairs[{n}] = {pair!r} must be (buyer, seller) or (buyer, seller, units)")
    if len(pair) not in (2, 3):
        raise ValueError(f"pairs[{n}] = {pair!r} must be (buyer, seller) or (buyer, seller, units)")
    count = _lots(market, n, pair[2]) if len(pair) == 3 else 1
    buyer = _trader(market, "buyer", f"pairs[{n}]", pair[0])
    return buyer, _trader(market, "seller", f"pairs[{n}]", pair[1]), count


def _lots(market: Market, n: int, quantity: Any) -> int:
    """Units of a pair: whole numbers, or multiples of the lot where a unit is a lot of the good."""
    if market.lot == 1:
        if isinstance(quantity, float) and quantity.is_integer():
            quantity = int(quantity)
        checks.whole(f"pairs[{n}]: units", quantity, 1)
        return int(quantity)
    if isinstance(quantity, bool) or not isinstance(quantity, Real) or float(quantity) <= 0:
        raise ValueError(f"pairs[{n}]: quantity = {quantity!r} must be a number above 0")
    return int(checks.on_grid(f"pairs[{n}]: quantity", float(quantity), market.lot))


def _trader(market: Market, side: Side, where: str, given: Any) -> int:
    """The index of a trader that is given by index or by name."""
    if isinstance(given, str):
        names = market.buyer_names if side == "buyer" else market.seller_names
        if given not in names:
            raise ValueError(f"{where}: no {side} is called {given!r}")
        return names.index(given)
    count = market.n_buyers if side == "buyer" else market.n_sellers
    if isinstance(given, bool) or not isinstance(given, int | np.integer):
        raise ValueError(f"{where}: {side} = {given!r} must be the name or the index of a trader")
    if not 0 <= given < count:
        raise ValueError(f"{where}: {side} = {given} is outside 0 to {count - 1}")
    return int(given)


def _seat(market: Market, server: IntArray, n: int, buyer: int, seller: int) -> None:
    """Note who serves a buyer, where that can be."""
    names = market.name_of("buyer", buyer), market.name_of("seller", seller)
    if market.compatible is not None and not market.compatible[buyer, seller]:
        raise ValueError(f"pairs[{n}]: {names[1]!r} cannot serve {names[0]!r}")
    if server[buyer] >= 0:
        raise ValueError(f"pairs[{n}]: {names[0]!r} is served twice")
    server[buyer] = seller


def _amounts(
    market: Market,
    side: Side,
    name: str,
    given: Prices,
    trades: Sequence[tuple[int, int, int]],
    units: IntArray,
) -> IntArray:
    """What each trader of a side pays or gets in all, half minor units."""
    out = np.zeros(len(units), dtype=np.int64)
    if isinstance(given, Mapping):
        for key, amount in given.items():
            i = _trader(market, side, name, key)
            value = _half_units(f"{name}[{market.name_of(side, i)!r}]", amount)
            if value and not units[i]:
                raise ValueError(
                    f"{name}[{market.name_of(side, i)!r}] = {amount!r}: this {side} does not trade"
                )
            out[i] = value
        missing = sorted(set(np.flatnonzero(units).tolist()) - _keys(market, side, name, given))
        if missing:
            raise ValueError(f"{name}: says nothing of {market.name_of(side, missing[0])!r}")
        return out
    if isinstance(given, Real) and not isinstance(given, bool):
        return units * _half_units(name, given)
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        raise ValueError(f"{name} = {given!r} must be a price, one per pair, or amounts by trader")
    if len(given) != len(trades):
        raise ValueError(f"{name} must have one price per pair, {len(trades)}, has {len(given)}")
    for n, (trade, price) in enumerate(zip(trades, given, strict=True)):
        i = trade[0 if side == "buyer" else 1]
        out[i] += trade[2] * _half_units(f"{name}[{n}] ({market.name_of(side, i)!r})", price)
    return out


def _keys(market: Market, side: Side, name: str, given: Mapping[Any, float]) -> set[int]:
    return {_trader(market, side, name, key) for key in given}


def _half_units(name: str, money: Any) -> int:
    """A price in half minor units; what lies between two of them is refused."""
    if isinstance(money, bool) or not isinstance(money, Real):
        raise ValueError(f"{name} = {money!r} must be a number")
    amount = float(money)
    if not np.isfinite(amount):
        raise ValueError(f"{name} = {amount} is not a finite number")
    hint = "; round it, for example to 6 digits"
    return int(checks.on_grid(name, amount, 1 / HALF_UNITS, hint=hint))
