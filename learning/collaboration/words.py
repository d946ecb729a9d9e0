"""Words of the small strategist: its compact prompts and its tokenizer.

A prompt is the deadline, a line for each candidate, and two questions::

    d4 e2 w0 f0.1 up A e1.6 w0.5 f0.25 up t0.1 q0 r0.05 b3 g0.1 damaged s0.3 B ... risk act

A line has the quantities of a candidate, what memory says of it if it says anything (cause and
share: at most five sentences in all), and ends with its letter. After ``risk`` the model answers
``high`` or ``low``, after ``act`` a letter: both are read in one pass, and neither is in the prompt
of the other. A quantity is a key and a number in one word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from learning.collaboration.memory import CAUSES, SENTENCES
from learning.collaboration.sight import (
    LETTERS,
    OWN,
    QUANTITIES,
    SECONDS,
    SHARES,
    Seen,
)

PAD, END, UNKNOWN = "<pad>", "<end>", "<unknown>"
UP, AWAY, RISK, ACT, LOW, HIGH = "up", "away", "risk", "act", "low", "high"
_PLAIN = (PAD, END, UNKNOWN, RISK, ACT, LOW, HIGH, UP, AWAY, *CAUSES, *LETTERS)
#: Keys with their values: quantities, deadline, share of a sentence.
VALUES = {key: values for key, (values, _) in QUANTITIES.items()} | {"d": SECONDS, "s": SHARES}
WORDS = (*_PLAIN, *(f"{key}{value:g}" for key, values in VALUES.items() for value in values))
ID = {word: i for i, word in enumerate(WORDS)}
#: First id of each key.
FIRST = {key: ID[f"{key}{values[0]:g}"] for key, values in VALUES.items()}
#: Tokens of the line of the node itself, of a neighbour's, and of a sentence in it, letters left
#: out; tokens of the longest prompt.
OWN_LINE, LINE, SENTENCE = OWN + 1, len(QUANTITIES) + 1, 2
CONTEXT = 1 + OWN_LINE + 1 + (LINE + 1) * (len(LETTERS) - 1) + SENTENCE * SENTENCES + 2
_LETTER_IDS = np.array([ID[letter] for letter in LETTERS])


def prompts(seen: Seen) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Tokens of all prompts, those of one length together.

    Returns
    -------
    list of (which, ids)
        Rows of `seen`, and (rows, T) tokens.
    """
    said = seen.known.trouble >= 0
    powers = 1 << np.arange(said.shape[1])
    groups = seen.count * (1 << said.shape[1]) + said @ powers
    out = []
    for group in np.unique(groups):
        which = np.flatnonzero(groups == group)
        out.append((which, _tokens(seen[which], int(seen.count[which[0]]), said[which[0]])))
    return _of_one_length(out)


def _of_one_length(
    groups: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Groups of prompts joined by their length."""
    by_length: dict[int, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
    for which, ids in groups:
        by_length.setdefault(ids.shape[1], []).append((which, ids))
    return [
        (np.concatenate([w for w, _ in same]), np.concatenate([ids for _, ids in same]))
        for same in by_length.values()
    ]


def _tokens(seen: Seen, candidates: int, said: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(P, T) tokens of rows with equal candidates and sentences about the same of them."""
    n = len(seen)
    parts = [FIRST["d"] + seen.deadline[:, None].astype(np.int64)]
    first = np.array([FIRST[key] for key in QUANTITIES])
    quantity = first + seen.places.astype(np.int64)  # (P, C, 8)
    up = np.where(seen.up, ID[UP], ID[AWAY])
    for c in range(candidates):
        parts += [quantity[:, c, :OWN], up[:, c, None]]
        if c:
            parts.append(quantity[:, c, OWN:])
        if said[c]:
            about = ID[CAUSES[0]] + seen.known.trouble[:, c].astype(np.int64)
            share = FIRST["s"] + seen.known.share[:, c].astype(np.int64)
            parts.append(np.stack([about, share], axis=1))
        parts.append(np.full((n, 1), _LETTER_IDS[c]))
    parts.append(np.tile([ID[RISK], ID[ACT]], (n, 1)))
    return np.concatenate(parts, axis=1)


def text(ids: NDArray[np.int64]) -> str:
    """The words of a prompt."""
    return " ".join(WORDS[i] for i in ids)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, separated by blanks."""
    made = Tokenizer(models.WordLevel(dict(ID), unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
