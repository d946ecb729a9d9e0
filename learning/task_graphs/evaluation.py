"""How good plans are: beside the true ones, and by the schedule that is built on them.

The *regret* of a planner is the mean cost of a task when a rule believes its plans, less that when
the same rule believes the true ones; both schedules are replayed with the true numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mecopt.offloading.replay import rollout
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.plan import TaskPlan
from mecopt.task_graphs.planners import Planned
from mecopt.task_graphs.policies import by_name


@dataclass(frozen=True)
class PlanScore:
    """Plans beside the true ones.

    Parameters
    ----------
    requests : int
    valid_plan_rate : float
        Share of requests with a plan; the other figures are means over the subtasks of those, NaN
        without any.
    token_error, token_bias : float
        Mean of |log(tokens / true tokens)|, and of the logarithm itself.
    difficulty_error, difficulty_bias : float
        Mean of |difficulty - true difficulty|, and of the difference itself.
    """

    requests: int
    valid_plan_rate: float
    token_error: float
    token_bias: float
    difficulty_error: float
    difficulty_bias: float


def score(true: Sequence[TaskPlan], found: Sequence[TaskPlan | None]) -> PlanScore:
    """Compare plans with true ones of the same shape; None is no plan.

    Raises
    ------
    ValueError
        If there are none, or not as many of both.
    """
    if len(true) != len(found) or not true:
        raise ValueError(f"found: {len(found)} plans for {len(true)} requests")
    pairs = [
        (s, t)
        for plan, truth in zip(found, true, strict=True)
        if plan is not None
        for s, t in zip(plan.subtasks, truth.subtasks, strict=True)
    ]
    tokens = [np.log(max(s.output_tokens, 1.0) / t.output_tokens) for s, t in pairs]
    difficulty = [s.difficulty - t.difficulty for s, t in pairs]
    valid = sum(plan is not None for plan in found)
    return PlanScore(len(true), valid / len(true), *_errors(tokens), *_errors(difficulty))


def _errors(differences: Sequence[float]) -> tuple[float, float]:
    if not differences:
        return float("nan"), float("nan")
    return float(np.mean(np.abs(differences))), float(np.mean(differences))


@dataclass(frozen=True)
class Given:
    """A planner whose plans of an episode are known already."""

    planned: Planned
    name: str = "given"

    def plan(self, episode: Episode) -> Planned:
        """The plans, whatever the episode."""
        return self.planned


def regret(episode: Episode, planned: Planned, rule: str) -> float:
    """Mean cost of a task, s, above that of the schedule built on the true plans.

    Time of planning is in neither.

    Parameters
    ----------
    episode : Episode
    planned : Planned
    rule : str
        A key of `mecopt.task_graphs.policies.by_name.RULES`, which builds both schedules.
    """
    truth = rollout(episode.instance, by_name.rule(rule))
    believed = rollout(episode.instance, by_name.rule(rule, Given(planned)))
    return believed.mean_cost_s - truth.mean_cost_s
