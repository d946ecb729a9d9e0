"""A rule that decides on what a planner believes, while the world runs with the true numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.schedule import Schedule
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.planners import Planned, Planner
from mecopt.task_graphs.policies.whole import nearest_edge


@dataclass
class PlannedRule:
    """Any online rule over the plans of a planner.

    A task without a valid plan is not shown to the rule: it goes whole to the nearest edge, and
    takes the usual numbers of its roles (`mecopt.task_graphs.planners.usual`) in what others see.

    Parameters
    ----------
    rule : Policy
    planner : Planner

    Attributes
    ----------
    planned : Planned or None
        What the planner made of the episode rolled out last.
    """

    rule: Policy
    planner: Planner
    name: str = field(init=False)
    planned: Planned | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.name = f"{self.rule.name}-{self.planner.name}"

    @property
    def planner_name(self) -> str:
        """Name of the planner."""
        return self.planner.name

    def believed(self, instance: OffloadingInstance) -> OffloadingInstance:
        """The instance with times and fixed costs as the plans say.

        Raises
        ------
        ValueError
            If the instance is not of task graphs.
        """
        episode = Episode.of(instance)
        self.planned = self.planner.plan(episode)
        guess = episode.with_plans(self.planned.beliefs(episode)).instance
        return replace(
            instance,
            believed_ns=guess.service_ns,
            fixed_cost_ns=guess.fixed_cost_ns,
            meta=guess.meta,
        )

    def reset(self, instance: OffloadingInstance) -> None:
        """Forget the last rollout; `instance` is what `believed` returned."""
        self.rule.reset(instance)

    def act(self, observation: Observation) -> int:
        planned = self.planned
        if planned is None:
            raise RuntimeError("believed() must be called before act()")
        if planned.plans[observation.task] is None:
            return nearest_edge(observation.instance, observation.task)
        return self.rule.act(observation)


def charged(schedule: Schedule, planned: Planned) -> Schedule:
    """A schedule with the planning time of each task in its latency and cost.

    Queues stay as they are: a delay common to all tasks moves none, and planning times differ by
    fractions of a second. Bounds know nothing of planning and hold for every planner.
    """
    x = schedule.instance
    done = np.isfinite(schedule.latency_s)
    wait_ns = np.where(done, np.rint(planned.planning_s * 1e9), 0).astype(np.int64)
    return replace(
        schedule,
        completion_ns=schedule.completion_ns + wait_ns,
        cost_s=schedule.cost_s + x.latency_weight * wait_ns * 1e-9,
    )
