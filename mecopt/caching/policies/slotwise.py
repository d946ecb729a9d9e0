"""Deciding one slot for all servers, given what residency is worth afterwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mecopt.caching.coupling import Backhaul, Forwarding
from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation
from mecopt.caching.policies.kernels.slot import decide_slot

#: Halvings of the token price when the shared link is the limit.
_HALVINGS = 8

FloatArray = NDArray[np.float64]


class SlotDecision:
    """Decides slots of one instance; keeps the knapsack's prices from slot to slot.

    Parameters
    ----------
    instance : CachingInstance
        Without its requests.

    Attributes
    ----------
    token_price : float
        Price of a token on the shared link in the slot decided last (0 without a backhaul).
    """

    def __init__(self, instance: CachingInstance) -> None:
        self._x = instance
        self._prices = np.zeros((instance.n_servers, 2))
        hop = np.full(instance.n_pairs, np.inf)
        if isinstance(instance.coupling, Forwarding):
            hop = instance.coupling.hop_cost
        self._hop = hop
        self.token_price = 0.0

    def __call__(
        self, seen: CachingObservation, future: FloatArray
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Residency (N, P) and flows (N, 3, P) of least cost now, less `future` (N, P, K + 1)."""
        coupling = self._x.coupling
        if not isinstance(coupling, Backhaul):
            return self._decide(seen, future, self._x.cloud_cost)[1:]
        return self._within_link(seen, future, coupling)

    def _decide(
        self, seen: CachingObservation, future: FloatArray, worth: FloatArray
    ) -> tuple[float, NDArray[np.bool_], NDArray[np.int64]]:
        x = self._x
        a = np.empty((x.n_servers, x.n_pairs), dtype=np.bool_)
        flow = np.empty((x.n_servers, 3, x.n_pairs), dtype=np.int64)
        gain = decide_slot(
            x.pairs,
            x.capacity_mb,
            x.energy_budget_10j,
            seen.resident,
            seen.kappa,
            seen.requests,
            worth,
            self._hop,
            future,
            self._prices,
            a,
            flow,
        )
        return gain, a, flow

    def _within_link(
        self, seen: CachingObservation, future: FloatArray, link: Backhaul
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Try prices of a token between zero and the overflow cost; the best decision of all.

        Servers decide exactly for a price; between prices the decisions jump, so this is not
        exact over all servers.
        """
        capacity = int(link.capacity[seen.slot])
        low, high = 0.0, link.overflow_cost
        best, best_gain = None, -np.inf
        for trial in range(2 + _HALVINGS):
            price = (low, high)[trial] if trial < 2 else (low + high) / 2
            gain, a, flow = self._decide(seen, future, self._x.cloud_cost + price * link.tokens)
            saved = int((flow[:, 1] @ link.tokens).sum())
            tokens = int((seen.requests @ link.tokens).sum()) - saved
            gain -= price * saved + link.overflow_cost * max(0, tokens - capacity)
            if gain > best_gain:
                best, best_gain, self.token_price = (a, flow), gain, price
            if trial == 0 and tokens <= capacity:
                break
            if trial == 1 and tokens >= capacity:
                break
            if trial > 1:
                low, high = (price, high) if tokens > capacity else (low, price)
        assert best is not None
        return best
