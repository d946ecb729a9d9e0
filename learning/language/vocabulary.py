"""Words of the compact prompt: keys with a number, names of options, and where an answer begins.

A *quantity* is a key and a number in one word (``u2.53``). Numbers are times in slots (and the
arrival probability): hundredths below 20, tenths up to 100, and 100 for everything beyond. So a
word is one of a few thousand and its number can be embedded by value.

Two grammars share the words without numbers: `COMLLM` has the keys of COMLLM's user and servers,
`OPTIONS` those of a row per option of any instance. They are not one, because a key's word is a
place in the table of a trained model: other keys would be another model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numba import vectorize
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Grammar:
    """Keys of a compact prompt: a first line about the state, then a line per server or option.

    Parameters
    ----------
    name : str
    state_keys, line_keys : mapping
        Key -> what it says, in the order of the prompt; the name of the line follows its keys.
    """

    name: str
    state_keys: Mapping[str, str]
    line_keys: Mapping[str, str]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Keys in the order of the prompt."""
        return (*self.state_keys, *self.line_keys)

    @property
    def line(self) -> int:
        """Words of one line: its quantities and its name."""
        return len(self.line_keys) + 1

    @property
    def size(self) -> int:
        """Words and quantities in all."""
        return len(WORDS) + len(self.keys) * N_NUMBERS

    @cached_property
    def key_id(self) -> dict[str, int]:
        """First id of each key."""
        return {key: len(WORDS) + i * N_NUMBERS for i, key in enumerate(self.keys)}

    @property
    def longest(self) -> int:
        """Words of the longest prompt."""
        return len(self.state_keys) + N_NAMES * self.line + 1


COMLLM = Grammar(
    "comllm",
    {
        "u": "wait at the user's own uplink, slots",
        "c": "wait at the user's own device, slots",
        "l": "this task on the device, slots",
        "p": "tasks per user and slot",
        "m": "a mean task on the device, slots",
        "d": "deadline, slots",
        "x": "cost of a drop, slots",
    },
    {
        "t": "upload of this task to the server, slots",
        "b": "wait this task would meet at the server, slots",
        "w": "this task on the server, slots",
    },
)
#: Times and costs in tenths of the task's scale, which is its deadline where it has one
#: (`learning.offloading.states.option_features.Scale`).
OPTIONS = Grammar(
    "options",
    {
        "x": "cost of a drop above that of the cheapest option",
        "p": "tasks of an owner within a deadline",
        "m": "a mean task on its owner's device",
        "y": "load of all servers together if everything was offloaded",
    },
    {
        "q": "wait this task would meet at the option's first queue",
        "b": "waits it would meet after that",
        "t": "service on links",
        "e": "service on a device",
        "w": "service anywhere else",
        "z": "committed work that it would overtake at the last queue",
        "k": "cost of the option above that of the cheapest, latency and fixed cost weighed",
    },
)
GRAMMARS = {grammar.name: grammar for grammar in (COMLLM, OPTIONS)}

#: Names a server can have; drawn at random in training, so that none means anything.
N_NAMES = 32
SERVER_NAMES = tuple(f"s{i:02d}" for i in range(1, N_NAMES + 1))
LOCAL, DROP, ACT, PAD, END = "local", "drop", "act", "<pad>", "<end>"
#: Words without a number, by id; the only ones a model can answer with.
WORDS = (PAD, END, ACT, LOCAL, DROP, *SERVER_NAMES)
WORD_ID = {word: i for i, word in enumerate(WORDS)}
FIRST_NAME = WORD_ID[SERVER_NAMES[0]]

_FINE, _FINE_LIMIT, _COARSE, _LIMIT = 100, 20, 10, 100
_N_FINE = _FINE * _FINE_LIMIT
#: Numbers on the grid.
N_NUMBERS = _N_FINE + _COARSE * (_LIMIT - _FINE_LIMIT) + 1

_QUANTITY = re.compile(r"([a-z])(\d+(?:\.\d+)?)")


@vectorize(["int64(float64)"], cache=True)
def number_index(value):  # type: ignore[no-untyped-def]
    """Place on the grid of the nearest number; below 0 counts as 0, beyond 100 as 100."""
    v = min(max(value, 0.0), _LIMIT)
    fine = np.rint(v * _FINE)
    if fine < _N_FINE:
        return int(fine)
    return _N_FINE + int(np.rint((v - _FINE_LIMIT) * _COARSE))


def number_value(index: ArrayLike) -> NDArray[np.float64]:
    """Numbers at places of the grid."""
    i = np.asarray(index, dtype=np.int64)
    return np.where(i < _N_FINE, i / _FINE, _FINE_LIMIT + (i - _N_FINE) / _COARSE)


def quantity(key: str, value: float) -> str:
    """The word for a key and a number, rounded to the grid."""
    index = int(number_index(value))
    digits = 2 if index < _N_FINE else 1
    return f"{key}{float(number_value(index)):.{digits}f}"


def word_of(token: int, grammar: Grammar = COMLLM) -> str:
    """The word of an id."""
    if not 0 <= token < grammar.size:
        raise ValueError(f"token = {token} must be in [0, {grammar.size})")
    if token < len(WORDS):
        return WORDS[token]
    key, index = divmod(token - len(WORDS), N_NUMBERS)
    return quantity(grammar.keys[key], float(number_value(index)))


@cache
def words(grammar: str = COMLLM.name) -> dict[str, int]:
    """Every word of a grammar with its id (made once; not to be changed)."""
    of = GRAMMARS[grammar]
    return {word_of(i, of): i for i in range(of.size)}


def id_of(word: str, grammar: Grammar = COMLLM) -> int:
    """The id of a word.

    Raises
    ------
    ValueError
        If the word is not in the vocabulary.
    """
    if word in WORD_ID:
        return WORD_ID[word]
    match = _QUANTITY.fullmatch(word)
    if match is None or match[1] not in grammar.key_id:
        raise ValueError(f"word {word!r} is not in the vocabulary of compact prompts")
    return grammar.key_id[match[1]] + int(number_index(float(match[2])))
