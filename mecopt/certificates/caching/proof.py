"""What a caching certificate needs: prices of links and of what couples servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mecopt.certificates.caching.values import Branch


@dataclass(frozen=True, eq=False)
class ServerProof:
    """Prices of one server on the grid of proofs, and where to look for the value of its slots.

    Parameters
    ----------
    links : (choices,) float64
        Price of every choice, by pair, slot and requests served (off first).
    energy : (T,) float64
        A price per 10 J at which the slot's choices may be bounded; any will do, good ones make
        the check short.
    least : (T,) float64
        Least cost of every slot's choices, which the check tries to confirm.
    """

    links: NDArray[np.float64]
    energy: NDArray[np.float64]
    least: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CachingProof:
    """Prices on the grid of proofs, for every server.

    Parameters
    ----------
    servers : tuple of ServerProof
    coupling : (rows,) float64
        Price per token and slot (T,) with a backhaul, per request of a cell (N P T,) with
        forwarding, else empty.
    trees : mapping of int to sequence
        Nodes of the servers that were branched on, the root first: branches, and proofs of the
        leaves (then that of the server in `servers` is not needed).
    """

    servers: tuple[ServerProof, ...]
    coupling: NDArray[np.float64]
    trees: Mapping[int, Sequence[Branch | ServerProof]] = field(default_factory=dict)
