"""Generated questions: the answer follows from the story, and answers are read strictly."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from learning.margins import prompts, questions
from learning.margins.questions import PLACES, Question

WENT = re.compile(r"(\w+) (?:went|walked|moved|hurried) to the (\w+)\.")
TOOK = re.compile(r"(\w+) (?:picked up|took|grabbed) the (\w+)\.")
LEFT = re.compile(r"(\w+) (?:put down|left|dropped) the (\w+)\.")
KIND = re.compile(r"(\w+) is a (\w+)\.")
FEAR = re.compile(r"(\w+) are afraid of (\w+)\.")
SINGULAR = {questions.plural(animal): animal for animal in questions.ANIMALS}


def solve(question: Question) -> str:
    """Read the sentences in order, keep who is where and who carries what, answer the question."""
    at: dict[str, str] = {}
    carried_by: dict[str, str] = {}
    kind: dict[str, str] = {}
    fears: dict[str, str] = {}
    for sentence in question.story:
        if m := WENT.fullmatch(sentence):
            assert at.get(m[1]) != m[2], f"already there: {sentence}"
            at[m[1]] = m[2]
            at |= {thing: m[2] for thing, who in carried_by.items() if who == m[1]}
        elif m := TOOK.fullmatch(sentence):
            assert m[2] not in carried_by and at.get(m[2], at[m[1]]) == at[m[1]], sentence
            carried_by[m[2]] = m[1]
            at[m[2]] = at[m[1]]
        elif m := LEFT.fullmatch(sentence):
            assert carried_by.pop(m[2]) == m[1], f"somebody else has it: {sentence}"
        elif m := KIND.fullmatch(sentence):
            kind[m[1]] = m[2]
        elif m := FEAR.fullmatch(sentence):
            fears[SINGULAR[m[1].lower()]] = SINGULAR[m[2]]
        else:
            raise AssertionError(f"cannot be read: {sentence}")
    if m := re.fullmatch(r"Where is (?:the )?(\w+)\?", question.text):
        return at[m[1]]
    if m := re.fullmatch(r"Is (\w+) in the (\w+)\?", question.text):
        return "yes" if at[m[1]] == m[2] else "no"
    who = re.fullmatch(r"What is (\w+) afraid of\?", question.text)
    assert who is not None, question.text
    return fears[kind[who[1]]]


def test_every_answer_follows_from_its_story():
    """A solver that knows only the sentences agrees on 1200 questions; no two are the same."""
    asked = questions.generate(1200, seed=5)
    assert [solve(q) for q in asked] == [q.answer for q in asked]
    assert len({(q.story, q.text) for q in asked}) == 1200
    assert Counter(q.task for q in asked) == {1: 300, 2: 300, 6: 300, 15: 300}
    assert all(q.answer in q.choices for q in asked)


def test_yes_and_no_are_equally_likely():
    """300 fair coins: 150 heads, give or take five deviations of 8.7."""
    yes = sum(q.answer == "yes" for q in questions.generate(300, seed=1, tasks=(6,)))
    assert 107 < yes < 193


def test_equal_seeds_give_equal_questions():
    assert questions.generate(12, seed=3) == questions.generate(12, seed=3)
    assert questions.generate(12, seed=3) != questions.generate(12, seed=4)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((0, 1), "questions = 0 must be a whole number >= 1"),
        ((5, -1), "seed = -1 must be a whole number >= 0"),
        ((5, 1, (1, 3)), "tasks = (1, 3) must be some of 1, 2, 6, 15"),
        ((5, 1, ()), "tasks = () must be some of 1, 2, 6, 15"),
    ],
)
def test_bad_arguments(arguments, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        questions.generate(*arguments)


WHERE = Question(1, ("Ida went to the barn.",), "Where is Ida?", "barn", PLACES)
THERE = Question(6, ("Ida went to the barn.",), "Is Ida in the barn?", "yes", questions.YES_NO)
FEARED = Question(
    15, ("Foxes are afraid of mice.", "Pip is a fox."), "What is Pip afraid of?", "mouse",
    questions.ANIMALS,
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "written", "said"),
    [
        (WHERE, "Barn.", "barn"),
        (WHERE, "\n Ida is in the barn. She left the market.", "barn"),  # the first sentence counts
        (WHERE, "In the barn or the attic", None),  # two choices
        (WHERE, "Barnyard", None),  # another word
        (WHERE, "", None),
        (THERE, "No, Ida is in the barn.", "no"),
        (THERE, "Ida is in the barn.", None),  # neither yes nor no
        (FEARED, "Mice", "mouse"),
        (FEARED, "a mouse", "mouse"),
        (FEARED, "Foxes are afraid of mice.", None),  # names two kinds
    ],
)
def test_an_answer_names_exactly_one_choice(question, written, said):
    assert prompts.read(written, question) == said


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (WHERE, "Ida is in the barn."),
        (replace(WHERE, task=2, text="Where is the map?"), "The map is in the barn."),
        (THERE, "Yes."),
        (FEARED, "Pip is afraid of mice."),
    ],
)
def test_the_reply_of_a_model_that_knows(question, text):
    """The whole reply, and what the parser reads in the part that the model writes."""
    assert prompts.reply(question) == text
    written = text.removeprefix(prompts.stem(question))
    assert prompts.read(written, question) == question.answer


def test_a_prompt_shows_solved_examples_of_its_task():
    """Two examples and the question: five turns, then the beginning of the reply."""
    (turns,) = prompts.conversations([FEARED], examples=2)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 3
    assert turns[-2]["content"].endswith("Pip is a fox.\nWhat is Pip afraid of?")
    assert turns[-1]["content"] == "Pip is afraid of"
    solved = questions.generate(2, prompts.EXAMPLE_SEED, (15,))
    for example, turn in zip(solved, turns[1::2], strict=False):
        assert turn["content"].endswith(f" is afraid of {questions.plural(solve(example))}.")


def test_yes_or_no_has_no_beginning():
    """The model answers after the question."""
    (turns,) = prompts.conversations([THERE], examples=0)
    assert turns == [{"role": "user", "content": "Ida went to the barn.\nIs Ida in the barn?"}]
