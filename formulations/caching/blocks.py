"""Caching servers as flat arrays: every choice of every pair in every slot.

A *choice* of pair q in slot t is "off", or resident while x requests are served. The kernels of
this package index pairs of several servers in one run: pair p of the n-th server is q = n P + p.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt.caching import Backhaul, CachingInstance, Forwarding

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Blocks(NamedTuple):
    """N servers with P pairs each over T slots; Q = N P.

    Choice ``first[q T + t]`` is "off", the x-th after it "resident, serve x - 1".
    """

    n_servers: int
    n_pairs: int  # P
    n_slots: int
    first: IntArray  # (Q T + 1,)
    cost: FloatArray  # (choices,) of a slot without accuracy, switching and what couples servers
    requests: IntArray  # (Q T,) born at the pair's own server
    accuracy: FloatArray  # (Q, K + 1) per request served at that age
    switching: FloatArray  # (Q,)
    thoughts: IntArray  # (Q,)
    vanish: IntArray  # (Q,)
    kappa_max: IntArray  # (Q,)
    memory: IntArray  # (Q,) MB
    energy: IntArray  # (Q,) 10 J per request
    memory_capacity: IntArray  # (N,)
    energy_budget: IntArray  # (N,)
    tokens: IntArray  # (Q,) per request sent to the cloud; 0 without a backhaul
    link_capacity: IntArray  # (T,)
    overflow_cost: float
    hop: FloatArray  # (Q,) cost of serving a neighbour's request; infinite without forwarding

    @property
    def n_choices(self) -> int:
        """Number of choices."""
        return len(self.cost)


def build(instance: CachingInstance, servers: Sequence[int] | None = None) -> Blocks:
    """Blocks of some servers of an instance (all unless said).

    Pairs that do not fit the server have "off" alone; no choice serves more than the energy of a
    slot allows. With forwarding x counts requests of the neighbours too.
    """
    x = instance
    own = list(range(x.n_servers)) if servers is None else list(servers)
    count, slots = len(own), x.n_slots
    reach = x.requests.copy()
    if x.is_forwarding:
        reach[1:] += x.requests[:-1]
        reach[:-1] += x.requests[1:]

    def tile(values: NDArray) -> NDArray:
        return np.ascontiguousarray(np.concatenate([values] * count))

    memory, energy = tile(x.memory_mb), tile(x.energy_10j)
    capacity = np.repeat(x.capacity_mb[own], x.n_pairs)
    budget = np.repeat(x.energy_budget_10j[own], x.n_pairs)
    most = np.minimum(
        reach[own].reshape(-1, slots),
        np.where(energy > 0, budget // np.maximum(energy, 1), reach.max(initial=0))[:, None],
    )
    most = np.where((memory <= capacity)[:, None], most, -1)
    number = most.ravel() + 2
    first = np.concatenate([[0], np.cumsum(number)]).astype(np.int64)
    where = np.repeat(np.arange(len(number)), number)
    served = np.maximum(np.arange(first[-1]) - first[where] - 1, 0)
    pair = where // slots
    requests = x.requests[own].ravel()
    cloud, serve = tile(x.cloud_cost), tile(x.serve_cost)
    coupling = x.coupling
    link = coupling if isinstance(coupling, Backhaul) else None
    hop = coupling.hop_cost if isinstance(coupling, Forwarding) else np.full(x.n_pairs, np.inf)
    return Blocks(
        n_servers=count,
        n_pairs=x.n_pairs,
        n_slots=slots,
        first=first,
        cost=requests[where] * cloud[pair] + served * (serve - cloud)[pair],
        requests=requests.astype(np.int64),
        accuracy=tile(x.accuracy_cost),
        switching=tile(x.switch_cost),
        thoughts=tile(x.thoughts),
        vanish=tile(x.vanish),
        kappa_max=tile(x.kappa_max),
        memory=memory,
        energy=energy,
        memory_capacity=x.capacity_mb[own].copy(),
        energy_budget=x.energy_budget_10j[own].copy(),
        tokens=tile(link.tokens if link else np.zeros(x.n_pairs, dtype=np.int64)),
        link_capacity=link.capacity.copy() if link else np.zeros(slots, dtype=np.int64),
        overflow_cost=link.overflow_cost if link else 0.0,
        hop=tile(hop),
    )


def choice_places(blocks: Blocks) -> tuple[IntArray, IntArray]:
    """(choices,) place q T + t of every choice, and requests served (-1 for off)."""
    place = np.repeat(np.arange(len(blocks.first) - 1), np.diff(blocks.first))
    return place, np.arange(blocks.n_choices) - blocks.first[place] - 1


def to_choices(a: NDArray[np.bool_], served: IntArray) -> IntArray:
    """Choices (Q T,) of a decision: residency and requests served (N, P, T)."""
    return np.where(a, 1 + served, 0).ravel().astype(np.int64)
