"""How long a check may take: work is counted everywhere, the clock is read now and then.

A file from anybody can ask for any amount of work, so every loop of a check whose length a file
decides spends from the budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: Units of work between two looks at the clock; a unit is a step of a loop, some 0.1 to 1 us.
_EVERY = 10_000
#: Most things of one kind that a check keeps at once; each may take some hundred bytes.
MOST_KEPT = 2**18


class Exhausted(Exception):
    """The check ended before it knew; `mecopt.certificates.verify.verify` says so."""


class Budget:
    """Seconds that a check may take, and where to report how far it is.

    Parameters
    ----------
    seconds : float
        From now; infinite for no limit.
    progress : callable, optional
        Called with (leaves checked, leaves in all).
    """

    def __init__(
        self, seconds: float = float("inf"), progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.seconds = seconds
        self._until = time.perf_counter() + seconds
        self._left = 0
        self._progress = progress

    def spend(self, work: int = 1) -> None:
        """Count work; raises `Exhausted` once the time is over."""
        self._left -= work
        if self._left < 0:
            self._left = _EVERY
            if time.perf_counter() > self._until:
                raise Exhausted(f"not verified within {self.seconds:g} s")

    def keep(self, count: int, what: str) -> None:
        """Refuse to keep more than `MOST_KEPT` of something at once."""
        if count > MOST_KEPT:
            raise Exhausted(f"not verified with at most {MOST_KEPT} {what} in memory")

    def leaf(self, done: int, total: int) -> None:
        """Report a leaf of the proof that was checked."""
        self.spend()
        if self._progress is not None:
            self._progress(done, total)

    #: So that a family's `check` may take a budget for its callback.
    __call__ = leaf
