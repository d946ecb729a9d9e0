"""What a certificate of a snapshot needs: a tree of regions with prices at its leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mecopt.certificates.accuracy_delay.values import Prices, Region, Snapshot
from mecopt.certificates.budget import Budget

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


#: How a node was reached: the way to its branch, the branch, and which part; None at the root.
Way = tuple[Any, Branch, int] | None


def bound_of(
    snapshot: Snapshot, root: Region, proof: Proof, budget: Budget
) -> tuple[int | None, int]:
    """The least value of the leaves in 2^-20 ns, None when no decision is left, and their number.

    Raises
    ------
    ValueError
        If the nodes are no tree.
    """
    least: int | None = None
    leaves = 0
    total = sum(not isinstance(node, Branch) for node in proof.nodes)
    stack: list[tuple[int, Way]] = [(0, None)]
    used = {0}
    while stack:
        at, way = stack.pop()
        if not 0 <= at < len(proof.nodes):
            raise ValueError(f"nodes: {at} is no node")
        node = proof.nodes[at]
        if isinstance(node, Branch):
            for part in (node.first, node.second):
                if part in used:
                    raise ValueError(f"nodes[{at}]: {part} is a part of another branch")
                used.add(part)
            stack += [(node.first, (way, node, 0)), (node.second, (way, node, 1))]
            continue
        leaves += 1
        budget.leaf(leaves, total)
        value = snapshot.value(_region(root, way, budget), node)
        if value is not None and (least is None or value < least):
            least = value
    return least, leaves


def _region(root: Region, way: Way, budget: Budget) -> Region:
    """The region at the end of a way: only leaves are given one, it may be large."""
    steps: list[tuple[Branch, int]] = []
    while way is not None:
        way, branch, part = way
        steps.append((branch, part))
        budget.spend()
    region = root
    for branch, part in reversed(steps):
        budget.spend(len(region.barred) + len(region.settled))
        region = branch.split(region)[part]
    return region
