"""Planners: what they write is read back, counted when it is no plan, and takes its time."""

import numpy as np
import pytest

from mecopt.task_graphs import planners
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import Network, Node
from mecopt.task_graphs.options import GraphTask
from mecopt.task_graphs.plan import Subtask, TaskPlan
from mecopt.task_graphs.planners import Noisy, Perfect, PlannerModel, planned_from_texts
from mecopt.task_graphs.scenarios import requests, wifi

TOPICS = requests.TOPICS.values()


def two_steps() -> TaskPlan:
    """Read something, then write 100 tokens about it."""
    return TaskPlan(
        (
            Subtask("1", "extract", 50.0, 0.3, prompt_tokens=400.0),
            Subtask("2", "write", 100.0, 0.5, ("1",), 400.0, critical=False),
        )
    )


def episode(n: int = 1) -> Episode:
    """Tasks of two steps on one machine."""
    node = Node("laptop", 0.001, 0.01, kind="device", params=2e9)
    return Episode(
        Network((node,)), tuple(GraphTask(float(k), "laptop", two_steps()) for k in range(n))
    )


def small(seed: int = 0) -> Episode:
    return wifi.episode("paper", seed, horizon_s=60.0)


def test_texts_become_plans_with_the_prompts_of_the_tasks():
    """Numbers are the text's, prompts of 400 tokens are the task's."""
    planned = planned_from_texts(episode(), ["1 extract 60 0.20\n2 write 90 0.40 after 1"], [0.5])
    (plan,) = planned.plans
    assert [s.output_tokens for s in plan.subtasks] == [60.0, 90.0]
    assert [s.difficulty for s in plan.subtasks] == [0.2, 0.4]
    assert [s.prompt_tokens for s in plan.subtasks] == [400.0, 400.0]
    assert planned.valid_rate == 1.0 and planned.planning_s.tolist() == [0.5]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1 extract 60 0.20\n2 write", "line 2: '2 write' is not 'NUMBER ROLE"),
        ("1 extract 60 0.20", "has 1 subtasks, the request makes 2"),
        (
            "1 extract 60 0.20\n2 reason 9 0.5 after 1",
            "line 2: reason after 1, the request says wr",
        ),
        (
            "1 extract 60 0.20 after 2\n2 write 9 0.5",
            "line 1: extract after 2, the request says ex",
        ),
    ],
)
def test_what_is_no_plan_of_the_task_is_counted(text: str, error: str):
    """A broken line, too few subtasks, another role, another order: no plan, and nothing mended."""
    good = "1 extract 60 0.20\n2 write 90 0.40 after 1"
    planned = planned_from_texts(episode(2), [good, text], [0.0, 0.0])
    assert planned.errors[0] is None and planned.errors[1].startswith(error)
    assert planned.plans[1] is None and planned.valid_rate == 0.5


def test_numbers_of_texts_must_agree():
    with pytest.raises(ValueError, match="texts: 1 of them for 2 tasks"):
        planned_from_texts(episode(2), ["1 extract 60 0.20"], [0.0])
    with pytest.raises(ValueError, match=r"planning_s: \(2,\) times for 1 plans and 1 errors"):
        planned_from_texts(episode(), ["x"], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"planning_s\[0\] = -1.0 is no time >= 0"):
        planned_from_texts(episode(), ["x"], [-1.0])


def test_planning_takes_a_prompt_and_the_words_of_the_plan():
    """1e9 parameters, 1e12 FLOP/s, 1e12 B/s: 2 ms a token either way. A prompt of 400 tokens takes
    0.8 s, 10 words are 13 tokens and take 0.026 s, the way 0.05 s."""
    model = PlannerModel(1e9, 1e12, 1e12, away_s=0.05)
    text = "1 extract 60 0.20\n2 write 90 0.40 after 1"
    assert len(text.split()) == 10
    assert model.writing_s(episode(), [text]) == pytest.approx([0.876])


def test_the_truth_is_known_at_once():
    x = small()
    planned = Perfect().plan(x)
    assert planned.plans == tuple(task.plan for task in x.tasks)
    assert planned.valid_rate == 1.0 and not planned.planning_s.any()


def test_noise_is_as_large_as_it_says():
    """Estimates of the teacher lie within +-0.03 of difficulty (and rounding), and their logarithms
    of length scatter by about 0.1."""
    x = wifi.episode("paper", 0, horizon_s=300.0)
    planned = planners.teacher().plan(x)
    pairs = [
        (guess, true)
        for plan, task in zip(planned.plans, x.tasks, strict=True)
        for guess, true in zip(plan.subtasks, task.plan.subtasks, strict=True)
    ]
    assert max(abs(g.difficulty - t.difficulty) for g, t in pairs) <= 0.03 + 0.005 + 1e-9
    logs = [np.log(g.output_tokens / t.output_tokens) for g, t in pairs]
    assert np.std(logs) == pytest.approx(0.1, rel=0.15)
    assert planned.valid_rate == 1.0 and (planned.planning_s > 0.05).all()


def test_equal_seeds_give_equal_plans_and_others_do_not():
    x = small()
    first, again, other = (planners.raw(seed).texts(x) for seed in (1, 1, 2))
    assert first == again != other
    assert first != planners.raw(1).texts(small(seed=1))


def test_texts_that_break_off_are_no_plans():
    """A planner whose every text breaks off has no valid plan, and still took its time."""
    planned = Noisy("broken", 0.0, 0.0, 1.0, planners.STUDENT_MODEL).plan(small())
    assert planned.valid_rate == 0.0 and (planned.planning_s > 0).all()


def test_tasks_without_a_plan_are_thought_usual():
    """An extract step of mean length and hardness: words and topics average out."""
    planned = planned_from_texts(episode(), ["none"], [0.0])
    (plan,) = planned.beliefs(episode())
    assert plan.shape == two_steps().shape
    tokens, difficulty = requests.STEPS["extract"]
    words = [factor * length for factor, _ in TOPICS for length in requests.LENGTHS.values()]
    assert plan.subtasks[0].output_tokens == pytest.approx(tokens * np.mean(words))
    shifts = [offset + hard for _, offset in TOPICS for hard in requests.HARDNESS.values()]
    assert plan.subtasks[0].difficulty == pytest.approx(difficulty + np.mean(shifts))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_noise": -1.0}, "token_noise = -1.0 must be a number >= 0"),
        ({"difficulty_noise": float("nan")}, "difficulty_noise = nan must be a number >= 0"),
        ({"invalid": 1.5}, r"invalid = 1.5 must be in \[0, 1\]"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_numbers_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Noisy(**{"name": "x", "token_noise": 0.0, "difficulty_noise": 0.0, "invalid": 0.0,
                 "model": planners.STUDENT_MODEL} | changes)  # fmt: skip
