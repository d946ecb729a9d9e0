"""Greedy decoding in batches, with keys and values kept: what every planner and answerer shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

#: Greedy decoding whatever the makers of a model recommend.
GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
}


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a text: the tokenizer's, and those the model's makers name."""
    given = model.generation_config.eos_token_id
    named = given if isinstance(given, list) else [given]
    return sorted({tokenizer.eos_token_id, *named} - {None})


def batches(encoded: Sequence[Sequence[int]], batch: int) -> Iterator[list[int]]:
    """Places of the prompts of each batch; prompts of about one length go together."""
    by_length = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    for first in range(0, len(by_length), batch):
        yield by_length[first : first + batch]


@torch.inference_mode()
def write(
    model: Any, tokenizer: Any, encoded: Sequence[Sequence[int]], tokens: int, **more: Any
) -> Any:
    """What `generate` returns for one batch of prompts, padded on the left.

    Parameters
    ----------
    model, tokenizer
        A `transformers` causal model, on whatever device, and its tokenizer; it needs no padding
        token.
    encoded : sequence of sequence of int
        Tokens of each prompt.
    tokens : int
        Most that are written.
    **more
        Further arguments of `generate`.
    """
    ends = end_tokens(model, tokenizer)
    # Padding is masked, so that any token will do.
    pad = next((t for t in (tokenizer.pad_token_id, *ends) if t is not None), 0)
    longest = max(map(len, encoded))
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in encoded])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in encoded])
    return model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        max_new_tokens=tokens,
        pad_token_id=pad,
        eos_token_id=ends or None,
        return_dict_in_generate=True,
        **GREEDY,
        **more,
    )
