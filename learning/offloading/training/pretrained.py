"""LoRA training of pretrained language models: SFT, then GRPO.

Any causal model that `transformers` reads (`learning.language.pretrained_models`), on the CPU or on
GPUs: started with ``accelerate launch`` the trainers of TRL spread over them; ``dtype="bfloat16"``
halves the memory; ``vllm=True`` lets vLLM generate the answers of GRPO where it is installed. What
is saved is the adapter, which `AutoModelForCausalLM.from_pretrained` and `learning.zoo` load.

LoRA of rank 16 as published (COMLLM, arXiv 2604.07148: r = 16, lr 1e-5 for GRPO, D); SFT learns
from one or two thousand states on a CPU, so its learning rate is larger (D). ``loss="hard"`` is
TRL's own, on one answer per state; ``loss="soft"`` learns from the costs of all options, after
every line of the prompt (`learning.language.token_label_sft`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from learning.language import pretrained_models
from learning.language.soft_label_sft import LossTrainer
from learning.language.token_label_sft import collate, label_loss
from learning.offloading.policies.pretrained import ANSWER_TOKENS, MODES
from learning.offloading.prompts.forms_brief import FORMS
from learning.offloading.rewards.teachers import REWARDS
from learning.offloading.training.grpo import group_reward
from learning.offloading.training.grpo_config import GrpoSettings, grpo_arguments
from learning.offloading.training.pretrained_rows import collect, dataset, labelled
from learning.runs import hugging_face
from learning.runs.folder import OnProgress, TrainingRun, describe_checkpoint
from learning.runs.settings import at_least, one_of, positive

METHODS = ("sft", "grpo")
LOSSES = ("soft", "hard")


@dataclass(frozen=True)
class Settings(GrpoSettings):
    """Everything that decides the training of a pretrained model, besides its seed.

    Parameters
    ----------
    model : str
        Known name, folder or Hugging Face name.
    method : {"sft", "grpo"}
    adapter : str
        Checkpoint of an earlier training to go on from; empty for a new adapter.
    reward : str
        One of `learning.offloading.rewards.teachers.REWARDS`: SFT imitates its greedy teacher, GRPO
        is rewarded by it.
    form : str
        How states are told, one of `learning.offloading.prompts.forms_brief.FORMS`.
    mode : {"score", "generate"}
        How the trained policy answers (`learning.offloading.policies.pretrained`).
    loss : {"soft", "hard"}
        SFT on cost labels, or on the cheapest option.
    temperature_slots, lines_weight : float
        Of cost labels (`learning.language.token_label_sft.labelled_row`).
    states : int
        Training states, in equal parts from the presets.
    passes : int
        Times each state is seen.
    batch : int
        SFT: states of one update. GRPO: states, each with `group` answers.
    rank : int
        Of LoRA, on every linear layer.
    dtype : {"float32", "bfloat16"}
    vllm : bool
        Generate with vLLM (GRPO).

    Raises
    ------
    ValueError
        A number out of range, an unknown method or type, or vLLM where it is not installed.
    """

    model: str = "smollm2-135m"
    method: str = "sft"
    adapter: str = ""
    reward: str = "lacs-lambda0"
    form: str = "brief"
    mode: str = "generate"
    loss: str = "soft"
    temperature_slots: float = 0.2
    lines_weight: float = 1.0
    states: int = 1600
    passes: int = 1
    batch: int = 4
    rank: int = 16
    dtype: str = "float32"
    vllm: bool = False
    save_steps: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(
            self,
            method=METHODS,
            dtype=pretrained_models.DTYPES,
            form=FORMS,
            mode=MODES,
            loss=LOSSES,
            reward=REWARDS,
        )
        at_least(self, states=1, passes=1, batch=1, rank=1, lines_weight=0)
        positive(self, "temperature_slots")
        if self.states < self.batch:
            raise ValueError(f"states = {self.states} must be >= batch = {self.batch}")
        if self.vllm and find_spec("vllm") is None:
            raise ValueError("vllm = True, but vLLM is not installed")

    @property
    def steps(self) -> int:
        """Updates in all."""
        return self.states * self.passes // self.batch


# -------------------------------------------------------------------------------------- training
def train(
    settings: Settings,
    out: str | os.PathLike[str],
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train an adapter, or take an interrupted training up; returns the run folder.

    With several processes (``accelerate launch``) each computes its share of every batch, and the
    first one writes.

    Raises
    ------
    ValueError
        If there is no such model or adapter, `out` holds something else, or the processes do not
        divide the batch.
    """
    from accelerate import PartialState

    # Asked for a GPU where there is none, accelerate takes every process for the only one.
    processes = PartialState(cpu=not torch.cuda.is_available())
    if settings.batch % processes.num_processes:
        raise ValueError(
            f"batch = {settings.batch} must be a multiple of the number of processes, "
            f"{processes.num_processes}"
        )
    with processes.main_process_first():  # it converts the model and begins the folder
        model, tokenizer = pretrained_models.load(settings.model, settings.dtype)
        run = TrainingRun.open(
            out,
            f"pretrained-{settings.method}",
            settings,
            seed=seed,
            resume=resume or not processes.is_main_process,
            start=settings.adapter or None,
        )
    if run.is_whole:
        return run.path
    found, cost = collect(settings.states, settings.presets, settings.reward, seed=seed)
    rows = dataset(found, cost, settings.form, seed=seed)
    make = _sft_trainer if settings.method == "sft" else _grpo_trainer
    adapted = pretrained_models.add_adapter(
        model, rank=settings.rank, seed=seed, start=settings.adapter
    )
    trainer = make(adapted, tokenizer, rows, settings, run, seed)
    hugging_face.fit(trainer, run, on_progress)
    trainer.save_model(str(run.checkpoint))
    if processes.is_main_process:
        tokenizer.save_pretrained(run.checkpoint)
        describe_checkpoint(
            run.checkpoint,
            "pretrained",
            base=settings.model,
            dtype=settings.dtype,
            mode=settings.mode,
            form=settings.form,
        )
        run.finish({"states": len(rows), "steps": settings.steps})
    processes.wait_for_everyone()
    return run.path


def _sft_trainer(
    model: Any, tokenizer: Any, rows: Any, settings: Settings, run: TrainingRun, seed: int
) -> Any:
    from trl import SFTConfig

    fields: dict[str, Any] = {"completion_only_loss": True}
    learned: dict[str, Any] = {"train_dataset": rows.select_columns(["prompt", "completion"])}
    if settings.loss == "soft":  # rows are tokenised already and keep their columns
        fields |= {
            "dataset_kwargs": {"skip_prepare_dataset": True},
            "remove_unused_columns": False,
            "dataloader_pin_memory": False,
        }
        weights = {name: getattr(settings, name) for name in ("temperature_slots", "lines_weight")}
        learned = {
            "train_dataset": labelled(rows, tokenizer, settings.form, **weights),
            "loss": label_loss,
            "data_collator": partial(collate, pad=tokenizer.pad_token_id),
        }
    config = hugging_face.arguments(
        SFTConfig,
        run,
        seed=seed,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch // _processes(),
        learning_rate=settings.learning_rate,
        max_length=None,
        logging_steps=1,
        save_steps=settings.save_steps,
        **fields,
        **hugging_face.device_fields(settings.dtype),
    )
    return LossTrainer(model=model, args=config, processing_class=tokenizer, **learned)


def _grpo_trainer(
    model: Any, tokenizer: Any, rows: Any, settings: Settings, run: TrainingRun, seed: int
) -> Any:
    from trl import GRPOTrainer

    config = grpo_arguments(
        settings,
        run,
        seed=seed,
        answers=settings.batch * settings.group // _processes(),
        max_completion_length=ANSWER_TOKENS,
        logging_steps=1,
        use_vllm=settings.vllm,
        **hugging_face.device_fields(settings.dtype),
    )
    return GRPOTrainer(
        model=model,
        reward_funcs=group_reward(settings.group),
        args=config,
        train_dataset=rows.select_columns(["prompt", "options", "cost"]),
        processing_class=tokenizer,
    )


def _processes() -> int:
    from accelerate import PartialState

    return int(PartialState().num_processes)
