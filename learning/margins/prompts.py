"""From a question to a conversation, and from what a model wrote to an answer.

A prompt is a conversation in the form of Hugging Face's chat templates: some solved examples as
turns before, then the question, then the beginning of the reply, which the model goes on with
("The lantern is in the"): models of 135 M parameters are right more often so than when they choose
how to begin. The parser is strict: of all the words that an answer to such a question could be, the
first sentence must name exactly one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from learning.margins import questions
from learning.margins.questions import Question

#: Turns of a conversation, as chat templates take them.
Conversation = list[dict[str, str]]

#: Solved examples before each question, unless said.
EXAMPLES = 2
#: They come from this seed, which no measurement may use.
EXAMPLE_SEED = 2**32 - 1


@dataclass(frozen=True)
class Answer:
    """What a model wrote.

    Parameters
    ----------
    text : str
        The first sentence.
    margins : tuple of float
        Top-1 less top-2 probability of every token, at least one of them, each 0..1.
    """

    text: str
    margins: tuple[float, ...]


def user_text(question: Question) -> str:
    """What the user says.

    Examples
    --------
    >>> user_text(Question(1, ("Ida went to the barn.",), "Where is Ida?", "barn", ("barn",)))
    'Ida went to the barn.\\nWhere is Ida?'
    """
    return f"{' '.join(question.story)}\n{question.text}"


def stem(question: Question) -> str:
    """How the reply begins; empty where it is yes or no.

    Examples
    --------
    >>> stem(Question(1, ("Ida went to the barn.",), "Where is Ida?", "barn", ("barn",)))
    'Ida is in the'
    """
    if question.task == 6:
        return ""
    subject = question.text.removesuffix("?").removesuffix(" afraid of").partition(" is ")[2]
    end = "is afraid of" if question.task == 15 else "is in the"
    return f"{subject[0].upper()}{subject[1:]} {end}"


def reply(question: Question) -> str:
    """What a model that knows the answer says, from the beginning.

    Examples
    --------
    >>> reply(Question(1, ("Ida went to the barn.",), "Where is Ida?", "barn", ("barn",)))
    'Ida is in the barn.'
    """
    if question.task == 6:
        return f"{question.answer.capitalize()}."
    word = questions.plural(question.answer) if question.task == 15 else question.answer
    return f"{stem(question)} {word}."


def conversations(asked: Sequence[Question], examples: int) -> list[Conversation]:
    """A conversation for every question, with solved examples of its task before it.

    It ends with the user's turn, or with one of the assistant that is to be gone on with.

    Parameters
    ----------
    asked : sequence of Question
    examples : int
        Per question; drawn from `EXAMPLE_SEED`.
    """
    solved = {
        task: questions.generate(examples, EXAMPLE_SEED, (task,)) if examples else []
        for task in {q.task for q in asked}
    }
    return [_turns(solved[q.task], q) for q in asked]


def _turns(solved: Sequence[Question], question: Question) -> Conversation:
    out: Conversation = []
    for example in solved:
        out.append({"role": "user", "content": user_text(example)})
        out.append({"role": "assistant", "content": reply(example)})
    out.append({"role": "user", "content": user_text(question)})
    begun = stem(question)
    return [*out, {"role": "assistant", "content": begun}] if begun else out


def read(written: str, question: Question) -> str | None:
    """The answer that a text gives, None unless its first sentence names exactly one choice.

    Examples
    --------
    >>> fear = Question(15, ("Foxes are afraid of wolves.", "Pip is a fox."),
    ...                 "What is Pip afraid of?", "wolf", ("fox", "wolf"))
    >>> read("Wolves.", fear), read("Foxes fear wolves.", fear), read("Cats.", fear)
    ('wolf', None, None)
    """
    sentence = re.split(r"[.\n]", written.strip(), maxsplit=1)[0].lower()
    said = set(re.findall(r"[a-z]+", sentence))
    named = [c for c in question.choices if said & {c, questions.plural(c)}]
    return named[0] if len(named) == 1 else None
