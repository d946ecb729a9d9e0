"""What a planner learns from: requests of training episodes, and the plans a teacher writes.

The teacher knows what a request takes up to a little noise (`teacher_plan`). Its plan goes into the
text that `mecopt.task_graphs.plan_text` reads, and the student learns to write that text after the
request.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from learning import seeds
from mecopt.task_graphs import planners
from mecopt.task_graphs.plan import ROLES, TaskPlan
from mecopt.task_graphs.scenarios import wifi

#: What a pretrained model is told before the request; the small model knows nothing else.
INSTRUCTIONS = (
    "Plan the request. Write one line for each subtask: number, role "
    f"({', '.join(ROLES)}), output tokens, difficulty from 0 to 1.3, and, if it reads the output "
    "of others, 'after' and their numbers.\n"
)


class Example(NamedTuple):
    """A request and the teacher's plan of it."""

    request: str
    plan: TaskPlan


def teacher_plan(plan: TaskPlan, rng: np.random.Generator) -> TaskPlan:
    """The plan that `mecopt.task_graphs.planners.teacher` would write of a task."""
    teacher = planners.teacher()
    tokens = np.array([s.output_tokens for s in plan.subtasks])
    difficulty = np.array([s.difficulty for s in plan.subtasks])
    tokens = tokens * np.exp(teacher.token_noise * rng.standard_normal(len(plan)))
    difficulty = difficulty + teacher.difficulty_noise * rng.uniform(-1.0, 1.0, len(plan))
    return plan.with_values(
        output_tokens=np.maximum(tokens, 1.0).tolist(),
        difficulty=np.maximum(difficulty, 0.0).tolist(),
    )


def collect(preset: str, requests: int, *, seed: int) -> list[Example]:
    """So many examples from WiFi episodes of training seeds; equal arguments, equal examples."""
    rng = np.random.default_rng([16, seed])
    found: list[Example] = []
    while len(found) < requests:
        drawn = int(seeds.FIRST_TRAINING + rng.integers(10**6))
        seeds.check([drawn], "train")
        episode = wifi.episode(preset, drawn)
        found += [
            Example(request, teacher_plan(task.plan, rng))
            for request, task in zip(episode.requests, episode.tasks, strict=True)
        ]
    return found[:requests]


def conversation(request: str) -> list[dict[str, str]]:
    """What a model that was trained to chat is asked."""
    return [{"role": "user", "content": INSTRUCTIONS + request}]


def plain(request: str) -> str:
    """What any other pretrained model reads."""
    return f"{INSTRUCTIONS}{request}\nPlan:\n"
