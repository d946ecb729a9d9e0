"""Words of the small planner: the grid of numbers, and texts that come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from learning.task_graphs import examples, words
from mecopt.task_graphs.plan import Subtask, TaskPlan
from mecopt.task_graphs.plan_text import parse_plan, plan_text


@pytest.fixture(scope="module")
def found():
    return examples.collect("paper", 400, seed=1)


def test_numbers_are_rounded_to_the_nearest_word():
    """5 % steps, but whole: 20, 21, 22, ... On the scale of logarithms 20.4 is nearer to 20, as
    sqrt(20 x 21) = 20.49; what is beyond the grid gets its last word."""
    assert words.TOKEN_GRID[:3] == (20, 21, 22) and words.TOKEN_GRID[-1] >= 2000
    plan = TaskPlan(
        (
            Subtask("a", "write", 20.4, 0.629),
            Subtask("b", "check", 1e6, 7.0, ("a",)),
            Subtask("c", "check", 1.0, 0.0, ("b",)),
        )
    )
    found = words.on_grid(plan)
    assert [s.output_tokens for s in found.subtasks] == [20, words.TOKEN_GRID[-1], 20]
    assert [s.difficulty for s in found.subtasks] == pytest.approx([0.62, 1.3, 0.0])


def test_rounding_errs_by_half_a_step_at_most(found):
    """Steps of 5 %: at most 2.5 % off, 1.25 % on average; steps of 0.02: 0.01 and 0.005."""
    pairs = [
        (np.log(s.output_tokens / t.output_tokens), s.difficulty - t.difficulty)
        for e in found
        for s, t in zip(words.on_grid(e.plan).subtasks, e.plan.subtasks, strict=True)
    ]
    tokens, difficulty = np.abs(pairs).T
    assert tokens.max() < 0.03 and tokens.mean() == pytest.approx(0.0125, rel=0.1)
    assert difficulty.max() < 0.0101 and difficulty.mean() == pytest.approx(0.005, rel=0.1)


def test_requests_and_plans_are_made_of_known_words(found):
    """Reading and writing a text gives the text again, and the longest fits."""
    tokenizer = words.tokenizer()
    unknown = words.WORDS.index(words.UNKNOWN)
    for e in found:
        text = plan_text(words.on_grid(e.plan))
        ids = tokenizer(text)["input_ids"]
        whole = tokenizer(words.prompt(e.request) + text + words.END)["input_ids"]
        assert unknown not in whole and len(whole) < words.CONTEXT
        assert whole[-len(ids) - 1 : -1] == ids
        assert tokenizer.decode(ids) == text
        assert parse_plan(tokenizer.decode(ids)).shape == e.plan.shape


def test_a_saved_tokenizer_needs_nothing_of_mecopt(tmp_path):
    from transformers import AutoTokenizer

    words.tokenizer().save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = f"1 write {words.TOKEN_GRID[40]} 0.30\n2 check {words.TOKEN_GRID[9]} 0.12 after 1"
    assert type(again).__module__.startswith("transformers")
    assert again.decode(again(text)["input_ids"]) == text
