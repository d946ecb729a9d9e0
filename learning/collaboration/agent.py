"""Trained agents as an ordinary offloading policy, whatever works out their scores."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning.collaboration import strategists
from learning.collaboration.context import EpisodeContext, Prior, RulePrior, shares
from learning.collaboration.player import Arrays
from learning.collaboration.prior import LanguagePrior
from learning.collaboration.process.walk import Decision, Ends, Release, Walk
from learning.collaboration.shape import Shape
from mecopt.collaboration.network import Network
from mecopt.offloading.observation import Observation

#: Priors by name.
PRIORS = ("none", "rule", "language")


def make_prior(name: str, *, evaluator: bool = True) -> Prior | None:
    """A source of strategies by its name: ``"none"``, ``"rule"`` or ``"language"``.

    Parameters
    ----------
    name : str
    evaluator : bool
        Whether the prompts of a language model hold what became of earlier tasks.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name == "none":
        return None
    if name == "rule":
        return RulePrior()
    if name == "language":
        return LanguagePrior(strategists.model(), evaluator)
    raise ValueError(f"prior: unknown {name!r}, one of {', '.join(PRIORS)}")


@dataclass
class Agent(Walk):
    """Every agent takes the candidate of the greatest score; ties go to the first.

    Parameters
    ----------
    shape : Shape
        What the agents are told.
    prior : str
        Which prior that is.
    """

    shape: Shape = field(kw_only=True)
    prior: str = "none"
    _source: Prior | None = field(default=None, init=False, repr=False)

    @abstractmethod
    def scores(self, told: Arrays) -> NDArray[np.float32]:
        """(1, C) of what is told, each array with a leading axis of one."""

    def begin(self, network: Network) -> None:
        """Start memory and prior of an episode; answers of a prior's model are kept."""
        shape = self.shape
        assert self._episode is not None
        needs = shape.memory or shape.prior
        self._ends = Ends(self._episode, len(network.nodes), self.candidates) if needs else None
        if shape.prior and self._source is None:
            self._source = make_prior(self.prior, evaluator=shape.memory)
        self._context = (
            EpisodeContext(network, self._source, self.candidates)
            if self._source is not None
            else None
        )

    def released(self, release: Release, observation: Observation) -> None:
        """See how earlier tasks ended."""
        self._release = release
        if self._ends is not None:
            self._ends.look(observation)

    def choose(self, decision: Decision) -> int:
        """The candidate of the greatest score."""
        told: Arrays = {"rows": decision.rows[None], "mask": decision.mask[None]}
        if self._ends is not None:
            if self.shape.memory:
                told["memory"] = shares(self._ends.counts[decision.node])[None]
            if self._context is not None:
                self._context.look(self._release, self._ends.counts)
                prior, risk = self._context.told(decision.node)
                told["prior"], told["risk"] = prior[None], np.array([risk])
        return int(self.scores(told)[0].argmax())
