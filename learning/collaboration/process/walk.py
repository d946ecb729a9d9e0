"""An ordinary offloading policy that decides hop by hop: it walks the tree of a task's routes.

The same kernels describe decisions here and in `learning.collaboration.process.simulator`, so what
is learned there is what `mecopt.rollout` measures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.process import play, rows
from learning.collaboration.process.batch import BITS, Batch, batch_of
from learning.collaboration.process.simulator import CANDIDATES
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.units import DROPPED


class Decision(NamedTuple):
    """What the agent of a node is asked.

    Attributes
    ----------
    rows : (C, F) float32
    mask : (C,) bool
    node, hop : int
    """

    rows: NDArray[np.float32]
    mask: NDArray[np.bool_]
    node: int
    hop: int


@dataclass(frozen=True, eq=False)
class Release:
    """A task that is released, and all that is known then; it lasts until the next one.

    Attributes
    ----------
    batch : Batch
        The episode.
    task : int
    now_ns : int
    up : (N,) bool
    free, entries
        `mecopt.offloading.fifo.free_for`.
    work : (N,) float
        `learning.collaboration.process.rows.work_left`.
    seen : (N,) int
        Tasks released at each node before.
    """

    batch: Batch
    task: int
    now_ns: int
    up: NDArray[np.bool_]
    free: NDArray[np.int64]
    entries: tuple[NDArray[np.int64], ...]
    work: NDArray[np.float64]
    seen: NDArray[np.int64]


@dataclass
class Walk(ABC):
    """A policy whose agents decide hop by hop.

    Parameters
    ----------
    view : str
        Columns that agents see (`learning.collaboration.process.rows.VIEWS`).
    drop_hopeless : bool
        Drop a task that no option is believed to bring home in time.
    name : str
    """

    view: str = "local"
    drop_hopeless: bool = True
    name: str = "walk"
    _episode: Batch | None = field(default=None, init=False, repr=False)

    @abstractmethod
    def choose(self, decision: Decision) -> int:
        """The candidate that an agent decides for: 0 to keep the task, i for the i-th link."""

    def begin(self, network: Network) -> None:  # noqa: B027 - a hook
        """Prepare for an episode over a network."""

    def released(self, release: Release, observation: Observation) -> None:  # noqa: B027 - a hook
        """Look at the network before the decisions of a task."""

    def reset(self, instance: OffloadingInstance) -> None:
        """Read the network and the routes; nothing that will happen."""
        network = Network.of(instance)
        self.candidates = max(CANDIDATES, 1 + max(map(len, network.leaving)))
        self._episode = b = batch_of([instance], self.candidates)
        nodes = len(network.nodes)
        self._chance = np.empty(int(np.diff(b.task["option"]).max()))
        self._units = np.empty(int(b.free_ptr[0, -1]) + 1, dtype=np.int64)
        self._work, self._seen = np.empty(nodes), np.zeros(nodes, dtype=np.int64)
        self._rows = np.empty((self.candidates, rows.VIEWS[self.view]), dtype=np.float32)
        self._mask = np.empty(self.candidates, dtype=np.bool_)
        self._arrival = np.empty(self.candidates, dtype=np.int64)
        self._counted = 0
        self.begin(network)

    def act(self, observation: Observation) -> int:
        """Option of the released task, -1 to drop it."""
        b = self._episode
        if b is None:
            raise RuntimeError("reset() must be called before act()")
        k, now = observation.task, observation.now_ns
        up = observation.up[: len(self._work)]
        free, entries = observation.free_ns, observation.entries
        for i in range(self._counted, k):
            self._seen[b.task["origin"][i]] += 1
        self._counted = k
        best = rows.chances(b, 0, k, now, free, entries, up, self._units, self._chance)
        if self.drop_hopeless and best <= 0:
            return DROPPED
        rows.work_left(b, 0, now, free, entries, self._units, self._work)
        self._seen[b.task["origin"][k]] += 1
        self._counted += 1
        self.released(Release(b, k, now, up, free, entries, self._work, self._seen), observation)
        node, hop, way, at = int(b.task["origin"][k]), 0, 0, now
        while True:
            allowed = rows.describe(
                b, 0, k, (node, hop, way, at), now, free, entries, up, self._chance, self._seen,
                self._work, self._units, self._rows, self._mask, self._arrival,
            )  # fmt: skip
            if allowed == 1:
                c = int(self._mask.argmax())
            else:
                c = self.choose(Decision(self._rows, self._mask, node, hop))
            way |= c << (BITS * hop)
            if c == 0:
                own = b.option["way"][slice(*b.task["option"][k : k + 2])]
                return int(np.flatnonzero(own == way)[0])
            node, hop, at = int(b.beside[0, node, c - 1]), hop + 1, int(self._arrival[c])


class Ends:
    """Counts of how sent tasks ended, kept from what an observation tells.

    Attributes
    ----------
    counts : (N, C, 4) int
        Ends known so far (`play.OUTCOMES`), by node that decided and candidate it decided for.
    """

    def __init__(self, batch: Batch, nodes: int, candidates: int) -> None:
        self.counts = np.zeros((nodes, candidates, len(play.OUTCOMES)), dtype=np.int64)
        self._batch, self._open, self._next = batch, [], 0  # type: ignore[var-annotated]

    def look(self, observation: Observation) -> None:
        """Count the ends that have become known by the release of the observed task."""
        x, b, now = observation.instance, self._batch, observation.now_ns
        self._open += [k for k in range(self._next, observation.task) if observation.choice[k] >= 0]
        self._next = observation.task
        arrival, _, finish, lost = observation.times
        left = []
        for k in self._open:
            choice = int(observation.choice[k])
            o = int(x.option_ptr[k]) + choice
            execution = int(x.arrays.slot_ptr[k] + x.stage_ptr[o + 1] - x.stage_ptr[o]) - 2
            if finish[execution] <= now:
                late = finish[execution] - x.release_ns[k] > x.deadline_ns[k]
                # The outcome begins when the execution ends, and takes no time if all is well.
                damaged = finish[execution + 1] > finish[execution]
                result = 2 if damaged else int(late)
            elif arrival[execution] <= now and 0 <= lost[k] <= now and finish[execution] >= 2**62:
                result = 3
            else:
                left.append(k)
                continue
            play.count(b, 0, k, choice, result, self.counts)
        self._open = left
