"""Rules without a search: stay, earliest start, two choices, RATC, greatest expected success."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mecopt.checks import check_seed
from mecopt.collaboration.policies.beliefs import Believing
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.status import NEVER


@dataclass
class Keep(Believing):
    """Every task stays where it is released."""

    name: str = "keep"

    def act(self, observation: Observation) -> int:
        return 0  # the option listed first


@dataclass
class EarliestStart(Believing):
    """The execution that is believed to begin first; ties to the one that ends first."""

    name: str = "earliest-start"

    def act(self, observation: Observation) -> int:
        end = observation.completion_ns
        execution = self.beliefs.execution_ns[self.beliefs.own(observation)]
        begin = np.where(end < NEVER, end - execution, NEVER)
        return int(np.lexsort((end, begin))[0])


@dataclass
class _TwoNodes(Believing):
    """Two of the nodes that the task reaches, drawn anew for every task."""

    seed: int = 0
    _rng: np.random.Generator = field(default_factory=np.random.default_rng, repr=False)

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def reset(self, instance: OffloadingInstance) -> None:
        super().reset(instance)
        self._rng = np.random.default_rng([self.seed, int(instance.content_hash[:15], 16)])

    def draw(self, observation: Observation) -> list[int]:
        """The option that ends first at each of two nodes; one where no other is reached."""
        node = self.beliefs.node[self.beliefs.own(observation)]
        reached = np.unique(node)
        drawn = self._rng.choice(reached, size=min(2, len(reached)), replace=False)
        end = observation.completion_ns
        return [min(np.flatnonzero(node == v).tolist(), key=lambda i: end[i]) for v in drawn]


@dataclass
class TwoChoice(_TwoNodes):
    """Of two nodes drawn, the one with the shorter queue; a node that is down has the longest."""

    name: str = "two-choice"

    def act(self, observation: Observation) -> int:
        first = self.beliefs.own(observation).start

        def queue_s(option: int) -> float:
            node = self.beliefs.node[first + option]
            return observation.backlog_s[node] if observation.up[node] else np.inf

        return min(self.draw(observation), key=queue_s)


@dataclass
class ReliabilityAwareTwoChoice(_TwoNodes):
    """RATC: of two nodes drawn, the more reliable if both meet the deadline, else the faster."""

    name: str = "ratc"

    def act(self, observation: Observation) -> int:
        drawn = self.draw(observation)
        chance = self.beliefs.chance(observation)
        # Nobody meets a deadline without a chance; chances are never 0 otherwise.
        if all(chance[i] > 0 for i in drawn):
            return max(drawn, key=lambda i: chance[i])
        return min(drawn, key=lambda i: observation.completion_ns[i])


@dataclass
class ExpectedSuccess(Believing):
    """The greatest chance to be on time with the queues as they are; drops what has none."""

    name: str = "expected-success"

    def act(self, observation: Observation) -> int:
        chance = self.beliefs.chance(observation)
        best = int(np.argmax(chance))
        return best if chance[best] > 0 else -1
