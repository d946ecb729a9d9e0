"""Where the parts of a task can run: nodes with models, links between them.

Execution takes prefill and decode seconds per token, those of a roofline where node and model are
given by their numbers; a link carries bits in frames. Several links may share one channel, which
carries one transfer at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from mecopt import checks
from mecopt.strict_json import number, shown

#: What a node can be: the device of a user, or a machine for everybody.
KINDS = ("device", "server")
#: Most calls that a node serves side by side.
MOST_SLOTS = 1_000_000


def roofline(
    params: float, flop_per_s: float, bytes_per_s: float, slots: int = 1
) -> tuple[float, float]:
    """Seconds per prompt token and per output token of a half-precision model (D).

    Prefill takes 2 P floating-point operations a token, of which a slot gets its share of the
    machine; a decode step reads the 2 P bytes of the weights once for all slots.

    Parameters
    ----------
    params : float
        P, parameters of the model.
    flop_per_s, bytes_per_s : float
        Of the machine.
    slots : int
        Sequences served side by side.
    """
    return 2.0 * params * slots / flop_per_s, 2.0 * params / bytes_per_s


@dataclass(frozen=True)
class Node:
    """A machine with one language model.

    Parameters
    ----------
    name : str
    prompt_s_per_token, output_s_per_token : float
        Seconds to read a token of the prompt and to write one of the answer, >= 0.
    slots : int
        Calls served side by side, each at this speed.
    kind : str
        One of `KINDS`: work comes to devices from nobody but their user.
    params : float or None
        Parameters of the model, from which its skill follows; None where plans say what is right.

    Raises
    ------
    ValueError
        Names the node, the field and the value.
    """

    name: str
    prompt_s_per_token: float
    output_s_per_token: float
    slots: int = 1
    kind: str = "server"
    params: float | None = None

    def __post_init__(self) -> None:
        checks.names("node name", (self.name,))
        where = f"node {shown(self.name)}: "
        for name in ("prompt_s_per_token", "output_s_per_token"):
            value = number(f"{where}{name}", getattr(self, name))
            if value < 0:
                raise ValueError(f"{where}{name} = {value:g} is negative")
        checks.whole(f"{where}slots", self.slots, 1)
        if self.slots > MOST_SLOTS:
            raise ValueError(f"{where}slots = {self.slots} must be at most {MOST_SLOTS}")
        checks.one_of(f"{where}kind", self.kind, KINDS)
        if self.params is not None and not number(f"{where}params", self.params) > 0:
            raise ValueError(f"{where}params = {self.params:g} must be > 0")

    def execution_s(self, prompt_tokens: float, output_tokens: float) -> float:
        """Seconds of one call."""
        return prompt_tokens * self.prompt_s_per_token + output_tokens * self.output_s_per_token


@dataclass(frozen=True)
class Link:
    """A link between two nodes, the same both ways.

    Parameters
    ----------
    a, b : str
        Names of the nodes.
    bit_per_s : float
        > 0, may be infinite.
    latency_s : float
        Added to every transfer, >= 0.
    frame_bits, frame_s : float
        A transfer goes in frames of at most so many bits, each of which takes so long beside its
        bits.
    channel : str
        Links of one channel carry one transfer at a time, all together. Without a name the link
        makes nobody wait.

    Raises
    ------
    ValueError
        Names the link, the field and the value.
    """

    a: str
    b: str
    bit_per_s: float
    latency_s: float = 0.0
    frame_bits: float = float("inf")
    frame_s: float = 0.0
    channel: str = ""

    def __post_init__(self) -> None:
        where = f"link {shown(self.a)} - {shown(self.b)}: "
        if self.a == self.b:
            raise ValueError(f"{where}joins a node with itself")
        for name in ("bit_per_s", "frame_bits"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{where}{name} = {getattr(self, name)!r} must be > 0")
        for name in ("latency_s", "frame_s"):
            if not number(f"{where}{name}", getattr(self, name)) >= 0:
                raise ValueError(f"{where}{name} = {getattr(self, name)!r} is negative")

    def seconds(self, bits: float) -> float:
        """Time of one transfer when nobody is in the way."""
        frames = max(1.0, ceil(bits / self.frame_bits))
        return self.latency_s + frames * self.frame_s + bits / self.bit_per_s


@dataclass(frozen=True)
class Network:
    """Nodes and links (frozen, validated).

    Parameters
    ----------
    nodes : tuple of Node
        With different names.
    links : tuple of Link

    Raises
    ------
    ValueError
        Duplicate names, links to nodes that are not there, two links between the same nodes.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "links", tuple(self.links))
        if not self.nodes:
            raise ValueError("nodes: the list is empty")
        checks.no_duplicates("nodes", [n.name for n in self.nodes])
        ends = []
        for link in self.links:
            for name in (link.a, link.b):
                if name not in self.index:
                    raise ValueError(f"links: {shown(name)} is no node")
            ends.append(" - ".join(sorted((link.a, link.b))))
        checks.no_duplicates("links", ends)
        clash = {n.name for n in self.nodes} & {link.channel for link in self.links}
        if clash:
            raise ValueError(f"links: channel {shown(min(clash))} has the name of a node")

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each node by name."""
        return {node.name: i for i, node in enumerate(self.nodes)}

    @cached_property
    def neighbours(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """(node, link) pairs that each node is linked with, in the order of links."""
        out: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for i, link in enumerate(self.links):
            a, b = self.index[link.a], self.index[link.b]
            out[a].append((b, i))
            out[b].append((a, i))
        return tuple(map(tuple, out))

    def routes_from(self, start: int) -> dict[int, tuple[tuple[int, int], ...]]:
        """Fewest hops from a node to every node it reaches, as (node, link) pairs.

        Work never passes through another device; ties go to the link listed first.
        """
        routes: dict[int, tuple[tuple[int, int], ...]] = {start: ()}
        queue = deque([start])
        while queue:
            at = queue.popleft()
            for node, link in self.neighbours[at]:
                if node not in routes:
                    routes[node] = (*routes[at], (node, link))
                    if self.nodes[node].kind != "device":
                        queue.append(node)
        return routes

    def places(self, start: str) -> tuple[int, ...]:
        """Where work that starts at a node can run: that node, then servers, nearest first.

        Raises
        ------
        ValueError
            If there is no such node.
        """
        if start not in self.index:
            raise ValueError(f"node {shown(start)} is unknown, one of {', '.join(self.index)}")
        first = self.index[start]
        routes = self.routes_from(first)
        others = [i for i in routes if i != first and self.nodes[i].kind == "server"]
        return (first, *sorted(others, key=lambda i: (len(routes[i]), i)))
