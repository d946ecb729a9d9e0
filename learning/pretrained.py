"""LoRA training of pretrained language models on natural prompts: SFT, then GRPO.

Any causal model that `transformers` reads (`learning.pretrained_models`), on the CPU or on GPUs:
started with ``accelerate launch`` the trainers of TRL spread over them; ``dtype="bfloat16"`` halves
the memory; ``vllm=True`` lets vLLM generate the answers of GRPO where it is installed. What is
saved is the adapter, which `AutoModelForCausalLM.from_pretrained` and `learning.zoo` load.

LoRA of rank 16 as published (COMLLM, arXiv 2604.07148: r = 16, lr 1e-5 for GRPO, D); SFT learns
from a few hundred states on a CPU, so its learning rate is larger (D).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial, update_wrapper
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning import grpo, pretrained_models, prompts
from learning.grpo import base_config, decision_reward
from learning.pretrained_policy import ANSWER_TOKENS, answers_of
from learning.pretrained_policy import load as load
from learning.states import States
from learning.trainer_progress import Progress
from learning.training_run import OnProgress, TrainingRun, describe_checkpoint

METHODS = ("sft", "grpo")


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
        One of `learning.teachers.REWARDS`: SFT imitates its greedy teacher, GRPO is rewarded by it.
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
    presets: tuple[str, ...] = ("paper", "busy", "large")
    states: int = 160
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
    save_steps: int = 10

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method: unknown {self.method!r}, one of {', '.join(METHODS)}")
        if self.dtype not in pretrained_models.DTYPES:
            raise ValueError(
                f"dtype: unknown {self.dtype!r}, one of {', '.join(pretrained_models.DTYPES)}"
            )
        for name in ("states", "passes", "batch", "rank", "save_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} must be >= 1")
        if self.states < self.batch:
            raise ValueError(f"states = {self.states} must be >= batch = {self.batch}")
        if self.vllm and find_spec("vllm") is None:
            raise ValueError("vllm = True, but vLLM is not installed")

    @property
    def steps(self) -> int:
        """Updates."""
        return self.states * self.passes // self.batch


# ------------------------------------------------------------------------------------------ data
def collect(settings: Settings, *, seed: int) -> tuple[States, NDArray[np.float64]]:
    """Training states, drawn from trajectories of training episodes, and the cost of each option.

    Ten states an episode, as in the published protocol.
    """
    episodes = -(-settings.states // (10 * len(settings.presets)))
    common = grpo.Settings(
        reward=settings.reward,
        presets=settings.presets,
        episodes=episodes,
        drawn_episodes=0,
        behaviours=("one-step-oracle",),
    )
    found, cost = grpo.collect(common, seed=seed)
    chosen = np.random.default_rng([9, seed]).permutation(len(found))[: settings.states]
    return found[chosen], cost[chosen]


def dataset(found: States, cost: NDArray[np.float64], *, seed: int) -> Any:
    """Hugging Face data set: prompt, completion (the least cost's name), options and costs."""
    from datasets import Dataset

    from learning.rewards import check_costs

    check_costs(cost)
    naming = prompts.shuffled(found, np.random.default_rng([8, seed]))
    names = [prompts.option_names(naming, i) for i in range(len(found))]
    best = cost.argmin(axis=1)
    return Dataset.from_dict(
        {
            "prompt": prompts.natural_texts(found, naming),
            "completion": [answers_of(row)[b] for row, b in zip(names, best, strict=True)],
            "options": names,
            "cost": cost.tolist(),
        }
    )


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

    Raises
    ------
    ValueError
        If there is no such model or adapter, or `out` holds something else.
    """
    model, tokenizer = pretrained_models.load(settings.model, settings.dtype)
    run = TrainingRun.open(out, f"pretrained-{settings.method}", settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    rows = dataset(*collect(settings, seed=seed), seed=seed)
    make = _sft_trainer if settings.method == "sft" else _grpo_trainer
    trainer = make(_with_adapter(model, settings, seed), tokenizer, rows, settings, run, seed)
    trainer.add_callback(Progress(run, on_progress))
    before = run.trainer_state() if resume else None
    trainer.train(resume_from_checkpoint=None if before is None else str(before))
    trainer.save_model(str(run.checkpoint))
    tokenizer.save_pretrained(run.checkpoint)
    describe_checkpoint(
        run.checkpoint, "pretrained", base=settings.model, dtype=settings.dtype, mode="score"
    )
    return run.finish({"states": len(rows), "steps": settings.steps})


def _with_adapter(model: Any, settings: Settings, seed: int) -> Any:
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
            per_device_train_batch_size=settings.batch,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, settings.steps // 20),
            max_length=None,
            completion_only_loss=True,
            logging_steps=1,
            save_strategy="steps",
            save_steps=settings.save_steps,
            save_total_limit=2,
            report_to="none",
            gradient_checkpointing=False,
            disable_tqdm=True,
            **_device_fields(settings),
        )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=rows.select_columns(["prompt", "completion"]),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _grpo_trainer(
    model: Any, tokenizer: Any, rows: Any, settings: Settings, run: TrainingRun, seed: int
) -> Any:
    from transformers import PrinterCallback
    from trl import GRPOTrainer

    config = base_config(
        run,
        seed=seed,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch * settings.group,
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
