"""The embedded model with a tool: it may have one option looked ahead of before it answers.

Grammar: `learning.offloading.prompts.forms_calls`. The model writes one word at a time, the
likeliest one; the environment serves a call with two rollouts, of the option named and of the
reference, by the compiled kernel of the look-ahead rule.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.language import tiny_model, vocabulary
from learning.language.fast_forward import AnswerLogits
from learning.language.tiny_model import TinyForCausalLM
from learning.offloading.prompts import forms_calls as calls
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from learning.runs.folder import checkpoint_description
from mecopt import checkpoints
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.scenarios.futures import Futures, generated_futures
from mecopt.offloading.units import DROPPED

KIND = "tool-calls"


@dataclass
class OptionLookahead(Lookahead):
    """The look-ahead rule's rollouts of the options asked for, and of no others."""

    name: str = "option-lookahead"
    _asked: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), repr=False)

    def difference_slots(self, observation: Observation, option: int, reference: int) -> float:
        """Rollout cost of an option less that of another, slots.

        Parameters
        ----------
        observation : Observation
        option, reference : int
            Options 0 .. n - 1, n for the drop.
        """
        n = observation.n_options
        self._asked = np.array([DROPPED if o == n else o for o in (option, reference)])
        cost = self.candidate_costs(observation)
        slot_s = float(observation.instance.meta["slot_s"])
        return float(cost[option] - cost[reference]) / slot_s

    def _tried(self, observation: Observation) -> NDArray[np.int64]:
        return self._asked


@dataclass
class ToolCallPolicy:
    """Decides with the embedded model, in one turn or two.

    Parameters
    ----------
    model : TinyForCausalLM
        Of the grammar `learning.language.vocabulary.COMLLM`; its weights are read once.
    futures : callable, optional
        (instance, samples) -> sampled futures of the look-ahead; its generator's unless given.
    constrained : bool
        Let the model write only words that the grammar has at their place: no answer is invalid.

    Attributes
    ----------
    decisions, called, invalid : int
        Since `reset`: decisions, those with a call, and those dropped for an answer that the
        grammar does not have.
    """

    model: TinyForCausalLM
    futures: Futures = field(default_factory=generated_futures)
    name: str = KIND
    constrained: bool = False

    def __post_init__(self) -> None:
        self.forward = AnswerLogits(self.model.eval())
        self._tool = OptionLookahead(futures=self.futures)
        self.decisions = self.called = self.invalid = 0

    @property
    def parse_rate(self) -> float:
        """Share of decisions since `reset` that the grammar has; NaN before any."""
        return 1 - self.invalid / self.decisions if self.decisions else float("nan")

    @property
    def turns(self) -> float:
        """Mean number of turns of a decision since `reset`, 1..2; NaN before any."""
        return 1 + self.called / self.decisions if self.decisions else float("nan")

    def reset(self, instance: OffloadingInstance) -> None:
        """Draw the futures of the look-ahead, and forget the answers counted so far."""
        self._tool.reset(instance)
        self.decisions = self.called = self.invalid = 0

    def act(self, observation: Observation) -> int:
        """Option of the released task; -1 to drop it, or where an answer is invalid."""
        state = states.of(observation)
        naming = prompts.in_order(state)
        ids = prompts.compact_ids(state, naming)
        words = prompts.option_word_ids(naming)[0]
        self.decisions += 1
        names = words[words != vocabulary.WORD_ID[vocabulary.PAD]]
        word = self._next(ids, 0, [*names, calls.CALL])
        if word == calls.CALL:
            self.called += 1
            asked = np.column_stack([ids, [calls.CALL]])
            named = calls.option_of(self._next(asked, 1, names), words)
            if named is None:
                self.invalid += 1
                return DROPPED
            reference = int(state.one_step_cost_slots[0].argmin())
            difference = self._tool.difference_slots(observation, named, reference)
            told = calls.transcript(ids, words[[named]], words[[reference]], np.array([difference]))
            word = self._next(told, calls.CALLED, names)
        option = calls.option_of(word, words)
        if option is None:
            self.invalid += 1
            return DROPPED
        return states.to_choice(option, state.n_servers)

    def _next(self, ids: NDArray[np.int64], after: int, allowed: ArrayLike) -> int:
        logits = self.forward(ids, after)[0]
        if not self.constrained:
            return int(logits.argmax())
        words = np.asarray(allowed)
        return int(words[logits[words].argmax()])


def save(model: TinyForCausalLM, folder: Path, **fields: object) -> None:
    """Write a checkpoint that `load` reads; `fields` are further ones of its description."""
    tiny_model.save(model, folder, marker=KIND, **fields)


def load(folder: str | os.PathLike[str]) -> ToolCallPolicy:
    """The policy of a checkpoint or training folder.

    Raises
    ------
    ValueError
        If there is no such checkpoint, or it is one of another kind, grammar or vocabulary.
    """
    found = checkpoints.find(folder)
    kind = checkpoint_description(found)["kind"]
    if kind != KIND:
        raise ValueError(f"{folder}: kind is {kind!r}, expected {KIND!r}")
    model = tiny_model.load(Path(found))
    if model.config.grammar != vocabulary.COMLLM.name:
        raise ValueError(f"{folder}: grammar is {model.config.grammar!r}, calls are of 'comllm'")
    return ToolCallPolicy(model)
