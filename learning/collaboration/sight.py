"""What a node sees when it asks for a strategy: itself, its neighbours, its memory, in numbers.

Everything here an online rule may know: queues as believed, which nodes are up, and the rates that
the network says. Numbers are rounded to a few values each, so that equal situations give equal
prompts, whoever writes them (`learning.collaboration.prompts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.collaboration.memory import Memory, Recollection, nothing_known
from mecopt.collaboration.failures import FloatArray
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation

#: What a prompt depends on.
Key = tuple[object, ...]
#: Candidates of a node have letters, A is the node itself.
LETTERS = tuple("ABCDEFGHIJKLMNOP")

#: Values that numbers are rounded to.
SECONDS = (
    *(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5),
    *(2.75, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0),
)
RATES = (
    *(0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.25),
    *(0.28, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0, 2.0),
)
SHARES = tuple(i / 10 for i in range(11))

#: Quantities of a candidate, in order: key, values, what it says. Of the node itself only the
#: first `OWN` mean anything.
QUANTITIES = {
    "e": (SECONDS, "execution of a typical task there, s"),
    "w": (SECONDS, "wait for a place there, s"),
    "f": (RATES, "executions that go wrong there, per s"),
    "t": (SECONDS, "transfer of a typical task to it, s"),
    "q": (SECONDS, "wait for the link to it, s"),
    "r": (RATES, "transfers that go wrong, per s"),
    "b": (SECONDS, "end of a typical task at the safest node behind it in time, s from there"),
    "g": (RATES, "executions that go wrong at that node, per s"),
}
OWN = 3
#: End of a task where there is no node to end at, s.
_NEVER_S = 1e9
_EDGES = tuple(
    (np.array(values[1:]) + np.array(values[:-1])) / 2 for values, _ in QUANTITIES.values()
)


def rounded(values: ArrayLike, grid: Sequence[float]) -> NDArray[np.int64]:
    """Places of the nearest values of a grid."""
    known = np.asarray(grid)
    return np.searchsorted((known[1:] + known[:-1]) / 2, np.asarray(values), side="right")


@dataclass(frozen=True)
class Typical:
    """A typical task, as nodes know them."""

    size_bytes: float
    cycles: float
    deadline_s: float

    @classmethod
    def of(cls, instance: OffloadingInstance) -> Typical:
        """From the parameters of the generator, or else the first task of an instance."""
        p = instance.meta.get("parameters") or {}
        if "task_kb" in p and "cycles_per_bit" in p:
            size = 1e3 * float(np.mean(p["task_kb"]))
            return cls(size, 8.0 * size * float(np.mean(p["cycles_per_bit"])), p["deadline_s"])
        network, s = Network.of(instance), instance.stage_ptr
        stay = int(s[0])
        speed = network.nodes[int(instance.stage_resource[stay])].cycles_per_s
        cycles = float(instance.believed_ns[stay]) * 1e-9 * speed
        size = 0.0
        if instance.option_ptr[1] > 1:  # the second option begins with a link
            link = network.links[int(instance.stage_resource[s[1]]) - len(network.nodes)]
            size = float(instance.believed_ns[s[1]]) * 1e-9 * link.bytes_per_s
        return cls(size, cycles, float(instance.deadline_ns[0]) * 1e-9)


@dataclass(frozen=True, eq=False)
class Sight:
    """A network as its nodes see it: what does not change within an episode.

    N nodes, at most C candidates of a node (itself and its neighbours), at most D ways on from one.

    Parameters
    ----------
    network : Network
    typical : Typical

    Raises
    ------
    ValueError
        If a node has more neighbours than there are letters.
    """

    network: Network
    typical: Typical

    def __post_init__(self) -> None:
        for node, ways in zip(self.network.nodes, self.network.leaving, strict=True):
            if len(ways) >= len(LETTERS):
                raise ValueError(
                    f"node {node.name!r}: {len(ways)} links leave it, at most {len(LETTERS) - 1}"
                )

    @classmethod
    def of(cls, instance: OffloadingInstance) -> Sight:
        """The network of an instance of this family.

        Raises
        ------
        ValueError
            If it is of another family.
        """
        return cls(Network.of(instance), Typical.of(instance))

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """(N,) candidates of each node."""
        return np.array([1 + len(ways) for ways in self.network.leaving])

    @cached_property
    def node(self) -> NDArray[np.int64]:
        """(N, C) node of each candidate, -1 where there is none."""
        return _filled([[v, *(u for _, u in w)] for v, w in enumerate(self.network.leaving)])

    @cached_property
    def link(self) -> NDArray[np.int64]:
        """(N, C) link to each candidate, -1 where there is none."""
        return _filled([[-1, *(k for k, _ in ways)] for ways in self.network.leaving])

    @cached_property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the candidates of each node."""
        nodes = self.network.nodes
        return tuple(
            tuple(nodes[u].name for u in row[:n])
            for row, n in zip(self.node, self.count, strict=True)
        )

    @cached_property
    def _rates(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Execution and failure rate at nodes, transfer and failure rate on links."""
        n = len(self.network.nodes)
        execution = [self.typical.cycles / node.cycles_per_s for node in self.network.nodes]
        transfer = [self.typical.size_bytes / link.bytes_per_s for link in self.network.links]
        failure = self.network.failure_per_s
        return np.array(execution), failure[:n], np.array(transfer), failure[n:-1]

    @cached_property
    def _behind(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(N, C, D) links and nodes behind each candidate, not back to the node; -1 for none."""
        links, nodes = [], []
        for v, ways in enumerate(self.network.leaving):
            on = [[(k, u) for k, u in self.network.leaving[j] if u != v] for _, j in ways]
            links.append([[], *([k for k, _ in row] for row in on)])
            nodes.append([[], *([u for _, u in row] for row in on)])
        wide = self.node.shape[1]
        return _filled_deep(links, wide), _filled_deep(nodes, wide)

    def look(self, moment: Moment) -> Seen:
        """What all nodes see at a moment: one row each."""
        execution, failure, transfer, link_failure = self._rates
        there, linked = self.node >= 0, self.link >= 0
        values = np.zeros((*self.node.shape, len(QUANTITIES)))
        values[..., 0] = execution[self.node]
        values[..., 1] = moment.node_wait_s[self.node]
        values[..., 2] = failure[self.node]
        if len(transfer):
            values[..., 3] = transfer[self.link]
            values[..., 4] = moment.link_wait_s[self.link]
            values[..., 5] = link_failure[self.link]
            behind_link, behind = self._behind
            end = moment.node_wait_s[behind] + execution[behind]
            end += moment.link_wait_s[behind_link] + transfer[behind_link]
            end[(behind < 0) | ~moment.up[behind]] = _NEVER_S
            # The least danger among those in time; the quickest where none is.
            late = end > self.typical.deadline_s
            chosen = np.where(late, _NEVER_S + end, failure[behind] * end).argmin(axis=2)[..., None]
            values[..., 6] = np.take_along_axis(end, chosen, axis=2)[..., 0]
            best = np.take_along_axis(behind, chosen, axis=2)[..., 0]
            values[..., 7] = np.where(values[..., 6] < _NEVER_S, failure[best], 0.0)
        values[..., OWN:][~linked] = 0.0
        places = np.stack(
            [np.searchsorted(edge, values[..., i], side="right") for i, edge in enumerate(_EDGES)],
            axis=-1,
        )
        places[~there] = 0
        memory = moment.memory
        known = memory.recollection() if memory is not None else nothing_known(*self.node.shape)
        return Seen(
            tuple((self, v) for v in range(len(self.count))),
            rounded(np.full(len(self.count), self.typical.deadline_s), SECONDS).astype(np.uint8),
            self.count,
            places.astype(np.uint8),
            there & moment.up[self.node],
            known,
        )


@dataclass(frozen=True, eq=False)
class Moment:
    """What changes: a network at a moment, as an online rule sees it.

    Parameters
    ----------
    now_s : float
    up : (N,) bool
    node_wait_s, link_wait_s : (N,), (L,) float
        Believed wait at the back of each queue.
    memory : Memory, optional
        Outcomes known by now; none are told unless given.
    """

    now_s: float
    up: NDArray[np.bool_]
    node_wait_s: FloatArray
    link_wait_s: FloatArray
    memory: Memory | None = None

    @classmethod
    def of(cls, observation: Observation, memory: Memory | None = None) -> Moment:
        """The moment of a decision in an ordinary rollout."""
        kinds = observation.instance.resource_kinds
        n = kinds.index("link")
        backlog = observation.backlog_s
        return cls(
            observation.now_ns * 1e-9, observation.up[:n], backlog[:n], backlog[n:-1], memory
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """What P nodes see; C candidates at most.

    Parameters
    ----------
    where : tuple of (Sight, int), length P
        Whose node each is, for prompts in plain words; empty where nobody needs to know.
    deadline : (P,) uint8
        Of a typical task, as a place in `SECONDS`.
    count : (P,) int
        Candidates.
    places : (P, C, 8) uint8
        Quantities of each candidate, as places in their values.
    up : (P, C) bool
    known : Recollection
        What memory says of each candidate.
    """

    where: tuple[tuple[Sight, int], ...]
    deadline: NDArray[np.uint8]
    count: NDArray[np.int64]
    places: NDArray[np.uint8]
    up: NDArray[np.bool_]
    known: Recollection

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, which: NDArray[np.int64]) -> Seen:
        """Some of the rows."""
        return Seen(
            tuple(self.where[i] for i in which) if self.where else (),
            self.deadline[which],
            self.count[which],
            self.places[which],
            self.up[which],
            self.known[which],
        )

    @cached_property
    def keys(self) -> list[Key]:
        """What a prompt depends on: rows with equal keys are one question."""
        rows = np.concatenate(
            [
                self.places.reshape(len(self), -1),
                self.up.astype(np.uint8),
                self.known.trouble.astype(np.uint8),
                self.known.share.astype(np.uint8),
                self.known.lately.astype(np.uint8),
            ],
            axis=1,
        )
        return [
            (row.tobytes(), sight.names[v], sight.typical)
            for row, (sight, v) in zip(rows, self.where, strict=True)
        ]


def together(parts: Sequence[Seen]) -> Seen:
    """Rows of several networks one after the other; candidates are filled up to the widest."""
    wide = max(part.up.shape[1] for part in parts)

    def joined(arrays: Sequence[NDArray], nothing: int = 0) -> NDArray:
        return np.concatenate(
            [
                np.pad(
                    a,
                    [(0, 0), (0, wide - a.shape[1]), *[(0, 0)] * (a.ndim - 2)],
                    constant_values=nothing,
                )
                for a in arrays
            ]
        )

    return Seen(
        tuple(row for part in parts for row in part.where),
        np.concatenate([part.deadline for part in parts]),
        np.concatenate([part.count for part in parts]),
        joined([part.places for part in parts]),
        joined([part.up for part in parts]),
        Recollection(
            joined([part.known.trouble for part in parts], -1),
            joined([part.known.share for part in parts]),
            joined([part.known.lately for part in parts]),
        ),
    )


def _filled(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Rows of different lengths, -1 behind their ends."""
    out = np.full((len(rows), max(map(len, rows))), -1, dtype=np.int64)
    for row, numbers in zip(out, rows, strict=True):
        row[: len(numbers)] = numbers
    return out


def _filled_deep(rows: Sequence[Sequence[Sequence[int]]], wide: int) -> NDArray[np.int64]:
    """The same, one level deeper; at least one place at the lowest."""
    deep = max(1, *(len(inner) for row in rows for inner in row))
    out = np.full((len(rows), wide, deep), -1, dtype=np.int64)
    for row, lists in zip(out, rows, strict=True):
        for place, numbers in zip(row, lists, strict=False):
            place[: len(numbers)] = numbers
    return out
