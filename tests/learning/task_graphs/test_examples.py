"""Requests with a teacher's plans: from training seeds, with the noise that is said."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from learning import seeds
from learning.task_graphs import examples
from mecopt.task_graphs.plan import Subtask, TaskPlan


def test_examples_come_from_training_seeds_only(monkeypatch):
    found = examples.collect("paper", 30, seed=3)
    assert found == examples.collect("paper", 30, seed=3)
    assert found != examples.collect("paper", 30, seed=4)
    monkeypatch.setattr(seeds, "FIRST_TRAINING", -(10**6))
    with pytest.raises(ValueError, match="is not one of train"):
        examples.collect("paper", 30, seed=3)


def test_the_teacher_errs_as_is_printed():
    """Lognormal of sigma 0.1, so a mean absolute log error of 0.1 sqrt(2 / pi) = 0.080; uniform up
    to 0.03, so 0.015 on average."""
    plan = TaskPlan((Subtask("a", "write", 300.0, 0.5), Subtask("b", "check", 90.0, 0.6, ("a",))))
    rng = np.random.default_rng(0)
    guesses = [examples.teacher_plan(plan, rng).subtasks for _ in range(2000)]
    tokens = np.log([[s.output_tokens for s in g] for g in guesses]) - np.log([300.0, 90.0])
    difficulty = np.array([[s.difficulty for s in g] for g in guesses]) - [0.5, 0.6]
    assert np.abs(tokens).mean() == pytest.approx(0.080, rel=0.05)
    assert np.abs(difficulty).mean() == pytest.approx(0.015, rel=0.05)
    assert np.abs(difficulty).max() <= 0.03
