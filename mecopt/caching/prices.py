"""Dual prices of a caching instance: what one more MB, or 10 J, would save in a slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CachingPrices:
    """Dual prices per server and slot.

    Parameters
    ----------
    server_names : tuple of str, length N
    memory : (N, T) float64
        Cost per MB resident in a slot.
    energy : (N, T) float64
        Cost per 10 J spent in a slot.
    backhaul : (T,) float64 or None
        Cost per token on the shared cloud link; None without that coupling.
    """

    server_names: tuple[str, ...]
    memory: NDArray[np.float64]
    energy: NDArray[np.float64]
    backhaul: NDArray[np.float64] | None = None

    def table(self) -> pd.DataFrame:
        """One row per server and slot: server, slot, memory_per_gb, energy_per_kj."""
        n, slots = self.memory.shape
        return pd.DataFrame(
            {
                "server": np.repeat(self.server_names, slots),
                "slot": np.tile(np.arange(slots), n),
                "memory_per_gb": 1e3 * self.memory.ravel(),
                "energy_per_kj": 1e2 * self.energy.ravel(),
            }
        )
