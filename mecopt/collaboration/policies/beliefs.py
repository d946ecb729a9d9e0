"""What rules for failing nodes know beside queues: where an option ends, and its chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt.collaboration.expected import intact
from mecopt.collaboration.failures import FloatArray, survival
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.status import NEVER


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Rates of an instance, per option.

    Parameters
    ----------
    network : Network
    node : (O,) int
        Where each option executes.
    execution_ns : (O,) int
        How long.
    intact : (O,) float
        Probability that no stage is damaged.
    """

    network: Network
    node: NDArray[np.int64]
    execution_ns: NDArray[np.int64]
    intact: FloatArray

    @classmethod
    def of(cls, instance: OffloadingInstance, network: Network | None = None) -> Beliefs:
        """Beliefs in the rates that an instance says.

        Parameters
        ----------
        instance : OffloadingInstance
        network : Network, optional
            That of its meta, where it is at hand.

        Raises
        ------
        ValueError
            If it is not of this family.
        """
        network = Network.of(instance) if network is None else network
        last = instance.stage_ptr[1:] - 2  # before the outcome
        node = instance.stage_resource[last].astype(np.int64)
        return cls(network, node, instance.believed_ns[last], intact(instance, network))

    def own(self, observation: Observation) -> slice:
        """Options of the released task."""
        options = observation.instance.options_of(observation.task)
        return slice(options.start, options.stop)

    def chance(self, observation: Observation) -> FloatArray:
        """(n,) believed probability that the task is on time, by option.

        With the queues as they are: nothing for an option that would be late or ends at a node that
        is down; else that no stage is damaged and the node stays up until the end.
        """
        spent_ns = observation.completion_ns - observation.now_ns
        deadline = observation.instance.deadline_ns[observation.task]
        possible = (observation.completion_ns < NEVER) & (spent_ns <= deadline)
        stays = survival(self.network.node_failure_per_s, np.where(possible, spent_ns, 0) * 1e-9)
        return np.where(possible, self.intact[self.own(observation)] * stays, 0.0)


@dataclass(kw_only=True)
class Believing:
    """A rule that reads `Beliefs` when an episode begins."""

    _beliefs: Beliefs | None = None

    def reset(self, instance: OffloadingInstance) -> None:
        self.believe(Beliefs.of(instance))

    def believe(self, beliefs: Beliefs) -> None:
        """Go on with other beliefs."""
        self._beliefs = beliefs

    @property
    def beliefs(self) -> Beliefs:
        """Those of the instance that was shown last."""
        if self._beliefs is None:
            raise RuntimeError("reset() must be called before act()")
        return self._beliefs
