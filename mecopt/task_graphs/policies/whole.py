"""Rules that never split a task: on the device, or all of it at the nearest server."""

from __future__ import annotations

from dataclasses import dataclass

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.task_graphs.network import KINDS


def nearest_edge(instance: OffloadingInstance, task: int) -> int:
    """The option that runs a task whole at its nearest server; 0 when it reaches none.

    Options are numbered as `mecopt.task_graphs.options` says: the whole task where it began, then
    at the servers, nearest first. A task that cannot run as one call runs all of them there: the
    first assignment that uses a server, and nothing that computes besides.
    """
    options = instance.options_of(task)
    here = _machines(instance, options[0])
    for i, option in enumerate(options[1:], 1):
        there = _machines(instance, option)
        if len(there) == 1 and there != here and instance.resource_kinds[min(there)] == "server":
            return i
    return 0


def _machines(x: OffloadingInstance, option: int) -> set[int]:
    """Resources of an option that compute."""
    used = x.stage_resource[x.stage_ptr[option] : x.stage_ptr[option + 1]]
    return {r for r in used.tolist() if x.resource_kinds[r] in KINDS}


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
