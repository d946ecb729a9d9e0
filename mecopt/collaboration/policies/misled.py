"""A rule that believes failure rates which are not the true ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.replay import shown_to

#: What is believed to be `factor` times as large.
_RATES = ("node_failure_per_s", "execution_failure_per_s", "failure_per_s")


@dataclass
class Misled:
    """Any rule for failing nodes, told every failure rate times a factor.

    Parameters
    ----------
    rule : Policy
    factor : float
        >= 0; 2 for rates twice the true ones.

    Raises
    ------
    ValueError
        If the factor is negative or infinite.
    """

    rule: Policy
    factor: float
    name: str = field(init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.factor < float("inf"):
            raise ValueError(f"factor = {self.factor!r} must be >= 0")
        self.name = f"{self.rule.name} (rates x {self.factor:g})"

    def believed(self, instance: OffloadingInstance) -> OffloadingInstance:
        """The instance with other rates in its meta, as the rule itself then believes it.

        Raises
        ------
        ValueError
            If the instance has no network in its meta.
        """
        document = asdict(Network.of(instance))
        document = self._scaled(document) | {
            part: [self._scaled(row) for row in document[part]] for part in ("nodes", "links")
        }
        told = replace(instance, meta={**instance.meta, "collaboration": document})
        return shown_to(self.rule, told)

    def _scaled(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {n: self.factor * v if n in _RATES else v for n, v in row.items()}

    def reset(self, instance: OffloadingInstance) -> None:
        """Prepare the rule; `instance` is what `believed` returned."""
        self.rule.reset(instance)

    def act(self, observation: Observation) -> int:
        return self.rule.act(observation)
