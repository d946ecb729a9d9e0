"""TRL's trainers on transcripts with a call: a loss on labels, and GRPO through the rollout hook.

The words of a transcript are those of `learning.offloading.prompts.forms_calls`: the model's words
stand at the end of the prompt, after the call word, and at the end of what a call was answered
with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.language import vocabulary
from learning.language.one_token_grpo import OneWordGRPOTrainer
from learning.offloading.prompts import forms_calls as calls
from learning.offloading.rewards.rewards import unparsable_cost_slots
from learning.offloading.training.call_states import CallStates

#: Largest weight of one choice whether to call, in mean ones (D).
_MOST = 20.0
#: Places of the model's words after the prompt.
OWN_WORDS = (0, 1, calls.CALLED)
_PAD = vocabulary.WORD_ID[vocabulary.PAD]


# ------------------------------------------------------------------------------- labels
def collate(rows: list[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Columns of `learning.offloading.training.call_states.warm_rows` as tensors."""
    out = {
        name: torch.tensor(np.array([row[name] for row in rows]), dtype=torch.float32)
        for name in ("cost_slots", "name_share", "stake")
    }
    for name in ("input_ids", "words"):
        out[name] = torch.tensor(np.array([row[name] for row in rows]), dtype=torch.int64)
    return out


def call_loss(
    model: Any,
    input_ids: Tensor,
    words: Tensor,
    cost_slots: Tensor,
    name_share: Tensor,
    stake: Tensor,
    *,
    temperature_slots: float,
) -> Tensor:
    """Loss of transcripts: the decision without a call, whether to call, whom, and after it.

    Decisions are taught by softmax(-cost / temperature). Whether to call is a choice of two whose
    weight is what is at stake: then a call is likelier than none where its *mean* gain is
    positive, however rare a gain is.
    """
    last = input_ids.shape[1] - 1
    read = torch.tensor([last - calls.CALLED, last - calls.CALLED + 1, last])
    mask = (input_ids != _PAD).long()
    logits = model(
        input_ids=input_ids, attention_mask=mask, logits_to_keep=read, use_cache=False
    ).logits
    logp = logits.log_softmax(dim=-1)
    option = logp.gather(2, words[:, None].expand(-1, 3, -1))  # (B, 3, J + 2)
    target = (-cost_slots / temperature_slots).masked_fill(words == _PAD, -torch.inf).softmax(-1)
    calling = logp[:, 0, calls.CALL]
    not_calling = logits[:, 0].index_fill(1, torch.tensor([calls.CALL]), -torch.inf)
    not_calling = not_calling.logsumexp(-1) - logits[:, 0].logsumexp(-1)
    first = -(target * (option[:, 0] - not_calling[:, None])).sum(-1)
    pays = (stake > 0).float()
    whether = -stake.abs().clamp(max=_MOST) * (pays * calling + (1 - pays) * not_calling)
    whom = -(name_share * option[:, 1]).sum(-1)
    after = -(target * option[:, 2]).sum(-1)
    return (first + whether + whom + after).mean()


# ------------------------------------------------------------------------------- GRPO
def call_reward(
    completions: list[str],
    decision_cost: list[float],
    called: list[float],
    price_slots: float = 0.0,
    log_metric: Callable[[str, float], None] | None = None,
    **columns: Any,
) -> list[float]:
    """Minus the cost of the decision and the price of a call, slots.

    Raises
    ------
    ValueError
        If a cost is NaN: TRL would take the reward for one that was not given, and go on.

    >>> call_reward(["s02", "..."], [2.5, 2.0], [0.0, 1.0], price_slots=0.25)
    [-2.5, -2.25]
    """
    if np.isnan(decision_cost).any():
        raise ValueError("decision_cost holds a NaN")
    if log_metric is not None:
        log_metric("calls", float(np.mean(called)))
    return [-cost - price_slots * c for cost, c in zip(decision_cost, called, strict=True)]


class ToolCallGRPOTrainer(OneWordGRPOTrainer):
    """GRPO over transcripts of one turn or two; words of the environment earn nothing.

    Parameters
    ----------
    told : CallStates
        The states; a prompt of the data set is the number of one.
    **kwargs
        Of `trl.GRPOTrainer`.
    """

    def __init__(self, *args: Any, told: CallStates, **kwargs: Any) -> None:
        self._told = told
        super().__init__(*args, prompt_ids={}, **kwargs)

    def _draw(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """A next word of each row, and its log-probability."""
        unique, where = np.unique(ids, axis=0, return_inverse=True)
        with torch.no_grad():
            logps = self._next_word(self.model, torch.from_numpy(unique))[where.ravel()]
        drawn = torch.multinomial(logps.exp(), 1)
        return drawn[:, 0].numpy(), logps.gather(1, drawn)[:, 0].double().numpy()

    def _rollout(self, names: list[str], trainer: Any) -> dict[str, Any]:
        """One transcript per name; equal names stand side by side and make a group."""
        told, rows = self._told, np.array([int(name) for name in names])
        prompt = told.ids[rows]
        word, logp = self._draw(prompt)
        completions = [[int(w)] for w in word]
        logprobs = [[float(v)] for v in logp]
        calling = np.flatnonzero(word == calls.CALL)
        if len(calling):
            self._serve(rows, prompt, calling, completions, logprobs)
        cost = [self._cost(int(row), words) for row, words in zip(rows, completions, strict=True)]
        return {
            "prompt_ids": [row[row != _PAD].tolist() for row in prompt],
            "completion_ids": completions,
            "logprobs": logprobs,
            "env_mask": [[int(i in OWN_WORDS) for i in range(len(c))] for c in completions],
            "decision_cost": cost,
            "called": [float(w == calls.CALL) for w in word],
        }

    def _serve(
        self,
        rows: NDArray[np.int64],
        prompt: NDArray[np.int64],
        calling: NDArray[np.int64],
        completions: list[list[int]],
        logprobs: list[list[float]],
    ) -> None:
        """Write the rest of the transcripts that begin with a call."""
        told = self._told
        asked = np.column_stack([prompt[calling], np.full(len(calling), calls.CALL)])
        word, logp = self._draw(asked)
        option = [calls.option_of(int(w), told.words[r]) for w, r in zip(word, rows[calling],
                                                                         strict=True)]  # fmt: skip
        for i, w, value in zip(calling, word, logp, strict=True):
            completions[i].append(int(w))
            logprobs[i].append(float(value))
        valid = np.array([o is not None for o in option])
        if not valid.any():
            return
        named = np.array([o for o in option if o is not None])
        served = told.transcripts(rows[calling[valid]], named)
        word, logp = self._draw(served)
        for i, row, w, value in zip(calling[valid], served, word, logp, strict=True):
            completions[i] += [*row[-3:].tolist(), int(w)]
            logprobs[i] += [0.0, 0.0, 0.0, float(value)]

    def _cost(self, row: int, words: list[int]) -> float:
        """Cost of the decision that a transcript ends with."""
        told = self._told
        whole = len(words) in (1, calls.CALLED + 1)
        option = calls.option_of(words[-1], told.words[row]) if whole else None
        cost = told.cost_slots[row]
        return float(unparsable_cost_slots(cost) if option is None else cost[option])

    def _answers(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int
    ) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Score the model's own words; equal transcripts share a forward pass."""
        batch, begin = len(input_ids), input_ids.shape[1] - logits_to_keep
        own = [i for i in OWN_WORDS if i < logits_to_keep]
        both = torch.cat([input_ids, attention_mask], dim=1)
        unique, where = torch.unique(both, dim=0, return_inverse=True)
        ids, mask = unique.chunk(2, dim=1)
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            logits_to_keep=torch.tensor([begin - 1 + i for i in own]),
            use_cache=False,
        ).logits
        logps = (logits / self.temperature).log_softmax(dim=-1)[where]
        place = torch.tensor(own)
        row, nth = attention_mask[:, begin + place].nonzero(as_tuple=True)

        def placed(value: Tensor) -> Tensor:
            out = torch.zeros(batch, logits_to_keep, dtype=value.dtype)
            return out.index_put((row, place[nth]), value)

        return logps[row, nth], input_ids[row, begin + place[nth]][:, None], placed
