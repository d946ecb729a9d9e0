"""The embedded language model as a policy: one forward pass scores every answer.

The prompt of a state is tokenised straight from its arrays
(`learning.offloading.prompts.forms_compact_natural.compact_ids`, equal to tokenising the text), one
forward pass gives the probability of every word, and the option with the likeliest name is taken.
What the model would have *written* is the likeliest word of all; when that names no option of the
state it counts against `parse_rate`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.language import tiny_model
from learning.language.fast_forward import AnswerLogits
from learning.language.tiny_model import TinyForCausalLM
from learning.language.tokenizer import CompactTokenizer
from learning.language.vocabulary import OPTIONS
from learning.offloading.policies.option_language import OptionLanguagePolicy
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts.forms_compact_natural import Naming
from learning.offloading.states.decision_states import OneByOne, States
from learning.runs.folder import checkpoint_description
from mecopt import checkpoints
from mecopt.offloading.instance import OffloadingInstance

#: States per forward pass, at most.
BATCH = 256


class LanguagePolicy(OneByOne):
    """Decides with the embedded model.

    Parameters
    ----------
    model : TinyForCausalLM
        Its weights are read once.
    """

    name = "language"

    def __init__(self, model: TinyForCausalLM) -> None:
        self.model = model.eval()
        self.forward = AnswerLogits(self.model)
        self._context = int(model.config.max_position_embeddings)
        self._asked = self._valid = 0

    @property
    def parse_rate(self) -> float:
        """Share of states since `reset` whose likeliest word was an option; NaN before any."""
        return self._valid / self._asked if self._asked else float("nan")

    def reset(self, instance: OffloadingInstance) -> None:
        """Forget the answers counted so far."""
        self._asked = self._valid = 0

    def decide(self, found: States) -> NDArray[np.int64]:
        """(B,) option index of each state, servers listed in order under the first names."""
        if len(found) <= BATCH:
            return self._scores(found, prompts.in_order(found)).argmax(axis=1)
        parts = [found[i : i + BATCH] for i in range(0, len(found), BATCH)]
        return np.concatenate([self.decide(part) for part in parts])

    def scores(
        self, found: States, naming: Naming, *, units: str = "slots", wording: int = 0
    ) -> NDArray[np.float32]:
        """(B, J + 2) score of each option (larger is better), -inf where there is none.

        Parameters
        ----------
        found : States
        naming : Naming
            Order and names of the servers in the prompt.
        units : str
            One of `learning.offloading.prompts.forms_compact_natural.UNITS`; anything but slots
            goes through text and tokenizer.
        wording : int
            The compact form has one wording: only 0 is taken.

        Raises
        ------
        ValueError
            Unknown units or wording, or a prompt longer than the model's context.
        """
        if wording != 0:
            raise ValueError(f"wording = {wording}: compact prompts have one wording, 0")
        if units == "slots":
            return self._scores(found, naming)
        texts = prompts.compact_texts(found, naming, units=units)
        read = _tokenizer()(texts, padding=True, return_tensors="np")
        return self._answer(read["input_ids"].astype(np.int64), naming)

    def _scores(self, found: States, naming: Naming) -> NDArray[np.float32]:
        return self._answer(prompts.compact_ids(found, naming), naming)

    def _answer(self, ids: NDArray[np.int64], naming: Naming) -> NDArray[np.float32]:
        if ids.shape[1] + 1 > self._context:
            prompts.check_context((ids != 0).sum(axis=1), self._context)
        logits = self.forward(ids)
        words = prompts.option_word_ids(naming)
        score = np.take_along_axis(logits, words, axis=1)
        score[words == 0] = -np.inf
        self._asked += len(ids)
        self._valid += int((score.max(axis=1) >= logits.max(axis=1)).sum())
        return score


@cache
def _tokenizer() -> CompactTokenizer:
    """Made once: its vocabulary takes half a second."""
    return CompactTokenizer()


def load(folder: str | os.PathLike[str]) -> LanguagePolicy | OptionLanguagePolicy:
    """The policy of a checkpoint or training folder: of COMLLM's prompts, or of option prompts.

    Raises
    ------
    ValueError
        If there is no such checkpoint, or it is one of another kind or vocabulary.
    """
    found = checkpoints.find(folder)
    kind = checkpoint_description(found)["kind"]
    if kind != "language":
        raise ValueError(f"{folder}: kind is {kind!r}, expected 'language'")
    model = tiny_model.load(Path(found))
    return (
        OptionLanguagePolicy(model)
        if model.config.grammar == OPTIONS.name
        else LanguagePolicy(model)
    )
