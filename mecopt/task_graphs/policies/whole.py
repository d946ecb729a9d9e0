"""Rules that never split a task: on the device, or all of it at the nearest server."""

from __future__ import annotations

from dataclasses import dataclass

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation


def nearest_edge(instance: OffloadingInstance, task: int) -> int:
    """The option that runs a task whole at its nearest server; 0 when it reaches none.

    Options are numbered as `mecopt.task_graphs.options` says: the whole task where it began, then
    at the servers, nearest first.
    """
    options = instance.options_of(task)
    if len(options) < 2:
        return 0
    first, last = instance.stage_ptr[options.start + 1], instance.stage_ptr[options.start + 2]
    used = instance.stage_resource[first:last]
    return int(any(instance.resource_kinds[r] == "server" for r in used))


@dataclass
class WholeLocal:
    """Every task on the device where it began."""

    name: str = "whole-local"
    planner_name: str = "none"

    def reset(self, instance: OffloadingInstance) -> None:
        """Nothing to prepare."""

    def act(self, observation: Observation) -> int:
        return 0


@dataclass
class NearestEdge:
    """Every task whole at the nearest server, on the device when no server is reached."""

    name: str = "nearest-edge"
    planner_name: str = "none"

    def reset(self, instance: OffloadingInstance) -> None:
        """Nothing to prepare."""

    def act(self, observation: Observation) -> int:
        return nearest_edge(observation.instance, observation.task)
