"""Ask a model generated questions: uncertainties, right answers, calibrated probabilities.

Needs no torch until it asks. `measure` runs the model once; `Measured.margins` makes of it the
`mecopt.accuracy_delay.margins.Margins` that scenarios read, for one aggregation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.margins import prompts, questions
from learning.margins.calibration import cross_fitted
from learning.margins.prompts import Answer
from learning.margins.questions import Question
from mecopt import checks, extras
from mecopt.accuracy_delay.margins import Margins
from mecopt.bench import provenance

#: How the margins of an answer's tokens become one number; the uncertainty is 1 less it.
AGGREGATIONS: dict[str, Callable[[tuple[float, ...]], float]] = {
    "mean": lambda margins: float(np.mean(margins)),
    "minimum": min,
    "first": lambda margins: margins[0],
}
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Measured:
    """Answers of a model to questions.

    Parameters
    ----------
    model : str
    questions : tuple of Question
    answers : tuple of Answer
        In the same order.
    meta : dict
        Seed, device, seconds, versions.
    """

    model: str
    questions: tuple[Question, ...]
    answers: tuple[Answer, ...]
    meta: dict[str, Any]

    @cached_property
    def read(self) -> tuple[str | None, ...]:
        """What each answer says, None where it names no choice or several."""
        pairs = zip(self.answers, self.questions, strict=True)
        return tuple(prompts.read(answer.text, question) for answer, question in pairs)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """(K,) whether each answer is right."""
        pairs = zip(self.read, self.questions, strict=True)
        return np.array([said == question.answer for said, question in pairs])

    def uncertainty(self, aggregation: str = "mean") -> NDArray[np.float64]:
        """(K,) 1 less the aggregated margin, 0..1.

        Raises
        ------
        ValueError
            If there is no such aggregation.
        """
        checks.one_of("aggregation", aggregation, AGGREGATIONS)
        of = AGGREGATIONS[aggregation]
        return np.clip([1.0 - of(answer.margins) for answer in self.answers], 0.0, 1.0)

    def margins(self, aggregation: str = "mean", *, folds: int = FOLDS) -> Margins:
        """Uncertainties with P(correct | u), each calibrated on other questions.

        Raises
        ------
        ValueError
            If there is no such aggregation, or there are fewer questions than folds.
        """
        uncertainty = self.uncertainty(aggregation)
        seed = self.meta["seed"]
        return Margins(
            model=self.model,
            aggregation=aggregation,
            uncertainty=uncertainty,
            correct=self.correct,
            calibrated=cross_fitted(uncertainty, self.correct, folds=folds, seed=seed),
            task=np.array([question.task for question in self.questions]),
            meta={**self.meta, "folds": folds},
        )


def measure(
    model: str,
    count: int = 500,
    seed: int = 0,
    *,
    examples: int = prompts.EXAMPLES,
    dtype: str = "float32",
    batch: int = 16,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measured:
    """Ask a model questions, on a GPU where there is one.

    Parameters
    ----------
    model : str
        Known name, folder or Hugging Face name (`learning.language.pretrained_models`).
    count : int
        Questions, the four tasks in turn.
    seed : int
        Of the questions.
    examples : int
        Solved examples before each question.
    dtype : str
        ``"float32"`` or ``"bfloat16"``.
    batch : int
        Questions at a time.
    on_progress : callable
        Called with the questions answered so far and their number.

    Raises
    ------
    ValueError
        Names the argument that cannot be used, or the extra that is not installed.
    """
    checks.whole("examples", examples)
    checks.whole("batch", batch, 1)
    if seed == prompts.EXAMPLE_SEED:
        raise ValueError(f"seed = {seed} is that of the solved examples")
    asked = questions.generate(count, seed)
    with extras.needed(f"model: {model}", "learning"):
        import torch

        from learning.language import pretrained_models
        from learning.margins import generation

        loaded, tokenizer = pretrained_models.load(model, dtype)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = loaded.to(device).eval()
    begin = time.perf_counter()
    answers = generation.answers(
        loaded,
        tokenizer,
        prompts.conversations(asked, examples),
        batch=batch,
        on_progress=on_progress,
    )
    seconds = time.perf_counter() - begin
    meta = {
        "seed": seed,
        "examples": examples,
        "dtype": dtype,
        "device": torch.cuda.get_device_name() if device == "cuda" else provenance.processor(),
        "seconds": seconds,
        "seconds_per_question": seconds / count,
        "versions": provenance.versions(("mecopt", "torch", "transformers")),
    }
    return Measured(model, tuple(asked), tuple(answers), meta)
