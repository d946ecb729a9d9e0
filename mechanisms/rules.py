"""Every mechanism by name: ``mechanism(name)`` is a function from a market to an outcome."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mechanisms import (
    buyer_vcg,
    double_auction,
    generalised_trade_reduction,
    muda,
    posted_price,
    server_clocks,
    trade_reduction,
)
from mechanisms.double_dutch import adaptive, bisection
from mechanisms.double_dutch import rule as double_dutch
from mechanisms.outcome import Outcome, rule
from mecopt.market.instance import Market


@rule
def _vcg(market: Market) -> Outcome:
    return buyer_vcg.run(market) if market.is_graph else double_auction.vcg(market)


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
    "server-clocks": server_clocks.run,
    "generalised-trade-reduction": generalised_trade_reduction.run,
}
#: Rules for graph markets. In a one-good market they look at every pair of traders.
GRAPH_NAMES = ("vcg", "server-clocks", "generalised-trade-reduction")

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
    *("dda-bisection", "dda-adaptive", "trade-reduction", "mcafee", "sbba", "vcg"),
    *("k-double-0", "k-double-0.5", "k-double-1", "muda", "tpd", "posted", "double-english"),
    *("server-clocks", "generalised-trade-reduction"),
)


def mechanism(name: str, **options: Any) -> Callable[[Market], Outcome]:
    """The rule of a name, with options fixed.

    Parameters
    ----------
    name : str
        ``dda-<alternation>-<pricing>``, ``k-double-<k>``, or a key of the table above.
    **options
        Options of the rule (``ticks=50`` for the clock auctions, ``seed=1`` for lotteries, ...).

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name in _PLAIN:
        return partial(_PLAIN[name], **options)
    if name.startswith("k-double-"):
        return partial(double_auction.k_double, k=name.removeprefix("k-double-"), **options)
    for alternation in double_dutch.ALTERNATIONS:
        for pricing in double_dutch.PRICINGS:
            if name == f"dda-{alternation}-{pricing}":
                fixed: dict[str, Any] = {"alternation": alternation, "pricing": pricing}
                return partial(double_dutch.run, **fixed, **options)
    raise ValueError(f"mechanism: unknown {name!r}, one of {', '.join(NAMES)}")


def fits(name: str, market: Market) -> bool:
    """Whether a rule of `NAMES` can express a market."""
    if market.memory is not None:
        return False
    if market.is_graph:
        return name in GRAPH_NAMES
    if not market.unit_demand:
        return name == "muda"
    pairwise = name in GRAPH_NAMES and name != "vcg"
    return not pairwise or market.n_buyers * market.n_sellers <= 10_000


def run(name: str, market: Market, **options: Any) -> Outcome:
    """Run one mechanism on a market."""
    return mechanism(name, **options)(market)
