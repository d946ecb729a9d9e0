"""Hugging Face datasets of labelled option rows, as `rows` makes them of COMLLM's states."""

from __future__ import annotations

import datasets as hf
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from learning.language.vocabulary import N_NAMES, OPTIONS, PAD, WORD_ID
from learning.offloading.prompts import forms_options as prompts
from learning.offloading.prompts.forms_compact_natural import Naming
from learning.offloading.training.cost_examples import Examples
from learning.offloading.training.rows import CHUNK, lists, order_of_uses

_N_STATE = len(OPTIONS.state_keys)


#: Batches among which prompts are sorted by length.
_SORTED = 32


def training_rows(examples: Examples, uses: int, *, seed: int, batch: int = 1) -> hf.Dataset:
    """Tokenised rows for as many uses of states as a training needs, in the order of training.

    At each use the options are shuffled and named anew. Columns are those of
    `learning.offloading.training.rows.training_rows`; there is no local option beside the lines, so
    its cost is infinite. Prompts of a `batch` are of like length, and batches in random order.

    Raises
    ------
    ValueError
        If there is no state, or `uses` is below 1.
    """
    if len(examples) == 0:
        raise ValueError("examples: is empty, there is nothing to learn from")
    rng = np.random.default_rng([13, seed])
    length = prompts.listed(examples.options).sum(axis=1)
    order = _alike(order_of_uses(len(examples), uses, rng), length, batch, rng)
    lines = min(int(length.max()), N_NAMES)
    ids = np.full((uses, _N_STATE + OPTIONS.line * lines + 1), WORD_ID[PAD], dtype=np.int32)
    cost = np.empty((uses, lines + 2), dtype=np.float32)
    for first in range(0, uses, CHUNK):
        part = examples[order[first : first + CHUNK]]
        naming = prompts.shuffled(part.options, rng)
        where = slice(first, first + len(part))
        chunk = prompts.option_ids(part.options, part.load, naming)
        ids[where, -chunk.shape[1] :] = chunk
        cost[where] = line_costs(part.label, naming, lines)
    return hf.Dataset(
        pa.table({"input_ids": lists(ids), "cost_slots": lists(cost), "row": pa.array(order)})
    )


def _alike(
    order: NDArray[np.int64], length: NDArray[np.int64], batch: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Uses in batches of like length: short prompts are not padded to the longest of all."""
    if length.min() == length.max():
        return order
    out = []
    for first in range(0, len(order), batch * _SORTED):
        part = order[first : first + batch * _SORTED]
        part = part[np.argsort(length[part], kind="stable")]
        batches = [part[i : i + batch] for i in range(0, len(part), batch)]
        whole = [i for i, rows in enumerate(batches) if len(rows) == batch]
        rest = [rows for rows in batches if len(rows) < batch]
        out += [batches[i] for i in rng.permutation(whole)] + rest
    return np.concatenate(out)


def line_costs(label: NDArray[np.float32], naming: Naming, lines: int) -> NDArray[np.float32]:
    """(B, lines + 2) costs: infinity, the lines of each prompt (aligned on the right), the drop."""
    row, line = np.nonzero(naming.name)
    count = (naming.name > 0).sum(axis=1)
    out = np.full((len(label), lines + 2), np.inf, dtype=np.float32)
    out[row, 1 + line + lines - count[row]] = label[row, naming.order[row, line]]
    out[:, -1] = label[:, -1]
    return out
