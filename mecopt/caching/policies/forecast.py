"""Forecasts of request rates: what a policy that looks ahead believes of the next slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks
from mecopt.caching.instance import CachingInstance

FloatArray = NDArray[np.float64]


class Forecast(Protocol):
    """Believes in mean requests of the slots to come, from those seen."""

    def reset(self, instance: CachingInstance) -> None: ...

    def see(self, requests: NDArray[np.int64]) -> None:
        """Requests (N, P) of one more slot."""

    def rates(self, slot: int, horizon: int) -> FloatArray:
        """(N, P, horizon) mean requests of slots slot + 1, ..., slot + horizon."""


@dataclass
class Ewma:
    """A fast average that fades into a slow one.

    rate after h slots = slow + (fast - slow) fade^h, with fast an exponentially weighted average
    and slow the mean of all that was seen, both started from the mean over all pairs.

    Parameters
    ----------
    weight : float
        Weight of the newest slot in the fast average, 0..1.
    fade : float
        How much of a deviation is left after one more slot, 0..1.
    prior_slots : float
        How many slots of evidence the common start counts for in the slow average.
    """

    weight: float = 0.2
    fade: float = 0.93
    prior_slots: float = 10.0
    _fast: FloatArray | None = field(default=None, repr=False)
    _total: FloatArray | None = field(default=None, repr=False)
    _seen: int = field(default=0, repr=False)

    def reset(self, instance: CachingInstance) -> None:
        self._fast, self._total, self._seen = None, None, 0

    def see(self, requests: NDArray[np.int64]) -> None:
        now = requests.astype(np.float64)
        if self._fast is None or self._total is None:
            start = np.full_like(now, now.mean())
            self._fast, self._total = start, self.prior_slots * start
        self._fast = (1 - self.weight) * self._fast + self.weight * now
        self._total = self._total + now
        self._seen += 1

    def rates(self, slot: int, horizon: int) -> FloatArray:
        assert self._fast is not None and self._total is not None
        slow = self._total / (self.prior_slots + self._seen)
        left = self.fade ** np.arange(1, horizon + 1)
        return slow[:, :, None] + (self._fast - slow)[:, :, None] * left


@dataclass
class Given:
    """Rates that are told beforehand.

    Parameters
    ----------
    source : (N, P, T) array, or callable
        Mean requests of every slot, or what makes them from the instance.

    Raises
    ------
    ValueError
        At `reset`, when they have another shape, are negative or not finite.
    """

    source: ArrayLike | Callable[[CachingInstance], FloatArray]
    _rates: FloatArray = field(default_factory=lambda: np.empty((0, 0, 0)), repr=False)

    def reset(self, instance: CachingInstance) -> None:
        given = self.source(instance) if callable(self.source) else self.source
        rates = np.asarray(given, dtype=np.float64)
        if rates.shape != instance.requests.shape:
            raise ValueError(
                f"forecast must have shape {instance.requests.shape}, has {rates.shape}"
            )
        checks.refuse(~np.isfinite(rates), "forecast", rates, "is not a finite number")
        checks.refuse(rates < 0, "forecast", rates, "is negative")
        self._rates = rates

    def see(self, requests: NDArray[np.int64]) -> None:
        """Nothing to learn."""

    def rates(self, slot: int, horizon: int) -> FloatArray:
        return self._rates[:, :, slot + 1 : slot + 1 + horizon]
