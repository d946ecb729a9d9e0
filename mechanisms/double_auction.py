"""Rules that carry out every efficient trade: the k-double auction and VCG.

* Chatterjee, Samuelson, "Bargaining under Incomplete Information", Operations Research 31 (1983);
  Rustichini, Satterthwaite, Williams, Econometrica 62 (1994): one price inside the interval of
  market-clearing prices. Its ends are truthful for one side each, its inside for nobody.
* VCG (Vickrey 1961, Clarke 1971, Groves 1973): truthful and efficient, at a deficit.
"""

from __future__ import annotations

from fractions import Fraction

from mechanisms.double_dutch.order import best_pairs, clearing_prices, sort_market
from mechanisms.outcome import Outcome, rule
from mecopt.market.instance import Market


@rule
def k_double(market: Market, *, k: float | str | Fraction = Fraction(1, 2)) -> Outcome:
    """All efficient trades at ``(1 - k) lowest + k highest`` market-clearing price, exactly.

    Parameters
    ----------
    k : float, str or Fraction
        Weight of the highest price, 0 to 1: 0 is truthful for buyers, 1 for sellers. A float is
        read as the shortest decimal that prints like it.

    Raises
    ------
    ValueError
        If k is outside [0, 1] or has a denominator above 1000.
    """
    weight = weight_of(k)
    s = sort_market(market, f"k-double-{float(weight):g}")
    low, high = clearing_prices(s, market.price_range)
    scale = weight.denominator
    price = (scale - weight.numerator) * low + weight.numerator * high
    return best_pairs(s, s.k, price, price, parameters={"k": str(weight)}, scale=scale)


def weight_of(k: float | str | Fraction) -> Fraction:
    """The weight of the highest clearing price, exactly; errors as in `k_double`."""
    try:
        weight = Fraction(str(k))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"k = {k!r} must be a number") from None
    if not 0 <= weight <= 1:
        raise ValueError(f"k = {k} must lie between 0 and 1")
    if weight.denominator > 1000:
        raise ValueError(f"k = {k} must have a denominator of at most 1000")
    return weight


@rule
def vcg(market: Market) -> Outcome:
    """All efficient trades; everybody pays or gets its critical report.

    Buyers pay ``max(c_k, v_{k+1})``, sellers get ``min(v_k, c_{k+1})``: the two ends of the
    market-clearing interval, so the auctioneer pays the difference.
    """
    s = sort_market(market, "vcg")
    low, high = clearing_prices(s, market.price_range)
    return best_pairs(s, s.k, low, high)
