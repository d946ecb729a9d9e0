r"""Cost labels for models whose answers have any number of tokens, and the loss on them.

As `learning.language.soft_label_sft` does for the embedded model, a state with costs c teaches

.. math::

    - \sum_a q_a \log p(a), \qquad q = \mathrm{softmax}(-c / t),

rather than one answer. Where names have several tokens, the label of a token is its share of q
among the options that begin with the tokens before it, along the tokens of the cheapest option.
The token after the answer is the end of the text, which the model must learn to write. After each
line of the prompt the first token of the best option so far is a label too: nine labels for the
price of one prompt.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: A labelled token: place in the sequence whose next token it is, the token, its weight.
Label = tuple[int, int, float]


def labelled_row(
    tokenizer: Any,
    instructions: str,
    text: str,
    answers: Sequence[str],
    listed: Sequence[int],
    cost: NDArray[np.float64],
    *,
    temperature_slots: float,
    lines_weight: float,
    after: str = "",
) -> dict[str, list]:
    """Tokens of a prompt with its cheapest answer, and their labels.

    Parameters
    ----------
    tokenizer
        A fast tokenizer of `transformers`.
    instructions, text : str
        Prompt in two parts, tokenised apart as the policy does; the last ``len(listed)`` lines
        of the second but the one of the answer list the options.
    answers : sequence of str
        What the model is to write for each option; empty where there is no option.
    listed : sequence of int
        Option of each of those lines.
    cost : (options,) float64
        Slots.
    temperature_slots : float
        Options this close share the label.
    lines_weight : float
        Weight of all labels after lines beside that of the answer.
    after : str
        What stands between the text and the answer (`learning.language.chat.Frame`).

    Returns
    -------
    dict
        ``input_ids``, and ``place``, ``token`` and ``weight`` of every label.

    Raises
    ------
    ValueError
        If a line end is no token of its own, or the tokenizer has no end of text.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("model: its tokenizer names no end of text (eos_token)")
    head = tokenizer(instructions)["input_ids"]
    read = tokenizer(text + after, return_offsets_mapping=True, add_special_tokens=False)
    ids, ends = [*head, *read["input_ids"]], [end for _, end in read["offset_mapping"]]
    tokens = [tokenizer(a, add_special_tokens=False)["input_ids"] if a else [] for a in answers]
    labels: list[Label] = []
    share = _soft(cost, temperature_slots)
    best = int(np.argmin(cost))
    for depth, _ in enumerate(tokens[best]):
        before = tokens[best][:depth]
        alike = [o for o, t in enumerate(tokens) if len(t) > depth and t[:depth] == before]
        labels += _first_tokens(len(ids) - 1 + depth, tokens, share, alike, depth, 1.0)
    labels.append((len(ids) - 1 + len(tokens[best]), tokenizer.eos_token_id, 1.0))
    breaks = [i + 1 for i, letter in enumerate(text) if letter == "\n"][-len(listed) :]
    for n, end in enumerate(breaks, start=1):
        if end not in ends:
            raise ValueError(
                "model: its tokenizer reads a line end together with what follows; loss = soft "
                "labels line ends, use loss = hard"
            )
        if n > 1:  # one option needs no comparing
            so_far = list(listed[:n])
            nearer = _soft(np.where(np.isin(np.arange(len(cost)), so_far), cost, np.inf),
                           temperature_slots)  # fmt: skip
            weight = lines_weight / (len(breaks) - 1)
            labels += _first_tokens(len(head) + ends.index(end), tokens, nearer, so_far, 0, weight)
    place, token, weight_of = (list(column) for column in zip(*labels, strict=True))
    return {
        "input_ids": [*ids, *tokens[best], tokenizer.eos_token_id],
        "place": place,
        "token": token,
        "weight": weight_of,
    }


def _soft(cost: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """softmax(-cost / temperature), 0 where a cost is infinite."""
    out = np.exp(-(cost - cost.min()) / temperature)
    return np.asarray(out / out.sum())


def _first_tokens(
    place: int,
    tokens: Sequence[Sequence[int]],
    share: NDArray[np.float64],
    options: Sequence[int],
    depth: int,
    weight: float,
) -> list[Label]:
    """Labels at a place: each option's token at `depth`, options with one token together."""
    total: dict[int, float] = {}
    for o in options:
        if tokens[o]:
            total[tokens[o][depth]] = total.get(tokens[o][depth], 0.0) + float(share[o])
    whole = sum(total.values())
    return [(place, token, weight * s / whole) for token, s in total.items() if s > 0]


def collate(rows: list[Mapping[str, Any]], pad: int) -> dict[str, Tensor]:
    """Tokens and mask (B, T) padded on the right; labels of all rows, with their row."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[i, : len(row["input_ids"])] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "row": torch.tensor([i for i, row in enumerate(rows) for _ in row["place"]]),
        "place": torch.tensor([p for row in rows for p in row["place"]]),
        "token": torch.tensor([t for row in rows for t in row["token"]]),
        "weight": torch.tensor([w for row in rows for w in row["weight"]], dtype=torch.float32),
    }


def label_loss(
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    row: Tensor,
    place: Tensor,
    token: Tensor,
    weight: Tensor,
) -> Tensor:
    """Loss of a batch of `collate`; logits are worked out at labelled places only."""
    keep, column = torch.unique(place, return_inverse=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        logits = model(
            input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=keep, use_cache=False
        ).logits
    logp = logits.float().log_softmax(dim=-1)[row, column, token]
    return -(weight * logp).sum() / len(input_ids)
