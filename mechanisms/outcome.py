"""What every mechanism returns: who trades, who pays what, and what it took to find out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mechanisms.trades import Prices, settle
from mecopt import checks
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

IntArray = NDArray[np.int64]
Amounts = IntArray | int | Callable[[], IntArray]
Options = ParamSpec("Options")
#: Amounts of other people's rules up to this are exact also as floats.
LARGEST_AMOUNT = 2**53


class ClockLog(NamedTuple):
    """Everything that was said aloud during a clock auction, in order.

    `side` (0 buyer, 1 seller), `level` and `agent` have one entry per acceptance. Level m is the
    price ``low + m * step`` (half minor units). `final` holds the levels at which the buyer clock
    and the seller clock stood at the end.
    """

    low: int
    step: int
    ticks: int
    side: NDArray[np.int8]
    level: IntArray
    agent: IntArray
    final: tuple[int, int]

    def table(self) -> pd.DataFrame:
        """One row per acceptance: side, agent, price."""
        return pd.DataFrame(
            {
                "side": np.where(self.side == 0, "buyer", "seller"),
                "agent": self.agent,
                "price": (self.low + self.level * self.step) / HALF_UNITS,
            }
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """Allocation and payments of one run of a mechanism.

    Amounts of money are integers in half minor units divided by `scale`, so that a price with
    any rational weight is exact.

    Parameters
    ----------
    mechanism : str
    buyer_units, seller_units : (B,), (J,) integer
        Units each trader gets or delivers.
    pays, gets : (B,), (J,) int64, or int, or function
        What each buyer pays and each seller is paid in all, in half minor units / scale; a single
        number is the price of every unit, a function is called for the amounts when they are asked
        for (read `payment` and `receipt`).
    parameters : mapping
        Every option the rule was run with.
    scale : int
    server : (B,) int64, optional
        In a graph market, the seller that serves each buyer, -1 for none.
    server_price : (J,) int64, optional
        Price of a seat at each server, half minor units, in a graph market.
    rounds : int, optional
        Broadcasts by the auctioneer; None for a sealed rule.
    log : ClockLog, optional
    seconds : float
        Wall time of the rule.
    """

    mechanism: str
    buyer_units: NDArray[np.integer]
    seller_units: NDArray[np.integer]
    pays: Amounts
    gets: Amounts
    parameters: Mapping[str, Any] = field(default_factory=dict)
    scale: int = 1
    server: IntArray | None = None
    server_price: IntArray | None = None
    rounds: int | None = None
    log: ClockLog | None = None
    seconds: float = 0.0

    @classmethod
    def from_trades(
        cls,
        market: Market,
        pairs: Sequence[Any],
        buyer_pays: Prices,
        seller_gets: Prices,
        *,
        name: str = "own rule",
        **parameters: Any,
    ) -> Outcome:
        """Outcome of trades that are written down in money: the way to write a rule of one's own.

        Parameters
        ----------
        market : Market
        pairs : sequence of (buyer, seller) or (buyer, seller, units)
            Traders by name or by index; units are quantities where the market has lots of a good.
        buyer_pays, seller_gets : float, sequence of float, or mapping
            Price of every unit; or of a unit of each pair; or the amount in all by trader. In the
            market's units of account, as `market.bids` and `market.asks` are (per 1 of the good;
            amounts are price x lots).
        name : str
        **parameters
            Whatever the rule wants to say about itself.

        Raises
        ------
        ValueError
            Names the trader and the value: somebody who is not there, more units than wanted or
            offered, a seller that cannot serve a buyer, prices missing or too many, an amount that
            is no number or not on the grid of half minor units (5e-7).

        Examples
        --------
        >>> market = Market.of([9, 7, 4], [2, 5, 8], price_range=(0, 10))
        >>> outcome = Outcome.from_trades(market, [(0, 0), (1, 1)], 6, [5, 6])
        >>> outcome.payment.tolist(), outcome.receipt.tolist()
        ([12000000, 12000000, 0], [10000000, 12000000, 0])
        """
        require_market(market)
        done = settle(market, pairs, buyer_pays, seller_gets)
        return cls(
            mechanism=name,
            buyer_units=done.buyer_units,
            seller_units=done.seller_units,
            pays=done.pays,
            gets=done.gets,
            parameters=parameters,
            server=done.server,
        )

    @property
    def trades(self) -> int:
        """Units traded."""
        return int(self.buyer_units.sum(dtype=np.int64))

    @cached_property
    def payment(self) -> IntArray:
        """(B,) what each buyer pays, half minor units / scale."""
        return _in_all(self.pays, self.buyer_units)

    @cached_property
    def receipt(self) -> IntArray:
        """(J,) what each seller is paid, half minor units / scale."""
        return _in_all(self.gets, self.seller_units)

    @property
    def prices(self) -> tuple[float, float] | None:
        """(price of a unit to buyers, to sellers) in money where all units have one price."""
        if isinstance(self.pays, int) and isinstance(self.gets, int) and self.trades:
            unit = self.scale * HALF_UNITS
            return self.pays / unit, self.gets / unit
        return None

    def table(self, market: Market) -> pd.DataFrame:
        """One row per trader: side, name, units, amount paid (buyers) or received (sellers)."""
        buyers = market.buyer_names or tuple(f"buyer {i}" for i in range(market.n_buyers))
        sellers = market.seller_names or tuple(f"seller {j}" for j in range(market.n_sellers))
        unit = self.scale * HALF_UNITS
        return pd.DataFrame(
            {
                "side": ["buyer"] * len(buyers) + ["seller"] * len(sellers),
                "name": [*buyers, *sellers],
                "units": np.concatenate([self.buyer_units, self.seller_units]),
                "amount": np.concatenate([self.payment, self.receipt]) / unit,
            }
        )


def require_market(market: object) -> None:
    """Raise a ValueError that shows what was given in place of a market."""
    if not isinstance(market, Market):
        raise ValueError(f"market = {market!r} must be a mecopt.market.Market")


def require_outcome(name: str, outcome: Any, market: Market | None = None) -> None:
    """Refuse what a rule returned if that is no outcome (of the market); names the rule."""
    if not isinstance(outcome, Outcome):
        raise ValueError(f"mechanism {name!r} returned {outcome!r}, not an Outcome")
    if market is None:
        return
    if isinstance(outcome.scale, bool) or not isinstance(outcome.scale, int) or outcome.scale < 1:
        raise ValueError(f"mechanism {name!r}: scale = {outcome.scale!r} must be a number >= 1")
    if outcome.rounds is not None:
        checks.whole(f"mechanism {name!r}: rounds", outcome.rounds)
    if outcome.log is not None and not isinstance(outcome.log, ClockLog):
        raise ValueError(f"mechanism {name!r}: log must be a ClockLog, is {outcome.log!r}")
    if not isinstance(outcome.parameters, Mapping):
        raise ValueError(f"mechanism {name!r}: parameters = {outcome.parameters!r} must be by name")
    sizes = {"buyer": market.n_buyers, "seller": market.n_sellers}
    for side, units, price, label in (
        ("buyer", outcome.buyer_units, outcome.pays, "pays"),
        ("seller", outcome.seller_units, outcome.gets, "gets"),
    ):
        _require_array(name, f"{side}_units", units, sizes[side], f"{side}s")
        if isinstance(price, bool):
            raise ValueError(
                f"mechanism {name!r}: {label} = {price} must be a number of half units"
            )
        if not isinstance(price, int) and not callable(price):
            _require_array(name, label, price, sizes[side], f"{side}s", money=True)
    if outcome.server is not None:
        _require_array(name, "server", outcome.server, sizes["buyer"], "buyers")
        wrong = (outcome.server < -1) | (outcome.server >= sizes["seller"])
        if wrong.any():
            at = int(np.argmax(wrong))
            raise ValueError(f"mechanism {name!r}: server[{at}] = {outcome.server[at]} is nobody")


def require_amounts(name: str, outcome: Outcome, market: Market) -> None:
    """Refuse amounts that are no whole numbers, or too large to be compared exactly.

    Parameters
    ----------
    name : str
        Of the rule, for the message.
    outcome : Outcome
        Of a function of somebody's own; amounts that are worked out late are asked for.
    market : Market

    Raises
    ------
    ValueError
        Names the rule, the field and what is wrong.
    """
    for label, amounts, size, whose in (
        ("payment", outcome.payment, market.n_buyers, "buyers"),
        ("receipt", outcome.receipt, market.n_sellers, "sellers"),
    ):
        _require_array(name, label, amounts, size, whose, money=True)
        largest = max((abs(int(amount)) for amount in amounts), default=0)
        if largest > LARGEST_AMOUNT:
            raise ValueError(f"mechanism {name!r}: {label} of {largest} is too large to compare")
    dearest = max(
        (abs(int(v)) for side in ("buyer", "seller") for v in market.reports(side)), default=0
    )
    if outcome.scale * dearest > LARGEST_AMOUNT:
        raise ValueError(f"mechanism {name!r}: scale = {outcome.scale} is too large to compare")


def _require_array(
    name: str, field: str, given: Any, size: int, whose: str, *, money: bool = False
) -> None:
    """Refuse what is no array of whole numbers with one entry per trader."""
    if not isinstance(given, np.ndarray):
        raise ValueError(f"mechanism {name!r}: {field} = {given!r} must be a NumPy array")
    if given.shape != (size,):
        raise ValueError(
            f"mechanism {name!r}: {field} has shape {given.shape}, there are {size} {whose}"
        )
    if given.dtype.kind not in "iu":
        what = "half minor units (Outcome.from_trades takes money)" if money else "numbers"
        raise ValueError(
            f"mechanism {name!r}: {field} must be whole {what}, has dtype {given.dtype}"
        )


def rule(
    clear: Callable[Concatenate[Market, Options], Outcome],
) -> Callable[Concatenate[Market, Options], Outcome]:
    """Make a function a rule: it refuses what is no market and measures its wall time."""

    @wraps(clear)
    def run(market: Market, *args: Options.args, **options: Options.kwargs) -> Outcome:
        require_market(market)
        start = time.perf_counter()
        outcome = clear(market, *args, **options)
        seconds = time.perf_counter() - start
        require_outcome(getattr(clear, "__name__", repr(clear)), outcome)
        # Nobody else holds the outcome yet; a copy would cost as much as a small market's rule.
        object.__setattr__(outcome, "seconds", seconds)
        return outcome

    return run


def seated(
    mechanism: str,
    market: Market,
    server: IntArray,
    buyer_price: IntArray,
    seller_price: IntArray,
    *,
    parameters: Mapping[str, Any],
    rounds: int | None = None,
) -> Outcome:
    """Outcome of a graph market: who sits where, at a price per seat of each server.

    Parameters
    ----------
    mechanism : str
    market : Market
    server : (B,) int64
        Seller that serves each buyer, -1 for none.
    buyer_price, seller_price : (J,) int64
        What a seat of each server costs its buyer and brings its seller, half minor units.
    parameters, rounds
        As in `Outcome`.
    """
    chosen = server >= 0
    pays = np.zeros(market.n_buyers, dtype=np.int64)
    pays[chosen] = buyer_price[server[chosen]]
    sold = np.bincount(server[chosen], minlength=market.n_sellers)
    return Outcome(
        mechanism=mechanism,
        buyer_units=as_units(chosen),
        seller_units=sold,
        pays=pays,
        gets=sold * seller_price,
        parameters=parameters,
        server=server,
        server_price=seller_price,
        rounds=rounds,
    )


def require_unit_demand(market: Market, mechanism: str) -> None:
    """Raise unless every trader has one unit and everybody can trade with everybody.

    Raises
    ------
    ValueError
        Names the mechanism and what it cannot express.
    """
    if not market.unit_demand:
        raise ValueError(f"{mechanism}: is a rule for unit demand, the market has multi-unit bids")
    if market.is_graph:
        raise ValueError(
            f"{mechanism}: is a rule for one good, the market has compatibility or link cost"
        )


def _in_all(amount: Amounts, units: NDArray[np.integer]) -> IntArray:
    if isinstance(amount, int):
        return units.astype(np.int64) * amount
    return amount() if callable(amount) else amount


def as_units(winners: NDArray[np.bool_]) -> NDArray[np.int8]:
    """A mask of winners as units of 0 or 1, without a copy."""
    return winners.view(np.int8)
