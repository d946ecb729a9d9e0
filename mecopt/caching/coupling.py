"""What makes several servers one problem: a shared cloud link, or requests served next door.

Without a coupling every server separates exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks, strict_json
from mecopt.caching import grid
from mecopt.strict_json import shown


@dataclass(frozen=True, eq=False)
class Backhaul:
    """Tokens to the cloud share one link; what exceeds its capacity costs extra, slot by slot.

    overflow[t] = max(0, sum over n, p of tokens[p] (R - x)[n, p, t] - capacity[t]).

    Parameters
    ----------
    tokens : (P,) int64
        Tokens of one request.
    capacity : (T,) int64
        Tokens the link carries in a slot without extra cost.
    overflow_cost : float
        Cost per token above the capacity.
    """

    tokens: NDArray[np.int64]
    capacity: NDArray[np.int64]
    overflow_cost: float

    def checked(self, n_servers: int, n_pairs: int, n_slots: int) -> Backhaul:
        """Validated and frozen; raises ValueError naming the field."""
        return Backhaul(
            grid.whole("coupling.tokens", self.tokens, (n_pairs,)),
            grid.whole("coupling.capacity", self.capacity, (n_slots,)),
            float(grid.cost("coupling.overflow_cost", self.overflow_cost, ())),
        )

    def overflow(self, to_cloud: NDArray[np.int64]) -> NDArray[np.int64]:
        """(T,) tokens above the capacity, from requests sent to the cloud (N, P, T)."""
        used = np.einsum("p,npt->t", self.tokens, to_cloud)
        return np.maximum(0, used - self.capacity)

    def to_document(self) -> dict[str, Any]:
        """JSON-able fields."""
        return {
            "kind": "backhaul",
            "tokens": self.tokens.tolist(),
            "capacity": self.capacity.tolist(),
            "overflow_cost": self.overflow_cost,
        }


@dataclass(frozen=True, eq=False)
class Forwarding:
    """A request born in cell m may be served at m - 1, m or m + 1 (cells on a line).

    Parameters
    ----------
    hop_cost : (P,) float64
        Cost of serving a request next door.
    """

    hop_cost: NDArray[np.float64]

    def checked(self, n_servers: int, n_pairs: int, n_slots: int) -> Forwarding:
        """Validated and frozen; raises ValueError naming the field."""
        return Forwarding(grid.cost("coupling.hop_cost", self.hop_cost, (n_pairs,)))

    def to_document(self) -> dict[str, Any]:
        """JSON-able fields."""
        return {"kind": "forwarding", "hop_cost": self.hop_cost.tolist()}


Coupling = Backhaul | Forwarding


def from_document(body: Mapping[str, Any] | None) -> Coupling | None:
    """Inverse of ``to_document``; raises ValueError naming what is malformed."""
    if body is None:
        return None
    kinds: dict[str, type[Coupling]] = {"backhaul": Backhaul, "forwarding": Forwarding}
    checks.mapping("coupling", body)
    given: dict[str, Any] = dict(body)
    kind = given.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"coupling.kind: unknown {shown(kind)}, one of {', '.join(kinds)}")
    for name, value in given.items():
        strict_json.check_numbers(f"coupling.{name}", value)
    try:
        return kinds[kind](**given)
    except TypeError as error:
        raise ValueError(f"coupling: malformed ({error})") from None


def expand(x: ArrayLike) -> NDArray[np.int64]:
    """Flows (N, 3, P, T) of requests that are all served where they are born (N, P, T)."""
    own = np.asarray(x)
    flow = np.zeros((own.shape[0], 3, *own.shape[1:]), dtype=np.int64)
    flow[:, 1] = own
    return flow


def taken(flow: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, P, T) requests of each cell that are served at some edge server.

    ``flow[n, j, p, t]`` is served at n and born at n + j - 1.
    """
    out = flow[:, 1].copy()
    out[:-1] += flow[1:, 0]
    out[1:] += flow[:-1, 2]
    return out
