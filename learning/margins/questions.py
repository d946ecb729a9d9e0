"""Questions with answers, in the manner of four bAbI tasks (arXiv 1502.05698), from a seed.

Stories, names and wording are ours; nothing is taken from the data set. The tasks keep its numbers:

1.  one supporting fact: who went where, "Where is Nora?"
2.  two supporting facts: people carry things, "Where is the lantern?"
6.  yes or no: "Is Nora in the attic?"
15. basic deduction: kinds of animals fear others, "What is Pip afraid of?"

Every story tells enough to answer its question, and the answer is one word of `choices`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mecopt import checks

PEOPLE = ("Nora", "Emil", "Tessa", "Ruben", "Ida", "Jonas", "Vera", "Milo")
PLACES = ("attic", "barn", "bakery", "chapel", "harbor", "library", "market", "stable")
THINGS = ("lantern", "basket", "violin", "map", "umbrella", "kettle")
ANIMALS = ("cat", "dog", "fox", "goat", "hawk", "horse", "mouse", "sheep", "snake", "wolf")
PETS = ("Pip", "Bruno", "Luna", "Otto", "Rosie", "Max", "Daisy", "Felix")
YES_NO = ("yes", "no")

#: Plurals that take more than an s.
_PLURALS = {"fox": "foxes", "mouse": "mice", "sheep": "sheep", "wolf": "wolves"}
_WENT = ("went to", "walked to", "moved to", "hurried to")
_TOOK = ("picked up", "took", "grabbed")
_LEFT = ("put down", "left", "dropped")

#: Sentences of a story: fewest and most moves of people (tasks 1 and 6), or events with things.
MOVES = (2, 8)
EVENTS = (4, 9)
#: Tries for a question that was not asked yet, before giving up.
_TRIES = 1000


@dataclass(frozen=True)
class Question:
    """A story, a question about it, and the one right answer.

    Parameters
    ----------
    task : int
        1, 2, 6 or 15.
    story : tuple of str
        Sentences in order.
    text : str
        The question.
    answer : str
        One of `choices`.
    choices : tuple of str
        Every word an answer could be; animals in the singular.
    """

    task: int
    story: tuple[str, ...]
    text: str
    answer: str
    choices: tuple[str, ...]


def generate(count: int, seed: int, tasks: tuple[int, ...] | None = None) -> list[Question]:
    """Distinct questions, the tasks in turn.

    Parameters
    ----------
    count : int
    seed : int
    tasks : tuple of int, optional
        Some of `TASKS`; all of them unless said.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used; or there are not that many distinct
        questions.
    """
    checks.whole("questions", count, 1)
    checks.check_seed(seed)
    chosen = tuple(TASKS) if tasks is None else tuple(tasks)
    if not chosen or not set(chosen) <= set(TASKS):
        raise ValueError(f"tasks = {chosen} must be some of {', '.join(map(str, TASKS))}")
    rng = np.random.default_rng([12, seed])
    out: dict[tuple[tuple[str, ...], str], Question] = {}
    while len(out) < count:
        make = TASKS[chosen[len(out) % len(chosen)]]
        for _ in range(_TRIES):
            question = make(rng)
            if (question.story, question.text) not in out:
                break
        else:
            raise ValueError(f"questions = {count}: there are only {len(out)} or so of these tasks")
        out[question.story, question.text] = question
    return list(out.values())


# ------------------------------------------------------------------------------------------- tasks
def where_is_somebody(rng: np.random.Generator) -> Question:
    """Task 1: the last place that one of them went to."""
    story, place = _moves(rng)
    who = _pick(rng, tuple(place))
    return Question(1, story, f"Where is {who}?", place[who], PLACES)


def is_somebody_there(rng: np.random.Generator) -> Question:
    """Task 6: half the answers are yes; the others name a place of the story where it has one."""
    story, place = _moves(rng)
    who = _pick(rng, tuple(place))
    if rng.integers(2):
        return Question(6, story, f"Is {who} in the {place[who]}?", "yes", YES_NO)
    told = [p for p in PLACES if p != place[who] and any(f" {p}." in line for line in story)]
    other = _pick(rng, tuple(told) or tuple(p for p in PLACES if p != place[who]))
    return Question(6, story, f"Is {who} in the {other}?", "no", YES_NO)


def where_is_the_thing(rng: np.random.Generator) -> Question:
    """Task 2: where the one who carries it is, or where it was left."""
    people = _some(rng, PEOPLE, 2)
    things = _some(rng, THINGS, 2)
    place: dict[str, str] = {}
    holder: dict[str, str] = {}
    lies: dict[str, str] = {}
    story: list[str] = []
    events = int(rng.integers(EVENTS[0], EVENTS[1] + 1))
    while len(story) < events or not (holder or lies):
        who = _pick(rng, people)
        carried = tuple(t for t in things if holder.get(t) == who)
        # A thing nobody has touched may be anywhere; one that was left is taken where it lies.
        free = tuple(
            t for t in things if t not in holder and lies.get(t, place.get(who)) == place.get(who)
        )
        deed = int(rng.integers(4))
        if deed == 0 and carried:
            thing = _pick(rng, carried)
            del holder[thing]
            lies[thing] = place[who]
            story.append(f"{who} {_pick(rng, _LEFT)} the {thing}.")
        elif deed == 1 and free and who in place:
            thing = _pick(rng, free)
            holder[thing] = who
            lies.pop(thing, None)
            story.append(f"{who} {_pick(rng, _TOOK)} the {thing}.")
        else:
            place[who] = _pick(rng, tuple(p for p in PLACES if p != place.get(who)))
            story.append(f"{who} {_pick(rng, _WENT)} the {place[who]}.")
    thing = _pick(rng, (*holder, *lies))
    answer = lies[thing] if thing in lies else place[holder[thing]]
    return Question(2, tuple(story), f"Where is the {thing}?", answer, PLACES)


def what_is_it_afraid_of(rng: np.random.Generator) -> Question:
    """Task 15: two steps, from a pet to its kind and from its kind to what that fears."""
    kinds = _some(rng, ANIMALS, 4)
    fears = dict(zip(kinds, (*kinds[1:], kinds[0]), strict=True))
    pets = dict(zip(_some(rng, PETS, 3), (_pick(rng, kinds) for _ in range(3)), strict=True))
    rules = [f"{plural(a).capitalize()} are afraid of {plural(b)}." for a, b in fears.items()]
    facts = [f"{pet} is a {kind}." for pet, kind in pets.items()]
    story = tuple(rng.permutation(rules).tolist() + rng.permutation(facts).tolist())
    who = _pick(rng, tuple(pets))
    return Question(15, story, f"What is {who} afraid of?", fears[pets[who]], ANIMALS)


#: Number of a task -> what makes one of its questions.
TASKS: dict[int, Callable[[np.random.Generator], Question]] = {
    1: where_is_somebody,
    2: where_is_the_thing,
    6: is_somebody_there,
    15: what_is_it_afraid_of,
}


def plural(animal: str) -> str:
    """More than one of an animal.

    Examples
    --------
    >>> plural("wolf"), plural("goat")
    ('wolves', 'goats')
    """
    return _PLURALS.get(animal, animal + "s")


def _moves(rng: np.random.Generator) -> tuple[tuple[str, ...], dict[str, str]]:
    """A story of people who go about, and where each is in the end."""
    people = _some(rng, PEOPLE, int(rng.integers(2, 5)))
    place: dict[str, str] = {}
    story = []
    for _ in range(int(rng.integers(MOVES[0], MOVES[1] + 1))):
        who = _pick(rng, people)
        place[who] = _pick(rng, tuple(p for p in PLACES if p != place.get(who)))
        story.append(f"{who} {_pick(rng, _WENT)} the {place[who]}.")
    return tuple(story), place


def _pick(rng: np.random.Generator, among: tuple[str, ...]) -> str:
    return among[int(rng.integers(len(among)))]


def _some(rng: np.random.Generator, among: tuple[str, ...], count: int) -> tuple[str, ...]:
    return tuple(among[i] for i in rng.permutation(len(among))[:count])
