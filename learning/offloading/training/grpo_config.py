"""What all trainings with TRL's GRPO share: their settings, and where they start."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learning.runs.folder import TrainingRun
from learning.runs.settings import at_least, positive

if TYPE_CHECKING:
    pass


def check_common(settings: Any) -> None:
    """Refuse what no training with TRL's GRPO can be done with: fields that all of them have.

    Raises
    ------
    ValueError
        A number out of range.
    """
    at_least(settings, group=2, save_steps=1, kl=0)
    positive(settings, "learning_rate", "temperature", "clip")


# -------------------------------------------------------------------------------------- training
def start_folder(start: str | os.PathLike[str]) -> Path:
    """Folder of the checkpoint to start from: a folder, or a shipped checkpoint by name.

    Raises
    ------
    ValueError
        If it is neither.
    """
    from learning.offloading import zoo
    from mecopt import checkpoints

    if isinstance(start, str) and start in zoo.NAMES:
        found = zoo.shipped(start)
        if found is None:
            raise ValueError(f"start: no checkpoint {start!r} is shipped, give a folder")
        return found
    return checkpoints.find(start)


def base_config(run: TrainingRun, *, seed: int, **changes: Any) -> Any:
    """`trl.GRPOConfig` for one-word answers on a CPU; `changes` are further fields of it."""
    from trl import GRPOConfig

    steps = changes["max_steps"]
    common: dict[str, Any] = {
        "output_dir": str(run.trainer_folder),
        "seed": seed,
        "steps_per_generation": 1,
        "max_completion_length": 1,
        "lr_scheduler_type": "cosine",
        "warmup_steps": max(1, steps // 20),
        "loss_type": "grpo",
        "logging_steps": min(10, steps),
        "logging_nan_inf_filter": False,  # a loss that is not a number must be seen
        "save_strategy": "steps",
        "save_total_limit": 2,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # renamed fields of the pinned version
        return GRPOConfig(**(common | changes))
