"""Proof trees: branching decisions with one price vector per leaf.

A proof covers the root by splitting alternatives of one task at a time. Its leaves are either
priced (the Lagrangian value of the leaf's relaxation under a price vector is at least the claimed
bound) or complete (every task fixed: the replay costs at least the claimed bound).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Node:
    """A node of the proof tree: a split of one task's alternatives, or a leaf.

    Parameters
    ----------
    task : int
        The task whose alternatives are split; -1 at a leaf.
    parts : list of (alternatives, Node)
        Global option indices (-1 for the drop), disjoint, covering what the node allows.
    prices : int
        At a leaf, index into `Proof.prices`; -1 when every task is fixed (the replay decides).
    """

    task: int = -1
    parts: list[tuple[list[int], Node]] = field(default_factory=list)
    prices: int = -1

    def split(self, task: int, parts: list[list[int]]) -> list[Node]:
        """Turn a leaf into a split; returns the new leaves."""
        children = [Node(prices=self.prices) for _ in parts]
        self.task, self.parts, self.prices = task, list(zip(parts, children, strict=True)), -1
        return children


@dataclass(frozen=True, eq=False)
class Proof:
    """What `mecopt.certificates.verify` writes: prices (rows,) on the grid, bucket
    length, tree.

    `rows` maps each resource to its first row, -1 for resources without prices; every resource
    with rows has `stride` buckets of ``2**shift`` ns, the last of which is free.
    """

    shift: int
    stride: int
    rows: NDArray[np.int64]  # (R,)
    prices: list[NDArray[np.float64]]
    root: Node
    bound_ns: float

    def leaves(self) -> int:
        """Number of leaves."""
        stack, n = [self.root], 0
        while stack:
            node = stack.pop()
            stack.extend(child for _, child in node.parts)
            n += not node.parts
        return n
