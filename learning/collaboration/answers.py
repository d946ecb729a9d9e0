"""Answers: a strategy over a node and its neighbours, and a risk.

Where a model's tokens can be read, the strategy is the probability of each letter as its next
token, and the risk that of *high* against *low*: the model's own numbers. Where there is only text,
it must have exactly the form that was asked for; the ranking becomes shares of a geometric series.
What is no answer counts as one that is not valid, and the strategy is uniform then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.sight import LETTERS

#: Each letter of a ranking gets so many times the share of the next (D).
RATIO = 3.0
#: The letters, or *high* and *low*, together must have at least this probability (D).
LEAST_MASS = 0.01
#: Risk where nothing is known.
UNKNOWN_RISK = 0.5
#: Longest text that is looked at.
MOST_CHARACTERS = 2_000

_LINE = re.compile(r"([A-P](?: [A-P])*); risk (low|high)\.?")


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to P prompts.

    Parameters
    ----------
    prior : (P, C) float32
        Strategy of each node; 0 where there is no candidate.
    risk : (P,) float32
        In [0, 1].
    valid : (P,) bool
        Whether the model gave it; else it stands in for an answer that could not be used.
    """

    prior: NDArray[np.float32]
    risk: NDArray[np.float32]
    valid: NDArray[np.bool_]


def uniform(count: NDArray[np.int64], wide: int) -> NDArray[np.float32]:
    """(P, C) equal shares of the candidates that there are."""
    there = np.arange(wide) < count[:, None]
    return (there / count[:, None]).astype(np.float32)


def from_tokens(
    letters: NDArray[np.floating], risk: NDArray[np.floating], count: NDArray[np.int64]
) -> Answers:
    """Answers from probabilities of tokens.

    Parameters
    ----------
    letters : (P, C) float
        Probability of each letter as the next token, among all tokens.
    risk : (P, 2) float
        Of *low* and *high*.
    count : (P,) int
        Candidates of each; letters beyond are no answers.
    """
    there = np.arange(letters.shape[1]) < count[:, None]
    mass = np.where(there, letters, 0.0)
    whole, both = mass.sum(axis=1), risk.sum(axis=1)
    valid = (whole >= LEAST_MASS) & (both >= LEAST_MASS)  # False for what is no number, too
    safe = np.where(valid, whole, 1.0)[:, None]
    prior = np.where(valid[:, None], mass / safe, uniform(count, letters.shape[1]))
    high = np.where(valid, risk[:, 1] / np.where(valid, both, 1.0), UNKNOWN_RISK)
    return Answers(prior.astype(np.float32), high.astype(np.float32), valid)


def parse(text: str, count: int) -> tuple[list[int], bool] | None:
    """Read an answer in words; None when it is none.

    Parameters
    ----------
    text : str
        What the model wrote. A reasoning model may think first, up to ``</think>``.
    count : int
        Candidates.

    Returns
    -------
    tuple of (ranking, risk)
        Candidates from best to worst, and whether the risk is high.

    Examples
    --------
    >>> parse("B A; risk low", 3)
    ([1, 0], False)
    >>> parse("B B; risk low", 3) is None and parse("D; risk low", 3) is None
    True
    >>> parse("I would take B", 3) is None
    True
    """
    if len(text) > MOST_CHARACTERS:
        return None
    found = _LINE.fullmatch(text.rpartition("</think>")[2].strip())
    if found is None:
        return None
    ranking = [LETTERS.index(letter) for letter in found[1].split(" ")]
    if len(set(ranking)) < len(ranking) or max(ranking) >= count:
        return None
    return ranking, found[2] == "high"


def from_ranking(ranking: Sequence[int], count: int, wide: int) -> NDArray[np.float32]:
    """(C,) shares: each of the ranking a third of the one before, the rest share what is left."""
    weight = np.zeros(wide)
    weight[:count] = RATIO ** -float(len(ranking))
    for place, c in enumerate(ranking):
        weight[c] = RATIO**-place
    return (weight / weight.sum()).astype(np.float32)
