"""Who asks when: strategies of all nodes of episodes that run side by side.

A node asks every ten slots, and when it or one of its neighbours goes down or comes up. Questions
of many nodes and episodes go to the model together, through a cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.answers import UNKNOWN_RISK, uniform
from learning.collaboration.cache import Cache, Counts, Model
from learning.collaboration.sight import Moment, Sight, together

#: Slots between questions (D).
EVERY_SLOTS = 10


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
    cache : Cache
        Its answers stay from episode to episode.
    """

    model: Model
    every_slots: int = EVERY_SLOTS
    cache: Cache = field(init=False)
    _sights: list[Sight] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.cache = Cache(self.model)

    @property
    def counts(self) -> Counts:
        """What asking took so far."""
        return self.cache.counts

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
            shares, risks, waited = self.cache.answer(together(parts))
            episode, node = np.array(rows).T
            self._prior[episode, node] = 0.0
            self._prior[episode, node, : shares.shape[1]] = shares
            self._risk[episode, node], asked[episode, node] = risks, waited
        return self._prior, self._risk, asked
