"""The double Dutch auction: two clocks on one price grid, every open choice an explicit option.

McCabe, Rassenti, Smith, "Designing Call Auction Institutions: Is Double Dutch the Best?", Economic
Journal 102 (1992); Xu et al., arXiv 2111.03776; Xu, Niyato, Brinton, arXiv 2501.14205 (IEEE/ACM
ToN 34, 2026), called ToN below.

The buyer clock falls from the top of the grid, the seller clock rises from its bottom. A buyer
stops its clock at the first price at or below its value, a seller at the first at or above its
cost; the n-th buyer to stop trades with the n-th seller. The auction ends when the buyer clock is
below the seller clock, or a clock reaches the end of the grid. Prices exist on the grid only
(``low + m * step``, integers), never by accumulated subtraction.

Options
-------
alternation : who moves
    ``synchronous``: both clocks move each round (printed in ToN). ``unit``: a clock moves until one
    trader stops it, then the other side's. ``flip``: a clock moves until a tick at which somebody
    stops, all who stop there are taken, then the other side's. ``tick``: the clocks move one tick
    in turn. The last three are readings of the published text, which leaves the point open.
pricing : what winners pay
    ``mid``: midpoint of the final clocks (printed in arXiv 2111.03776). ``clamped``: the same,
    clamped to the stops of the last matched pair (ours: never irrational). ``own-clock``: every
    winner at its own stop. ``mcafee``: ToN's "t-DDA". ``trade-reduction``: the last profitable pair
    is excluded and sets the prices. ``trade-reduction-critical``: the same trades, every winner at
    the level at which it would just have won (ours: ties make this differ by one step).
    For the last three, stops are sealed and both clocks run to the ends of the grid: clearing needs
    the stops of the first excluded pair.
ending : when it is over
    ``crossing``: the clocks cross (or the grid ends), also where one clock has nobody left to stop
    it. ``no-acceptance``: that, or as soon as everybody of the shorter side is matched, because no
    acceptance can bring another trade (ToN: "no acceptance can come"). The trades are the same, the
    midpoint is not. Sealed stops have no ending to choose.
first_mover : ``buyer`` or ``seller`` (not printed)
ties : among traders who stop at one tick, ``index`` or a seeded ``random`` order (not printed)
ticks or step : the grid (ToN uses fixed and learned steps; see `mechanisms.double_dutch.adaptive`)
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanisms.double_dutch import clocks, events
from mechanisms.double_dutch.clocks import BUYER, FLIP, SELLER, SYNCHRONOUS, TICK, UNIT, Grid
from mechanisms.double_dutch.order import lot
from mechanisms.outcome import Amounts, Outcome, as_units, require_unit_demand, rule
from mecopt import checks
from mecopt.market.instance import Market

ALTERNATIONS = {"synchronous": SYNCHRONOUS, "unit": UNIT, "flip": FLIP, "tick": TICK}
PRICINGS = (
    *("mid", "clamped", "own-clock", "mcafee"),
    *("trade-reduction", "trade-reduction-critical"),
)
SEALED = PRICINGS[3:]
Mask = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@rule
def run(
    market: Market,
    *,
    alternation: str,
    pricing: str,
    first_mover: str = "buyer",
    ending: str = "crossing",
    ties: str = "index",
    ticks: int | None = None,
    step: float | None = None,
    price_range: tuple[float, float] | None = None,
    seed: int = 0,
    log: bool = False,
) -> Outcome:
    """Clear a market by two clocks (options in the module docstring).

    Parameters
    ----------
    ticks, step, price_range
        The grid (`mechanisms.double_dutch.clocks.make_grid`); 100 ticks over the market's price
        range by default.
    seed : int
        Decides the tie order with ``ties="random"``.
    log : bool
        Run the event-driven clock instead of the counting one and keep what was said.

    Raises
    ------
    ValueError
        Unknown options, multi-unit or graph markets, a grid that misses a bid.
    """
    checks.one_of("alternation", alternation, ALTERNATIONS)
    checks.one_of("pricing", pricing, PRICINGS)
    checks.one_of("first_mover", first_mover, ("buyer", "seller"))
    checks.one_of("ending", ending, ("crossing", "no-acceptance"))
    if ending != "crossing" and pricing in SEALED:
        raise ValueError(f"ending = {ending!r}: with {pricing} stops are sealed, clocks run on")
    checks.one_of("ties", ties, ("index", "random"))
    checks.whole("seed", seed)
    name = f"dda-{alternation}-{pricing}"
    require_unit_demand(market, name)
    grid = clocks.make_grid(market, ticks=ticks, step=step, price_range=price_range)
    values, costs = market.values, market.costs
    orders = None
    if ties == "random":
        orders = lot(len(values), seed, BUYER), lot(len(costs), seed, SELLER)
        values, costs = values[orders[0]], costs[orders[1]]
    mover = BUYER if first_mover == "buyer" else SELLER
    said, ended = None, None
    if log:
        kind = "sealed" if pricing in SEALED else alternation
        early = ending == "no-acceptance"
        said, ended = events.clock_log(values, costs, grid, kind, mover, stop_early=early)
    code = ALTERNATIONS[alternation]
    cleared = clear(
        values, costs, grid, code, pricing, mover, ended, stop_early=ending == "no-acceptance"
    )
    pays, gets = _amounts(cleared, values, costs, grid)
    buyers, sellers = cleared.buyers, cleared.sellers
    if orders is not None:
        buyers, sellers = _back(buyers, orders[0]), _back(sellers, orders[1])
        pays = _back(pays(), orders[0]) if callable(pays) else pays
        gets = _back(gets(), orders[1]) if callable(gets) else gets
        if said is not None:
            agent = [orders[side][i] for side, i in zip(said.side, said.agent, strict=True)]
            said = said._replace(agent=np.array(agent, dtype=np.int64))
    return Outcome(
        mechanism=name,
        parameters={
            "alternation": alternation,
            "pricing": pricing,
            "first_mover": first_mover,
            "ending": ending,
            "ties": ties,
            "low": grid.low,
            "step": grid.step,
            "ticks": grid.ticks,
            "seed": seed,
        },
        buyer_units=as_units(buyers),
        seller_units=as_units(sellers),
        pays=pays,
        gets=gets,
        rounds=cleared.rounds,
        log=said,
    )


class Cleared(NamedTuple):
    """Winners and prices (half minor units) before they are written out trader by trader.

    Prices are None where every winner pays its own. With critical payments, winning buyers from
    position `buyer_pivot` on pay one step more, sellers from `seller_pivot` on get one step less.
    """

    trades: int
    buyers: Mask
    sellers: Mask
    buyer_price: int | None
    seller_price: int | None
    rounds: int
    buyer_pivot: int | None = None
    seller_pivot: int | None = None


def clear(
    values: IntArray,
    costs: IntArray,
    grid: Grid,
    alternation: int,
    pricing: str,
    first: int = BUYER,
    ended: tuple[int, int, int, int] | None = None,
    *,
    stop_early: bool = False,
) -> Cleared:
    """Clear by counting: no sort, no simulation, O(traders + ticks).

    Parameters
    ----------
    values, costs : (B,), (J,) int64
        Half minor units, in tie order.
    alternation : int
        One of `ALTERNATIONS`' codes.
    ended : (trades, buyer level, seller level, broadcasts), optional
        How the event-driven clock ended, instead of counting it.
    stop_early : bool
        End once everybody of the shorter side is matched.
    """
    low, step, ticks = grid
    stops = clocks.histograms(values, costs, low, step, ticks)
    if pricing in SEALED:
        rounds = ticks + 1 if alternation == SYNCHRONOUS else 2 * (ticks + 1)
        return _clear_sealed(values, costs, grid, stops, pricing, rounds)
    trades, b, s, rounds = ended or clocks.run_clocks(*stops, alternation, first, stop_early)
    last_b, last_s, buyers, sellers = _take(values, costs, grid, stops, trades)
    if pricing == "own-clock":
        return Cleared(trades, buyers, sellers, None, None, rounds)
    price = low + (b + s) * step // 2  # the step is even: exact
    if pricing == "clamped" and trades:
        price = min(max(price, grid.price(last_s)), grid.price(last_b))
    return Cleared(trades, buyers, sellers, price, price, rounds)


def _clear_sealed(
    values: IntArray,
    costs: IntArray,
    grid: Grid,
    stops: tuple[IntArray, IntArray],
    pricing: str,
    rounds: int,
) -> Cleared:
    """Clear sealed stops: McAfee's rule or trade reduction, on the grid."""
    k = clocks.efficient_trades(*stops)
    if k == 0:
        return Cleared(0, np.zeros(len(values), bool), np.zeros(len(costs), bool), 0, 0, rounds)
    high = grid.price(clocks.nth_buyer(stops[0], k)[0])
    low = grid.price(clocks.nth_seller(stops[1], k)[0])
    if pricing == "mcafee" and k < len(costs):  # without a seller k + 1 the midpoint is infinite
        after_b, _ = clocks.nth_buyer(stops[0], k + 1)
        after_s, _ = clocks.nth_seller(stops[1], k + 1)
        twice = (grid.price(after_b) if after_b >= 0 else 0) + grid.price(after_s)
        if 2 * low <= twice <= 2 * high:
            # Grid prices are whole minor units, so half their sum is a whole half unit.
            _, _, buyers, sellers = _take(values, costs, grid, stops, k)
            return Cleared(k, buyers, sellers, twice // 2, twice // 2, rounds)
    _, _, buyers, sellers = _take(values, costs, grid, stops, k - 1)
    if pricing != "trade-reduction-critical":
        return Cleared(k - 1, buyers, sellers, high, low, rounds)
    # Reporting the excluded trader's stop wins only ahead of it in the tie order; everybody else
    # needs one step more.
    step = grid.step
    pivot_b = clocks.first_left_out(values, high, high + step, buyers)
    pivot_s = clocks.first_left_out(costs, low - step + 1, low + 1, sellers)
    return Cleared(k - 1, buyers, sellers, high, low, rounds, pivot_b, pivot_s)


def _take(
    values: IntArray, costs: IntArray, grid: Grid, stops: tuple[IntArray, IntArray], count: int
) -> tuple[int, int, Mask, Mask]:
    """First `count` of each side in the order of stops: the last one's levels, and masks."""
    if count == 0:
        nobody = np.zeros(len(values), bool), np.zeros(len(costs), bool)
        return -1, -1, *nobody
    last_b, above = clocks.nth_buyer(stops[0], count)
    last_s, below = clocks.nth_seller(stops[1], count)
    floor_b, floor_s = grid.price(last_b), grid.price(last_s - 1)
    taken_b = clocks.mark_buyers(values, floor_b, floor_b + grid.step, count - above)
    taken_s = clocks.mark_sellers(costs, floor_s, floor_s + grid.step, count - below)
    return last_b, last_s, taken_b, taken_s


def _own_stops(prices: IntArray, low: int, step: int, winners: Mask) -> IntArray:
    """Winners' own stops: rounded down with a positive step (buyers), up with a negative one."""
    return np.where(winners, low + (prices - low) // step * step, 0)


def _critical(price: int, step: int, pivot: int, winners: Mask) -> IntArray:
    """One price for winners ahead of the excluded trader, one step off it behind."""
    amounts = np.where(winners, price, 0)
    amounts[pivot:] += step * winners[pivot:]
    return amounts


def _amounts(
    cleared: Cleared, values: IntArray, costs: IntArray, grid: Grid
) -> tuple[Amounts, Amounts]:
    """What buyers pay and sellers get: one price, or amounts worked out when asked for."""
    low, step, _ = grid
    if cleared.buyer_price is None or cleared.seller_price is None:
        return (
            partial(_own_stops, values, low, step, cleared.buyers),
            partial(_own_stops, costs, low, -step, cleared.sellers),
        )
    if cleared.buyer_pivot is None or cleared.seller_pivot is None:
        return int(cleared.buyer_price), int(cleared.seller_price)
    return (
        partial(_critical, cleared.buyer_price, step, cleared.buyer_pivot, cleared.buyers),
        partial(_critical, cleared.seller_price, -step, cleared.seller_pivot, cleared.sellers),
    )


def _back(array: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    out = np.empty_like(array)
    out[order] = array
    return out
