"""Cloud only, and the myopic rule that decides every slot exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation
from mecopt.caching.policies.slotwise import SlotDecision

#: Worth of keeping a context, per thought: decides between plans of equal cost, and nothing else.
_TIE = 1e-10


@dataclass
class Cloud:
    """Everything goes to the cloud."""

    name: str = "cloud"

    def reset(self, instance: CachingInstance) -> None:
        """Nothing to prepare."""

    def act(self, observation: CachingObservation) -> tuple[ArrayLike, ArrayLike]:
        nothing = np.zeros_like(observation.requests)
        return nothing > 0, nothing


@dataclass
class Myopic:
    """Least cost of this slot, exactly (a knapsack of memory and energy per server).

    Among plans of equal cost, contexts with more thoughts stay. With forwarding, servers decide
    exactly in turn; with a shared link they do for the best price of a token.
    """

    name: str = "myopic"
    _decide: SlotDecision | None = field(default=None, repr=False)
    _future: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)

    def reset(self, instance: CachingInstance) -> None:
        self._decide = SlotDecision(instance)
        ages = np.arange(instance.accuracy_cost.shape[1])
        shape = (instance.n_servers, instance.n_pairs, len(ages))
        self._future = np.broadcast_to(_TIE * (1.0 + ages), shape)

    def act(self, observation: CachingObservation) -> tuple[ArrayLike, ArrayLike]:
        assert self._decide is not None
        return self._decide(observation, self._future)
