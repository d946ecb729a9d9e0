"""Planners: who says what a task consists of before anybody knows, and how long that takes.

A planner reads the requests of an episode and writes a plan for each as text
(`mecopt.task_graphs.plan_text`). Texts are read back by the parser that also reads those of
language models; one that is no plan, or the plan of another task, is counted and never repaired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import roofline
from mecopt.task_graphs.plan import TaskPlan
from mecopt.task_graphs.plan_text import PlanError, parse_plan, plan_text
from mecopt.task_graphs.scenarios import requests

#: Tokens that a language model writes for a word of a plan (D).
TOKENS_PER_WORD = 1.3


@dataclass(frozen=True, eq=False)
class Planned:
    """What a planner made of an episode of K tasks.

    Parameters
    ----------
    plans : tuple of TaskPlan or None, length K
        None where the text was no plan of the task.
    errors : tuple of str or None, length K
        What was wrong there.
    planning_s : (K,) float64
        Time until the plan of each task was there, s, >= 0.

    Raises
    ------
    ValueError
        If lengths differ, a task has neither a plan nor an error, or a time is no number >= 0.
    """

    plans: tuple[TaskPlan | None, ...]
    errors: tuple[str | None, ...]
    planning_s: NDArray[np.float64]

    def __post_init__(self) -> None:
        seconds = checks.frozen(np.asarray(self.planning_s, dtype=np.float64), np.float64)
        object.__setattr__(self, "planning_s", seconds)
        if not len(self.plans) == len(self.errors) == len(seconds) or seconds.ndim != 1:
            raise ValueError(
                f"planning_s: {seconds.shape} times for {len(self.plans)} plans and "
                f"{len(self.errors)} errors"
            )
        for k, (plan, error) in enumerate(zip(self.plans, self.errors, strict=True)):
            if (plan is None) != (error is not None):
                raise ValueError(f"plans[{k}]: needs either a plan or an error")
        bad = ~(np.isfinite(seconds) & (seconds >= 0))
        checks.refuse(bad, "planning_s", seconds, "is no time >= 0")

    @property
    def valid_rate(self) -> float:
        """Share of tasks that have a plan."""
        return float(np.mean([error is None for error in self.errors]))

    def beliefs(self, episode: Episode) -> tuple[TaskPlan, ...]:
        """A plan for every task: the planner's, or `usual` numbers where it has none."""
        return tuple(
            usual(task.plan) if plan is None else plan
            for task, plan in zip(episode.tasks, self.plans, strict=True)
        )


class Planner(Protocol):
    """Whoever can plan the tasks of an episode; equal planners give equal plans."""

    @property
    def name(self) -> str: ...

    def plan(self, episode: Episode) -> Planned: ...


def usual(plan: TaskPlan) -> TaskPlan:
    """A plan of the same shape with the mean numbers of its roles (D), when nothing is known."""
    longer = float(np.mean(list(requests.LENGTHS.values())))
    longer *= float(np.mean([factor for factor, _ in requests.TOPICS.values()]))
    harder = float(np.mean(list(requests.HARDNESS.values())))
    harder += float(np.mean([offset for _, offset in requests.TOPICS.values()]))
    tokens, difficulty = [], []
    for s, before in zip(plan.subtasks, plan.before, strict=True):
        if s.role == "aggregate":
            tokens.append(requests.AGGREGATE[0] + requests.AGGREGATE[1] * len(before))
            difficulty.append(requests.AGGREGATE_DIFFICULTY)
        else:
            tokens.append(requests.STEPS[s.role][0] * longer)
            difficulty.append(max(0.0, requests.STEPS[s.role][1] + harder))
    return plan.with_values(
        output_tokens=tokens, difficulty=difficulty, correctness=[{}] * len(plan)
    )


# ------------------------------------------------------------------------------ texts
def planned_from_texts(episode: Episode, texts: Sequence[str], planning_s: ArrayLike) -> Planned:
    """What texts say about the tasks of an episode, in order.

    Parameters
    ----------
    episode : Episode
    texts : sequence of str, length K
        What a planner wrote.
    planning_s : (K,) array_like
        How long it took, s.

    Raises
    ------
    ValueError
        If there are not as many texts or times as tasks.
    """
    if len(texts) != len(episode.tasks):
        raise ValueError(f"texts: {len(texts)} of them for {len(episode.tasks)} tasks")
    plans: list[TaskPlan | None] = []
    errors: list[str | None] = []
    for task, text in zip(episode.tasks, texts, strict=True):
        try:
            plans.append(read_text(text, task.plan))
            errors.append(None)
        except PlanError as error:
            plans.append(None)
            errors.append(str(error))
    return Planned(tuple(plans), tuple(errors), np.asarray(planning_s, dtype=np.float64))


def read_text(text: str, asked: TaskPlan) -> TaskPlan:
    """The plan that a text says, for a task that was asked in certain steps.

    Lengths of prompts are the task's.

    Raises
    ------
    PlanError
        If it says no plan, or one with other roles or dependencies than asked.
    """
    plan = parse_plan(text)
    if len(plan) != len(asked):
        raise PlanError(f"has {len(plan)} subtasks, the request makes {len(asked)}")
    for i, (said, wanted) in enumerate(zip(plan.shape, asked.shape, strict=True), 1):
        if said != wanted:
            raise PlanError(f"line {i}: {_step(said)}, the request says {_step(wanted)}")
    return plan.with_values(prompt_tokens=[s.prompt_tokens for s in asked.subtasks])


def _step(part: tuple[str, tuple[int, ...]]) -> str:
    role, before = part
    return f"{role} after {' '.join(str(p + 1) for p in before)}" if before else role


# -------------------------------------------------------------------------- planning time
@dataclass(frozen=True)
class PlannerModel:
    """A language model that plans, and the machine under it.

    Parameters
    ----------
    params : float
        Of the model.
    flop_per_s, bytes_per_s : float
        Of the machine.
    away_s : float
        Way to the machine and back, s.
    """

    params: float
    flop_per_s: float
    bytes_per_s: float
    away_s: float = 0.0

    def writing_s(self, episode: Episode, texts: Sequence[str]) -> NDArray[np.float64]:
        """(K,) time to read the prompt of each task and write its text, s (roofline)."""
        read_s, write_s = roofline(self.params, self.flop_per_s, self.bytes_per_s)
        words = np.array([len(text.split()) for text in texts], dtype=np.float64)
        prompt = [max(s.prompt_tokens for s in task.plan.subtasks) for task in episode.tasks]
        return self.away_s + np.array(prompt) * read_s + TOKENS_PER_WORD * words * write_s


#: 72 billion parameters (D) in the cloud, eight accelerators side by side (D), 50 ms away (D).
TEACHER_MODEL = PlannerModel(72e9, 2.5e15, 16e12, 0.05)
#: 7 billion parameters (P) on the fastest machine that an access point can have (P).
STUDENT_MODEL = PlannerModel(7e9, 312e12, 2e12)


# ------------------------------------------------------------------------------ planners
@dataclass(frozen=True)
class Perfect:
    """Knows the true numbers at once; what no planner does."""

    name: str = "truth"

    def plan(self, episode: Episode) -> Planned:
        n = len(episode.tasks)
        return Planned(tuple(task.plan for task in episode.tasks), (None,) * n, np.zeros(n))


@dataclass(frozen=True)
class Noisy:
    """The true numbers up to noise, written as text and read back.

    Parameters
    ----------
    name : str
    token_noise : float
        Standard deviation of the logarithm of the tokens, >= 0.
    difficulty_noise : float
        Most that is added to or taken from the difficulty (uniform), >= 0.
    invalid : float
        Share of texts that break off in their last line, in [0, 1].
    model : PlannerModel
        Whose time it takes.
    seed : int
        Equal seeds give equal plans of equal episodes.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    name: str
    token_noise: float
    difficulty_noise: float
    invalid: float
    model: PlannerModel
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("token_noise", "difficulty_noise"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} = {value!r} must be a number >= 0")
        if not 0 <= self.invalid <= 1:
            raise ValueError(f"invalid = {self.invalid!r} must be in [0, 1]")
        checks.check_seed(self.seed)

    def plan(self, episode: Episode) -> Planned:
        texts = self.texts(episode)
        return planned_from_texts(episode, texts, self.model.writing_s(episode, texts))

    def texts(self, episode: Episode) -> list[str]:
        """What it writes about each task."""
        digest = int(episode.instance.content_hash[:15], 16)
        rng = np.random.default_rng([9, self.seed, digest])
        out = []
        for task in episode.tasks:
            n = len(task.plan)
            factor = np.exp(self.token_noise * rng.standard_normal(n)).tolist()
            shift = (self.difficulty_noise * rng.uniform(-1.0, 1.0, n)).tolist()
            subtasks = task.plan.subtasks
            guess = task.plan.with_values(
                output_tokens=[s.output_tokens * f for s, f in zip(subtasks, factor, strict=True)],
                difficulty=[s.difficulty + d for s, d in zip(subtasks, shift, strict=True)],
            )
            text = plan_text(guess)
            out.append(_broken_off(text) if rng.random() < self.invalid else text)
        return out


def _broken_off(text: str) -> str:
    """A text that ends after the role of its last line."""
    lines = text.split("\n")
    return "\n".join([*lines[:-1], " ".join(lines[-1].split(" ")[:2])])


def teacher(seed: int = 0) -> Noisy:
    """The large model whose plans the student is taught (noise N: design of the project, P/D)."""
    return Noisy("teacher", 0.1, 0.03, 0.0, TEACHER_MODEL, seed)


def raw(seed: int = 0) -> Noisy:
    """The student before it is taught."""
    return Noisy("raw", 0.6, 0.25, 0.05, STUDENT_MODEL, seed)
