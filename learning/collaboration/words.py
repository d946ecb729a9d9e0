"""The small strategist: words of its compact prompts, its tokenizer, a new model.

A prompt is the deadline, at most five sentences of memory (letter, what, share), a line for each
candidate, and two questions::

    d4 B damaged s0.3 e2 w0 f0.1 up A e1.6 w0.5 f0.25 up t0.1 q0 r0.05 b3 g0.1 B ... risk act

A line ends with the letter of its candidate. After ``risk`` the model answers ``high`` or ``low``,
after ``act`` a letter: both are read in one pass, and neither is in the prompt of the other.

A quantity is a key and a number in one word. Words get vectors by their *number*: a new model
starts from a vector per key and Fourier features of the number, so near numbers are near from the
start. Model and tokenizer are stock classes of `transformers`: nothing of mecopt is needed to load
either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from learning.collaboration.memory import CAUSES, SENTENCES
from learning.collaboration.sight import (
    LETTERS,
    OWN,
    QUANTITIES,
    SECONDS,
    SHARES,
    Seen,
)
from learning.language import tiny_model

PAD, END, UNKNOWN = "<pad>", "<end>", "<unknown>"
UP, AWAY, RISK, ACT, LOW, HIGH = "up", "away", "risk", "act", "low", "high"
_PLAIN = (PAD, END, UNKNOWN, RISK, ACT, LOW, HIGH, UP, AWAY, *CAUSES, *LETTERS)
#: Keys with their values: quantities, deadline, share of a sentence.
_VALUES = {key: values for key, (values, _) in QUANTITIES.items()} | {"d": SECONDS, "s": SHARES}
WORDS = (*_PLAIN, *(f"{key}{value:g}" for key, values in _VALUES.items() for value in values))
ID = {word: i for i, word in enumerate(WORDS)}
#: First id of each key.
_FIRST = {key: ID[f"{key}{values[0]:g}"] for key, values in _VALUES.items()}
#: Tokens of a neighbour's line; those of the longest prompt.
LINE = len(QUANTITIES) + 2
CONTEXT = 1 + 3 * SENTENCES + OWN + 2 + LINE * (len(LETTERS) - 1) + 2
_LETTER_IDS = np.array([ID[letter] for letter in LETTERS])


def prompts(seen: Seen) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Tokens of all prompts, those of one length together.

    Returns
    -------
    list of (which, ids)
        Rows of `seen`, and (rows, T) tokens.
    """
    said = seen.known.trouble >= 0
    groups = seen.count * (SENTENCES + 1) + said.sum(axis=1)
    out = []
    for group in np.unique(groups):
        which = np.flatnonzero(groups == group)
        candidates, sentences = divmod(int(group), SENTENCES + 1)
        out.append((which, _tokens(seen[which], candidates, sentences)))
    return out


def _tokens(seen: Seen, candidates: int, sentences: int) -> NDArray[np.int64]:
    """(P, T) tokens of rows with as many candidates and sentences each."""
    n = len(seen)
    parts = [_FIRST["d"] + seen.deadline[:, None].astype(np.int64)]
    if sentences:
        row, place = np.nonzero(seen.known.trouble >= 0)
        about = seen.known.trouble[row, place].astype(np.int64)
        share = seen.known.share[row, place].astype(np.int64)
        told = [_LETTER_IDS[place], ID[CAUSES[0]] + about, _FIRST["s"] + share]
        parts.append(np.stack(told, axis=1).reshape(n, -1))
    first = np.array([_FIRST[key] for key in QUANTITIES])
    quantity = first + seen.places.astype(np.int64)  # (P, C, 8)
    up = np.where(seen.up, ID[UP], ID[AWAY])
    for c in range(candidates):
        letter = np.full((n, 1), _LETTER_IDS[c])
        rest = quantity[:, c, OWN:] if c else np.empty((n, 0), dtype=np.int64)
        parts += [quantity[:, c, :OWN], up[:, c, None], rest, letter]
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


def create(seed: int, *, hidden: int, layers: int) -> LlamaForCausalLM:
    """A new model with random weights, its numbers in order.

    Raises
    ------
    ValueError
        See `learning.language.tiny_model.check_size`.
    """
    tiny_model.check_size(hidden)
    config: dict[str, Any] = {
        "vocab_size": len(WORDS),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": tiny_model.HEADS,
        "num_key_value_heads": tiny_model.HEADS,
        "max_position_embeddings": CONTEXT,
        "initializer_range": hidden**-0.5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
        "tie_word_embeddings": True,
        "pad_token_id": ID[PAD],
        "eos_token_id": ID[END],
        "bos_token_id": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(LlamaConfig(**config))
        with torch.no_grad():
            _order_numbers(model.model.embed_tokens.weight)
        return model


def _order_numbers(vectors: torch.Tensor) -> None:
    """Give quantities a vector of their key plus one of their number, in place."""
    hidden = vectors.shape[1]
    waves = torch.tensor([0.5, 1.0, 2.0, 4.0])
    for key, values in _VALUES.items():
        place = torch.linspace(0.0, 1.0, len(values))[:, None]
        angle = torch.pi * place * waves
        features = torch.cat([angle.sin(), angle.cos(), 2 * place - 1], dim=1)
        first = _FIRST[key]
        spread = torch.randn(features.shape[1], hidden) * (hidden * features.shape[1]) ** -0.5
        vectors[first : first + len(values)] = vectors[first] + 2 * features @ spread
