"""What a certificate of a snapshot needs: a tree of regions with prices at its leaves."""

from __future__ import annotations

from dataclasses import dataclass

from mecopt.certificates.accuracy_delay.values import Prices, Region, Snapshot

#: Ways to split a region: by the number of queries that leave the device or are at a server, by the
#: sum of their roots, or by whether a user is at the server.
KINDS = ("all", "count", "total", "pair")


@dataclass(frozen=True)
class Branch:
    """A split of a region at a server.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    server : int
    at : int
        Largest number or sum of the first part; or the user, who is not at the server in the first
        part and is there in the second.
    first, second : int
        Positions of the parts in the list of nodes, after that of the branch.
    """

    kind: str
    server: int
    at: int
    first: int
    second: int

    def split(self, region: Region) -> tuple[Region, Region]:
        """The two parts, which together hold every decision of the region."""
        if self.kind == "all":
            return region.with_all(self.at)
        if self.kind == "count":
            return region.with_count(self.server, self.at)
        if self.kind == "total":
            return region.with_total(self.server, self.at)
        return region.with_pair(self.at, self.server)


@dataclass(frozen=True)
class Proof:
    """Nodes of the tree, the root first."""

    nodes: tuple[Branch | Prices, ...]


def bound_of(snapshot: Snapshot, root: Region, proof: Proof) -> tuple[int | None, int]:
    """The least value of the leaves in 2^-20 ns, None when no decision is left, and their number.

    Raises
    ------
    ValueError
        If the nodes are no tree.
    """
    least: int | None = None
    leaves, seen = 0, 0
    stack = [(0, root)]
    while stack:
        at, region = stack.pop()
        seen += 1
        if not 0 <= at < len(proof.nodes) or seen > len(proof.nodes):
            raise ValueError(f"nodes: {at} is no node, or is a part of two branches")
        node = proof.nodes[at]
        if isinstance(node, Branch):
            if not at < min(node.first, node.second) or node.first == node.second:
                raise ValueError(f"nodes[{at}]: its parts must be two nodes after it")
            stack += zip((node.first, node.second), node.split(region), strict=True)
            continue
        leaves += 1
        value = snapshot.value(region, node)
        if value is not None and (least is None or value < least):
            least = value
    return least, leaves
