"""A double Dutch auction whose step a trained policy chooses, by name.

The policy was trained on markets of one distribution (`learning.market.train`; the shipped one on
`mecopt.market.scenarios` ``two-classes``, 20 traders a side, 100 ticks). On others it is as legal
and as rational, and no better than any other step. It comes in through the entry points of the
group ``mecopt.auctioneers``, so that nothing here imports the package that trains it.
"""

from __future__ import annotations

import os

from mechanisms.double_dutch import adaptive
from mechanisms.outcome import Outcome, rule
from mecopt import plugins
from mecopt.market.instance import Market

NAME = "dda-learned"


@rule
def run(
    market: Market,
    *,
    pricing: str = "clamped",
    ticks: int | None = None,
    step: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Outcome:
    """Clear a market with learned steps, the clock moving on whose side fewer have stopped.

    Parameters
    ----------
    pricing, ticks, step
        As for `mechanisms.double_dutch.adaptive.run`.
    checkpoint : path, optional
        An auctioneer of your own (``mecopt train auctioneer``).

    Raises
    ------
    ValueError
        As `mechanisms.double_dutch.adaptive.run`, or if the folder holds no auctioneer.
    """
    policy = plugins.make(plugins.AUCTIONEERS, NAME, checkpoint=checkpoint)
    return adaptive.run(
        market, policy=policy, ticks=ticks, step=step,
        alternation="unit", pricing=pricing, name=NAME,
    )  # fmt: skip
