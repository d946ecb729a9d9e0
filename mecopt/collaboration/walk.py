"""Options as walks: at each node a task stays or goes to a neighbour, which decides again.

An option of a task is a route; hop by hop it is a sequence of *candidates*: 0 is to stay, i is the
i-th link that leaves the node (`mecopt.collaboration.network.Network.leaving`). At each node only
those candidates may be taken that some option of the task continues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance

#: A candidate where there is no further hop.
NOTHING = -1


@dataclass(frozen=True, eq=False)
class Walks:
    """Every option of an instance, hop by hop.

    Parameters
    ----------
    node : (O, H) int
        Node at which each decision is made; `NOTHING` behind the last one.
    candidate : (O, H) int
        What is decided there; the last of an option is 0.
    """

    node: NDArray[np.int64]
    candidate: NDArray[np.int64]

    @classmethod
    def of(cls, instance: OffloadingInstance, network: Network) -> Walks:
        """Walks of the options of an instance of this family.

        H is the greatest number of hops and one.
        """
        n_nodes = len(network.nodes)
        which = np.zeros(len(network.links), dtype=np.int64)
        for ways in network.leaving:
            for i, (out, _) in enumerate(ways, start=1):
                which[out] = i
        start = np.array([network.index[link.start] for link in network.links], dtype=np.int64)
        count = np.diff(instance.stage_ptr)  # links, the execution, the outcome
        hops = count - 2
        node = np.full((len(count), int(hops.max(initial=0)) + 1), NOTHING, dtype=np.int64)
        candidate = node.copy()
        for h in range(node.shape[1]):
            moves = np.flatnonzero(hops > h)
            link = instance.stage_resource[instance.stage_ptr[moves] + h] - n_nodes
            node[moves, h], candidate[moves, h] = start[link], which[link]
            ends = np.flatnonzero(hops == h)
            node[ends, h] = instance.stage_resource[instance.stage_ptr[ends] + h]
            candidate[ends, h] = 0
        return cls(node, candidate)

    def follow(self, options: range, choose: Callable[[int, NDArray[np.int64]], int]) -> int:
        """The option of a task that a walk ends at, by its place among them.

        Parameters
        ----------
        options : range
            Global indices of the task's options.
        choose : callable
            (node, candidates that may be taken there, ascending) -> one of them. Not asked where
            there is one only.
        """
        left = np.arange(options.start, options.stop)
        hop = 0
        while True:
            found = np.unique(self.candidate[left, hop])
            node = int(self.node[left[0], hop])
            taken = int(found[0]) if len(found) == 1 else choose(node, found)
            left = left[self.candidate[left, hop] == taken]
            if taken == 0:
                return int(left[0]) - options.start
            hop += 1
