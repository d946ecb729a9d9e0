"""What a caching rule may know beforehand: the system, and the law of its requests."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.caching.coupling import Forwarding
from mecopt.caching.instance import CachingInstance
from mecopt.caching.scenarios import t2drl

FloatArray = NDArray[np.float64]

#: Part of a Poisson law that is left out: its requests are taken to cost nothing from then on.
TAIL = 1e-10
#: Most requests of a pair in a slot that a law may know.
_MOST = 5_000


@dataclass(frozen=True, eq=False)
class System:
    """Servers and pairs without requests, and how these are drawn.

    Pair p at server n is row q = n P + p. Every row has a hidden phase, lull or burst, which
    changes with probability `flip` from slot to slot, either way, and starts in equal shares; its
    requests are drawn anew each slot from the law of the phase. Rows are independent.

    Parameters
    ----------
    instance : CachingInstance
        Its own requests are not looked at.
    law : (N P, 2, C) float64
        Probability of r = 0, ..., C - 1 requests in a slot of a lull, and of a burst. Whatever is
        missing from one is larger numbers, which are taken to cost nothing.
    flip : float
        Probability that the phase changes, in (0, 1).

    Raises
    ------
    ValueError
        If the law has another shape, is no law, or servers forward requests to each other.
    """

    instance: CachingInstance
    law: FloatArray
    flip: float

    def __post_init__(self) -> None:
        law = np.asarray(self.law, dtype=np.float64)
        rows = self.instance.n_servers * self.instance.n_pairs
        if law.ndim != 3 or law.shape[:2] != (rows, 2) or law.shape[2] == 0:
            raise ValueError(f"law must have shape ({rows}, 2, requests), has {law.shape}")
        checks.refuse(~((law >= 0) & (law <= 1)), "law", law, "is no probability")
        total = law.sum(axis=2)
        checks.refuse(total > 1 + 1e-12, "sum of law", total, "is more than 1")
        if not 0 < self.flip < 1:
            raise ValueError(f"flip = {self.flip!r} must be between 0 and 1")
        if isinstance(self.instance.coupling, Forwarding):
            raise ValueError(
                "coupling: servers that serve each other's requests have no bound on online rules"
            )
        object.__setattr__(self, "law", checks.frozen(law, np.float64))

    @property
    def expected_requests(self) -> float:
        """Requests of an episode, expected (what the law leaves out is not counted)."""
        mean = self.law.mean(axis=1) @ np.arange(self.law.shape[2])
        return float(mean.sum() * self.instance.n_slots)


def system_of(instance: CachingInstance) -> System:
    """The system behind an episode of `mecopt.caching.scenarios.t2drl`.

    Raises
    ------
    ValueError
        If the instance was not generated there, or servers forward requests.
    """
    demand = t2drl.demand_of(instance)
    rates = demand.mean.reshape(-1, 1) * np.array(demand.factors)
    return System(instance.blinded, poisson(rates), demand.flip)


def poisson(rates: FloatArray) -> FloatArray:
    """(Q, 2, C) Poisson laws of rates (Q, 2), each cut where less than `TAIL` is left.

    Raises
    ------
    ValueError
        If a rate is so large that its law has more than some thousand entries.
    """
    largest = float(rates.max(initial=0.0))
    count = int(largest + 8 * np.sqrt(largest) + 20)
    if count > _MOST:
        raise ValueError(f"rates: {largest:g} requests of a pair in a slot are too many")
    r = np.arange(count)
    with np.errstate(divide="ignore"):
        logs = np.log(rates[..., None])
    power = np.multiply(r, logs, where=r > 0, out=np.zeros((*rates.shape, count)))
    law = np.exp(power - rates[..., None] - np.array([lgamma(k + 1) for k in r]))
    after = law[..., ::-1].cumsum(axis=-1)[..., ::-1]
    law[after < TAIL] = 0.0
    used = int(np.flatnonzero(law.any(axis=(0, 1)))[-1]) + 1
    # Sums of floats may exceed one by rounding; a law may only say less.
    return np.asarray(law[..., :used] / np.maximum(1.0, law.sum(axis=-1, keepdims=True)))
