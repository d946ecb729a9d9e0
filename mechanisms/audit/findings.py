"""What an audit found, as data: who reported what in place of what, and what came of it.

A finding names the trader, the prices on the market's grid, what the trader got before and after,
and the gain. `mechanisms.audit.replay` computes each again from the file that it is kept in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from mechanisms.audit.checks import unit_gains
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side
from mecopt.market.units import HALF_UNITS

#: What a finding is about, in the words of a table.
KINDS = {
    "misreport": "another report pays",
    "false-name": "an extra report pays",
    "irrational": "a loss at the true report",
    "infeasible": "cannot be carried out",
    "deficit": "the auctioneer pays",
    "surplus": "the auctioneer keeps money",
    "unequal": "equals are treated differently",
    "order": "the order of listing decides",
    "lottery": "the same market, another outcome",
    "error": "the rule fails",
}


@dataclass(frozen=True)
class Position:
    """What a trader has: units got or delivered, amount paid or received, true utility; money."""

    units: int
    amount: float
    utility: float


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found; amounts in units of account.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    mechanism : str
    gain : float
        What it is worth to the trader (what it loses, for ``irrational``; what the auctioneer
        keeps or pays, for ``surplus`` and ``deficit``).
    side, trader, index : str, str, int, optional
        Who, by its name in the market and by its place.
    true_prices, reported_prices : tuple of float, optional
        One price per unit; exactly the numbers of the market's grid. Fewer are reported where units
        are withheld, or are under another name.
    extra : {"side", "price"} or {"side", "prices"}, optional
        The report under a false name.
    other : str, optional
        The equal with whom a trader is compared.
    order : str, optional
        How traders are listed otherwise: ``reversed``, or ``shuffled SEED``.
    before, after : Position, optional
        At the true reports and at the others (``unequal``: the trader, and its equal).
    detail : str
        What is not a number.
    """

    kind: str
    mechanism: str
    gain: float = 0.0
    side: Side | None = None
    trader: str | None = None
    index: int | None = None
    true_prices: tuple[float, ...] | None = None
    reported_prices: tuple[float, ...] | None = None
    extra: Mapping[str, Any] | None = None
    other: str | None = None
    order: str | None = None
    before: Position | None = None
    after: Position | None = None
    detail: str = ""

    def to_document(self) -> dict[str, Any]:
        """The fields that say something, for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}

    @classmethod
    def from_document(cls, body: Mapping[str, Any], where: str) -> Finding:
        """Inverse of `to_document`; a ValueError names what is malformed."""
        try:
            given = dict(body)
            for name in ("before", "after"):
                if name in given:
                    given[name] = Position(**given[name])
            for name in ("true_prices", "reported_prices"):
                if name in given:
                    given[name] = tuple(float(p) for p in given[name])
            found = cls(**given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: malformed finding ({error})") from None
        if found.kind not in KINDS:
            raise ValueError(f"{where}: kind = {found.kind!r} must be one of {', '.join(KINDS)}")
        return found

    def describe(self) -> str:
        """The finding in one line for people, with all digits that there are."""
        words = [f"{self.kind}:"]
        if self.trader is not None:
            words.append(f"{self.side} {self.trader!r}" if self.side else repr(self.trader))
        if self.kind == "misreport":
            true, reported = map(prices_in_words, (self.true_prices, self.reported_prices))
            words.append(f"reports {reported}, not {true}")
            less = len(self.true_prices or ()) - len(self.reported_prices or ())
            if less:
                words.append(f"({less} withheld)")
        elif self.reported_prices is not None and self.extra is None:
            words.append(f"reports {prices_in_words(self.reported_prices)}:")
        if self.extra is not None:
            words.append(f"adds a {self.extra['side']} at {_extra_prices(self.extra)}")
            if self.reported_prices is not None:
                words.append(f"and keeps {prices_in_words(self.reported_prices)}")
        if self.other is not None:
            words.append(f"and its equal {self.other!r}")
        if self.order is not None:
            words.append(f"when traders are listed {self.order}")
        if self.before is not None:
            words.append(f"has {_position(self.before)}")
        if self.after is not None:
            words.append(f"then {_position(self.after)}")
        if self.gain:
            words.append(f"({'gain' if self.kind != 'irrational' else 'loss'} {self.gain!r})")
        detail = " ".join(self.detail.split()) if self.detail else ""
        return " ".join([*words, detail] if detail else words)


def prices_in_words(prices: tuple[float, ...] | None) -> str:
    """Prices unit by unit, equal ones counted: ``3 x 9.0, 7.0``."""
    parts = []
    for price, units in groupby(prices or ()):
        count = len(list(units))
        parts.append(repr(price) if count == 1 else f"{count} x {price!r}")
    return ", ".join(parts) or "nothing"


def _extra_prices(extra: Mapping[str, Any]) -> str:
    return prices_in_words(tuple(extra["prices"])) if "prices" in extra else repr(extra["price"])


def _position(held: Position) -> str:
    return f"{held.units} at {held.amount!r}"


def position(truth: Market, outcome: Outcome, side: Side, trader: int) -> Position:
    """What a trader has in an outcome, its utility at its true report."""
    amount = paid(outcome, side, trader) / (outcome.scale * HALF_UNITS)
    utility = own_utility(truth, outcome, side, trader) / HALF_UNITS
    return Position(units_of(outcome, side, trader), amount, utility)


def own_utility(truth: Market, outcome: Outcome, side: Side, trader: int) -> float:
    """True utility of one trader in an outcome, half minor units (exact below 2^53)."""
    if truth.unit_demand and outcome.server is None:
        worth = units_of(outcome, side, trader) * int(truth.reports(side)[trader])
    else:
        worth = int(unit_gains(truth, outcome)[side == "seller"][trader])
    gain = outcome.scale * worth - paid(outcome, side, trader)
    return (gain if side == "buyer" else -gain) / outcome.scale


def units_of(outcome: Outcome, side: Side, trader: int) -> int:
    """Units that a buyer gets or a seller delivers."""
    return int((outcome.buyer_units if side == "buyer" else outcome.seller_units)[trader])


def paid(outcome: Outcome, side: Side, trader: int) -> int:
    """Payment of a buyer or receipt of a seller, without writing out everybody's."""
    price = outcome.pays if side == "buyer" else outcome.gets
    if isinstance(price, int):
        return price * units_of(outcome, side, trader)
    return int((outcome.payment if side == "buyer" else outcome.receipt)[trader])
