"""What a caching certificate needs: prices of links and of what couples servers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CachingProof:
    """Prices on the grid of proofs, for every server.

    Parameters
    ----------
    links : tuple of (choices,) float64
        Price of every choice of a server, by pair, slot and requests served (off first).
    coupling : (rows,) float64
        Price per token and slot (T,) with a backhaul, per request of a cell (N P T,) with
        forwarding, else empty.
    """

    links: tuple[NDArray[np.float64], ...]
    coupling: NDArray[np.float64]
