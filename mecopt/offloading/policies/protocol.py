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

    A policy may also have a method ``believed(instance) -> OffloadingInstance``: the same options
    and realised times, with other `believed_ns` and `fixed_cost_ns`. Then `reset` and `act` are
    shown that instance, and decisions are replayed on the true one.
    """

    name: str

    def reset(self, instance: OffloadingInstance) -> None: ...

    def act(self, observation: Observation) -> int: ...
