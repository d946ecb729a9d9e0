"""Tokenizer of the compact prompts, in the form Hugging Face trainers expect.

One word, one token (`learning.language.vocabulary`). The vocabulary follows from a rule, so nothing
is stored but its size. Times may be given in ms: ``u253ms`` is read as ``u2.53``, a slot being 100
ms.
"""

from __future__ import annotations

import re
from typing import Any

from transformers import PreTrainedTokenizer

from learning.language import vocabulary
from learning.language.vocabulary import COMLLM, END, GRAMMARS, PAD

_MS = re.compile(r"([a-z])(\d+)ms")
_MS_PER_SLOT = 100


class CompactTokenizer(PreTrainedTokenizer):
    """Words of `learning.language.vocabulary`; prompts are padded on the left, nothing is added."""

    model_input_names = ["input_ids", "attention_mask"]

    def __init__(self, **kwargs: Any) -> None:
        # The grammar's name is kept with the tokenizer's settings, and read back from there.
        kwargs = {"grammar": COMLLM.name} | kwargs
        if kwargs["grammar"] not in GRAMMARS:
            raise ValueError(
                f"grammar: unknown {kwargs['grammar']!r}, one of {', '.join(GRAMMARS)}"
            )
        self._of = GRAMMARS[kwargs["grammar"]]
        kwargs = {"pad_token": PAD, "eos_token": END, "padding_side": "left"} | kwargs
        super().__init__(**kwargs)

    @property
    def vocab_size(self) -> int:
        """Words a prompt can hold."""
        return self._of.size

    def get_vocab(self) -> dict[str, int]:
        """Every word with its id."""
        return dict(vocabulary.words(self._of.name))

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return [_in_slots(word) for word in text.split()]

    def _convert_token_to_id(self, token: str) -> int:
        return vocabulary.id_of(token, self._of)

    def _convert_id_to_token(self, index: int) -> str:
        return vocabulary.word_of(index, self._of)

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Leave the tokens as they are: prompts have no special tokens."""
        return token_ids_0 + (token_ids_1 or [])

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Nothing to save: the vocabulary follows from its rule."""
        return ()


def _in_slots(word: str) -> str:
    match = _MS.fullmatch(word)
    if match is None:
        return word
    return vocabulary.quantity(match[1], int(match[2]) / _MS_PER_SLOT)
