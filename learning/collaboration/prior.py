"""The language prior as agents are told it: strategies of all nodes of one network at a moment.

What it is called with is duck-typed: whoever trains agents has its own record of a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.cache import Cache, Model
from learning.collaboration.memory import Memory
from learning.collaboration.sight import Moment, Seen, Sight, Typical, together
from mecopt.collaboration.network import Network


class Told(Protocol):
    """A network at a moment; arrays as in `learning.collaboration.sight.Moment`.

    ``counts`` (N, C, 4) are known ends by node, candidate and cause
    (`learning.collaboration.memory.CAUSES`), ``lately`` those of them since the model was asked.
    """

    @property
    def network(self) -> Network: ...
    @property
    def deadline_s(self) -> float: ...
    @property
    def now_s(self) -> float: ...
    @property
    def mean_bytes(self) -> float: ...
    @property
    def mean_cycles(self) -> float: ...
    @property
    def up(self) -> NDArray[np.bool_]: ...
    @property
    def node_wait_s(self) -> NDArray[np.float64]: ...
    @property
    def link_wait_s(self) -> NDArray[np.float64]: ...
    @property
    def counts(self) -> NDArray[np.int64]: ...
    @property
    def lately(self) -> NDArray[np.int64]: ...


#: Shares (N, C) over the candidates of every node, and its risk (N,) in [0, 1].
Answer = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass
class LanguagePrior:
    """Asks a model for all nodes at once, through a cache.

    Parameters
    ----------
    model : Model
    evaluator : bool
        Whether prompts hold what became of earlier tasks.
    """

    model: Model
    evaluator: bool = True
    cache: Cache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = Cache(self.model)

    def __call__(self, moments: Sequence[Told], candidates: int) -> list[Answer]:
        """Shares (N, C) over the candidates of every node, and its risk (N,) in [0, 1].

        One answer for each moment, all asked together.
        """
        seen = together([self._seen(moment) for moment in moments])
        prior, risk, _ = self.cache.answer(seen)
        wide = np.zeros((len(seen), candidates), dtype=np.float32)
        wide[:, : prior.shape[1]] = prior
        ends = np.cumsum([len(moment.up) for moment in moments])[:-1]
        return list(zip(np.split(wide, ends), np.split(risk, ends), strict=True))

    def _seen(self, told: Told) -> Seen:
        task = Typical(_two_digits(told.mean_bytes), _two_digits(told.mean_cycles), told.deadline_s)
        sight = _sight(told.network, task)
        memory = None
        if self.evaluator:
            wide = sight.node.shape[1]
            memory = Memory.known(told.counts[:, :wide], told.lately[:, :wide])
        waits = np.asarray(told.node_wait_s), np.asarray(told.link_wait_s)
        return sight.look(Moment(told.now_s, told.up, *waits, memory))


@lru_cache(maxsize=4096)
def _sight(network: Network, typical: Typical) -> Sight:
    return Sight(network, typical)


def _two_digits(value: float) -> float:
    """So that a mean that hardly moves does not ask anew."""
    return float(f"{value:.1e}")
