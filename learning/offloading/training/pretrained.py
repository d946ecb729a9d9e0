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
from functools import partial, update_wrapper
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from learning.language import pretrained_models
from learning.language.token_label_sft import AnswerTrainer
from learning.offloading.policies.pretrained import ANSWER_TOKENS, MODES
from learning.offloading.prompts.forms_brief import FORMS
from learning.offloading.rewards.teachers import REWARDS
from learning.offloading.training.grpo import decision_reward
from learning.offloading.training.grpo_config import base_config, check_common
from learning.offloading.training.pretrained_rows import collect, dataset, labelled
from learning.runs.callback import Progress
from learning.runs.folder import OnProgress, TrainingRun, describe_checkpoint
from learning.runs.settings import at_least, one_of, positive

METHODS = ("sft", "grpo")
LOSSES = ("soft", "hard")


@dataclass(frozen=True)
class Settings:
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
    presets : tuple of str
    states : int
        Training states, in equal parts from the presets.
    passes : int
        Times each state is seen.
    batch : int
        SFT: states of one update. GRPO: states, each with `group` answers.
    group : int
    learning_rate, temperature, clip, kl : float
    rank : int
        Of LoRA, on every linear layer.
    dtype : {"float32", "bfloat16"}
    vllm : bool
        Generate with vLLM (GRPO).
    save_steps : int

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
    presets: tuple[str, ...] = ("paper", "busy", "large")
    states: int = 1600
    passes: int = 1
    batch: int = 4
    group: int = 8
    learning_rate: float = 1e-3
    temperature: float = 1.0
    clip: float = 0.2
    kl: float = 0.04
    rank: int = 16
    dtype: str = "float32"
    vllm: bool = False
    save_steps: int = 50

    def __post_init__(self) -> None:
        one_of(
            self,
            method=METHODS,
            dtype=pretrained_models.DTYPES,
            form=tuple(FORMS),
            mode=MODES,
            loss=LOSSES,
            reward=REWARDS,
        )
        at_least(self, states=1, passes=1, batch=1, rank=1, lines_weight=0)
        check_common(self)
        positive(self, "temperature_slots")
        if self.states < self.batch:
            raise ValueError(f"states = {self.states} must be >= batch = {self.batch}")
        if self.vllm and find_spec("vllm") is None:
            raise ValueError("vllm = True, but vLLM is not installed")

    @property
    def steps(self) -> int:
        """Updates."""
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

    processes = PartialState()
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
    trainer = make(with_adapter(model, settings, seed), tokenizer, rows, settings, run, seed)
    trainer.add_callback(Progress(run, on_progress))
    before = run.trainer_state() if resume else None
    trainer.train(resume_from_checkpoint=None if before is None else str(before))
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


def with_adapter(model: Any, settings: Settings, seed: int) -> Any:
    """The model with a LoRA adapter to train: a new one, or that of a checkpoint."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    from mecopt import checkpoints

    if settings.adapter:
        folder = checkpoints.find(settings.adapter)
        return PeftModel.from_pretrained(model, folder, is_trainable=True)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def _processes() -> int:
    from accelerate import PartialState

    return int(PartialState().num_processes)


def _device_fields(settings: Settings) -> dict[str, Any]:
    import torch

    on_cpu = not torch.cuda.is_available()
    return {"use_cpu": on_cpu, "bf16": settings.dtype == "bfloat16" and not on_cpu}


def _sft_trainer(
    model: Any, tokenizer: Any, rows: Any, settings: Settings, run: TrainingRun, seed: int
) -> Any:
    import warnings

    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # renamed fields of the pinned version
        config = SFTConfig(
            output_dir=str(run.trainer_folder),
            seed=seed,
            max_steps=settings.steps,
            per_device_train_batch_size=settings.batch // _processes(),
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, settings.steps // 20),
            max_length=None,
            completion_only_loss=True,
            logging_steps=1,
            logging_nan_inf_filter=False,  # a loss that is not a number must be seen
            save_strategy="steps",
            save_steps=settings.save_steps,
            save_total_limit=2,
            report_to="none",
            gradient_checkpointing=False,
            disable_tqdm=True,
            **(_SOFT_FIELDS if settings.loss == "soft" else {}),
            **_device_fields(settings),
        )
    common = {"model": model, "args": config, "processing_class": tokenizer}
    if settings.loss == "soft":
        soft = labelled(
            rows,
            tokenizer,
            settings.form,
            temperature_slots=settings.temperature_slots,
            lines_weight=settings.lines_weight,
        )
        return AnswerTrainer(train_dataset=soft, pad=tokenizer.pad_token_id, **common)
    trainer = SFTTrainer(train_dataset=rows.select_columns(["prompt", "completion"]), **common)
    trainer.remove_callback(PrinterCallback)
    return trainer


#: Rows of `labelled` are tokenised already and keep their columns.
_SOFT_FIELDS = {
    "dataset_kwargs": {"skip_prepare_dataset": True},
    "remove_unused_columns": False,
    "dataloader_pin_memory": False,
}


def _grpo_trainer(
    model: Any, tokenizer: Any, rows: Any, settings: Settings, run: TrainingRun, seed: int
) -> Any:
    from transformers import PrinterCallback
    from trl import GRPOTrainer

    config = base_config(
        run,
        seed=seed,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch * settings.group // _processes(),
        num_generations=settings.group,
        max_completion_length=ANSWER_TOKENS,
        temperature=settings.temperature,
        learning_rate=settings.learning_rate,
        epsilon=settings.clip,
        beta=settings.kl,
        logging_steps=1,
        save_steps=settings.save_steps,
        use_vllm=settings.vllm,
        **_device_fields(settings),
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=update_wrapper(
            partial(decision_reward, group=settings.group), decision_reward
        ),
        args=config,
        train_dataset=rows.select_columns(["prompt", "options", "cost"]),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
