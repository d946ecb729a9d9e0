"""The reflective evaluator: what became of tasks, by node and candidate, and why.

Every decision on the way of a task is credited with what became of it, as soon as that is known:
the end of an execution shows whether the task was on time and whether it was damaged, on the way or
at the node; a deadline that passes shows that it is late; a node that goes down shows what it
loses. *Short* memory is of the last ten slots, *long* memory of the whole episode, or of several
over one network.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.collaboration.failures import FloatArray
from mecopt.collaboration.walk import Walks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation

#: What becomes of a task.
CAUSES = ("fine", "late", "damaged", "down")
FINE, LATE, DAMAGED, DOWN = range(4)
#: Slots of the short memory (P); outcomes that a sentence needs (D); sentences at most (P).
SHORT_SLOTS, LEAST, SENTENCES = 10, 4, 5
#: Share of trouble from which on a sentence is about it (D).
TROUBLED = 0.15


@dataclass(frozen=True, eq=False)
class Recollection:
    """What memory says in sentences: at most one of a candidate, at most five of a node.

    Parameters
    ----------
    trouble : (P, C) int8
        Place in `CAUSES` of what a sentence is about; -1 where there is none.
    share : (P, C) uint8
        Tenths of the outcomes that are so.
    lately : (P, C) bool
        Whether that is short memory.
    """

    trouble: NDArray[np.int8]
    share: NDArray[np.uint8]
    lately: NDArray[np.bool_]

    def __getitem__(self, which: NDArray[np.int64]) -> Recollection:
        """Some of the rows."""
        return Recollection(self.trouble[which], self.share[which], self.lately[which])


def nothing_known(nodes: int, candidates: int) -> Recollection:
    """The recollection of who has no memory."""
    shape = (nodes, candidates)
    return Recollection(
        np.full(shape, -1, dtype=np.int8), np.zeros(shape, np.uint8), np.zeros(shape, bool)
    )


@dataclass
class Memory:
    """Outcomes by node, candidate and cause.

    Parameters
    ----------
    nodes, candidates : int
    slot_s : float
    """

    nodes: int
    candidates: int
    slot_s: float = 0.5
    long: FloatArray = field(init=False)
    _short: FloatArray = field(init=False, repr=False)
    _slot: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        shape = (self.nodes, self.candidates, len(CAUSES))
        self.long = np.zeros(shape)
        self._short = np.zeros((SHORT_SLOTS, *shape))

    @classmethod
    def of(cls, candidates: NDArray[np.int64], slot_s: float) -> Memory:
        """An empty memory for the candidates (N, C) of a network's nodes."""
        nodes, wide = candidates.shape
        return cls(nodes, wide, slot_s)

    @classmethod
    def known(cls, long: ArrayLike, short: ArrayLike) -> Memory:
        """The memory of counts (N, C, 4) of an episode, and of lately."""
        counts = np.asarray(long)
        found = cls(*counts.shape[:2])
        found.long[:] = counts
        found._short[0] = short
        return found

    def begin_episode(self) -> None:
        """Time starts anew: what was lately is no more; long memory stays."""
        self._short[:] = 0.0
        self._slot = 0

    def pass_to(self, now_s: float) -> None:
        """Forget what is older than ten slots in short memory."""
        slot = int(now_s / self.slot_s + 1e-9)
        for passed in range(self._slot + 1, min(slot, self._slot + SHORT_SLOTS) + 1):
            self._short[passed % SHORT_SLOTS] = 0.0
        self._slot = max(slot, self._slot)

    def add(self, node: ArrayLike, candidate: ArrayLike, cause: ArrayLike) -> None:
        """Count outcomes that are known now."""
        where = tuple(np.atleast_1d(np.asarray(a, np.int64)) for a in (node, candidate, cause))
        for counts in (self.long, self._short[self._slot % SHORT_SLOTS]):
            np.add.at(counts, where, 1.0)

    @property
    def short(self) -> FloatArray:
        """(N, C, 4) outcomes that became known in the last ten slots."""
        return np.asarray(self._short.sum(axis=0))

    def _counts(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Short memory where it has enough outcomes, else long memory; and which."""
        short = self.short
        lately = short.sum(axis=2) >= LEAST
        return np.where(lately[..., None], short, self.long), lately

    def shares(self) -> FloatArray:
        """(N, C, 3) shares on time, late, and damaged or lost; zeros where nothing is known."""
        counts, _ = self._counts()
        total = np.maximum(counts.sum(axis=2, keepdims=True), 1.0)
        lost = counts[..., DAMAGED] + counts[..., DOWN]
        return np.stack([counts[..., FINE], counts[..., LATE], lost], axis=2) / total

    def recollection(self) -> Recollection:
        """The sentences of every node.

        A candidate with at least four known outcomes gets one: the share of its most frequent
        trouble, or that most are on time. Of more than five, those with most outcomes stay.
        """
        counts, lately = self._counts()
        total = counts.sum(axis=2)
        shares = counts / np.maximum(total, 1.0)[..., None]
        worst = 1 + shares[..., 1:].argmax(axis=2)
        trouble = np.where(
            np.take_along_axis(shares, worst[..., None], axis=2)[..., 0] >= TROUBLED, worst, FINE
        )
        share = np.take_along_axis(shares, trouble[..., None], axis=2)[..., 0]
        told = total >= LEAST
        if self.candidates > SENTENCES:
            rank = np.argsort(np.argsort(-total, axis=1, kind="stable"), axis=1)
            told &= rank < SENTENCES
        return Recollection(
            np.where(told, trouble, -1).astype(np.int8),
            np.where(told, np.rint(10 * share), 0).astype(np.uint8),
            told & lately,
        )


@dataclass
class Evaluator:
    """Reads from observations what has become of the tasks decided so far.

    Parameters
    ----------
    instance : OffloadingInstance
    walks : Walks
        Of its options.
    memory : Memory
    """

    instance: OffloadingInstance
    walks: Walks
    memory: Memory
    _open: list[int] = field(default_factory=list, repr=False)
    _next: int = field(default=0, repr=False)
    _now_ns: int = field(default=-1, repr=False)

    def watch(self, observation: Observation) -> None:
        """Count what became known since the last time."""
        if observation.now_ns == self._now_ns:
            return
        self._now_ns = observation.now_ns
        self.memory.pass_to(observation.now_ns * 1e-9)
        decided = range(self._next, observation.task)
        self._open += [k for k in decided if observation.choice[k] >= 0]
        self._next = observation.task
        active = set(observation.active.tolist())
        still = []
        for k in self._open:
            cause = self._cause(observation, k, k in active)
            if cause < 0:
                still.append(k)
                continue
            o = int(self.instance.option_ptr[k] + observation.choice[k])
            made = self.walks.node[o] >= 0
            node, candidate = self.walks.node[o, made], self.walks.candidate[o, made]
            self.memory.add(node, candidate, np.full(len(node), cause))
        self._open = still

    def _cause(self, observation: Observation, k: int, active: bool) -> int:
        """What has become of a task by now; -1 when it is not known."""
        x = self.instance
        o = int(x.option_ptr[k] + observation.choice[k])
        stages = int(x.stage_ptr[o + 1] - x.stage_ptr[o])
        executed = int(observation.times[2][x.arrays.slot_ptr[k] + stages - 2])
        due = int(x.release_ns[k] + x.deadline_ns[k])
        if executed <= observation.now_ns:
            # The outcome is seen when the execution ends, not before.
            if x.service_ns[x.stage_ptr[o + 1] - 1] > 0:
                return DAMAGED
            return FINE if executed <= due else LATE
        if not active:
            return DOWN
        return LATE if due < observation.now_ns else -1
