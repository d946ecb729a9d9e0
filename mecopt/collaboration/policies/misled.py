"""A rule that believes failure rates which are not the true ones.

A common factor would change little: it leaves the order of what is more reliable as it is. So every
rate is wrong in its own direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mecopt.checks import check_seed
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.replay import shown_to


@dataclass
class Misled:
    """Any rule for failing nodes, told rates that are too high or too low by a factor.

    Parameters
    ----------
    rule : Policy
    factor : float
        >= 1: each rate is told so many times too high or too low, either with probability 1/2.
    seed : int
        Of the directions.

    Raises
    ------
    ValueError
        If the factor is below 1 or infinite, or the seed negative.
    """

    rule: Policy
    factor: float
    seed: int = 0
    name: str = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.factor < float("inf"):
            raise ValueError(f"factor = {self.factor!r} must be >= 1")
        check_seed(self.seed)
        self.name = f"{self.rule.name} (rates off by {self.factor:g})"

    def believed(self, instance: OffloadingInstance) -> OffloadingInstance:
        """The instance with other rates in its meta, as the rule itself then believes it.

        Raises
        ------
        ValueError
            If the instance has no network in its meta.
        """
        told = self.told(Network.of(instance))
        meta = {**instance.meta, "collaboration": told.document()}
        return shown_to(self.rule, replace(instance, meta=meta))

    def told(self, network: Network) -> Network:
        """The network that the rule believes in."""
        rng = np.random.default_rng(self.seed)

        def wrong(rate: float) -> float:
            return rate * self.factor if rng.random() < 0.5 else rate / self.factor

        nodes = [
            replace(n, execution_failure_per_s=wrong(n.execution_failure_per_s))
            for n in network.nodes
        ]
        links = [replace(k, failure_per_s=wrong(k.failure_per_s)) for k in network.links]
        whole = wrong(network.node_failure_per_s)
        return Network(tuple(nodes), tuple(links), whole, network.repair_per_s)

    def reset(self, instance: OffloadingInstance) -> None:
        """Prepare the rule; `instance` is what `believed` returned."""
        self.rule.reset(instance)

    def act(self, observation: Observation) -> int:
        return self.rule.act(observation)
