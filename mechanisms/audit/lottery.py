"""Rules that give the same market different outcomes: audited in expectation.

A gain that a lot has handed out is no gain. For such a rule every figure is a mean over draws, and
a report counts as profitable only if it is so on draws that had no part in finding it, by five
standard errors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanisms.audit.asking import REPEATS, Asked, same
from mechanisms.audit.deviations import Report
from mechanisms.audit.findings import own_utility
from mechanisms.audit.incentives import Deviation, Incentives
from mechanisms.audit.sampling import Chosen
from mechanisms.audit.unit_reports import reports_of
from mechanisms.outcome import Outcome
from mecopt.market.instance import Market, Side

#: Draws behind a mean, behind the choice of a report, and behind the decision about it.
DRAWS, SEARCH_DRAWS, PROOF_DRAWS = 64, 16, 300
#: Standard errors that a gain must reach.
CERTAIN = 5.0
#: Reports tried for each trader.
MOST_REPORTS = 60


class Draws(NamedTuple):
    """Outcomes of one market when it is put to a rule again and again."""

    outcomes: tuple[Outcome, ...]

    @property
    def is_lottery(self) -> bool:
        """Whether they differ."""
        return any(not same(self.outcomes[0], other) for other in self.outcomes[1:])


def draw(
    asked: Asked, market: Market, drawn: tuple[Outcome, ...], *, all_of: bool = False
) -> Draws:
    """Ask again: our rules twice in all, others eight times; more if the outcomes differ.

    Parameters
    ----------
    drawn : tuple of Outcome
        What has been answered so far.
    all_of : bool
        Whether it is known to be a lottery.
    """
    times = 2 if asked.declared is not None else REPEATS
    again = Draws((*drawn, *(asked(market) for _ in range(times - len(drawn)))))
    if not again.is_lottery and not all_of:
        return again
    more = (asked(market) for _ in range(DRAWS - len(again.outcomes)))
    return Draws((*again.outcomes, *more))


def examine(asked: Asked, market: Market, draws: Draws, chosen: Chosen) -> Incentives:
    """Best responses in expectation of the traders chosen; no false names."""
    found = tuple(_response(asked, market, draws, *who) for who in chosen.traders)
    return Incentives(chosen, found, None, (), exact=False, is_lottery=True)


def _response(asked: Asked, market: Market, draws: Draws, side: Side, trader: int) -> Deviation:
    truth = np.array([own_utility(market, o, side, trader) for o in draws.outcomes])
    prices = market.reports(side)[market.units_of(side, trader)].tolist()
    own: Report = prices[0] if market.unit_demand or market.is_graph else tuple(prices)
    tried = reports_of(asked, market, draws.outcomes[0], side, trader)
    if len(tried) > MOST_REPORTS:
        at = np.unique(np.linspace(0, len(tried) - 1, MOST_REPORTS).astype(int))
        tried = [tried[i] for i in at]
    best, highest = own, truth.mean()
    for report in tried:
        mean = _utilities(asked, market, side, trader, report, SEARCH_DRAWS).mean()
        if mean > highest:
            best, highest = report, mean
    gain = 0.0
    if best != own:
        after = _utilities(asked, market, side, trader, best, PROOF_DRAWS)
        before = _utilities(asked, market, side, trader, own, PROOF_DRAWS)
        spread = np.sqrt((after.var(ddof=1) + before.var(ddof=1)) / PROOF_DRAWS)
        difference = float(after.mean() - before.mean())
        if difference > CERTAIN * spread and difference > 0:
            gain = difference
    return Deviation(side, trader, best, gain, tried=len(tried))


def _utilities(
    asked: Asked, market: Market, side: Side, trader: int, report: Report, draws: int
) -> NDArray[np.float64]:
    moved = market.with_report(side, trader, report)
    return np.array([own_utility(market, asked(moved), side, trader) for _ in range(draws)])
