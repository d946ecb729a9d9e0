"""Words of the compact prompt: keys with a number, names of options, and where an answer begins.

A *quantity* is a key and a number in one word (``u2.53``). Numbers are times in slots (and the
arrival probability): hundredths below 20, tenths up to 100, and 100 for everything beyond. So a
word is one of `N_QUANTITIES` and its number can be embedded by value.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numba import vectorize
from numpy.typing import ArrayLike, NDArray

#: Keys in the order of the prompt, and what they say.
STATE_KEYS = {
    "u": "wait at the user's own uplink, slots",
    "c": "wait at the user's own device, slots",
    "l": "this task on the device, slots",
    "p": "tasks per user and slot",
    "m": "a mean task on the device, slots",
    "d": "deadline, slots",
    "x": "cost of a drop, slots",
}
SERVER_KEYS = {
    "t": "upload of this task to the server, slots",
    "b": "wait this task would meet at the server, slots",
    "w": "this task on the server, slots",
}
KEYS = (*STATE_KEYS, *SERVER_KEYS)
#: Words of one server line: its quantities and its name.
LINE = len(SERVER_KEYS) + 1

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
N_QUANTITIES = len(KEYS) * N_NUMBERS
SIZE = len(WORDS) + N_QUANTITIES
#: First id of each key.
KEY_ID = {key: len(WORDS) + i * N_NUMBERS for i, key in enumerate(KEYS)}

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


def word_of(token: int) -> str:
    """The word of an id."""
    if not 0 <= token < SIZE:
        raise ValueError(f"token = {token} must be in [0, {SIZE})")
    if token < len(WORDS):
        return WORDS[token]
    key, index = divmod(token - len(WORDS), N_NUMBERS)
    return quantity(KEYS[key], float(number_value(index)))


@cache
def words() -> dict[str, int]:
    """Every word with its id (made once; not to be changed)."""
    return {word_of(i): i for i in range(SIZE)}


def id_of(word: str) -> int:
    """The id of a word.

    Raises
    ------
    ValueError
        If the word is not in the vocabulary.
    """
    if word in WORD_ID:
        return WORD_ID[word]
    match = _QUANTITY.fullmatch(word)
    if match is None or match[1] not in KEY_ID:
        raise ValueError(f"word {word!r} is not in the vocabulary of compact prompts")
    return KEY_ID[match[1]] + int(number_index(float(match[2])))
