"""What all trainings with TRL's GRPO share: their settings, and where they start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from learning.offloading import zoo
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, not_empty, positive
from mecopt import checkpoints


@dataclass(frozen=True)
class GrpoSettings:
    """Fields of every GRPO training.

    Parameters
    ----------
    presets : tuple of str
        COMLLM presets of the training episodes, in equal parts.
    group : int
        Answers to one prompt.
    learning_rate, temperature, clip, kl : float
    save_steps : int
        Steps between states kept for an interrupted training.
    trl : mapping
        Fields of `trl.GRPOConfig` that come before all others (``--set trl.FIELD=VALUE``).

    Raises
    ------
    ValueError
        A number out of range.
    """

    presets: tuple[str, ...] = ("paper", "busy", "large")
    group: int = 8
    learning_rate: float = 1e-3
    temperature: float = 1.0
    clip: float = 0.2
    kl: float = 0.04
    save_steps: int = 100
    trl: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        not_empty(self, "presets")
        at_least(self, group=2, save_steps=1, kl=0)
        positive(self, "temperature", "clip")
        self.check_rate()

    def check_rate(self) -> None:
        """Refuse a learning rate that moves nothing."""
        positive(self, "learning_rate")


def start_folder(start: str | os.PathLike[str]) -> Path:
    """Folder of the checkpoint to start from: a folder, or a shipped checkpoint by name.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(start, str) and start in zoo.NAMES:
        found = zoo.shipped(start)
        if found is None:
            raise ValueError(f"start: no checkpoint {start!r} is shipped, give a folder")
        return found
    return checkpoints.find(start)


def grpo_arguments(settings: Any, run: TrainingRun, *, seed: int, answers: int, **more: Any) -> Any:
    """`trl.GRPOConfig` of a training, for one-word answers unless `more` says otherwise.

    Parameters
    ----------
    settings : GrpoSettings
        Of a training that also says how many ``steps`` it takes.
    run : TrainingRun
    seed : int
    answers : int
        Answers of one update on one device.
    **more
        Further fields.
    """
    from trl import GRPOConfig

    from learning.runs import hugging_face

    fields = {
        "max_steps": settings.steps,
        "per_device_train_batch_size": answers,
        "num_generations": settings.group,
        "temperature": settings.temperature,
        "learning_rate": settings.learning_rate,
        "epsilon": settings.clip,
        "beta": settings.kl,
        "save_steps": settings.save_steps,
        "steps_per_generation": 1,
        "max_completion_length": 1,
        "loss_type": "grpo",
    }
    return hugging_face.arguments(GRPOConfig, run, seed=seed, own=settings.trl, **(fields | more))


def train_embedded(
    kind: str,
    reward: str,
    make: Callable[[Any, Any, TrainingRun, int], tuple[Any, Mapping[str, Any]]],
    settings: Any,
    out: str | os.PathLike[str],
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train the embedded model, or take an interrupted training up; returns the run folder.

    Parameters
    ----------
    kind : str
        Of the training, as its folder says.
    reward : str
        What the checkpoint says that it was rewarded by, with fields of the settings in braces.
    make : callable
        (model, settings, run, seed) -> trainer, figures of the finished run.
    settings : GrpoSettings
        Of a training that also names the checkpoint to ``start`` from.
    out, seed, resume, on_progress
        See `learning.recipes`.

    Raises
    ------
    ValueError
        If the start is no checkpoint of the embedded model or one of another vocabulary, or `out`
        holds something else.
    """
    import torch
    from trl import GRPOConfig

    from learning.language import tiny_model
    from learning.runs import hugging_face, trl_fields

    source = start_folder(settings.start)
    model = tiny_model.load(source)
    trl_fields.read(GRPOConfig, settings.trl)  # before a folder is begun
    run = TrainingRun.open(out, kind, settings, seed=seed, resume=resume, start=source)
    if run.is_whole:
        return run.path
    torch.set_num_threads(1)  # sums in one order, however many cores there are
    trainer, figures = make(model, settings, run, seed)
    hugging_face.fit(trainer, run, on_progress)
    tiny_model.save(model, run.checkpoint, reward=reward.format_map(vars(settings)))
    return run.finish({**figures, "start": str(settings.start)})
