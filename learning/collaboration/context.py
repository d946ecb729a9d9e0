"""What an agent is told beside its own rows: a prior strategy, a risk, and how its tasks ended.

A prior is asked every ten slots and whenever a node went down or came up, for all nodes of an
episode at once; between that its answers stand. Memory is how tasks ended that a node sent to each
of its candidates, as far as that is known, in this episode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.process import rows
from learning.collaboration.process.batch import Batch
from learning.collaboration.process.play import OUTCOMES
from learning.collaboration.process.simulator import Simulator
from learning.collaboration.process.walk import Release
from mecopt.collaboration.network import Network

#: A prior is asked at least this often (P: every ten slots).
EVERY_SLOTS = 10
#: Shares of tasks sent: on time, late, damaged or lost.
MEMORY = 3


@dataclass(frozen=True, eq=False)
class Moment:
    """A network at a moment, as an online rule may know it.

    Attributes
    ----------
    network : Network
    deadline_s, now_s : float
    mean_bytes, mean_cycles : float
        Of the tasks released so far.
    up : (N,) bool
    node_wait_s, link_wait_s : (N,), (L,) float
        Believed wait at the back of each queue.
    counts : (N, C, 4) int
        Ends known in this episode, by node that decided, candidate and
        `learning.collaboration.process.play.OUTCOMES`.
    lately : (N, C, 4) int
        Those of them that became known since the prior was last asked.
    """

    network: Network
    deadline_s: float
    now_s: float
    mean_bytes: float
    mean_cycles: float
    up: NDArray[np.bool_]
    node_wait_s: NDArray[np.float64]
    link_wait_s: NDArray[np.float64]
    counts: NDArray[np.int64]
    lately: NDArray[np.int64]


#: Shares (N, C) over the candidates of every node, and its risk (N,) in [0, 1].
Answer = tuple[NDArray[np.float32], NDArray[np.float32]]


class Prior(Protocol):
    """A source of strategies."""

    def __call__(self, moments: Sequence[Moment], candidates: int) -> Sequence[Answer]:
        """One answer for each moment, of different episodes."""
        ...


@dataclass(frozen=True)
class RulePrior:
    """The prior without a language model: a softmax of chances of a mean task.

    The chance of a candidate is the best of executing there and at one of its own neighbours, with
    the queues as they are.

    Parameters
    ----------
    temperature : float
        Candidates whose chances differ by this much differ by a factor e.
    """

    temperature: float = 0.1

    def __call__(self, moments: Sequence[Moment], candidates: int) -> list[Answer]:
        """See `Prior`."""
        return [self._answer(moment, candidates) for moment in moments]

    def _answer(self, moment: Moment, candidates: int) -> Answer:
        net = moment.network
        prior = np.zeros((len(net.nodes), candidates), dtype=np.float32)
        risk = np.zeros(len(net.nodes), dtype=np.float32)
        for v, links in enumerate(net.leaving):
            chance = [self._executed(moment, v, 0.0, 0.0)]
            for link, u in links:
                at, danger = self._sent(moment, link, 0.0, 0.0)
                behind = [
                    self._executed(moment, w, *self._sent(moment, further, at, danger))
                    for further, w in net.leaving[u]
                    if w != v
                ]
                chance.append(max([self._executed(moment, u, at, danger), *behind]))
            share = np.exp((np.array(chance) - max(chance)) / self.temperature)
            prior[v, : len(chance)] = share / share.sum()
            risk[v] = 1.0 - max(chance)
        return prior, risk

    @staticmethod
    def _sent(moment: Moment, link: int, at: float, danger: float) -> tuple[float, float]:
        """When a mean task has gone over a link, and the rates it has met till then, summed."""
        over = moment.network.links[link]
        takes = moment.mean_bytes / over.bytes_per_s
        begin = max(at, float(moment.link_wait_s[link]))
        return begin + takes, danger + over.failure_per_s * takes

    @staticmethod
    def _executed(moment: Moment, node: int, at: float, danger: float) -> float:
        """Chance of a mean task that reaches a node then."""
        there = moment.network.nodes[node]
        takes = moment.mean_cycles / there.cycles_per_s
        end = max(at, float(moment.node_wait_s[node])) + takes
        if not moment.up[node] or end > moment.deadline_s:
            return 0.0
        danger += there.execution_failure_per_s * takes + moment.network.node_failure_per_s * end
        return math.exp(-danger)


def shares(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """(..., C, 3) shares on time, late, and damaged or lost, of counts (..., C, 4)."""
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    three = np.stack([counts[..., 0], counts[..., 1], counts[..., 2] + counts[..., 3]], axis=-1)
    return (three / total).astype(np.float32)


@dataclass
class _Kept:
    """The answers of one episode, and when they were given."""

    prior: NDArray[np.float32]
    risk: NDArray[np.float32]
    counts: NDArray[np.int64]
    slot: int = -EVERY_SLOTS
    up: NDArray[np.bool_] | None = None

    def stale(self, slot: int, up: NDArray[np.bool_]) -> bool:
        return self.up is None or slot >= self.slot + EVERY_SLOTS or not np.array_equal(up, self.up)


@dataclass
class BatchContext:
    """Priors of all episodes of a simulator.

    Parameters
    ----------
    simulator : Simulator
    prior : Prior
    """

    simulator: Simulator
    prior: Prior

    def __post_init__(self) -> None:
        places, candidates = self.simulator.mask.shape
        nodes = self.simulator.batch.speed.shape[1]
        self._prior = np.zeros((places, nodes, candidates), dtype=np.float32)
        self._risk = np.zeros((places, nodes), dtype=np.float32)
        self._slot = np.full(places, -EVERY_SLOTS)
        self._up = np.zeros((places, nodes), dtype=np.bool_)
        self._begun = np.zeros(places, dtype=np.int64)
        self._counts = np.zeros_like(self.simulator.state.counts)

    def look(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Prior (E, C) and risk (E,) of the agents that decide now."""
        sim = self.simulator
        slot, up, node = sim.slot, sim.state.up, sim.node
        new = sim.state.here["begun"] != self._begun
        stale = new | (slot >= self._slot + EVERY_SLOTS) | (up != self._up).any(axis=1)
        asked = np.flatnonzero(stale)
        if len(asked):
            self._counts[new] = 0
            moments = [self.moment(int(e)) for e in asked]
            for e, answer in zip(asked, self.prior(moments, sim.mask.shape[1]), strict=True):
                n = len(answer[1])
                self._prior[e, :n], self._risk[e, :n] = answer
            self._slot[asked], self._up[asked] = slot[asked], up[asked]
            self._begun[asked] = sim.state.here["begun"][asked]
            self._counts[asked] = sim.state.counts[asked]
        every = np.arange(len(node))
        return self._prior[every, node], self._risk[every, node]

    def moment(self, e: int) -> Moment:
        """What may be known in an episode now."""
        sim, s = self.simulator, self.simulator.state
        here = s.here[e]
        p = int(here["episode"])
        entries = s.head[e], s.tail[e], s.link[e], s.at[e], s.done[e]
        mean = np.array([here["bytes"], here["cycles"]]) / max(1, s.seen[e].sum())
        return _moment(
            sim.batch, p, sim.networks[p], int(here["task"]), int(here["now"]), s.up[e], s.free[e],
            entries, mean, s.counts[e], self._counts[e],
        )  # fmt: skip


@dataclass
class EpisodeContext:
    """The prior in an ordinary rollout; equal to that of a simulator.

    Parameters
    ----------
    network : Network
    prior : Prior
    candidates : int
    """

    network: Network
    prior: Prior
    candidates: int

    def __post_init__(self) -> None:
        n = len(self.network.nodes)
        nothing = np.zeros((n, self.candidates, len(OUTCOMES)), dtype=np.int64)
        share, risk = np.zeros((n, self.candidates), np.float32), np.zeros(n, np.float32)
        self._kept = _Kept(share, risk, nothing)
        self._sizes = np.zeros(2)
        self._next = 0

    def look(self, release: Release, counts: NDArray[np.int64]) -> None:
        """Ask again where the last answer is too old."""
        b, k = release.batch, release.task
        for i in range(self._next, k + 1):
            self._sizes += b.task["bytes"][i], b.task["cycles"][i]
        self._next = k + 1
        slot = release.now_ns // int(b.episode["slot_ns"][0])
        if self._kept.stale(slot, release.up):
            moment = _moment(
                b, 0, self.network, k, release.now_ns, release.up, release.free, release.entries,
                self._sizes / (k + 1), counts, self._kept.counts,
            )  # fmt: skip
            ((prior, risk),) = self.prior([moment], self.candidates)
            self._kept = _Kept(prior, risk, counts.copy(), slot, release.up.copy())

    def told(self, node: int) -> tuple[NDArray[np.float32], np.float32]:
        """Prior (C,) and risk of a node."""
        return self._kept.prior[node], self._kept.risk[node]


def _moment(
    b: Batch,
    p: int,
    network: Network,
    task: int,
    now: int,
    up: NDArray[np.bool_],
    free: NDArray[np.int64],
    entries: tuple[NDArray[np.int64], ...],
    mean: NDArray[np.float64],
    counts: NDArray[np.int64],
    before: NDArray[np.int64],
) -> Moment:
    n = len(network.nodes)
    wait = np.empty(n + len(network.links))
    scratch = np.empty(int(b.free_ptr[p, -1]) + 1, dtype=np.int64)
    rows.waits(b, p, now, free, entries, scratch, wait)
    return Moment(
        network, float(b.task["deadline"][task]) * 1e-9, now * 1e-9, float(mean[0]), float(mean[1]),
        up[:n], wait[:n], wait[n:], counts[:n], counts[:n] - before[:n],
    )  # fmt: skip
