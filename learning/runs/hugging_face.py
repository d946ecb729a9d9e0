"""What every training with a Hugging Face trainer shares: its arguments and its run folder."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
)
from transformers.integrations import get_reporting_integration_callbacks

from learning.runs import trl_fields
from learning.runs.folder import OnProgress, TrainingRun

#: Logged numbers that become columns of the progress.
FIGURES = (
    "loss",
    "reward",
    "kl",
    "entropy",
    "grad_norm",
    "learning_rate",
    "group_spread_slots",
    "groups_without_spread",
    "parse_rate",
    "eval_loss",
    "eval_reward",
)


#: What transformers calls the recomputing of activations since 5.23; before, only the other name.
_NEW = "activation_checkpointing"
CHECKPOINTING = (
    _NEW if _NEW in {f.name for f in fields(TrainingArguments)} else "gradient_checkpointing"
)
if hasattr(PreTrainedModel, f"is_{_NEW}"):
    # TRL 1.16 and peft 0.21 ask models by the old name, for which every step would be warned of.
    PreTrainedModel.is_gradient_checkpointing = PreTrainedModel.is_activation_checkpointing


class Progress(TrainerCallback):
    """Hands logged numbers to the run, and keeps its rows beside each state with finite weights.

    Weights are looked at after every step, before a state is saved: saving a bad one would let the
    trainer delete the last good one. With several processes the first one writes.

    Parameters
    ----------
    run : TrainingRun
    on_progress : callable, optional
        Called at every row of progress.
    """

    def __init__(self, run: TrainingRun, on_progress: OnProgress | None) -> None:
        self._run, self._tell = run, on_progress

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or not {"loss", "eval_loss", "eval_reward"} & set(logs):
            return
        figures = _figures(logs)
        self._run.record(state.global_step, **figures)
        if self._tell is not None and state.is_world_process_zero:
            self._tell(state.global_step, state.max_steps, figures)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        learned = ((n, w) for n, w in model.named_parameters() if w.requires_grad)
        self._run.check_weights(state.global_step, learned)

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.is_world_process_zero:
            self._run.keep_rows(state.global_step)


def _figures(logs: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(logs[name]) for name in FIGURES if logs.get(name) is not None}


def arguments(
    kind: Any,
    run: TrainingRun,
    *,
    seed: int,
    max_steps: int,
    own: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Any:
    """Arguments of a trainer on a CPU that is silent and keeps its state in the run's folder.

    Parameters
    ----------
    kind : type
        ``trl.SFTConfig``, ``trl.GRPOConfig``, ...
    run : TrainingRun
    seed, max_steps : int
    own : mapping, optional
        Fields that the user set (`learning.runs.trl_fields`); they come before all others.
    **changes
        Further fields, or others than those given here.

    Raises
    ------
    ValueError
        If a field of the user's is unknown or cannot be read, or TRL refuses the configuration.
    """
    common: dict[str, Any] = {
        "output_dir": str(run.trainer_folder),
        "seed": seed,
        "max_steps": max_steps,
        "lr_scheduler_type": "cosine",
        "warmup_steps": max(1, max_steps // 20),
        "logging_steps": min(10, max_steps),
        "logging_nan_inf_filter": False,  # a loss that is not a number must be seen
        "save_strategy": "steps",
        "save_total_limit": 2,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        CHECKPOINTING: False,
        "disable_tqdm": True,
    }
    asked = trl_fields.read(kind, own or {})
    if "gradient_checkpointing" in asked:
        asked[CHECKPOINTING] = asked.pop("gradient_checkpointing")
    try:
        built = kind(**(common | changes | asked))
        for reporter in get_reporting_integration_callbacks(built.report_to):
            reporter()  # says what it needs; the trainer would, in several lines
        return built
    except (ValueError, RuntimeError, ImportError) as error:
        if not asked:
            raise
        raise ValueError(f"trl: {str(error).strip().partition(chr(10))[0]}") from None


def paced(settings: Any) -> dict[str, Any]:
    """Fields of an SFT configuration from settings with steps, batch, learning rate and saves."""
    return {
        "max_steps": settings.steps,
        "per_device_train_batch_size": settings.batch,
        "learning_rate": settings.learning_rate,
        "adam_beta2": 0.98,
        "weight_decay": 0.0,
        "logging_steps": min(settings.log_every, settings.steps),
        "save_steps": settings.save_every,
        "save_total_limit": 1,
        "dataloader_pin_memory": False,
        "max_length": None,
    }


def device_fields(dtype: str, *, checkpointing: bool = False) -> dict[str, Any]:
    """Arguments of a trainer that takes a GPU where there is one.

    With `checkpointing` activations are worked out again for the gradient instead of being kept.
    """
    on_cpu = not torch.cuda.is_available()
    return {
        "use_cpu": on_cpu,
        "bf16": dtype == "bfloat16" and not on_cpu,
        CHECKPOINTING: checkpointing,
    }


def fit(trainer: Any, run: TrainingRun, on_progress: OnProgress | None = None) -> None:
    """Train, from the last whole state in the run's folder if there is one.

    The trainer tells the run what it logs, prints nothing and writes no card. What it kept is
    pickled, and `transformers` unpickles tensors, numbers and text only.

    Raises
    ------
    ValueError
        If the state holds anything else, as one that somebody wants to run code with does; or there
        are fewer examples than one step takes.
    TrainingDiverged
        If a weight or a score is not finite after a step.
    """
    trainer.add_callback(Progress(run, on_progress))
    trainer.remove_callback(PrinterCallback)
    trainer.create_model_card = lambda *_, **__: None
    state = run.trainer_state()
    try:
        with (
            run.watch([trainer.model], lambda: trainer.state.global_step),
            warnings.catch_warnings(),
        ):
            # TRL 1.16 calls the old names of transformers 5.23, at every generation.
            warnings.filterwarnings("ignore", "`gradient_checkpointing_", FutureWarning)
            trainer.train(resume_from_checkpoint=None if state is None else str(state))
    except (pickle.UnpicklingError, EOFError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{state}: no state of a training that can be read safely ({reason}); delete it to go "
            "on from an earlier one"
        ) from None
    done, wanted = trainer.state.global_step, trainer.args.max_steps
    if done < wanted:  # the trainer only logs it
        raise ValueError(
            f"{run.path}: {done} of {wanted} steps were done, a step takes more examples than "
            "there are"
        )
