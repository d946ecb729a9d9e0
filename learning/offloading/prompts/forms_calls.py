"""Grammar of the tool call: a model may have one option looked ahead of before it answers.

After the compact prompt (`learning.offloading.prompts.forms_compact_natural`), which ends with
``act``, at most two turns follow. The model's words stand on the left, the environment's on the
right::

    turn 1:  NAME                      the decision; nothing follows
             <end> NAME                the call; the environment answers with   REF xD act
    turn 2:  NAME                      the decision

NAME is the name of an option of the state. REF is the *reference*, the option of least one-step
cost (the first of a tie), and D says what the named option costs everybody above the reference by
rollout of sampled futures, in slots: D = 5 + difference, between 0 and 10. 5 means equal, less than
5 that the named option is better. Anything else is invalid and drops the task: a word that is no
name, a call of no option, a second call.

The words are those of compact prompts, so every checkpoint of `COMLLM` can be trained on: ``<end>``
ends no answer of one word, and ``x`` is a cost wherever it stands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.language import vocabulary
from learning.language.vocabulary import COMLLM, WORD_ID, number_index

#: First word of a call.
CALL = WORD_ID[vocabulary.END]
#: What is added to a difference, slots; differences beyond it are cut.
SHIFT_SLOTS = 5.0
#: Words after a prompt up to where the decision of turn 2 is read.
CALLED = 5
ACT = WORD_ID[vocabulary.ACT]


def served(difference_slots: ArrayLike) -> NDArray[np.int64]:
    """Token of the quantity that a call is answered with.

    >>> from learning.language.vocabulary import word_of
    >>> word_of(int(served(-1.25)))
    'x3.75'
    """
    shown = np.clip(np.asarray(difference_slots, dtype=np.float64), -SHIFT_SLOTS, SHIFT_SLOTS)
    token: NDArray[np.int64] = COMLLM.key_id["x"] + number_index(shown + SHIFT_SLOTS)
    return token


def option_of(token: int, words: NDArray[np.int64]) -> int | None:
    """Option that a word names; None where it names none.

    Parameters
    ----------
    token : int
    words : (options,) int64
        Name of each option, padding where there is none.
    """
    found = np.flatnonzero((words == token) & (words != WORD_ID[vocabulary.PAD]))
    return int(found[0]) if len(found) else None


def transcript(
    ids: NDArray[np.int64],
    named: NDArray[np.int64],
    reference: NDArray[np.int64],
    difference_slots: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(B, T + 5) prompts, the calls made on them, and what these were answered with.

    Parameters
    ----------
    ids : (B, T) int64
        Compact prompts.
    named, reference : (B,) int64
        Tokens of the option of the call and of the reference.
    difference_slots : (B,) float64
        Rollout cost of the option less that of the reference.
    """
    call, act = np.full_like(named, CALL), np.full_like(named, ACT)
    return np.column_stack([ids, call, named, reference, served(difference_slots), act])
