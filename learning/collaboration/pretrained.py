"""Answers of any causal language model of Hugging Face, from the probabilities of its next token.

The prompt in plain words is asked twice, for the strategy and for the risk, each time with the
answer begun: ``Best choice:`` and ``Risk (low or high):``. What would follow, a letter or a word,
is read from the probabilities of the next token: nothing is generated, and nothing is looked for in
text. Models with a chat template get the prompt as a turn of the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from learning.collaboration import prompts
from learning.collaboration.answers import Answers, from_tokens
from learning.collaboration.sight import LETTERS, Seen

_RISKS = ("low", "high")


class CausalModel:
    """A pretrained model.

    Parameters
    ----------
    model, tokenizer
        A `transformers` causal model and its tokenizer.
    batch : int
        Prompts per forward pass.

    Raises
    ------
    ValueError
        If its tokenizer has no different tokens for the answers.
    """

    name = "causal"

    def __init__(self, model: Any, tokenizer: Any, *, batch: int = 8) -> None:
        self.model, self.tokenizer, self.batch = model.eval(), tokenizer, batch
        self._letters = next_tokens(tokenizer, [f" {letter}" for letter in LETTERS])
        self._risks = next_tokens(tokenizer, [f" {word}" for word in _RISKS])

    def answer(self, seen: Seen) -> Answers:
        """Strategy and risk of every row.

        Raises
        ------
        ValueError
            If a prompt is longer than the model's context.
        """
        heads = [self._head(text) for text in prompts.texts(seen)]
        wide = seen.up.shape[1]
        common, letters = self._letters
        strategy = self._next(heads, prompts.STRATEGY, common)[:, letters[:wide]]
        common, risks = self._risks
        risk = self._next(heads, prompts.RISK, common)[:, risks]
        return from_tokens(strategy, risk, seen.count)

    def _head(self, text: str) -> list[int]:
        """Tokens of a prompt up to where the answer begins."""
        if self.tokenizer.chat_template:
            turn = [{"role": "user", "content": f"{prompts.instructions()}\n\n{text}"}]
            whole = self.tokenizer.apply_chat_template(
                turn, tokenize=False, add_generation_prompt=True
            )
            return list(self.tokenizer(whole, add_special_tokens=False)["input_ids"])
        return list(self.tokenizer(f"{prompts.instructions()}\n\n{text}\n\n")["input_ids"])

    @torch.inference_mode()
    def _next(
        self, heads: Sequence[list[int]], begun: str, common: list[int]
    ) -> NDArray[np.float64]:
        """(P, words) probability of each token after a head and an answer that is begun."""
        tail = [*self.tokenizer(begun, add_special_tokens=False)["input_ids"], *common]
        rows = [[*head, *tail] for head in heads]
        context = getattr(self.model.config, "max_position_embeddings", None)
        longest = max(map(len, rows))
        if context is not None and longest > context:
            raise ValueError(f"prompt: {longest} tokens, the model's context holds {context}")
        out = []
        for first in range(0, len(rows), self.batch):
            part = rows[first : first + self.batch]
            wide = max(map(len, part))
            ids = torch.tensor([[0] * (wide - len(row)) + row for row in part])
            mask = torch.tensor([[0] * (wide - len(row)) + [1] * len(row) for row in part])
            device = self.model.device
            logits = self.model(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0).to(device),
                logits_to_keep=1,
                use_cache=False,
            ).logits
            out.append(logits[:, -1].double().softmax(dim=-1).cpu().numpy())
        return np.concatenate(out)


def next_tokens(tokenizer: Any, answers: Sequence[str]) -> tuple[list[int], list[int]]:
    """Tokens that all answers begin with, and the one behind them that tells each from the others.

    Raises
    ------
    ValueError
        If two answers have the same one.
    """
    rows = [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in answers]
    same = 0
    while all(len(row) > same + 1 and row[same] == rows[0][same] for row in rows):
        same += 1
    telling = [row[same] if len(row) > same else -1 for row in rows]
    if len(set(telling)) < len(answers) or -1 in telling:
        raise ValueError(f"model: its tokenizer cannot tell {answers[0]!r} from other answers")
    return rows[0][:same], telling
