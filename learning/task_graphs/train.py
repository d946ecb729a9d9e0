"""Distilling a planner: supervised fine-tuning on a teacher's plans, with TRL's SFTTrainer.

A request is the prompt, the text of the teacher's plan the completion, and the loss is that of the
completion alone. The recipe ``planner`` trains the small model of `learning.task_graphs.words` from
scratch, in CPU minutes; ``planner-lora`` an adapter for any causal model of Hugging Face, which
reads the request in its own words and writes the plain text of plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from learning.language import pretrained_models, tiny_model
from learning.runs import hugging_face, trl_fields
from learning.runs.folder import OnProgress, TrainingRun, describe_checkpoint
from learning.runs.settings import at_least, one_of, positive
from learning.task_graphs import examples, words
from learning.task_graphs.examples import Example
from mecopt.task_graphs.plan_text import plan_text
from mecopt.task_graphs.scenarios import wifi


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the result of a training of any model, besides its seed.

    Parameters
    ----------
    preset : str
        Preset of the WiFi episodes whose requests are learned from.
    requests : int
        Requests with a teacher's plan.
    steps, batch : int
        Gradient steps, and requests per step; requests are shuffled and used again as needed.
    learning_rate : float
        Peak; linear warm-up, then cosine to zero.
    log_every, save_every : int
        Steps between rows of progress, and between states to resume from.
    trl : mapping
        Fields of `trl.SFTConfig` that come before all others (``--set trl.FIELD=VALUE``).

    Raises
    ------
    ValueError
        If the preset is unknown or a number is out of range.
    """

    preset: str = "paper"
    requests: int
    steps: int
    batch: int
    learning_rate: float
    log_every: int
    save_every: int
    trl: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of(self, preset=wifi.PRESETS)
        at_least(self, requests=1, steps=1, batch=1, log_every=1, save_every=1)
        positive(self, "learning_rate")
        if self.requests < self.batch:
            raise ValueError(f"requests = {self.requests} must be >= batch = {self.batch}")


@dataclass(frozen=True, kw_only=True)
class SmallSettings(Settings):
    """A small model from scratch: `hidden` and `layers` are its size."""

    hidden: int = 64
    layers: int = 2
    requests: int = 20_000
    steps: int = 1500
    batch: int = 64
    learning_rate: float = 3e-3
    log_every: int = 50
    save_every: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, layers=1)
        tiny_model.check_size(self.hidden)


@dataclass(frozen=True, kw_only=True)
class LoraSettings(Settings):
    """A LoRA adapter for a pretrained model.

    Parameters
    ----------
    model : str
        Known name, folder or Hugging Face name (`learning.language.pretrained_models`).
    rank : int
        Of LoRA, on every linear layer.
    dtype : {"float32", "bfloat16"}
    """

    model: str = "smollm2-135m"
    rank: int = 16
    dtype: str = "float32"
    requests: int = 2000
    steps: int = 500
    batch: int = 4
    learning_rate: float = 5e-4
    log_every: int = 10
    save_every: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, rank=1)
        one_of(self, dtype=pretrained_models.DTYPES)


RECIPES: dict[str, SmallSettings | LoraSettings] = {
    "planner": SmallSettings(),
    "planner-lora": LoraSettings(),
}


def train(
    settings: SmallSettings | LoraSettings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train, or take an interrupted training up (`learning.recipes`); returns the run folder.

    Raises
    ------
    ValueError
        If the folder holds something else, or there is no such model.
    learning.runs.divergence.TrainingDiverged
        If the loss or a weight is not finite.
    """
    disable_progress_bars()  # of rows and shards; training has its own
    logging.disable_progress_bar()
    described: dict[str, Any] = {}
    device: dict[str, Any] = {}
    if isinstance(settings, LoraSettings):  # first, so that no folder is begun without a model
        base, tokenizer = pretrained_models.load(settings.model, settings.dtype)
        described = {"base": pretrained_models.stored(settings.model), "dtype": settings.dtype}
        device = hugging_face.device_fields(settings.dtype)
    kind = "planner-lora" if described else "planner"
    trl_fields.read(SFTConfig, settings.trl)  # before a folder is begun
    run = TrainingRun.open(out, kind, settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    found = examples.collect(settings.preset, settings.requests, seed=seed)
    seconds = run.cpu_seconds
    if isinstance(settings, LoraSettings):
        model = pretrained_models.add_adapter(base, rank=settings.rank, seed=seed)
        rows = text_rows(found, chats=bool(tokenizer.chat_template))
    else:
        torch.set_num_threads(1)
        model = words.create(seed, hidden=settings.hidden, layers=settings.layers)
        tokenizer, rows = words.tokenizer(), word_rows(found)
    trainer = make_trainer(settings, model, tokenizer, rows, run, seed=seed, **device)
    hugging_face.fit(trainer, run, on_progress)
    model.eval().save_pretrained(run.checkpoint)
    tokenizer.save_pretrained(run.checkpoint)
    describe_checkpoint(run.checkpoint, "planner", **described)
    return run.finish({"requests": len(found), "examples_cpu_seconds": seconds})


def word_rows(found: list[Example]) -> Dataset:
    """Prompts and completions in the words of the small model."""
    return Dataset.from_dict(
        {
            "prompt": [words.prompt(e.request) for e in found],
            "completion": [plan_text(words.on_grid(e.plan)) for e in found],
        }
    )


def text_rows(found: list[Example], *, chats: bool) -> Dataset:
    """Prompts and completions of a pretrained model: turns of a conversation, or plain text."""
    asked: list[Any] = [examples.conversation(e.request) for e in found]
    written: list[Any] = [plan_text(e.plan) for e in found]
    if chats:
        written = [[{"role": "assistant", "content": text}] for text in written]
    else:
        asked = [examples.plain(e.request) for e in found]
    return Dataset.from_dict({"prompt": asked, "completion": written})


def make_trainer(
    settings: Settings,
    model: Any,
    tokenizer: Any,
    rows: Dataset,
    run: TrainingRun,
    *,
    seed: int,
    **changes: Any,
) -> SFTTrainer:
    """The trainer of these settings, not yet started; `changes` are arguments of TRL."""
    arguments = hugging_face.arguments(
        SFTConfig,
        run,
        seed=seed,
        own=settings.trl,
        **hugging_face.paced(settings),
        warmup_steps=min(100, max(1, settings.steps // 10)),
        completion_only_loss=True,
        **changes,
    )
    return SFTTrainer(model=model, args=arguments, processing_class=tokenizer, train_dataset=rows)
