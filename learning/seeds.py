"""Which instance seeds are for what: tests read seeds below 1000, tuning 1000..9999, training 10000
and up. Every collection of states is checked, so that nothing learns from what it is measured on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Instance seeds of each part: first, and one after the last.
PARTS = {"test": (0, 1_000), "tune": (1_000, 10_000), "train": (10_000, 2**31)}
FIRST_TRAINING = PARTS["train"][0]
#: What a checkpoint may have seen, first and last seed, unless its training says it more closely.
SEEN = {part: [PARTS[part][0], PARTS[part][1] - 1] for part in ("tune", "train")}


def check(seeds: ArrayLike, part: str) -> None:
    """Refuse seeds of another part.

    Raises
    ------
    ValueError
        If `part` is unknown, or a seed is outside it.
    """
    if part not in PARTS:
        raise ValueError(f"part: unknown {part!r}, one of {', '.join(PARTS)}")
    first, stop = PARTS[part]
    given = np.asarray(seeds)
    wrong = np.flatnonzero((given < first) | (given >= stop))
    if len(wrong):
        raise ValueError(f"seed {given[wrong[0]]} is not one of {part} ({first}..{stop - 1})")


def span(seeds: ArrayLike) -> list[int]:
    """First and last of the seeds, as a checkpoint remembers what it was trained on."""
    given = np.asarray(seeds)
    return [int(given.min()), int(given.max())]
