"""What every mechanism returns: who trades, who pays what, and what it took to find out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

IntArray = NDArray[np.int64]
Amounts = IntArray | int | Callable[[], IntArray]
Options = ParamSpec("Options")


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


def require_outcome(name: str, outcome: Any) -> None:
    """Refuse what a rule returned if that is no outcome; the ValueError names the rule."""
    if not isinstance(outcome, Outcome):
        raise ValueError(f"mechanism {name!r} returned {outcome!r}, not an Outcome")


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
