"""The market: who would pay how much for a unit, and who would sell one for how much.

Money is held in **half minor units** (the minor unit is 1e-6 of a unit of account), so that the
midpoint of two reports is an integer and every statement about a budget is an equality of integers.

One good, traded in units. A trader reports one price per unit: a buyer's marginal values fall, a
seller's marginal costs rise (unit demand: one price each). A *graph* market adds which buyer can
be served by which seller (an edge server), at what link cost, within how much memory; there, each
buyer wants one unit and a seller's units are the seats of the server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks, files
from mecopt.market.forming import begins_below_zero, check_lot, flat, links, pointers
from mecopt.market.units import HALF_UNITS, MEMORY_GB, IntArray, round_range, to_half_units
from mecopt.market.validate import check_market, yes_or_no

FORMAT = files.Format("mecopt.market", version=1, finite=True)

Side = Literal["buyer", "seller"]

#: In `meta`: whether the price range was given or covers the reports.
_RANGE_FROM = "price_range_from"
#: Where a side's reports and unit pointers are.
_FIELDS = {"buyer": ("values", "buyer_ptr"), "seller": ("costs", "seller_ptr")}


@dataclass(frozen=True, eq=False)
class Market(files.Saved):
    """Reports of B buyers and J sellers (frozen, validated, serialisable).

    Parameters
    ----------
    values : (units wanted,) int64
        Marginal values in half minor units, buyer by buyer, falling within a buyer.
    costs : (units offered,) int64
        Marginal costs in half minor units, seller by seller, rising within a seller.
    price_range : (int, int)
        Lowest and highest price anybody may report, half minor units: public before the auction.
    buyer_ptr, seller_ptr : (B + 1,), (J + 1,) int64, optional
        Units ``ptr[i]:ptr[i + 1]`` belong to trader i; one unit each by default. A seller without
        units is a server without seats.
    compatible : (B, J) bool, optional
        Who can be served by whom; everybody by default.
    link_cost : (B, J) int64, optional
        Cost of serving buyer i at seller j, borne by the buyer, half minor units.
    memory, server_memory : (B,), (J,) int64, optional
        Memory a buyer's model takes, and what a server has, in thousandths of a GB.
    buyer_names, seller_names : tuple of str, optional
    meta : mapping
        Provenance; not part of the hash.

    Raises
    ------
    ValueError
        Names the argument, the position and the value of whatever is malformed.
    """

    values: IntArray
    costs: IntArray
    price_range: tuple[int, int]
    buyer_ptr: IntArray | None = None
    seller_ptr: IntArray | None = None
    compatible: NDArray[np.bool_] | None = None
    link_cost: IntArray | None = None
    memory: IntArray | None = None
    server_memory: IntArray | None = None
    buyer_names: tuple[str, ...] = ()
    seller_names: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            given = getattr(self, name)
            if given is not None or name in ("values", "costs"):
                of = yes_or_no if name == "compatible" else checks.whole_numbers
                object.__setattr__(self, name, of(name, given))
        for name in ("buyer_names", "seller_names"):
            object.__setattr__(self, name, checks.names(name, getattr(self, name)))
        checks.mapping("meta", self.meta)
        ends = checks.whole_numbers("price_range", self.price_range)
        if ends.shape != (2,):
            raise ValueError(f"price_range = {self.price_range!r} must be two prices")
        object.__setattr__(self, "price_range", tuple(ends.tolist()))
        check_market(self)

    # ---------------------------------------------------------------- sizes and views
    @property
    def n_buyers(self) -> int:
        return len(self.values) if self.buyer_ptr is None else len(self.buyer_ptr) - 1

    @property
    def n_sellers(self) -> int:
        return len(self.costs) if self.seller_ptr is None else len(self.seller_ptr) - 1

    @cached_property
    def unit_demand(self) -> bool:
        """Every trader wants or offers exactly one unit."""
        return all(
            ptr is None or bool((np.diff(ptr) == 1).all())
            for ptr in (self.buyer_ptr, self.seller_ptr)
        )

    @property
    def range_is_derived(self) -> bool:
        """Whether nobody gave the price range: it then covers the reports, and follows them."""
        return self.meta.get(_RANGE_FROM) == "reports"

    @property
    def lot(self) -> float:
        """How much of the good a unit is."""
        return self.meta.get("lot", 1.0)

    @property
    def bids(self) -> NDArray[np.float64]:
        """(units wanted,) values in units of account, as they were given."""
        return self.values / HALF_UNITS

    @property
    def asks(self) -> NDArray[np.float64]:
        """(units offered,) costs in units of account, as they were given."""
        return self.costs / HALF_UNITS

    @property
    def is_graph(self) -> bool:
        """Some buyers cannot be served by some sellers, or not at the same cost."""
        return any(x is not None for x in (self.compatible, self.link_cost, self.memory))

    @cached_property
    def wanted(self) -> IntArray:
        """(B,) units each buyer wants."""
        return np.ones_like(self.values) if self.buyer_ptr is None else np.diff(self.buyer_ptr)

    @cached_property
    def seats(self) -> IntArray:
        """(J,) units each seller offers."""
        return np.ones_like(self.costs) if self.seller_ptr is None else np.diff(self.seller_ptr)

    def reports(self, side: Side) -> IntArray:
        """Values of the buyers' units, or costs of the sellers'."""
        return getattr(self, _FIELDS[side][0])

    def units_of(self, side: Side, trader: int) -> slice:
        """Which of a side's units belong to one trader."""
        ptr = getattr(self, _FIELDS[side][1])
        return slice(trader, trader + 1) if ptr is None else slice(ptr[trader], ptr[trader + 1])

    def name_of(self, side: Side, trader: int) -> str:
        """The name of a trader; ``buyer 3`` where it has none."""
        names = self.buyer_names if side == "buyer" else self.seller_names
        return names[trader] if names else f"{side} {trader}"

    @cached_property
    def surplus(self) -> IntArray:
        """(B, J) value minus link cost minus reserve cost; the lowest int64 where incompatible.

        Raises
        ------
        ValueError
            If a buyer wants several units or none, or a seller's seats differ in cost.
        """
        value, reserve = self.values, self.reserve
        if (self.wanted != 1).any():
            raise ValueError(
                "values: a graph market has unit demand, a buyer wants several units or none"
            )
        gain = value[:, None] - reserve[None, :]
        if self.link_cost is not None:
            gain = gain - self.link_cost
        if self.compatible is not None:
            gain = np.where(self.compatible, gain, np.iinfo(np.int64).min)
        return gain

    @cached_property
    def reserve(self) -> IntArray:
        """(J,) cost of a seat; the top of the price range for a server without seats."""
        if self.seller_ptr is None:
            return self.costs
        first, last = self.seller_ptr[:-1], self.seller_ptr[1:]
        padded = np.append(self.costs, 0)
        uneven = (last > first) & (padded[first] != padded[last - 1])
        checks.refuse(uneven, "costs of seller", first, "differ between seats")
        return np.where(last > first, padded[first], self.price_range[1])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything that can change an outcome."""
        digest = hashlib.sha256(repr(("mecopt.market/1", self.price_range)).encode())
        for name in _ARRAYS:
            array = getattr(self, name)
            digest.update(f"{name}{None if array is None else array.shape}".encode())
            digest.update(b"" if array is None else array.tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        kind = "graph" if self.is_graph else "one good"
        return f"Market({self.n_buyers} buyers, {self.n_sellers} sellers, {kind})"

    # ---------------------------------------------------------------- other reports
    def with_report(self, side: Side, trader: int, prices: int | Sequence[int]) -> Market:
        """The market after one trader reports other prices (half minor units, not checked).

        One price is asked for every unit; fewer prices than units withhold the last units, in a
        one-good market. A price range that is derived from the reports is derived again.
        """
        name, ptr_name = _FIELDS[side]
        array, own = self.reports(side), self.units_of(side, trader)
        missing = 0 if np.ndim(prices) == 0 else own.stop - own.start - np.size(prices)
        if missing == 0:
            array = array.copy()
            array[own] = prices
            return self._copy(**{name: array})
        moved = np.concatenate([array[: own.start], np.asarray(prices), array[own.stop :]])
        ptr = getattr(self, ptr_name)
        ptr = np.arange(len(array) + 1) if ptr is None else ptr.copy()
        ptr[trader + 1 :] -= missing
        return self._copy(**{name: moved.astype(np.int64), ptr_name: ptr})

    def with_extra(self, side: Side, prices: int | Sequence[int]) -> Market:
        """A one-good market after one more trader enters, a unit at each price (not checked)."""
        name, ptr_name = _FIELDS[side]
        array, ptr = getattr(self, name), getattr(self, ptr_name)
        changes: dict[str, Any] = {name: np.append(array, prices)}
        if ptr is not None or np.size(prices) != 1:
            before = np.arange(len(array) + 1) if ptr is None else ptr
            changes[ptr_name] = np.append(before, before[-1] + np.size(prices))
        return self._copy(**changes, buyer_names=(), seller_names=())

    def permuted(self, buyers: IntArray, sellers: IntArray) -> Market:
        """The same market with its traders listed in another order (permutations of indices)."""
        order = {"buyer": buyers, "seller": sellers}
        changes: dict[str, Any] = {}
        for side, (name, ptr_name) in _FIELDS.items():
            prices, ptr = getattr(self, name), getattr(self, ptr_name)
            if ptr is None:
                changes[name] = prices[order[side]]
                continue
            units = np.diff(ptr)[order[side]]
            first = np.cumsum(units) - units
            at = np.arange(len(prices)) - np.repeat(first - ptr[:-1][order[side]], units)
            changes[name], changes[ptr_name] = prices[at], np.append(first, len(prices))
        for name in ("compatible", "link_cost"):
            if (edges := getattr(self, name)) is not None:
                changes[name] = np.ascontiguousarray(edges[np.ix_(buyers, sellers)])
        if self.memory is not None and self.server_memory is not None:
            changes["memory"] = self.memory[buyers]
            changes["server_memory"] = self.server_memory[sellers]
        for name, new in (("buyer_names", buyers), ("seller_names", sellers)):
            if names := getattr(self, name):
                changes[name] = tuple(names[i] for i in new)
        return self._copy(**changes)

    def _copy(self, **changes: Any) -> Market:
        # An audit makes thousands of these: skip the checks, drop cached properties.
        other = object.__new__(Market)
        mine = self.__dict__
        other.__dict__.update({name: mine[name] for name in _NAMES} | changes)
        if self.range_is_derived:
            highest = max(int(other.values.max(initial=0)), int(other.costs.max(initial=0)))
            object.__setattr__(other, "price_range", round_range(highest))
        return other

    # ---------------------------------------------------------------- construction and files
    @classmethod
    def of(
        cls,
        values: Sequence[Any] | NDArray[Any],
        costs: Sequence[Any] | NDArray[Any],
        *,
        price_range: tuple[float, float] | None = None,
        unit: float = 1.0,
        seats: Sequence[int] | None = None,
        compatible: ArrayLike | None = None,
        link_cost: ArrayLike | None = None,
        memory_gb: ArrayLike | None = None,
        server_memory_gb: ArrayLike | None = None,
        buyer_names: Sequence[str] = (),
        seller_names: Sequence[str] = (),
        lot: float = 1.0,
        meta: Mapping[str, Any] | None = None,
    ) -> Market:
        """Build a market from prices in money.

        Parameters
        ----------
        values, costs : sequence of float, or of sequences of float
            One price per trader, or one per unit (falling values, rising costs); below zero
            where the price range begins below zero.
        price_range : (float, float), optional
            By default 0 to the smallest of 1, 2, 5 x 10^n units that covers every report. Such a
            range depends on the reports, so it is part of the rule that uses it: ``with_report``
            derives it again, and an audit says so. ``meta["price_range_from"]`` is then "reports".
        unit : float
            The unit of account in money. Reports, link costs and the price range are given in
            money; the market and whatever is computed from it counts in units, of which 1e-6 is the
            finest difference: for prices per token take 1e-6 or less. Kept as
            ``meta["unit_of_account"]``.
        seats : sequence of int, optional
            Units each seller offers at its one cost.
        compatible, link_cost : (B, J), optional
        memory_gb, server_memory_gb : (B,), (J,), optional
            Whole numbers of 0.001 GB.
        lot : float
            How much of the good a unit is; prices are per 1 of the good, so an amount of money is
            price x units x lot. Kept as ``meta["lot"]``.

        Raises
        ------
        ValueError
            Amounts between two points of their grid (nothing is rounded), and whatever `Market`
            refuses.

        Examples
        --------
        >>> Market.of([9, 7, 4], [2, 5, 8])
        Market(3 buyers, 3 sellers, one good)
        """
        signed = begins_below_zero(price_range)
        flat_values, buyer_ptr = flat("values", values, unit, signed=signed)
        flat_costs, seller_ptr = flat("costs", costs, unit, signed=signed)
        if seats is not None:
            if seller_ptr is not None:
                raise ValueError("seats: give either seats or one cost per unit, not both")
            units = checks.integers("seats", list(seats))
            checks.refuse(units < 0, "seats", units, "is below zero")
            if len(units) != len(flat_costs):
                raise ValueError(f"seats must have {len(flat_costs)} entries, has {len(units)}")
            flat_costs = np.repeat(flat_costs, units)
            seller_ptr = pointers(units)
        if price_range is None:
            both = np.concatenate([flat_values, flat_costs])
            low, high = round_range(int(both.max(initial=0)))
        else:
            ends = to_half_units(price_range, "price_range", unit=unit, signed=True)
            low, high = (int(x) for x in ends)

        def memory(name: str, given: ArrayLike | None) -> IntArray | None:
            if given is None:
                return None
            gb = np.asarray(given, dtype=np.float64)
            checks.refuse(~np.isfinite(gb) | (gb < 0), name, gb, "must be >= 0")
            return checks.on_grid(name, gb, MEMORY_GB, "GB").astype(np.int64)

        scale: dict[str, Any] = {} if unit == 1 else {"unit_of_account": float(unit)}
        check_lot(lot)
        if lot != 1:
            scale["lot"] = float(lot)
        if price_range is None:
            scale[_RANGE_FROM] = "reports"
        costs_of_links = None
        if link_cost is not None:
            costs_of_links = to_half_units(link_cost, "link_cost", unit=unit)

        return cls(
            values=flat_values,
            costs=flat_costs,
            price_range=(low, high),
            buyer_ptr=buyer_ptr,
            seller_ptr=seller_ptr,
            compatible=None if compatible is None else links(compatible),
            link_cost=costs_of_links,
            memory=memory("memory_gb", memory_gb),
            server_memory=memory("server_memory_gb", server_memory_gb),
            buyer_names=tuple(buyer_names),
            seller_names=tuple(seller_names),
            meta={**(meta or {}), **scale},
        )

    def replace(self, **changes: Any) -> Market:
        """A checked copy with other fields; a price range that is given is no longer derived."""
        if "price_range" in changes and "meta" not in changes:
            changes["meta"] = {k: v for k, v in self.meta.items() if k != _RANGE_FROM}
        return replace(self, **changes)

    format: ClassVar = FORMAT
    texts: ClassVar = ("buyer_names", "seller_names")

    @classmethod
    def saved_fields(cls) -> tuple[str, ...]:
        return ("meta", "price_range", "buyer_names", "seller_names", *_ARRAYS)


_ARRAYS = (
    *("values", "costs", "buyer_ptr", "seller_ptr"),
    *("compatible", "link_cost", "memory", "server_memory"),
)
_NAMES = tuple(f.name for f in fields(Market))
