"""What users ask for: steps about a topic, and the truth of how long and how hard each one is.

The paper (arXiv 2604.21399) does not print its tasks; everything here is a decision of ours (D). A
request is a topic and one to four steps, each with a role, a length word, a hardness word, and the
step it builds on. Length and difficulty follow from the words and the topic, up to a little noise:
so they can be learned from examples, and cannot be known without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mecopt.task_graphs.plan import Subtask, TaskPlan
from mecopt.task_graphs.plan_text import critical_of

#: Output tokens and difficulty of a usual, fair step by role.
STEPS = {
    "retrieve": (100.0, 0.40),
    "extract": (130.0, 0.50),
    "reason": (365.0, 0.70),
    "compute": (200.0, 0.75),
    "write": (400.0, 0.55),
    "check": (115.0, 0.60),
}
LENGTHS = {"brief": 0.6, "usual": 1.0, "long": 1.7}
HARDNESS = {"plain": -0.15, "fair": 0.0, "hard": 0.15}
#: Factor of length and what is added to difficulty, by topic.
TOPICS = {
    "taxes": (1.15, 0.15),
    "travel": (0.85, -0.10),
    "medicine": (1.30, 0.10),
    "football": (0.75, -0.15),
    "physics": (1.05, 0.20),
    "cooking": (0.80, -0.05),
    "law": (1.40, 0.05),
    "music": (0.95, -0.20),
}
#: An aggregator writes so many tokens, and so many for each output it reads.
AGGREGATE = (60.0, 25.0)
AGGREGATE_DIFFICULTY = 0.2


@dataclass(frozen=True)
class Step:
    """One step of a request: words, and the numbers of earlier steps it builds on."""

    role: str
    length: str
    hardness: str
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Request:
    """A topic and steps."""

    topic: str
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """What the planner reads."""
        parts = []
        for i, s in enumerate(self.steps):
            uses = f" using {' '.join(str(p + 1) for p in s.after)}" if s.after else ""
            parts.append(f"{i + 1} {s.role} {s.length} {s.hardness}{uses}")
        return f"{self.topic} ; " + " ; ".join(parts)


def draw(rng: np.random.Generator, most_subtasks: int, chained: float) -> Request:
    """A request of at most so many subtasks; a step builds on an earlier one by chance."""
    steps: list[Step] = []
    for i in range(int(rng.integers(1, max(2, most_subtasks)))):
        after: tuple[int, ...] = ()
        if i > 0 and rng.random() < chained:
            after = (int(rng.integers(i)),)
        role, length, hardness = (
            str(rng.choice(list(table))) for table in (STEPS, LENGTHS, HARDNESS)
        )
        steps.append(Step(role, length, hardness, after))
    return Request(str(rng.choice(list(TOPICS))), tuple(steps))


def truth(
    request: Request, rng: np.random.Generator, prompt_tokens: float, noise: tuple[float, float]
) -> TaskPlan:
    """The plan a request admits, with its true numbers.

    Parameters
    ----------
    request : Request
    rng : Generator
    prompt_tokens : float
        Of every subtask.
    noise : (float, float)
        Standard deviation of the logarithm of the length, and most that is added to or taken from
        the difficulty (uniform).
    """
    factor, offset = TOPICS[request.topic]
    tokens, difficulty = [], []
    for s in request.steps:
        base, hard = STEPS[s.role]
        spread = float(np.exp(noise[0] * rng.standard_normal()))
        tokens.append(round(max(1.0, base * LENGTHS[s.length] * factor * spread)))
        shift = noise[1] * float(rng.uniform(-1.0, 1.0))
        difficulty.append(round(max(0.0, hard + HARDNESS[s.hardness] + offset + shift), 3))
    return assemble(request, tokens, difficulty, prompt_tokens)


def assemble(
    request: Request, tokens: list[int], difficulty: list[float], prompt_tokens: float
) -> TaskPlan:
    """The plan of a request with numbers for its steps.

    More than one step that nobody builds on needs an aggregator, whose numbers follow from what it
    reads.
    """
    before = [s.after for s in request.steps]
    roles = [s.role for s in request.steps]
    tokens, difficulty = list(tokens), list(difficulty)
    read = {p for ps in before for p in ps}
    loose = tuple(i for i in range(len(roles)) if i not in read)
    if len(loose) > 1:
        before.append(loose)
        roles.append("aggregate")
        tokens.append(round(AGGREGATE[0] + AGGREGATE[1] * len(loose)))
        difficulty.append(AGGREGATE_DIFFICULTY)
    critical = critical_of(roles)
    return TaskPlan(
        tuple(
            Subtask(
                str(i + 1),
                role,
                float(tokens[i]),
                difficulty[i],
                tuple(str(p + 1) for p in before[i]),
                prompt_tokens,
                critical[i],
            )
            for i, role in enumerate(roles)
        )
    )
