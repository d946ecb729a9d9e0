"""What a caching certificate needs: prices of links and of what couples servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mecopt.certificates.caching.values import Branch


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
    trees : mapping of int to sequence
        Nodes of the servers that were branched on, the root first: branches, and the prices of the
        choices at leaves (then `links` of that server is not needed).
    """

    links: tuple[NDArray[np.float64], ...]
    coupling: NDArray[np.float64]
    trees: Mapping[int, Sequence[Branch | NDArray[np.float64]]] = field(default_factory=dict)
