"""Who is asked when: strategies of all nodes, kept between questions, and a cache of answers.

A node asks every ten slots, and when it or one of its neighbours goes down or comes up. Questions
of many nodes and episodes go to the model together; a question that was asked before, numbers
rounded, is answered from the cache.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.answers import UNKNOWN_RISK, Answers, uniform
from learning.collaboration.sight import Moment, Seen, Sight, together

#: Slots between questions (D); answers kept.
EVERY_SLOTS, KEPT = 10, 100_000
#: What a prompt depends on (`learning.collaboration.sight.Seen.keys`).
Key = tuple[object, ...]


class Model(Protocol):
    """Who answers: the small strategist, another causal model, an endpoint, a rule."""

    name: str

    def answer(self, seen: Seen) -> Answers:
        """Strategy and risk of every row."""


@dataclass
class Counts:
    """What asking took.

    Parameters
    ----------
    questions : int
        Times that a node asked.
    hits : int
        Of these, answered from the cache.
    invalid : int
        Answers of the model that could not be used (uniform in their place).
    model_seconds : float
        Wall time in the model.
    """

    questions: int = 0
    hits: int = 0
    invalid: int = 0
    model_seconds: float = 0.0

    @property
    def asked(self) -> int:
        """Questions that the model was asked."""
        return self.questions - self.hits

    @property
    def hit_rate(self) -> float:
        """Share of questions that the cache answered; NaN without questions."""
        return self.hits / self.questions if self.questions else float("nan")

    @property
    def parse_rate(self) -> float:
        """Share of the model's answers that could be used; NaN without any."""
        return 1.0 - self.invalid / self.asked if self.asked else float("nan")


@dataclass
class Strategist:
    """Strategies of the nodes of one or more episodes that run side by side.

    Parameters
    ----------
    model : Model
    every_slots : int
        Slots between questions of a node.

    Attributes
    ----------
    counts : Counts
        Since it was made.
    """

    model: Model
    every_slots: int = EVERY_SLOTS
    counts: Counts = field(default_factory=Counts)
    _cache: OrderedDict[Key, tuple[NDArray[np.float32], float]] = field(
        default_factory=OrderedDict, repr=False
    )
    _sights: list[Sight] = field(default_factory=list, repr=False)

    def begin(self, sights: Sequence[Sight], slot_s: float = 0.5) -> None:
        """Begin episodes over these networks; all nodes have yet to ask.

        Raises
        ------
        ValueError
            If the networks have different numbers of nodes, or there is none.
        """
        nodes = {len(sight.count) for sight in sights}
        if len(nodes) != 1:
            raise ValueError(f"sights: networks of {sorted(nodes)} nodes, expected one number")
        self._sights, self._slot_s = list(sights), slot_s
        shape = (len(sights), nodes.pop())
        wide = max(sight.node.shape[1] for sight in sights)
        self._slot = np.full(shape, -(10**9))
        self._pattern = np.zeros(shape, dtype=np.int64)
        self._prior = np.stack([uniform(sight.count, wide) for sight in sights])
        self._risk = np.full(shape, UNKNOWN_RISK, dtype=np.float32)

    def restart(self, episode: int, sight: Sight) -> None:
        """Begin one of the episodes anew, over another network of as many nodes.

        Raises
        ------
        ValueError
            If its nodes have more candidates than those of the networks of `begin`.
        """
        if sight.node.shape[1] > self._prior.shape[2]:
            raise ValueError(
                f"sight: {sight.node.shape[1]} candidates, at most {self._prior.shape[2]}"
            )
        self._sights[episode] = sight
        self._slot[episode] = -(10**9)
        self._prior[episode] = uniform(sight.count, self._prior.shape[2])
        self._risk[episode] = UNKNOWN_RISK

    def refresh(
        self, moments: Sequence[Moment], nodes: Sequence[Sequence[int]] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Strategies now; nodes that are due ask first.

        Parameters
        ----------
        moments : sequence of Moment, length B
            One of each episode.
        nodes : sequence of sequences of int, optional
            Nodes of each episode that need a strategy now; all unless given.

        Returns
        -------
        prior : (B, N, C) float32
            0 where there is no candidate.
        risk : (B, N) float32
        asked : (B, N) bool
            Which nodes waited for the model.
        """
        asked = np.zeros(self._slot.shape, dtype=bool)
        parts, rows = [], []
        for b, (sight, moment) in enumerate(zip(self._sights, moments, strict=True)):
            slot = int(moment.now_s / self._slot_s + 1e-9)
            there = moment.up[sight.node] & (sight.node >= 0)
            pattern = there @ (1 << np.arange(there.shape[1]))
            due = (slot - self._slot[b] >= self.every_slots) | (pattern != self._pattern[b])
            if nodes is not None:
                due &= np.isin(np.arange(len(due)), list(nodes[b]))
            which = np.flatnonzero(due)
            if len(which):
                parts.append(sight.look(moment)[which])
                rows += [(b, v) for v in which.tolist()]
                self._slot[b, which], self._pattern[b, which] = slot, pattern[which]
        if parts:
            self._ask(together(parts), rows, asked)
        return self._prior, self._risk, asked

    def _ask(self, seen: Seen, rows: list[tuple[int, int]], asked: NDArray[np.bool_]) -> None:
        """Answers from the cache, and of the model to what is left, each question once."""
        keys = seen.keys
        new = {key: i for i, key in enumerate(keys) if key not in self._cache}
        self.counts.questions += len(keys)
        self.counts.hits += sum(key in self._cache for key in keys)
        answered = dict(self._put_to_model(seen, new)) if new else {}
        for key, (b, v) in zip(keys, rows, strict=True):
            if key in answered:
                asked[b, v] = True
                prior, risk = answered[key]
            else:
                prior, risk = self._cache[key]
                self._cache.move_to_end(key)
            self._prior[b, v] = 0.0
            self._prior[b, v, : len(prior)] = prior
            self._risk[b, v] = risk
        for key, answer in answered.items():
            self._cache[key] = answer
        while len(self._cache) > KEPT:
            self._cache.popitem(last=False)

    def _put_to_model(
        self, seen: Seen, new: Mapping[Key, int]
    ) -> Iterator[tuple[Key, tuple[NDArray[np.float32], float]]]:
        which = np.fromiter(new.values(), dtype=np.int64)
        begin = time.perf_counter()
        found = self.model.answer(seen[which])
        self.counts.model_seconds += time.perf_counter() - begin
        self.counts.invalid += int((~found.valid).sum())
        for i, (key, row) in enumerate(new.items()):
            yield key, (found.prior[i, : seen.count[row]].copy(), float(found.risk[i]))
