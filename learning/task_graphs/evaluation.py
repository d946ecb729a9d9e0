"""How good plans are: beside the true ones, and by the schedule that is built on them.

The *regret* of a planner is the mean cost of a task when a rule believes its plans, less that when
the same rule believes the true ones; both schedules are replayed with the true numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.replay import replay, rollout
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.plan import TaskPlan
from mecopt.task_graphs.scenarios.requests import STEPS


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


@dataclass
class LeastBelieved:
    """The option of least believed cost; what has no plan is not split.

    Parameters
    ----------
    planned : sequence of bool
        Whether there is a plan, by task.
    places : sequence of int
        Where each task can run as a whole: its first options.
    """

    planned: Sequence[bool]
    places: Sequence[int]
    name: str = "least-believed"

    def reset(self, instance: OffloadingInstance) -> None:
        """Nothing is kept."""

    def act(self, observation: Observation) -> int:
        """The option of least believed cost, the first of a tie."""
        cost = observation.run_cost_s
        if not self.planned[observation.task]:
            cost = cost[: self.places[observation.task]]
        return int(np.argmin(cost))


#: What is believed of a subtask without a plan: the mean of what users ask for.
_USUAL = tuple(float(x) for x in np.mean(list(STEPS.values()), axis=0))


def schedule_cost(episode: Episode, plans: Sequence[TaskPlan | None]) -> float:
    """Mean true cost of a task, s, when `LeastBelieved` believes the plans."""
    truth = episode.instance
    believed = [
        task.plan.with_values(
            output_tokens=[_USUAL[0]] * len(task.plan), difficulty=[_USUAL[1]] * len(task.plan)
        )
        if plan is None
        else plan
        for task, plan in zip(episode.tasks, plans, strict=True)
    ]
    guess = episode.with_plans(believed).instance
    seen = replace(truth, believed_ns=guess.service_ns, fixed_cost_ns=guess.fixed_cost_ns)
    places = [len(episode.network.places(task.origin)) for task in episode.tasks]
    rule = LeastBelieved([plan is not None for plan in plans], places)
    return replay(truth, rollout(seen, rule).choice).mean_cost_s


def regret(episode: Episode, plans: Sequence[TaskPlan | None]) -> float:
    """Mean cost of a task, s, above that of the schedule built on the true plans."""
    return schedule_cost(episode, plans) - schedule_cost(episode, [t.plan for t in episode.tasks])
