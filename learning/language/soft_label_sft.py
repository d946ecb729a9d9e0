r"""TRL's SFTTrainer on cost labels: soft targets over options, in the order the rows have.

COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148) fine-tunes on one answer per state. With the costs c
of all options the loss is

.. math::

    - \sum_a q_a \log p(a), \qquad q = \mathrm{softmax}(-c / t),

p over all words the model can answer with. Ties and near-ties share a label, and nothing is lost
of what the teacher knew about the other options. The same loss is taken after every server line,
over the options listed so far (the best so far), which shows the model how to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import datasets as hf
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler, SequentialSampler
from trl import SFTTrainer

from learning.language import vocabulary
from learning.language.vocabulary import COMLLM, Grammar


class LossTrainer(SFTTrainer):
    """TRL's SFTTrainer with a loss of its own, or with its rows in their order.

    Parameters
    ----------
    loss : callable, optional
        Called with the model and the columns of a batch; TRL's own loss unless given.
    ordered : bool
        Take the rows as they come rather than shuffled.
    **kwargs
        Of `trl.SFTTrainer`.
    """

    def __init__(
        self, *, loss: Callable[..., Tensor] | None = None, ordered: bool = False, **kwargs: Any
    ) -> None:
        self._loss, self._ordered = loss, ordered
        super().__init__(**kwargs)
        if loss is not None:  # a mean over its batch: accumulated parts of a batch are averaged
            self.loss_is_scaled_for_ga = False

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], *args: Any, **kwargs: Any) -> Any:
        """Loss of a batch."""
        if self._loss is None:
            return super().compute_loss(model, inputs, *args, **kwargs)
        return self._loss(model, **inputs)

    def _get_train_sampler(self, train_dataset: hf.Dataset | None = None) -> Sampler | None:
        if self._ordered:
            return SequentialSampler(self.train_dataset)
        return super()._get_train_sampler(train_dataset)


def collate(rows: list[Mapping[str, Any]], grammar: Grammar = COMLLM) -> dict[str, Tensor]:
    """(B, T) tokens and (B, lines + 2) costs of rows of `learning.offloading.training.rows`.

    Lines on the left that none of the prompts has are cut off.
    """
    ids = np.array([row["input_ids"] for row in rows], dtype=np.int64)
    cost = np.array([row["cost_slots"] for row in rows], dtype=np.float32)
    padding = (ids != vocabulary.WORD_ID[vocabulary.PAD]).argmax(axis=1).min()
    unused = int(padding) // grammar.line
    ids = ids[:, grammar.line * unused :]
    cost = np.delete(cost, np.arange(1, 1 + unused), axis=1)
    return {"input_ids": torch.from_numpy(ids), "cost_slots": torch.from_numpy(cost)}


def cost_loss(
    model: Any,
    input_ids: Tensor,
    cost_slots: Tensor,
    *,
    temperature_slots: float,
    lines_weight: float,
    grammar: Grammar = COMLLM,
) -> Tensor:
    """Loss of a batch of prompts, padded on the left.

    Parameters
    ----------
    model : causal language model
    input_ids : (B, T) int64
    cost_slots : (B, L + 2) float32
        Costs of local, each line and the drop; infinite where there is no line.
    temperature_slots : float
        Options this close share the label.
    lines_weight : float
        Weight of the loss after server lines beside that of the answer.
    grammar : Grammar
        Of the prompts.
    """
    lines = cost_slots.shape[1] - 2
    # Read after the name at the end of each line, and at `act`.
    last = input_ids.shape[1] - 1
    read = torch.tensor([last - 1 - grammar.line * i for i in range(lines)][::-1] + [last])
    mask = (input_ids != vocabulary.WORD_ID[vocabulary.PAD]).long()
    logits = model(
        input_ids=input_ids, attention_mask=mask, logits_to_keep=read, use_cache=False
    ).logits
    # Where a prompt has fewer lines, other words stand there; their cost is infinite.
    there = cost_slots[:, 1:-1].isfinite()
    names = input_ids[:, read[:-1]].where(there, vocabulary.WORD_ID[vocabulary.PAD])
    first = torch.full_like(names[:, :1], vocabulary.WORD_ID[vocabulary.LOCAL])
    drop = torch.full_like(first, vocabulary.WORD_ID[vocabulary.DROP])
    options = torch.cat([first, names, drop], dim=1)  # (B, L + 2)
    logp = logits.log_softmax(dim=-1).gather(2, options[:, None].expand(-1, lines + 1, -1))
    # (L + 1, L + 2): after line i the options are local, lines up to i, and the drop.
    listed = torch.ones(lines + 1, lines + 2, dtype=torch.bool)
    listed[:, 1:-1] = torch.ones(lines + 1, lines, dtype=torch.bool).tril()
    score = (-cost_slots[:, None] / temperature_slots).masked_fill(~listed, -torch.inf)
    # Before its first line a prompt may list nothing at all.
    target = score.softmax(dim=-1).nan_to_num()
    loss = -(target * logp).sum(dim=-1)  # (B, L + 1)
    after_lines = (loss[:, :-1] * there).sum() / there.sum().clamp(min=1)
    return loss[:, -1].mean() + lines_weight * after_lines
