"""Every mechanism by name: ``mechanism(name)`` is a function from a market to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mechanisms import (
    buyer_vcg,
    double_auction,
    generalised_trade_reduction,
    muda,
    posted_price,
    server_clocks,
    trade_reduction,
)
from mechanisms.call_market import efficient
from mechanisms.call_market.reduction import units_reduction
from mechanisms.double_dutch import adaptive, bisection, learned
from mechanisms.double_dutch import rule as double_dutch
from mechanisms.double_dutch.order import IntArray, lot
from mechanisms.outcome import Outcome, rule
from mecopt.market.instance import Market, Side


@rule
def _vcg(market: Market, *, reserve: float | None = None) -> Outcome:
    if market.is_graph:
        if reserve is not None:
            raise ValueError("vcg: a graph has a reserve price for each seller, its cost")
        return buyer_vcg.run(market)
    if market.unit_demand and reserve is None:
        return double_auction.vcg(market)
    return efficient.vcg(market, reserve=reserve)


_PLAIN: dict[str, Callable[..., Outcome]] = {
    "trade-reduction": trade_reduction.trade_reduction,
    "mcafee": trade_reduction.mcafee,
    "sbba": trade_reduction.sbba,
    "vcg": _vcg,
    "muda": muda.muda,
    "tpd": posted_price.tpd,
    "posted": posted_price.posted_price,
    "double-english": trade_reduction.double_english,
    "dda-bisection": bisection.run,
    "dda-adaptive": adaptive.run,
    "dda-learned": learned.run,
    "server-clocks": server_clocks.run,
    "generalised-trade-reduction": generalised_trade_reduction.run,
    "uniform-price": efficient.uniform_price,
    "pay-as-bid": efficient.pay_as_bid,
    "units-reduction": units_reduction,
}


@dataclass(frozen=True)
class Declaration:
    """What an outcome can depend on as one trader's report moves; proved rule by rule.

    Parameters
    ----------
    breakpoints : str
        Where the outcome of a one-good market with unit demand can change: ``grid`` (at the prices
        of a fixed grid), ``reports`` (at the others' reports and the thresholds that the outcome
        names; between two of them prices are constant or monotone), ``midpoints`` (at the middle of
        two reports), or ``sums`` (anywhere that sums and differences of reports lie).
    uses_range : bool
        Whether the price range of the market decides anything.
    by_lot : bool
        Whether a seeded lot decides, drawn before anybody reports.
    priority : function, optional
        ``(market, side, options) -> order``: who comes first where reports tie (or all accept).
        Being earlier never turns a win into a loss, and moves a price at one place of the order at
        most. None where that is not so.
    menu_of_units : bool
        Where traders have several units: whatever a trader can get by a report, it gets, or gets
        something as good, by one price for its first q units and none of the others, and what it
        then gets changes only at others' reports (`mechanisms.audit.unit_reports`).
    """

    breakpoints: str
    uses_range: bool = True
    by_lot: bool = False
    priority: Callable[[Market, Side, Mapping[str, Any]], IntArray] | None = None
    menu_of_units: bool = False


def _listed(market: Market, side: Side, options: Mapping[str, Any]) -> IntArray:
    """Ties go to whoever is listed first."""
    return np.arange(market.n_buyers if side == "buyer" else market.n_sellers)


def _drawn(market: Market, side: Side, options: Mapping[str, Any]) -> IntArray:
    """A lot orders everybody."""
    count = market.n_buyers if side == "buyer" else market.n_sellers
    return lot(count, options.get("seed", 0), int(side == "seller"))


#: Every function that is a rule of ours. What is not here is somebody else's, of which nothing is
#: known but its outcomes.
_DECLARED: dict[Callable[..., Outcome], Declaration] = {
    trade_reduction.trade_reduction: Declaration("reports", uses_range=False, priority=_listed),
    trade_reduction.mcafee: Declaration("reports", uses_range=False, priority=_listed),
    trade_reduction.sbba: Declaration("reports", uses_range=False, by_lot=True),
    trade_reduction.double_english: Declaration("reports", uses_range=False, priority=_listed),
    double_auction.k_double: Declaration("reports", priority=_listed),
    _vcg: Declaration("reports", priority=_listed, menu_of_units=True),
    posted_price.tpd: Declaration("reports", priority=_listed),
    posted_price.posted_price: Declaration("reports", by_lot=True, priority=_drawn),
    muda.muda: Declaration("midpoints", by_lot=True, menu_of_units=True),
    efficient.uniform_price: Declaration("reports", priority=_listed, menu_of_units=True),
    efficient.pay_as_bid: Declaration(
        "reports", uses_range=False, priority=_listed, menu_of_units=True
    ),
    units_reduction: Declaration("reports", uses_range=False, by_lot=True, menu_of_units=True),
    bisection.run: Declaration("grid", priority=_listed),
    adaptive.run: Declaration("grid", priority=_listed),
    learned.run: Declaration("grid", priority=_listed),
    double_dutch.run: Declaration("grid", priority=_listed),
    server_clocks.run: Declaration("sums"),
    generalised_trade_reduction.run: Declaration("reports"),
}
#: Rules for graph markets. In a one-good market they look at every pair of traders.
GRAPH_NAMES = ("vcg", "server-clocks", "generalised-trade-reduction")

#: Rules for traders with several units: those for them alone, and all. With one unit a trader the
#: first are `k-double`, a first-price rule and one of the trade reductions.
ONLY_UNITS = ("uniform-price-0", "uniform-price-0.5", "uniform-price-1", "pay-as-bid") + (
    "units-reduction",
)
UNITS_NAMES = (*ONLY_UNITS, "vcg", "muda")
#: Rules that count a missing price as 0.
_FROM_ZERO = ("mcafee", "dda-synchronous-mcafee", "dda-unit-mcafee", "dda-adaptive-mcafee")

#: Most pairs of traders that the other two of them look at there.
MOST_PAIRS = 10_000

#: What ``--mechanism all`` runs. With sealed stops the alternation changes only the number of
#: broadcasts, so each sealed pricing is listed once, and the printed t-DDA beside it.
NAMES = (
    *(
        f"dda-{alternation}-{pricing}"
        for alternation in double_dutch.ALTERNATIONS
        for pricing in ("mid", "clamped", "own-clock")
    ),
    "dda-synchronous-mcafee",
    *(f"dda-unit-{pricing}" for pricing in double_dutch.SEALED),
    *("dda-bisection", "dda-adaptive", "dda-adaptive-mcafee"),
    *("dda-learned", "dda-learned-mcafee"),
    *("trade-reduction", "mcafee", "sbba", "vcg"),
    *("k-double-0", "k-double-0.5", "k-double-1", "muda", "tpd", "posted", "double-english"),
    *("server-clocks", "generalised-trade-reduction"),
    *ONLY_UNITS,
)


def mechanism(name: str, **options: Any) -> Callable[[Market], Outcome]:
    """The rule of a name, with options fixed.

    Parameters
    ----------
    name : str
        ``dda-<alternation>-<pricing>``, ``k-double-<k>``, ``uniform-price-<k>``, or a key of the
        table above.
    **options
        Options of the rule (``ticks=50`` for the clock auctions, ``seed=1`` for lotteries, ...).

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name in _PLAIN:
        return partial(_PLAIN[name], **options)
    if name in ("dda-adaptive-mcafee", "dda-learned-mcafee"):
        return partial(_PLAIN[name.removesuffix("-mcafee")], pricing="mcafee", **options)
    if name.startswith("k-double-"):
        return partial(double_auction.k_double, k=name.removeprefix("k-double-"), **options)
    if name.startswith("uniform-price-"):
        return partial(efficient.uniform_price, k=name.removeprefix("uniform-price-"), **options)
    for alternation in double_dutch.ALTERNATIONS:
        for pricing in double_dutch.PRICINGS:
            if name == f"dda-{alternation}-{pricing}":
                fixed: dict[str, Any] = {"alternation": alternation, "pricing": pricing}
                return partial(double_dutch.run, **fixed, **options)
    raise ValueError(f"mechanism: unknown {name!r}, one of {', '.join(NAMES)}")


def declared(rule: Callable[[Market], Outcome]) -> Declaration | None:
    """What is declared of a rule that `mechanism` made; None of any other function."""
    function = rule.func if isinstance(rule, partial) and not rule.args else rule
    return _DECLARED.get(function)


def address(rule: Callable[[Market], Outcome]) -> tuple[str, dict[str, Any]] | None:
    """Name and options from which `mechanism` makes a rule again; None of any other function."""
    if not isinstance(rule, partial) or rule.func not in _DECLARED or rule.args:
        return None
    options = dict(rule.keywords)
    if rule.func is double_auction.k_double:
        return f"k-double-{options.pop('k')}", options
    if rule.func is efficient.uniform_price and "k" in options:
        return f"uniform-price-{options.pop('k')}", options
    if rule.func is double_dutch.run:
        return f"dda-{options.pop('alternation')}-{options.pop('pricing')}", options
    name = next(n for n, function in _PLAIN.items() if function is rule.func)
    if options.get("pricing") == "mcafee":  # of steps that are chosen as the clocks go
        del options["pricing"]
        name += "-mcafee"
    return name, options


def misfit(name: str, market: Market) -> str:
    """Why a rule of `NAMES` cannot express a market; empty when it can."""
    if market.memory is not None:
        return "memory limits have no prices"
    if market.is_graph:
        if name not in GRAPH_NAMES:
            return "a rule for one good, the market has compatibility or link cost"
        try:
            market.surplus  # noqa: B018 - refuses what no rule for graphs can express
        except ValueError as error:
            return str(error)
        return ""
    if market.price_range[0] < 0 and name in _FROM_ZERO:
        return "counts a missing price as 0, the price range begins below it"
    if not market.unit_demand:
        fits = name in UNITS_NAMES
        return "" if fits else f"a rule for one unit a trader, {_other_units(market)}"
    if name in ONLY_UNITS:
        return "for traders with several units"
    pairs = market.n_buyers * market.n_sellers
    if name in GRAPH_NAMES and name != "vcg" and pairs > MOST_PAIRS:
        return f"looks at every pair of traders, {pairs} are more than {MOST_PAIRS}"
    return ""


def fits(name: str, market: Market) -> bool:
    """Whether a rule of `NAMES` can express a market."""
    return not misfit(name, market)


def _other_units(market: Market) -> str:
    """How many traders have another number of units than one, in words."""
    counts = (("buyers", market.wanted), ("sellers", market.seats))
    found = [f"{int((n != 1).sum())} of {len(n)} {side}" for side, n in counts if (n != 1).any()]
    return f"{' and '.join(found)} have several units or none"


def fitting(market: Market) -> tuple[tuple[str, ...], dict[str, str]]:
    """The rules of `NAMES` that can express a market, and why the others cannot.

    Raises
    ------
    ValueError
        If there is none; says why.
    """
    left_out = {name: why for name in NAMES if (why := misfit(name, market))}
    names = tuple(name for name in NAMES if name not in left_out)
    if not names:
        raise ValueError(
            f"mechanism: no rule fits {market!r}: {'; '.join(dict.fromkeys(left_out.values()))}"
        )
    return names, left_out


def run(name: str, market: Market, **options: Any) -> Outcome:
    """Run one mechanism on a market."""
    return mechanism(name, **options)(market)
