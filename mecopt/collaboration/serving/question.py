"""A question to a rule: one task of a node, and what is known of the network now.

A question is a JSON object:

* ``task``: ``origin`` (the node), ``size_bytes``, ``cycles`` and ``deadline_s`` (what is left of
  it);
* ``place_wait_s``, optional: node -> waits until each of its places is free of all its work;
* ``link_wait_s``, optional: link, as ``"3 > 4"`` -> wait until it is free of all its work;
* ``down``, optional: the nodes that are down.

What is not mentioned is free and up. A question becomes the observation that a rule has in an
episode, so that any rule for failing nodes can answer it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mecopt import checks
from mecopt.collaboration.episode import Tasks, World, instance_of
from mecopt.collaboration.network import Network
from mecopt.offloading import projection
from mecopt.offloading.observation import Observation
from mecopt.offloading.status import NEVER
from mecopt.strict_json import number, shown

#: Longest time in a question, s: a year.
LONGEST_S = 3.2e7
_FIELDS = ("task", "place_wait_s", "link_wait_s", "down")
_TASK_FIELDS = ("origin", "size_bytes", "cycles", "deadline_s")


@dataclass(frozen=True, eq=False)
class Asker:
    """Makes observations of questions about one network.

    Parameters
    ----------
    network : Network
    most_hops : int
        Longest route, >= 0.

    Raises
    ------
    ValueError
        If `most_hops` is negative, or a node has too many routes of so many hops.
    """

    network: Network
    most_hops: int = 3

    def __post_init__(self) -> None:
        checks.whole("most_hops", self.most_hops, 0)
        for node in range(len(self.network.nodes)):  # too many are refused here
            self.network.named_routes(node, self.most_hops)

    @cached_property
    def _link(self) -> Mapping[str, int]:
        """Position of each link by name."""
        return {link.name: i for i, link in enumerate(self.network.links)}

    def observation(self, question: Any) -> Observation:
        """What a rule sees; its task is the only one of the observation's instance.

        Raises
        ------
        ValueError
            In one line what is wrong with the question.
        """
        _only("question", question, _FIELDS)
        n_nodes = len(self.network.nodes)
        task = self._task(question.get("task"))
        nothing = np.full((1, n_nodes + len(self.network.links)), np.inf)
        world = World([[] for _ in range(n_nodes)], nothing)
        instance = instance_of(self.network, task, world, self.most_hops, {})
        up = np.ones(instance.n_resources, dtype=bool)
        up[self._down(question.get("down", []))] = False
        free_ns = np.zeros(int(instance.arrays.free_ptr[-1]), dtype=np.int64)
        for resource, waits_s in self._waits(question).items():
            first, last = instance.arrays.free_ptr[resource : resource + 2]
            # An instance has no more places than its tasks can use: the first to be free.
            free_ns[first:last] = [round(1e9 * wait) for wait in waits_s[: last - first]]
        # Nothing has been decided before, as far as a rule can see.
        never = np.full(int(instance.arrays.slot_ptr[-1]), NEVER, dtype=np.int64)
        return Observation(
            instance, 0, 0, np.full(1, -1), np.empty(0, dtype=np.int64), up, free_ns,
            projection.entries_for(instance.n_resources, 1),
            (never, never, never, np.zeros(1, dtype=np.int64)),
        )  # fmt: skip

    def answer(self, observation: Observation, option: int) -> dict[str, Any]:
        """A decision in words: ``decision`` is keep, send or drop; ``route`` has all nodes."""
        x, nodes = observation.instance, self.network.nodes
        origin = nodes[int(x.owner[0])].name
        if option < 0:
            return {"decision": "drop", "route": [origin]}
        first, last = x.stage_ptr[option : option + 2]
        # A route ends with the execution and the outcome.
        hops = x.stage_resource[first : last - 2] - len(nodes)
        route = [origin, *(self.network.links[i].end for i in hops)]
        return {"decision": "send" if len(hops) else "keep", "route": route}

    # ------------------------------------------------------------------------------------ reading
    def _task(self, document: Any) -> Tasks:
        _only("task", document, _TASK_FIELDS)
        for name in _TASK_FIELDS:
            if name not in document:
                raise ValueError(f"task.{name}: is missing")
        origin = self._node("task.origin", document["origin"])
        size, cycles, deadline = (
            _within(f"task.{name}", document[name], top)
            for name, top in (("size_bytes", 1e15), ("cycles", 1e18), ("deadline_s", LONGEST_S))
        )
        slowest = min(node.cycles_per_s for node in self.network.nodes)
        _within("task.cycles: seconds on the slowest node", cycles / slowest, LONGEST_S)
        if self.network.links:
            slowest = min(link.bytes_per_s for link in self.network.links)
            _within("task.size_bytes: seconds on the slowest link", size / slowest, LONGEST_S)
        return Tasks(
            np.zeros(1), np.array([origin]), np.array([size]), np.array([cycles]), deadline
        )

    def _waits(self, question: Mapping[str, Any]) -> dict[int, list[float]]:
        """Resource -> sorted waits of its units."""
        places, links = question.get("place_wait_s", {}), question.get("link_wait_s", {})
        for name, given in (("place_wait_s", places), ("link_wait_s", links)):
            checks.mapping(name, given)
        out = {}
        for node, waits in places.items():
            i, where = self._node("place_wait_s", node), f"place_wait_s[{shown(node)}]"
            most = self.network.nodes[i].places
            if not isinstance(waits, list) or len(waits) > most:
                raise ValueError(f"{where}: must be a list of at most {most} waits")
            found = [_within(where, wait, LONGEST_S) for wait in waits]
            out[i] = sorted([*found, *[0.0] * (most - len(found))])
        for link, wait in links.items():
            if link not in self._link:
                raise ValueError(f"link_wait_s: {shown(link)} is no link")
            where = f"link_wait_s[{shown(link)}]"
            out[len(self.network.nodes) + self._link[link]] = [_within(where, wait, LONGEST_S)]
        return out

    def _down(self, names: Any) -> list[int]:
        if not isinstance(names, list):
            raise ValueError(f"down: must be a list of nodes, is {shown(names)}")
        return [self._node("down", name) for name in names]

    def _node(self, field: str, name: Any) -> int:
        found = self.network.index.get(name) if isinstance(name, str) else None
        if found is None:
            raise ValueError(f"{field}: {shown(name)} is no node")
        return found


def _only(name: str, document: Any, fields: tuple[str, ...]) -> None:
    if not isinstance(document, dict):
        raise ValueError(f"{name}: must be an object, is {shown(document)}")
    for field in document:
        if field not in fields:
            raise ValueError(f"{name}: unknown field {shown(field)}, one of {', '.join(fields)}")


def _within(name: str, value: Any, top: float) -> float:
    if not 0 <= (out := number(name, value)) <= top:
        raise ValueError(f"{name} = {shown(value)} must be between 0 and {top:g}")
    return out
