"""Greedy answers of a causal language model, with the margin of every token.

The margin of a token is the model's largest probability less its second largest at that place. The
tokens of an answer are those of the first sentence that the model writes, without the token that
ends the text; when the model ends at once, that token is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from learning.language import greedy
from learning.margins.prompts import Answer, Conversation
from mecopt import checks

#: Most tokens of an answer.
ANSWER_TOKENS = 12


def answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Conversation],
    *,
    batch: int = 16,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Answer]:
    """Answer every prompt greedily.

    Parameters
    ----------
    model, tokenizer
        A `transformers` causal model, on whatever device, and its tokenizer; it needs neither a
        padding token nor a chat template.
    prompts : sequence of Conversation
        A last turn of the assistant is gone on with.
    batch : int
        Prompts at a time; long ones go together. Answers do not depend on it but for rounding.
    on_progress : callable
        Called with the prompts answered so far and their number.

    Raises
    ------
    ValueError
        If a prompt is empty or longer than the model's context.
    """
    checks.whole("batch", batch, 1)
    encoded = [_encode(tokenizer, prompt, i) for i, prompt in enumerate(prompts)]
    _refuse_long(model, encoded)
    found: dict[int, Answer] = {}
    for here in greedy.batches(encoded, batch):
        found |= zip(here, _answer(model, tokenizer, [encoded[k] for k in here]), strict=True)
        on_progress(len(found), len(encoded))
    return [found[i] for i in range(len(encoded))]


def _encode(tokenizer: Any, prompt: Conversation, place: int) -> list[int]:
    if not prompt or not all(turn["content"].strip() for turn in prompt):
        raise ValueError(f"prompts[{place}] is empty")
    if tokenizer.chat_template:
        begun = prompt[-1]["role"] == "assistant"
        text = tokenizer.apply_chat_template(
            prompt, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
        )
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    else:
        ids = tokenizer(_plain(prompt))["input_ids"]
    if not ids:
        raise ValueError(f"prompts[{place}] has no tokens")
    return list(ids)


def _plain(prompt: Conversation) -> str:
    """The conversation for models that were not trained to chat."""
    lines = {"user": "{}\nAnswer:", "assistant": " {}\n\n"}
    text = "".join(lines[turn["role"]].format(turn["content"]) for turn in prompt)
    return text.rstrip("\n")


def _refuse_long(model: Any, encoded: Sequence[list[int]]) -> None:
    context = getattr(model.config, "max_position_embeddings", None)
    for i, ids in enumerate(encoded):
        if context is not None and len(ids) + ANSWER_TOKENS > context:
            raise ValueError(
                f"prompts[{i}] has {len(ids)} tokens, the model's context holds {context} with "
                f"{ANSWER_TOKENS} of the answer"
            )


@torch.inference_mode()
def _answer(model: Any, tokenizer: Any, encoded: Sequence[list[int]]) -> list[Answer]:
    """Answers of one batch, padded on the left."""
    ends = greedy.end_tokens(model, tokenizer)
    written = greedy.write(model, tokenizer, encoded, ANSWER_TOKENS, output_logits=True)
    longest = max(map(len, encoded))
    tokens = written.sequences[:, longest:].cpu().tolist()
    margins = torch.stack([_margins(logits) for logits in written.logits], dim=1).cpu().tolist()
    return [
        _first_sentence(tokenizer, row, of_row, ends)
        for row, of_row in zip(tokens, margins, strict=True)
    ]


def _margins(logits: Tensor) -> Tensor:
    """(B, words) logits -> (B,) top-1 less top-2 probability."""
    best = logits.float().softmax(dim=-1).topk(2, dim=-1).values
    return best[:, 0] - best[:, 1]


def _first_sentence(
    tokenizer: Any, tokens: Sequence[int], margins: Sequence[float], ends: Sequence[int]
) -> Answer:
    """The first sentence, to its full stop or line break, with the margins of its tokens."""
    kept: list[int] = []
    of_kept: list[float] = []
    for token, margin in zip(tokens, margins, strict=True):
        if token in ends:
            break
        piece = tokenizer.decode([token])
        if not kept and not piece.strip():
            continue  # an empty line before the answer
        before, line_break, _ = (piece if kept else piece.lstrip()).partition("\n")
        if before.strip() or not line_break:
            kept.append(token)
            of_kept.append(margin)
        if line_break or "." in before:
            break
    text = tokenizer.decode(kept, skip_special_tokens=True).strip().partition("\n")[0]
    return Answer(text, tuple(of_kept) or (margins[0],))
