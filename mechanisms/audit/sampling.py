"""Which traders are examined, and what that says of all of them.

Two searches that must not be mixed. Those *nearest* the margin of trade are where gains are; they
are all examined, and count as what they are. Of the others a simple random sample is *drawn*, and
stands for them. The share of traders that gain is then (gainers among the nearest + size of the
others x share among the drawn) / all: an unbiased estimate, with an exact binomial interval for the
second part (conservative, because nobody is drawn twice).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt.market.instance import Market, Side

IntArray = NDArray[np.int64]
Trader = tuple[Side, int]
#: Traders nearest the margin on each side that are always examined.
NEAREST = 5
SIDES: tuple[Side, ...] = ("buyer", "seller")


class Chosen(NamedTuple):
    """Traders to examine: the nearest to the margin, and a random sample of the others."""

    nearest: tuple[Trader, ...]
    drawn: tuple[Trader, ...]
    size: Mapping[Side, int]  # traders in the market

    @property
    def traders(self) -> tuple[Trader, ...]:
        """Everybody examined."""
        return self.nearest + self.drawn

    @property
    def is_everybody(self) -> bool:
        """Whether nobody is left out."""
        return len(self.traders) == sum(self.size.values())


class Share(NamedTuple):
    """Share of traders with an unbiased estimate and a 95 % interval; None where nobody is drawn.

    Without a sample only what the examined say is certain: the interval is as wide as that.
    """

    estimate: float | None
    low: float
    high: float


def choose_traders(market: Market, margin: int, sample: int | None, seed: int) -> Chosen:
    """The five nearest the margin on each side and `sample` others at random; all where it is None.

    Parameters
    ----------
    margin : int
        Price at the margin of efficient trade, half minor units.
    sample : int, optional
    seed : int
    """
    n, m = market.n_buyers, market.n_sellers
    size: dict[Side, int] = {"buyer": n, "seller": m}
    everybody: list[Trader] = [("buyer", i) for i in range(n)]
    everybody += [("seller", j) for j in range(m)]
    if sample is None or sample >= n + m:
        return Chosen((), tuple(everybody), size)
    first_b = _first_prices(market.values, market.buyer_ptr, market.price_range[0])
    first_s = _first_prices(market.costs, market.seller_ptr, market.price_range[1])
    near_b = np.argsort(np.abs(first_b - margin), kind="stable")[:NEAREST]
    near_s = np.argsort(np.abs(first_s - margin), kind="stable")[:NEAREST]
    nearest = {int(i) for i in near_b} | {n + int(j) for j in near_s}
    order = np.random.default_rng(seed).permutation(n + m).tolist()
    drawn = [i for i in order if i not in nearest][:sample]
    return Chosen(
        tuple(everybody[i] for i in sorted(nearest)), tuple(everybody[i] for i in drawn), size
    )


def _first_prices(prices: IntArray, ptr: IntArray | None, absent: int) -> IntArray:
    """Each trader's price for its first unit; `absent` for a trader without units."""
    if ptr is None:
        return prices
    return np.where(np.diff(ptr) > 0, np.append(prices, absent)[ptr[:-1]], absent)


def share_of(chosen: Chosen, gainers: Collection[Trader], side: Side | None = None) -> Share | None:
    """Share of a side's traders (of everybody) that gain, from those examined who do.

    None where nobody of the side was examined.
    """
    sides = SIDES if side is None else (side,)
    all_of = sum(chosen.size[s] for s in sides)
    nearest = [t for t in chosen.nearest if t[0] in sides]
    drawn = [t for t in chosen.drawn if t[0] in sides]
    if not nearest and not drawn:
        return None
    sure = sum(t in gainers for t in nearest)
    others = all_of - len(nearest)
    hits = sum(t in gainers for t in drawn)
    if len(drawn) == others:
        exact = (sure + hits) / all_of
        return Share(exact, exact, exact)
    if not drawn:
        return Share(None, sure / all_of, (sure + others) / all_of)
    low, high = binomial_interval(hits, len(drawn))
    estimate, low, high = ((sure + others * p) / all_of for p in (hits / len(drawn), low, high))
    return Share(estimate, low, high)


def binomial_interval(events: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a probability (Clopper, Pearson, Biometrika 26 (1934))."""
    tail = (1 - level) / 2
    low = 0.0 if events == 0 else _solve(lambda p: _at_least(events, trials, p), tail)
    high = 1.0 if events == trials else _solve(lambda p: 1 - _at_least(events + 1, trials, p), tail)
    return low, high


def _solve(tail_at: Callable[[float], float], tail: float) -> float:
    """The probability at which a tail has a given weight; tails here are monotone."""
    low, high = 0.0, 1.0
    rising = tail_at(0.999) > tail_at(0.001)
    for _ in range(50):
        middle = (low + high) / 2
        if (tail_at(middle) < tail) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_least(events: int, trials: int, p: float) -> float:
    """Probability of that many events or more."""
    k = np.arange(events, trials + 1)
    log = np.array([math.lgamma(n + 1) for n in range(trials + 1)])
    weights = (
        log[trials] - log[k] - log[trials - k] + k * math.log(p) + (trials - k) * math.log1p(-p)
    )
    return float(np.exp(weights).sum())
