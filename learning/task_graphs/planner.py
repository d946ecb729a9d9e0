"""A language model as a planner: it reads requests and writes plans.

Plans are written greedily, many requests at a time, with keys and values kept, and read as those of
any planner (`mecopt.task_graphs.planners.planned_from_texts`): what is no plan of its task is
counted and never repaired.

The time that is charged for planning is not that of the small model but of the paper's student of
7 B parameters (`mecopt.task_graphs.planners.STUDENT_MODEL`); what a CPU took is measured beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.language import greedy, pretrained_models
from learning.runs.folder import checkpoint_description
from learning.task_graphs import examples, words
from mecopt import checkpoints
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.planners import STUDENT_MODEL, Planned, planned_from_texts

#: Most tokens of a plan.
PLAN_TOKENS = 160


@dataclass(frozen=True, eq=False)
class Written:
    """What a planner wrote.

    Parameters
    ----------
    texts : tuple of str
        One a request.
    prompt_tokens, output_tokens : (K,) int64
        Tokens of the model that were read and written.
    cpu_s : float
        CPU seconds of this process, for all of them.
    """

    texts: tuple[str, ...]
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    cpu_s: float


class LanguagePlanner:
    """Plans with a causal language model.

    Parameters
    ----------
    model, tokenizer
        A `transformers` causal model and its tokenizer.
    small : bool
        Whether it is the small model of `learning.task_graphs.words`, which reads the bare request.
    batch : int
        Requests at a time.
    """

    name = "distilled"

    def __init__(self, model: Any, tokenizer: Any, *, small: bool, batch: int = 64) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        self._small, self._batch = small, batch

    def write(self, requests: Sequence[str]) -> Written:
        """The plan of every request, as text.

        Raises
        ------
        ValueError
            If a request is too long for the model.
        """
        begin = time.process_time()
        encoded = [self._encode(i, request) for i, request in enumerate(requests)]
        texts, count = [""] * len(encoded), np.zeros(len(encoded), dtype=np.int64)
        ends = set(greedy.end_tokens(self.model, self.tokenizer))
        for here in greedy.batches(encoded, self._batch):
            rows = [encoded[i] for i in here]
            found = greedy.write(self.model, self.tokenizer, rows, PLAN_TOKENS)
            written = found.sequences[:, max(map(len, rows)) :].cpu().tolist()
            for i, row in zip(here, written, strict=True):
                end = next((n for n, token in enumerate(row) if token in ends), len(row))
                texts[i] = self.tokenizer.decode(row[:end], skip_special_tokens=True).strip()
                count[i] = min(end + 1, len(row))
        read = np.array([len(row) for row in encoded], dtype=np.int64)
        return Written(tuple(texts), read, count, time.process_time() - begin)

    def plan(self, episode: Episode) -> Planned:
        """The plans of an episode, in the time of the paper's student.

        Raises
        ------
        ValueError
            If nothing is known of what was asked.
        """
        if len(episode.requests) != len(episode.tasks):
            raise ValueError(
                f"requests: {len(episode.requests)} of them for {len(episode.tasks)} tasks; a "
                "language model plans what it can read"
            )
        texts = self.write(episode.requests).texts
        return planned_from_texts(episode, texts, STUDENT_MODEL.writing_s(episode, texts))

    def _encode(self, place: int, request: str) -> list[int]:
        if self._small:
            ids = self.tokenizer(words.prompt(request))["input_ids"]
        elif self.tokenizer.chat_template:
            text = self.tokenizer.apply_chat_template(
                examples.conversation(request), tokenize=False, add_generation_prompt=True
            )
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = self.tokenizer(examples.plain(request))["input_ids"]
        context = getattr(self.model.config, "max_position_embeddings", None)
        if context is not None and len(ids) >= context:
            raise ValueError(
                f"requests[{place}] has {len(ids)} tokens, the model's context holds {context}"
            )
        return list(ids)


def load(folder: Path) -> LanguagePlanner:
    """The planner of a checkpoint of `learning.task_graphs.train`.

    Raises
    ------
    ValueError
        If there is no such checkpoint, or its base model cannot be found or does not fit.
    """
    found, described = checkpoints.find(folder), checkpoint_description(folder)
    if described["kind"] != "planner":
        raise ValueError(f"{folder}: kind is {described['kind']!r}, expected 'planner'")
    if "base" in described:
        adapted = pretrained_models.load_adapted(found, described["base"], described["dtype"])
        return LanguagePlanner(*adapted, small=False, batch=8)
    model, tokenizer = pretrained_models.load(str(found))
    if tokenizer.get_vocab() != words.tokenizer().get_vocab():
        raise ValueError(f"{folder}: trained with other words than this mecopt has")
    return LanguagePlanner(model, tokenizer, small=True, batch=256)
