"""Reflexion: the language model alone decides, hop by hop, with or without its evaluator.

At each node on its way a task goes where the strategy of that node says: to a candidate drawn with
its probabilities among those that an option of the task continues (`greedy` takes the likeliest).
All hops are decided when the task is released, with the strategies of that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.memory import Evaluator, Memory
from learning.collaboration.sight import Moment, Sight
from learning.collaboration.strategist import Strategist
from mecopt.checks import check_seed
from mecopt.collaboration.walk import Walks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation


@dataclass
class Reflexion:
    """A policy of the offloading kernel.

    Parameters
    ----------
    strategist : Strategist
        Its cache stays from episode to episode.
    seed : int
        Of what is drawn; equal seeds give equal decisions.
    evaluator : bool
        Whether prompts hold what became of earlier tasks.
    greedy : bool
        Take the likeliest candidate rather than drawing.
    carries_over : bool
        Keep long memory over episodes of one network.

    Attributes
    ----------
    waits : list of int
        Per decision, how many questions to the model it waited for, one after the other.

    Raises
    ------
    ValueError
        If the seed is negative.
    """

    strategist: Strategist
    seed: int = 0
    evaluator: bool = True
    greedy: bool = False
    carries_over: bool = False
    name: str = "reflexion"
    waits: list[int] = field(default_factory=list, repr=False)
    _sight: Sight | None = field(default=None, repr=False)
    _memory: Memory | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def reset(self, instance: OffloadingInstance) -> None:
        """Prepare for an episode; memory is empty unless it is carried over."""
        sight, before = Sight.of(instance), self._sight
        slot_s = float(instance.meta.get("slot_s", 0.5))
        same = before is not None and before.network == sight.network
        if self._memory is None or not (self.carries_over and same):
            self._memory = Memory.of(sight.node, slot_s)
        self._memory.begin_episode()
        self._sight = sight
        self._walks = Walks.of(instance, sight.network)
        self._evaluator = Evaluator(instance, self._walks, self._memory)
        self._rng = np.random.default_rng([self.seed, int(instance.content_hash[:15], 16)])
        self.strategist.begin([sight], slot_s)
        self.waits = []

    @property
    def parse_rate(self) -> float:
        """Share of the model's answers that could be used; 1 when it was not asked."""
        rate = self.strategist.counts.parse_rate
        return 1.0 if np.isnan(rate) else rate

    def act(self, observation: Observation) -> int:
        if self._sight is None:
            raise RuntimeError("reset() must be called before act()")
        if self.evaluator:
            self._evaluator.watch(observation)
        moment = Moment.of(observation, self._memory if self.evaluator else None)
        waited = 0

        def choose(node: int, candidates: NDArray[np.int64]) -> int:
            nonlocal waited
            prior, _, asked = self.strategist.refresh([moment], [[node]])
            waited += int(asked[0, node])
            share = prior[0, node, candidates].astype(np.float64)
            if self.greedy or not share.sum() > 0:
                return int(candidates[share.argmax()])
            return int(self._rng.choice(candidates, p=share / share.sum()))

        options = observation.instance.options_of(observation.task)
        choice = self._walks.follow(options, choose)
        self.waits.append(waited)
        return choice

    def delay_s(self, seconds: float) -> NDArray[np.float64]:
        """(K,) wait of each decision of the last episode, at so many seconds per question."""
        return seconds * np.array(self.waits, dtype=np.float64)

    @property
    def waited_s(self) -> NDArray[np.float64]:
        """(K,) the same at the measured time of an answer of the model."""
        seconds = self.strategist.counts.seconds_per_question
        return self.delay_s(0.0 if np.isnan(seconds) else seconds)
