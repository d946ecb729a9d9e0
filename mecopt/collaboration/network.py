"""Who can work for whom: nodes with places, directed links, and how often each fails.

A node serves several tasks side by side, each at its share of the node's speed; a link carries one
transfer at a time. Three things go wrong, all at constant rates: an execution, a transfer, and a
node as a whole, which then serves nobody until it is repaired. Its links work on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import UNLIMITED
from mecopt.strict_json import number, shown

#: Most routes from a node: every one is an option of every task of that node.
MOST_ROUTES = 20_000
#: The pure delay that ends every option: nothing when all went well, else past the deadline.
OUTCOME = "outcome"
#: Name of the route that stays.
KEEP = "keep"
#: Routes as (links, node at the end), and their names.
NamedRoutes = tuple[list[tuple[tuple[int, ...], int]], list[str]]


@dataclass(frozen=True)
class Node:
    """A computer at the edge.

    Parameters
    ----------
    name : str
    cycles_per_s : float
        Speed of one place, > 0.
    places : int
        Tasks served side by side, each at this speed.
    execution_failure_per_s : float
        Rate at which an execution goes wrong, >= 0: one of t seconds survives with probability
        exp(-rate x t).

    Raises
    ------
    ValueError
        Names the node, the field and the value.
    """

    name: str
    cycles_per_s: float
    places: int = 1
    execution_failure_per_s: float = 0.0

    def __post_init__(self) -> None:
        checks.names("node name", (self.name,))
        where = f"node {shown(self.name)}: "
        if not number(f"{where}cycles_per_s", self.cycles_per_s) > 0:
            raise ValueError(f"{where}cycles_per_s = {self.cycles_per_s:g} must be > 0")
        checks.whole(f"{where}places", self.places, 1)
        if self.places >= UNLIMITED:
            raise ValueError(f"{where}places = {self.places} must be below {UNLIMITED}")
        rate(f"{where}execution_failure_per_s", self.execution_failure_per_s)


@dataclass(frozen=True)
class Link:
    """A link from one node to another, one transfer at a time.

    Parameters
    ----------
    start, end : str
        Names of the nodes.
    bytes_per_s : float
        > 0.
    failure_per_s : float
        Rate at which a transfer goes wrong, >= 0.

    Raises
    ------
    ValueError
        Names the link, the field and the value.
    """

    start: str
    end: str
    bytes_per_s: float
    failure_per_s: float = 0.0

    def __post_init__(self) -> None:
        where = f"link {shown(self.name)}: "
        if self.start == self.end:
            raise ValueError(f"{where}joins a node with itself")
        if not number(f"{where}bytes_per_s", self.bytes_per_s) > 0:
            raise ValueError(f"{where}bytes_per_s = {self.bytes_per_s:g} must be > 0")
        rate(f"{where}failure_per_s", self.failure_per_s)

    @property
    def name(self) -> str:
        """Start and end."""
        return f"{self.start} > {self.end}"


def rate(name: str, value: Any) -> None:
    """Refuse what is no failure rate."""
    if not number(name, value) >= 0:
        raise ValueError(f"{name} = {value:g} is negative")


@dataclass(frozen=True)
class Network:
    """Nodes, directed links, and how nodes as a whole fail and are repaired.

    Parameters
    ----------
    nodes : tuple of Node
        With different names.
    links : tuple of Link
        At most one from a node to another. Together, whatever their direction, they connect all.
    node_failure_per_s : float
        Rate at which a node that is up goes down, >= 0.
    repair_per_s : float
        Rate at which a node that is down comes up, > 0.

    Raises
    ------
    ValueError
        Duplicate names, links to nodes that are not there, a disconnected network, bad rates.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...] = ()
    node_failure_per_s: float = 0.0
    repair_per_s: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "links", tuple(self.links))
        if not self.nodes:
            raise ValueError("nodes: the list is empty")
        checks.no_duplicates("nodes", [node.name for node in self.nodes])
        for link in self.links:
            for name in (link.start, link.end):
                if name not in self.index:
                    raise ValueError(f"links: {shown(name)} is no node")
        checks.no_duplicates("resources", self.resource_names)
        rate("node_failure_per_s", self.node_failure_per_s)
        if not number("repair_per_s", self.repair_per_s) > 0:
            raise ValueError(f"repair_per_s = {self.repair_per_s:g} must be > 0")
        apart = self._apart()
        if apart:
            raise ValueError(
                f"links: the network is disconnected, no way from {shown(self.nodes[0].name)} to "
                f"{shown(apart[0])}"
            )

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each node by name."""
        return {node.name: i for i, node in enumerate(self.nodes)}

    @property
    def resource_names(self) -> tuple[str, ...]:
        """Resources of an instance: nodes, links, the outcome."""
        nodes = (node.name for node in self.nodes)
        return (*nodes, *(link.name for link in self.links), OUTCOME)

    @property
    def failure_per_s(self) -> NDArray[np.float64]:
        """(R,) rate at which a stage goes wrong on each resource."""
        nodes = [node.execution_failure_per_s for node in self.nodes]
        return np.array([*nodes, *(link.failure_per_s for link in self.links), 0.0])

    @property
    def up_share(self) -> float:
        """Share of time that a node is up in the long run."""
        return self.repair_per_s / (self.node_failure_per_s + self.repair_per_s)

    @cached_property
    def leaving(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """(link, node at its end) pairs of the links that leave each node, in order of links."""
        out: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for i, link in enumerate(self.links):
            out[self.index[link.start]].append((i, self.index[link.end]))
        return tuple(map(tuple, out))

    def _apart(self) -> list[str]:
        """Names of the nodes that the first one is not connected with."""
        beside: list[set[int]] = [set() for _ in self.nodes]
        for link in self.links:
            a, b = self.index[link.start], self.index[link.end]
            beside[a].add(b)
            beside[b].add(a)
        seen, reached = {0}, deque([0])
        while reached:
            new = beside[reached.popleft()] - seen
            seen |= new
            reached.extend(new)
        return [node.name for i, node in enumerate(self.nodes) if i not in seen]

    def routes(self, origin: int, most_hops: int) -> list[tuple[tuple[int, ...], int]]:
        """Every way that meets no node twice, as (links, node at the end); fewest hops first.

        The first is to stay: no link, the origin itself.

        Raises
        ------
        ValueError
            If there are more than `MOST_ROUTES`.
        """
        found: list[tuple[tuple[int, ...], int]] = [((), origin)]
        ways: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), (origin,))]
        for _ in range(most_hops):
            longer = []
            for links, nodes in ways:
                for link, node in self.leaving[nodes[-1]]:
                    if node not in nodes:
                        longer.append(((*links, link), (*nodes, node)))
                if len(found) + len(longer) > MOST_ROUTES:
                    name = shown(self.nodes[origin].name)
                    raise ValueError(
                        f"most_hops = {most_hops}: node {name} has more than {MOST_ROUTES} routes"
                    )
            found += [(links, nodes[-1]) for links, nodes in longer]
            ways = longer
        return found

    @cached_property
    def _named(self) -> dict[tuple[int, int], NamedRoutes]:
        return {}

    def named_routes(self, origin: int, most_hops: int) -> NamedRoutes:
        """`routes`, worked out once, and the name of each: ``"0 > 3 > 4"``, or that it stays.

        Raises
        ------
        ValueError
            As `routes`.
        """
        key = origin, most_hops
        if key not in self._named:
            found = self.routes(origin, most_hops)
            self._named[key] = found, [self._name(links) for links, _ in found]
        return self._named[key]

    def _name(self, links: tuple[int, ...]) -> str:
        if not links:
            return KEEP
        nodes = (self.links[links[0]].start, *(self.links[i].end for i in links))
        return " > ".join(nodes)

    # ------------------------------------------------------------------ in the meta of an instance
    def document(self) -> dict[str, Any]:
        """JSON-able; `of` is the inverse."""
        return {
            "nodes": [dict(vars(node)) for node in self.nodes],
            "links": [dict(vars(link)) for link in self.links],
            "node_failure_per_s": self.node_failure_per_s,
            "repair_per_s": self.repair_per_s,
        }

    @classmethod
    def read(cls, document: Any, name: str = "network") -> Network:
        """The network of a document, as `document` makes it.

        Parameters
        ----------
        document : object
            From a file that anybody may have written.
        name : str
            What it is, for the message.

        Raises
        ------
        ValueError
            If it is no network.
        """
        try:
            return cls(
                tuple(Node(**node) for node in document["nodes"]),
                tuple(Link(**link) for link in document["links"]),
                document["node_failure_per_s"],
                document["repair_per_s"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{name}: cannot be read ({shown(error)})") from None

    @classmethod
    def of(cls, instance: OffloadingInstance) -> Network:
        """The network of an instance, with what rules may know: rates, never failures.

        Raises
        ------
        ValueError
            If the instance's meta does not say, or speaks of other resources.
        """
        document = instance.meta.get("collaboration")
        if document is None:
            raise ValueError(f"instance: {instance!r} has no network of failing nodes in its meta")
        found = cls.read(document, "meta.collaboration")
        if found.resource_names != instance.resource_names:
            raise ValueError("meta.collaboration: its nodes and links are not the resources")
        return found
