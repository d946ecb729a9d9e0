"""Hugging Face datasets of labelled states, with where every row comes from.

A row in the wrong part (`learning.seeds`) is refused.
"""

from __future__ import annotations

import datasets as hf
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from learning import seeds
from learning.language import vocabulary
from learning.language.vocabulary import COMLLM, WORD_ID, Grammar
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts.forms_compact_natural import Naming
from learning.offloading.rewards import labels
from learning.offloading.rewards.labels import Labelled

#: Rows tokenised at a time.
CHUNK = 4096


def training_rows(labelled: Labelled, uses: int, *, seed: int) -> hf.Dataset:
    """Tokenised rows for as many uses of states as a training needs, in the order of training.

    Every state is used once before any is used again; at each use its servers are shuffled and
    named anew.

    Columns: ``input_ids`` (T,), ``cost_slots`` (lines + 2,) in the order local, lines, drop
    (infinite for lines that padding on the left leaves out), and ``row``, the state.

    Raises
    ------
    ValueError
        If there is no state, one of another part, or `uses` is below 1.
    """
    if len(labelled) == 0:
        raise ValueError("labelled: is empty, there is nothing to learn from")
    labels.soft(labelled.cost_slots[:1], 1.0)  # a state without any option is no example
    seeds.check(labelled.states.seed, "train")
    rng = np.random.default_rng([4, seed])
    order = order_of_uses(len(labelled), uses, rng)
    lines = int(labelled.states.present.sum(axis=1).max())
    ids = np.empty((uses, len(COMLLM.state_keys) + COMLLM.line * lines + 1), dtype=np.int32)
    cost = np.empty((uses, lines + 2), dtype=np.float32)
    for first in range(0, uses, CHUNK):
        part = labelled[order[first : first + CHUNK]]
        naming = prompts.shuffled(part.states, rng)
        where = slice(first, first + len(part))
        chunk = prompts.compact_ids(part.states, naming)
        ids[where, : -chunk.shape[1]] = WORD_ID[vocabulary.PAD]
        ids[where, -chunk.shape[1] :] = chunk
        cost[where] = line_costs(part.cost_slots, naming, lines)
    return hf.Dataset(
        pa.table({"input_ids": lists(ids), "cost_slots": lists(cost), "row": pa.array(order)})
    )


def order_of_uses(n: int, uses: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(uses,) states in random order, each once before any is used again.

    Raises
    ------
    ValueError
        If `uses` is below 1.
    """
    if uses < 1:
        raise ValueError(f"uses = {uses} must be >= 1")
    return np.concatenate([rng.permutation(n) for _ in range(-(-uses // n))])[:uses]


def answer_rows(rows: hf.Dataset, grammar: Grammar = COMLLM) -> hf.Dataset:
    """Rows of `training_rows` as prompt and one answer, the cheapest option (first of a tie).

    Columns: ``input_ids`` without padding, answer at the end, and ``labels``, -100 but for it.
    """
    ids = np.array(rows["input_ids"])
    cost = np.array(rows["cost_slots"])
    last = ids.shape[1] - 1
    lines = cost.shape[1] - 2
    read = last - 1 - grammar.line * np.arange(lines)[::-1]
    edge = np.full((len(ids), 1), WORD_ID[vocabulary.LOCAL])
    names = np.hstack([edge, ids[:, read], np.full_like(edge, WORD_ID[vocabulary.DROP])])
    answer = np.take_along_axis(names, cost.argmin(axis=1)[:, None], axis=1)
    whole = np.hstack([ids, answer])
    used = [row[row != WORD_ID[vocabulary.PAD]] for row in whole]
    labels_of = [np.append(np.full(len(row) - 1, -100), row[-1]) for row in used]
    return hf.Dataset(
        pa.table({"input_ids": pa.array(used, pa.list_(pa.int64())), "labels": pa.array(labels_of)})
    )


def line_costs(cost_slots: NDArray[np.float64], naming: Naming, lines: int) -> NDArray[np.float64]:
    """(B, lines + 2) costs of local, the lines of each prompt (aligned on the right), and drop."""
    row, line = np.nonzero(naming.name)
    count = (naming.name > 0).sum(axis=1)
    out = np.full((len(cost_slots), lines + 2), np.inf)
    out[:, 0], out[:, -1] = cost_slots[:, 0], cost_slots[:, -1]
    out[row, 1 + line + lines - count[row]] = cost_slots[row, 1 + naming.order[row, line]]
    return out


def lists(array: NDArray) -> pa.FixedSizeListArray:
    """A 2-D array as a column of lists, without a Python object per number."""
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])
