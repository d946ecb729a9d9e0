"""Looking ahead: contexts are worth what a priced stochastic program says they will save.

Every slot, each server solves its exact knapsack with the worth of each context added
(`kernels.values`). `Rolling` finds the prices of memory and energy that make expected use over its
window meet capacity; `Priced` is given them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.caching.coupling import Backhaul, Forwarding
from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation
from mecopt.caching.policies.forecast import Ewma, Forecast
from mecopt.caching.policies.kernels.cooperation import decide_together
from mecopt.caching.policies.kernels.values import futures
from mecopt.caching.policies.slotwise import SlotDecision

#: Corrections of the prices per slot, and their size.
_CORRECTIONS, _STEP = 6, 0.1
#: Rounds over the servers when they serve each other's requests.
_ROUNDS = 3
#: Weight of the newest slot in the believed price of a token.
_TOKEN_WEIGHT = 0.1


@dataclass
class Rolling:
    """Exact slots with the worth of contexts over a window, at prices that clear the window.

    Parameters
    ----------
    forecast : Forecast
    horizon : int
        Slots that are looked ahead, at least 1.
    name : str
    """

    forecast: Forecast = field(default_factory=Ewma)
    horizon: int = 15
    name: str = "rolling"
    _corrections: int = field(default=_CORRECTIONS, repr=False)

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ValueError(f"horizon = {self.horizon} must be at least 1")

    def reset(self, instance: CachingInstance) -> None:
        self.forecast.reset(instance)
        self._x = instance
        self._decide = SlotDecision(instance)
        self._prices = self._first_prices(instance)
        self._knapsack_prices = np.zeros_like(self._prices)
        self._token_price = 0.0
        shape = (instance.n_servers, instance.n_pairs, instance.accuracy_cost.shape[1])
        self._future = np.zeros(shape)

    def _first_prices(self, instance: CachingInstance) -> NDArray[np.float64]:
        """(N, 2) per MB and per 10 J."""
        return np.zeros((instance.n_servers, 2))

    def act(self, observation: CachingObservation) -> tuple[ArrayLike, ArrayLike]:
        x, seen = self._x, observation
        self.forecast.see(seen.requests)
        ahead = min(self.horizon, x.n_slots - 1 - seen.slot)
        rates = np.ascontiguousarray(self.forecast.rates(seen.slot, ahead))
        if isinstance(x.coupling, Forwarding):
            return self._together(seen, rates, x.coupling)
        worth = x.cloud_cost
        if isinstance(x.coupling, Backhaul):
            worth = worth + self._token_price * x.coupling.tokens
        futures(
            x.pairs,
            x.capacity_mb,
            x.energy_budget_10j,
            seen.resident,
            seen.kappa,
            seen.requests,
            rates,
            worth,
            self._prices,
            self._corrections,
            _STEP,
            self._future,
        )
        answer = self._decide(seen, self._future)
        self._token_price += _TOKEN_WEIGHT * (self._decide.token_price - self._token_price)
        return answer

    def _together(
        self, seen: CachingObservation, rates: NDArray[np.float64], coupling: Forwarding
    ) -> tuple[ArrayLike, ArrayLike]:
        """Servers in turn, each with the demand that the others leave to it."""
        x = self._x
        a = seen.resident.copy()
        flow = np.empty((x.n_servers, 3, x.n_pairs), dtype=np.int64)
        decide_together(
            x.pairs,
            x.capacity_mb,
            x.energy_budget_10j,
            seen.resident,
            seen.kappa,
            seen.requests,
            rates,
            coupling.hop_cost,
            self._prices,
            self._knapsack_prices,
            self._corrections,
            _STEP,
            _ROUNDS,
            a,
            flow,
        )
        return a, flow


@dataclass
class Priced(Rolling):
    """`Rolling` at fixed prices of memory and energy; nothing is searched online.

    Parameters
    ----------
    prices : callable
        From an instance to prices per MB and per 10 J (2,).
    """

    prices: Callable[[Mapping[str, Any]], ArrayLike] = field(kw_only=True)
    name: str = "priced"
    _corrections: int = field(default=0, repr=False)

    def _first_prices(self, instance: CachingInstance) -> NDArray[np.float64]:
        given = np.asarray(self.prices(instance.meta), dtype=np.float64)
        return np.tile(given, (instance.n_servers, 1))
