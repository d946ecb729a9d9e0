"""What every policy is: an answer to one decision state."""

from __future__ import annotations

from typing import Protocol

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation


class Policy(Protocol):
    """An online decision rule.

    `reset` is called once per rollout, before the first decision; it may read names, resources
    and believed times of the instance, never its realised future. `act` returns the index of an
    option of the released task, or -1 to drop it.
    """

    name: str

    def reset(self, instance: OffloadingInstance) -> None: ...

    def act(self, observation: Observation) -> int: ...
