"""The trained auctioneer: what pyproject.toml declares for the rules ``dda-learned...``."""

from __future__ import annotations

import os

from learning import zoo
from learning.market.policy import LearnedSteps


def steps(checkpoint: str | os.PathLike[str] | None = None) -> LearnedSteps:
    """The shipped auctioneer, or that of a folder (`learning.zoo.trained`).

    Raises
    ------
    ValueError
        If the folder holds no auctioneer that can be loaded.
    """
    found: LearnedSteps = zoo.trained("market", "auctioneer", checkpoint)
    return found
