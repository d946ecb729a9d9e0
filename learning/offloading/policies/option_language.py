"""The embedded language model on option prompts: a policy for any instance.

The prompt has a line per option (`learning.offloading.prompts.forms_options`); one forward pass
gives the probability of every word, and the option with the likeliest name is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning.language.fast_forward import AnswerLogits
from learning.language.tiny_model import TinyForCausalLM
from learning.offloading.prompts import forms_options as prompts
from learning.offloading.states import option_features
from learning.offloading.states.decision_states import States
from learning.offloading.states.option_features import PRESENT, Reader
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.units import DROPPED

#: States per forward pass, at most.
BATCH = 256


@dataclass
class OptionLanguagePolicy:
    """Decides any instance with the embedded model.

    Parameters
    ----------
    model : TinyForCausalLM
        Of the grammar `learning.language.vocabulary.OPTIONS`; its weights are read once.
    """

    model: TinyForCausalLM
    name: str = "language"
    _reader: Reader | None = field(default=None, repr=False)
    _asked: int = field(default=0, repr=False)
    _valid: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        self.forward = AnswerLogits(self.model.eval())

    @property
    def parse_rate(self) -> float:
        """Share of states since `reset` whose likeliest word was an option; NaN before any."""
        return self._valid / self._asked if self._asked else float("nan")

    def reset(self, instance: OffloadingInstance) -> None:
        """Read what is known of the instance, and forget the answers counted so far."""
        self._reader = Reader(instance, behind=True)
        self._asked = self._valid = 0

    def act(self, observation: Observation) -> int:
        """Option of the released task, -1 to drop it."""
        if self._reader is None:
            raise RuntimeError("reset() must be called before act()")
        rows = self._reader.options(observation)
        if not (rows[:, PRESENT] > 0).any():  # every option is down, and the drop forbidden
            return 0
        best = int(self.choose(rows[None], self._reader.load[None])[0])
        return DROPPED if best == len(rows) - 1 else best

    def decide(self, states: States) -> NDArray[np.int64]:
        """(B,) option index of each COMLLM state: 0 local, 1..J servers, J + 1 drop."""
        return self.choose(*option_features.of_states(states, behind=True))

    def choose(self, options: NDArray[np.float32], load: NDArray[np.float32]) -> NDArray[np.int64]:
        """(B,) row of the option taken; the last one is the drop."""
        parts = [
            self._choose(options[i : i + BATCH], load[i : i + BATCH])
            for i in range(0, len(options), BATCH)
        ]
        return np.concatenate(parts)

    def _choose(self, options: NDArray[np.float32], load: NDArray[np.float32]) -> NDArray[np.int64]:
        naming = prompts.in_order(options)
        logits = self.forward(prompts.option_ids(options, load, naming))
        words = prompts.answer_ids(naming, options.shape[1] - 1)
        score = np.take_along_axis(logits, words, axis=1)
        score[(words == 0) | (options[..., PRESENT] == 0)] = -np.inf
        self._asked += len(options)
        self._valid += int((score.max(axis=1) >= logits.max(axis=1)).sum())
        return np.asarray(score.argmax(axis=1))
