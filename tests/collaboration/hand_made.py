"""Instances of collaborative edge computing written out by hand."""

from __future__ import annotations

import numpy as np

from mecopt.collaboration.episode import Tasks, World, instance_of
from mecopt.collaboration.network import Link, Network, Node
from mecopt.offloading.instance import OffloadingInstance


def line(
    execution_failure: float = 0.0, link_failure: float = 0.0, node_failure: float = 0.0
) -> Network:
    """a - b - c: 1, 2 and 4 cycles a second, links of 10 bytes a second both ways."""
    nodes = tuple(
        Node(name, speed, 1, execution_failure)
        for name, speed in (("a", 1.0), ("b", 2.0), ("c", 4.0))
    )
    ends = (("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"))
    links = tuple(Link(start, end, 10.0, link_failure) for start, end in ends)
    return Network(nodes, links, node_failure, 0.5)


def alone(node_failure: float, repair: float, execution_failure: float = 0.0) -> Network:
    """One node of one place and one cycle a second."""
    return Network((Node("a", 1.0, 1, execution_failure),), (), node_failure, repair)


def made(
    network: Network,
    rows: list[tuple[float, int, float, float]],
    deadline_s: float,
    down_s: list[list[tuple[float, float]]] | None = None,
    strength: np.ndarray | None = None,
    most_hops: int = 3,
) -> OffloadingInstance:
    """Tasks as (release, origin, bytes, cycles); nothing goes wrong unless it is said."""
    release, origin, size, cycles = zip(*rows, strict=True)
    tasks = Tasks(
        np.array(release, dtype=float),
        np.array(origin),
        np.array(size, dtype=float),
        np.array(cycles, dtype=float),
        deadline_s,
    )
    if down_s is None:
        down_s = [[] for _ in network.nodes]
    if strength is None:
        strength = np.full((len(rows), len(network.nodes) + len(network.links)), np.inf)
    return instance_of(network, tasks, World(down_s, strength), most_hops, {})
