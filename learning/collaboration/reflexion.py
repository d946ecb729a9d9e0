"""Reflexion: the language model alone decides, hop by hop, with or without its evaluator.

At each node on its way a task goes where the strategy of that node says: to a candidate drawn with
its shares, among those that an option of the task continues. All hops are decided when the task is
released, with the strategies of that moment.
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
from mecopt.offloading.units import DROPPED

#: Best of 0, 0.2, 0.35, 0.5, 1 on preset `paper`, seeds 1000:1004 (D): the likeliest candidate of
#: every node for ten slots is soon the longest queue.
TEMPERATURE = 1.0


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
    temperature : float
        Of the draws, >= 0: candidates are drawn by their shares to the power of 1 / temperature; at
        0 the likeliest is taken.
    drop_hopeless : bool
        Drop a task that no option is believed to bring home in time.
    carries_over : bool
        Keep long memory over episodes of one network.

    Attributes
    ----------
    waits : list of int
        Per decision, how many questions to the model it waited for, one after the other.

    Raises
    ------
    ValueError
        If the seed or the temperature is negative.
    """

    strategist: Strategist
    seed: int = 0
    evaluator: bool = True
    temperature: float = TEMPERATURE
    drop_hopeless: bool = True
    carries_over: bool = False
    name: str = "reflexion"
    waits: list[int] = field(default_factory=list, repr=False)
    _sight: Sight | None = field(default=None, repr=False)
    _memory: Memory | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature = {self.temperature!r} must be >= 0")

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
        waited = 0
        spent_ns = observation.completion_ns.min() - observation.now_ns
        if self.drop_hopeless and spent_ns > observation.instance.deadline_ns[observation.task]:
            self.waits.append(waited)
            return DROPPED
        moment = Moment.of(observation, self._memory if self.evaluator else None)

        def choose(node: int, candidates: NDArray[np.int64]) -> int:
            nonlocal waited
            prior, _, asked = self.strategist.refresh([moment], [[node]])
            waited += int(asked[0, node])
            share = prior[0, node, candidates].astype(np.float64)
            most = share.max()
            if self.temperature == 0 or not most > 0:
                return int(candidates[share.argmax()])
            weight = (share / most) ** (1.0 / self.temperature)
            return int(self._rng.choice(candidates, p=weight / weight.sum()))

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
