"""What a node of a small network sees, for tests of prompts and answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from learning.collaboration.memory import Memory
from learning.collaboration.sight import Moment, Seen, Sight, Typical
from mecopt.collaboration.network import Network
from tests.collaboration.hand_made import line

#: 20 bytes over links of 10 a second; 4 cycles at 1, 2 and 4 a second; due after 4 s.
TASK = Typical(20.0, 4.0, 4.0)


def sight(network: Network | None = None) -> Sight:
    return Sight(line(0.25, 0.1) if network is None else network, TASK)


def moment(memory: Memory | None = None, up: tuple[bool, ...] = (True, True, True)) -> Moment:
    """a waits 0.52 s, b 1 s, c not at all; the link from b to c 0.3 s."""
    links = np.array([0.0, 0.0, 0.3, 0.0])
    return Moment(0.0, np.array(up), np.array([0.52, 1.0, 0.0]), links, memory)


def renamed(name: str) -> Network:
    """The line with another name for b."""
    network = line(0.25, 0.1)
    nodes = tuple(replace(n, name=name) if n.name == "b" else n for n in network.nodes)
    links = tuple(
        replace(k, start=name if k.start == "b" else k.start, end=name if k.end == "b" else k.end)
        for k in network.links
    )
    return replace(network, nodes=nodes, links=links)


def seen(memory: Memory | None = None, network: Network | None = None) -> Seen:
    return sight(network).look(moment(memory))
