"""LoRA training of pretrained language models: SFT, then GRPO.

Any causal model that `transformers` reads (`learning.language.pretrained_models`), on the CPU or on
GPUs. Started with ``accelerate launch`` the trainers of TRL spread over them as accelerate's own
configuration file says (FSDP, DeepSpeed); ``device_map="auto"`` spreads the layers of a model over
the GPUs of one process. Any field of `trl.SFTConfig` or `trl.GRPOConfig` is set with ``trl.FIELD``.
What is saved is the adapter, which `AutoModelForCausalLM.from_pretrained` and `learning.zoo` load.

LoRA of rank 16 as published (COMLLM, arXiv 2604.07148: r = 16, lr 1e-5 for GRPO, D); SFT learns
from one or two thousand states on a CPU, so its learning rate is larger (D). ``loss="hard"`` is
TRL's own, on one answer per state; ``loss="soft"`` learns from the costs of all options, after
every line of the prompt (`learning.language.token_label_sft`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from learning import seeds
from learning.language import pretrained_models
from learning.language.chat import Frame, frame_of
from learning.offloading.policies.pretrained import MODES
from learning.offloading.prompts.forms_brief import FORMS
from learning.offloading.rewards.teachers import REWARDS
from learning.offloading.training.grpo import group_reward
from learning.offloading.training.grpo_config import GrpoSettings
from learning.offloading.training.pretrained_rows import collect, collect_tuning, dataset
from learning.offloading.training.pretrained_trainers import grpo_trainer, sft_trainer
from learning.runs import cards, hugging_face, own_code, trl_fields
from learning.runs.folder import OnProgress, TrainingRun, describe_checkpoint
from learning.runs.settings import at_least, one_of, positive

METHODS = ("sft", "grpo")
LOSSES = ("soft", "hard")
#: How vLLM generates the answers of GRPO: not, in a server of its own, in the training processes.
VLLM = ("", "server", "colocate")
#: Learning rate of a method unless one is given.
LEARNING_RATES = {"sft": 1e-3, "grpo": 1e-5}


@dataclass(frozen=True)
class Settings(GrpoSettings):
    """Everything that decides the training of a pretrained model, besides its seed.

    Parameters
    ----------
    model : str
        Known name, folder or Hugging Face name.
    method : {"sft", "grpo"}
    start : str
        Checkpoint of an earlier training to go on from; empty for a new adapter.
    learning_rate : float
        0 for that of the method, `LEARNING_RATES`.
    reward : str
        One of `learning.offloading.rewards.teachers.REWARDS`: SFT imitates its greedy teacher, GRPO
        is rewarded by it.
    reward_functions : tuple of str
        Reward functions of your own in its place, as ``module:function``, called as TRL calls them
        with the columns ``options`` and ``cost`` (GRPO).
    callbacks : tuple of str
        Further `transformers.TrainerCallback` classes or functions that make one, likewise.
    form : str
        How states are told, one of `learning.offloading.prompts.forms_brief.FORMS`.
    chat : bool
        Ask within the tokenizer's chat template, where it has one.
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
    steps : int
        Updates; 0 for as many as `passes` over the states take.
    batch : int
        SFT: states of one update. GRPO: states, each with `group` answers.
    accumulation : int
        Parts in which a process computes its share of a batch, one after the other: less memory,
        the same update.
    checkpointing : bool
        Work activations out again for the gradient instead of keeping them: a third of the memory
        for a third more time.
    rank : int
        Of LoRA, on every linear layer.
    dtype : {"auto", "float32", "bfloat16"}
        Of the base model; ``auto`` is bfloat16 on a GPU, float32 on a CPU.
    quantise : {"", "int8", "nf4"}
        Base weights in fewer bits, with bitsandbytes.
    device_map : str
        ``"auto"`` spreads the layers over the GPUs of one process.
    vllm : {"", "server", "colocate"}
        Generate with vLLM (GRPO); its settings are ``trl.vllm_...``.
    evaluate_every : int
        Updates between evaluations on tuning states, 0 for none.
    evaluation_states : int

    Raises
    ------
    ValueError
        A number out of range, an unknown method or type, or a library that is not installed.
    """

    model: str = "smollm2-135m"
    method: str = "sft"
    start: str = ""
    learning_rate: float = 0.0
    reward: str = "lacs-lambda0"
    reward_functions: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()
    form: str = "brief"
    chat: bool = True
    mode: str = "generate"
    loss: str = "soft"
    temperature_slots: float = 0.2
    lines_weight: float = 1.0
    states: int = 1600
    passes: int = 1
    steps: int = 0
    batch: int = 4
    accumulation: int = 1
    checkpointing: bool = True
    rank: int = 16
    dtype: str = "auto"
    quantise: str = ""
    device_map: str = ""
    vllm: str = ""
    evaluate_every: int = 0
    evaluation_states: int = 64
    save_steps: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(
            self,
            method=METHODS,
            dtype=pretrained_models.DTYPES,
            quantise=pretrained_models.QUANTISED,
            form=FORMS,
            mode=MODES,
            loss=LOSSES,
            reward=REWARDS,
            vllm=VLLM,
        )
        at_least(self, states=1, passes=1, batch=1, rank=1, lines_weight=0, accumulation=1)
        at_least(self, steps=0, evaluate_every=0, evaluation_states=1)
        positive(self, "temperature_slots")
        if self.states < self.batch:
            raise ValueError(f"states = {self.states} must be >= batch = {self.batch}")
        for field, library in (("vllm", "vllm"), ("quantise", "bitsandbytes")):
            if getattr(self, field) and find_spec(library) is None:
                raise ValueError(
                    f"{field} = {getattr(self, field)} needs {library}, which is not installed"
                )
        if self.reward_functions and self.method != "grpo":
            raise ValueError("reward_functions: SFT has no rewards; set method=grpo")

    def check_rate(self) -> None:
        """Refuse a learning rate below 0."""
        at_least(self, learning_rate=0)

    @property
    def rate(self) -> float:
        """Learning rate, that of the method where none is given."""
        return self.learning_rate or LEARNING_RATES[self.method]

    @property
    def updates(self) -> int:
        """Updates in all."""
        return self.steps or self.states * self.passes // self.batch


#: By name: SmolLM2 on a CPU; any model by SFT, and by GRPO from there (``--start``).
RECIPES = {
    "smollm2": Settings(checkpointing=False),
    "lora-sft": Settings(),
    "lora-grpo": Settings(method="grpo", reward="lacs"),
}


# -------------------------------------------------------------------------------------- training
def train(
    settings: Settings,
    out: str | os.PathLike[str],
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    reward_functions: Sequence[Callable[..., list[float]]] = (),
    callbacks: Sequence[Any] = (),
) -> Path:
    """Train an adapter, or take an interrupted training up; returns the run folder.

    With several processes (``accelerate launch``) each computes its share of every batch, and the
    first one writes. `reward_functions` and `callbacks` are added to those that the settings name;
    a folder does not remember them.

    Raises
    ------
    ValueError
        If there is no such model or adapter, `out` holds something else, the processes do not
        divide the batch, or a field of TRL or a function of your own is not there.
    """
    from accelerate import PartialState
    from trl import GRPOConfig, SFTConfig

    trl_fields.read(SFTConfig if settings.method == "sft" else GRPOConfig, settings.trl)
    own_rewards = [own_code.load("reward_functions", name) for name in settings.reward_functions]
    own_callbacks = [own_code.load("callbacks", name)() for name in settings.callbacks]
    # Asked for a GPU where there is none, accelerate takes every process for the only one.
    processes = PartialState(cpu=not torch.cuda.is_available())
    _check_shares(settings, processes.num_processes)
    with processes.main_process_first():  # it converts the model and begins the folder
        model, tokenizer = pretrained_models.load(
            settings.model,
            settings.dtype,
            quantise=settings.quantise,
            device_map=settings.device_map,
        )
        frame = frame_of(tokenizer) if settings.chat else Frame()
        _check_end(settings, tokenizer)
        run = TrainingRun.open(
            out,
            f"pretrained-{settings.method}",
            settings,
            seed=seed,
            resume=resume or not processes.is_main_process,
            start=settings.start or None,
        )
    if run.is_whole:
        return run.path
    found, cost = collect(settings.states, settings.presets, settings.reward, seed=seed)
    parts = {"train_dataset": dataset(found, cost, settings.form, seed=seed, frame=frame)}
    if settings.evaluate_every:
        tuning = collect_tuning(
            settings.evaluation_states, settings.presets, settings.reward, seed=seed
        )
        parts["eval_dataset"] = dataset(*tuning, settings.form, seed=seed, frame=frame)
    adapted = pretrained_models.add_adapter(
        model, rank=settings.rank, seed=seed, start=settings.start
    )
    if settings.method == "sft":
        trainer = sft_trainer(adapted, tokenizer, parts, frame, settings, run, seed)
    else:
        rewards = [*own_rewards, *reward_functions] or [group_reward(settings.group)]
        trainer = grpo_trainer(adapted, tokenizer, parts, rewards, settings, run, seed)
    for callback in (*own_callbacks, *callbacks):
        trainer.add_callback(callback)
    hugging_face.fit(trainer, run, on_progress)
    trainer.save_model(str(run.checkpoint))
    if processes.is_main_process:
        tokenizer.save_pretrained(run.checkpoint)
        _describe(run, settings, seed, chat=bool(frame.after), trained_on=seeds.span(found.seed))
        run.finish({"states": len(found), "steps": settings.updates})
    processes.wait_for_everyone()
    return run.path


def _describe(
    run: TrainingRun, settings: Settings, seed: int, *, chat: bool, trained_on: list[int]
) -> None:
    """Write marker and card of the checkpoint."""
    described = {
        "base": pretrained_models.stored(settings.model),
        "dtype": pretrained_models.dtype_name(settings.dtype),
        "mode": settings.mode,
        "form": settings.form,
        "chat": chat,
        "seeds": {**seeds.SEEN, "train": trained_on},
    }
    describe_checkpoint(run.checkpoint, "pretrained", **described)
    card = cards.adapter_card(settings, seed, described)
    (run.checkpoint / "README.md").write_text(card, encoding="utf-8")


def _check_shares(settings: Settings, processes: int) -> None:
    if processes > 1 and settings.device_map:
        raise ValueError(
            f"device_map = {settings.device_map} is for one process, {processes} were launched; "
            "leave it out and let accelerate's configuration place the model"
        )
    if settings.batch % (processes * settings.accumulation):
        raise ValueError(
            f"batch = {settings.batch} must be a multiple of the number of processes, {processes}, "
            f"times accumulation = {settings.accumulation}"
        )


def _check_end(settings: Settings, tokenizer: Any) -> None:
    if tokenizer.eos_token_id is None:
        raise ValueError(
            f"model: {settings.model}: its tokenizer names no end of text, which answers end with; "
            "set eos_token in its tokenizer_config.json"
        )
