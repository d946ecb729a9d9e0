"""What a caching policy sees: the requests of this slot, what is resident, how old its thoughts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt.caching.instance import CachingInstance


@dataclass(frozen=True, eq=False)
class CachingObservation:
    """The decision state of one slot; it holds nothing of the future.

    Parameters
    ----------
    instance : CachingInstance
        The instance with all its requests taken out (`CachingInstance.blinded`).
    slot : int
    requests : (N, P) int64
        Requests of this slot.
    resident : (N, P) bool
        What was resident in the slot before.
    kappa : (N, P) int64
        Age of thoughts after the slot before.
    """

    instance: CachingInstance
    slot: int
    requests: NDArray[np.int64]
    resident: NDArray[np.bool_]
    kappa: NDArray[np.int64]
