"""What all trainings with TRL's GRPO share: their settings, and where they start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.offloading import zoo
from learning.runs.folder import TrainingRun
from learning.runs.settings import at_least, positive
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

    def __post_init__(self) -> None:
        at_least(self, group=2, save_steps=1, kl=0)
        positive(self, "learning_rate", "temperature", "clip")


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
    return hugging_face.arguments(
        GRPOConfig, run, seed=seed, max_steps=settings.steps, **(fields | more)
    )
