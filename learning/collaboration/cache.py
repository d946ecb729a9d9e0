"""Language models behind a cache: a question that was asked before is not asked again."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.answers import Answers
from learning.collaboration.sight import Key, Seen

#: Answers kept.
KEPT = 100_000


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
    answers : int
        Questions that the model was asked; equal ones of a moment count once.
    invalid : int
        Of these, answers that could not be used (uniform in their place).
    model_seconds : float
        Wall time in the model.
    """

    questions: int = 0
    hits: int = 0
    answers: int = 0
    invalid: int = 0
    model_seconds: float = 0.0

    @property
    def hit_rate(self) -> float:
        """Share of questions that the cache answered; NaN without questions."""
        return self.hits / self.questions if self.questions else float("nan")

    @property
    def parse_rate(self) -> float:
        """Share of the model's answers that could be used; NaN without any."""
        return 1.0 - self.invalid / self.answers if self.answers else float("nan")

    @property
    def seconds_per_question(self) -> float:
        """Mean wall time of the model per answer; NaN without any."""
        return self.model_seconds / self.answers if self.answers else float("nan")


@dataclass
class Cache:
    """A model, and its answers by question, numbers rounded.

    Parameters
    ----------
    model : Model

    Attributes
    ----------
    counts : Counts
        Since it was made.
    """

    model: Model
    counts: Counts = field(default_factory=Counts)
    _kept: OrderedDict[Key, tuple[NDArray[np.float32], float]] = field(
        default_factory=OrderedDict, repr=False
    )

    def answer(
        self, seen: Seen
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Answers, those of the model to new questions, each asked once.

        Returns
        -------
        prior : (P, C) float32
        risk : (P,) float32
        waited : (P,) bool
            Whose question the model was asked.
        """
        keys = seen.keys
        new: dict[Key, int] = {}
        for i, key in enumerate(keys):
            if key not in self._kept:
                new.setdefault(key, i)
        waited = np.array([key in new for key in keys], dtype=bool)
        self.counts.questions += len(keys)
        self.counts.hits += len(keys) - int(waited.sum())
        if new:
            self._put(seen, new)
        prior = np.zeros(seen.up.shape, dtype=np.float32)
        risk = np.empty(len(keys), dtype=np.float32)
        for i, key in enumerate(keys):
            share, risk[i] = self._kept[key]
            prior[i, : len(share)] = share
            self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return prior, risk, waited

    def _put(self, seen: Seen, new: dict[Key, int]) -> None:
        """Ask the model and keep what it says."""
        rows = np.fromiter(new.values(), dtype=np.int64)
        begin = time.perf_counter()
        found = self.model.answer(seen[rows])
        self.counts.model_seconds += time.perf_counter() - begin
        self.counts.answers += len(rows)
        self.counts.invalid += int((~found.valid).sum())
        for i, key in enumerate(new):
            share = found.prior[i, : seen.count[rows[i]]].copy()
            self._kept[key] = share, float(found.risk[i])
