"""The trainers of TRL that `learning.offloading.training.pretrained` trains adapters with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from learning.language import pretrained_models
from learning.language.chat import Frame
from learning.language.soft_label_sft import LossTrainer
from learning.language.token_label_sft import collate, label_loss
from learning.offloading.policies.pretrained import ANSWER_TOKENS
from learning.offloading.training.grpo_config import grpo_arguments
from learning.offloading.training.pretrained_rows import labelled
from learning.runs import hugging_face
from learning.runs.folder import TrainingRun


def _common(settings: Any, per_device: int) -> dict[str, Any]:
    """Arguments of both trainers."""
    found = {
        "max_steps": settings.updates,
        "learning_rate": settings.rate,
        "logging_steps": 1,
        "per_device_train_batch_size": per_device,
        "gradient_accumulation_steps": settings.accumulation,
        **hugging_face.device_fields(
            pretrained_models.dtype_name(settings.dtype), checkpointing=settings.checkpointing
        ),
    }
    if settings.evaluate_every:
        found |= {
            "eval_strategy": "steps",
            "eval_steps": settings.evaluate_every,
            "per_device_eval_batch_size": per_device,
        }
    return found


def sft_trainer(
    model: Any,
    tokenizer: Any,
    parts: Mapping[str, Any],
    frame: Frame,
    settings: Any,
    run: TrainingRun,
    seed: int,
) -> Any:
    """SFT on cost labels or on the cheapest option; `parts` are data sets by TRL's argument."""
    from trl import SFTConfig

    fields: dict[str, Any] = {"completion_only_loss": True}
    learned: dict[str, Any] = {}
    if settings.loss == "soft":  # rows are tokenised already and keep their columns
        fields |= {
            "dataset_kwargs": {"skip_prepare_dataset": True},
            "remove_unused_columns": False,
            "dataloader_pin_memory": False,
        }
        weights = {name: getattr(settings, name) for name in ("temperature_slots", "lines_weight")}
        learned = {
            "loss": label_loss,
            "data_collator": partial(collate, pad=tokenizer.pad_token_id),
        }
        for name, rows in parts.items():
            learned[name] = labelled(rows, tokenizer, settings.form, frame=frame, **weights)
    else:
        learned = {n: rows.select_columns(["prompt", "completion"]) for n, rows in parts.items()}
    config = hugging_face.arguments(
        SFTConfig,
        run,
        seed=seed,
        own=settings.trl,
        max_length=None,
        save_steps=settings.save_steps,
        **fields,
        **_common(settings, settings.batch // (_processes() * settings.accumulation)),
    )
    return LossTrainer(model=model, args=config, processing_class=tokenizer, **learned)


def grpo_trainer(
    model: Any,
    tokenizer: Any,
    parts: Mapping[str, Any],
    rewards: list[Callable[..., list[float]]],
    settings: Any,
    run: TrainingRun,
    seed: int,
) -> Any:
    """GRPO with these reward functions; `parts` are data sets by TRL's argument."""
    from trl import GRPOTrainer

    answers = settings.batch * settings.group // (_processes() * settings.accumulation)
    more: dict[str, Any] = _common(settings, answers)
    if settings.vllm:
        more |= {"use_vllm": True, "vllm_mode": settings.vllm}
    config = grpo_arguments(
        settings,
        run,
        seed=seed,
        answers=answers,
        max_completion_length=ANSWER_TOKENS,
        steps_per_generation=settings.accumulation,
        **more,
    )
    return GRPOTrainer(
        model=model,
        reward_funcs=rewards,
        args=config,
        processing_class=tokenizer,
        **{n: rows.select_columns(["prompt", "options", "cost"]) for n, rows in parts.items()},
    )


def _processes() -> int:
    from accelerate import PartialState

    return int(PartialState().num_processes)
