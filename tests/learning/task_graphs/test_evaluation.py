"""Figures of plans by hand: errors beside the truth, and regret of one small schedule."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

from learning.task_graphs import evaluation
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import Link, Network, Node
from mecopt.task_graphs.options import GraphTask, Weights
from mecopt.task_graphs.plan import Subtask, TaskPlan
from mecopt.task_graphs.planners import Planned

#: The device writes ten tokens a second, the server fifty, and is a second away.
NETWORK = Network(
    (Node("ue", 0.0, 0.1, kind="device"), Node("ap", 0.0, 0.02)),
    (Link("ue", "ap", float("inf"), latency_s=1.0),),
)


def call(tokens: float, difficulty: float = 0.5) -> TaskPlan:
    return TaskPlan((Subtask("1", "write", tokens, difficulty),))


def chain(*tokens: float) -> TaskPlan:
    return TaskPlan(
        tuple(
            Subtask(str(i + 1), "write", t, 0.5, (str(i),) if i else ())
            for i, t in enumerate(tokens)
        )
    )


def test_errors_are_means_over_subtasks_of_valid_plans():
    """Logs +0.2, -0.1 and 0.0 of three subtasks: mean |.| 0.1, mean 0.1 / 3. Difficulties +0.05,
    -0.01, 0: 0.02 and 0.04 / 3. One of three requests has no plan."""
    true = [call(100.0), chain(200.0, 50.0), call(70.0)]
    second = chain(200.0 * math.exp(-0.1), 50.0).with_values(difficulty=[0.49, 0.5])
    found = [call(100.0 * math.exp(0.2), 0.55), second, None]
    score = evaluation.score(true, found)
    assert score.requests == 3 and score.valid_plan_rate == pytest.approx(2 / 3)
    assert (score.token_error, score.token_bias) == pytest.approx((0.1, 0.1 / 3))
    assert (score.difficulty_error, score.difficulty_bias) == pytest.approx((0.02, 0.04 / 3))
    nothing = evaluation.score(true, [None] * 3)
    assert nothing.valid_plan_rate == 0 and math.isnan(nothing.token_error)
    with pytest.raises(ValueError, match="found: 2 plans for 3 requests"):
        evaluation.score(true, found[:2])


def test_regret_is_what_believing_a_plan_costs():
    """Ten tokens take 1 s on the device, 1 + 0.2 + 1 = 2.2 s at the server. Who believes in 100
    (10 s against 1 + 2 + 1 = 4 s) goes to the server and loses 1.2 s, a cost of 0.012 s; who
    believes in eleven stays. The planning time of 5 s is not in it."""
    weights = Weights(accuracy=0.0, latency_per_s=0.01)
    episode = Episode(NETWORK, (GraphTask(0.0, "ue", call(10.0)),), weights)

    def regret(tokens: float) -> float:
        planned = Planned((call(tokens),), (None,), np.array([5.0]))
        return evaluation.regret(episode, planned, "graph-joint")

    assert regret(100.0) == pytest.approx(0.012)
    assert regret(11.0) == pytest.approx(0.0)
