"""``pair-values``: every slot exactly, with what a context is worth to its pair at good prices.

The rule knows the popularity of every pair and the law of phases, and follows beliefs: all that
rules may know in `formulations.online.caching`. What it leaves to the online bound is what nobody
knows to gain.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from formulations.online.caching import kernel
from formulations.online.caching.alone import Values
from formulations.online.caching.route import tables_of
from formulations.online.caching.system import system_of
from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation
from mecopt.caching.policies.slotwise import SlotDecision


class _Same:
    """A blind instance as a key of a cache."""

    def __init__(self, instance: CachingInstance) -> None:
        self.instance = instance
        generated = {k: v for k, v in instance.meta.items() if k != "request_seed"}
        self._key = (instance.content_hash, repr(generated))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._key == self._key


@lru_cache(maxsize=2)
def _tables(same: _Same) -> Values:
    return tables_of(system_of(same.instance))


def values_of(instance: CachingInstance) -> Values:
    """Tables for the system of an episode: the same ones for all its requests (some 20 s).

    Raises
    ------
    ValueError
        If the instance has no generator, or servers forward requests.
    """
    return _tables(_Same(instance.blinded))


class PairValues:
    """Exact slots, a context being worth its pair's own value of it (`Values.tables`).

    Parameters
    ----------
    values : Values, optional
        For the system that is played; worked out at `reset` unless given.
    """

    name = "pair-values"

    def __init__(self, values: Values | None = None) -> None:
        self._given = values

    def reset(self, instance: CachingInstance) -> None:
        self._values = values_of(instance) if self._given is None else self._given
        self._decide = SlotDecision(instance)
        shape = (instance.n_servers, instance.n_pairs, instance.accuracy_cost.shape[1])
        self._future: NDArray[np.float64] = np.zeros(shape)
        self._belief = np.full(shape[0] * shape[1], kernel.FIRST_BELIEF)

    def act(self, observation: CachingObservation) -> tuple[ArrayLike, ArrayLike]:
        values, seen = self._values, observation
        kernel.worths(
            values.alone,
            values.tables[:, seen.slot + 1],
            seen.requests.ravel(),
            self._belief,
            self._future.reshape(len(self._belief), -1),
        )
        return self._decide(seen, self._future)


def pair_values(**_: Any) -> PairValues:
    """For `mecopt.plugins`."""
    return PairValues()
