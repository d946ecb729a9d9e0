"""Training of a policy that may have one option looked ahead of before it answers.

    >>> from pathlib import Path
    >>> from learning.offloading.training import tool_calls
    >>> folder = tool_calls.train(tool_calls.Settings(), Path("run"), seed=0)  # doctest: +SKIP

From a one-turn checkpoint, SFT on transcripts with calls (`call_states.warm_rows`,
`call_trainers.call_loss`), then GRPO through TRL's rollout hook: a state is decided in one turn or
two, and earns minus the cost of the decision and minus `price_slots` for a call. With a price that
no call can be worth the same training gives a policy of one turn: the one to compare with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any

from learning.offloading.prompts import forms_calls as calls
from learning.offloading.training.grpo_config import GrpoSettings, grpo_arguments, start_folder
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, one_of, positive, share


@dataclass(frozen=True)
class Settings(GrpoSettings):
    """Everything that decides a training with calls, besides its seed.

    Parameters
    ----------
    start : str
        Checkpoint of one turn to start from: a folder, or the name of a shipped one.
    price_slots : float
        What a call costs.
    states : int
        States of training episodes, in all.
    drawn : float
        Share of episodes with drawn loads, links and speeds in place of a preset's.
    temperature_slots : float
        SFT: options this close share the label.
    warm_steps, warm_batch, warm_rate
        SFT: gradient steps, transcripts per step, peak learning rate. Without steps GRPO begins
        from the checkpoint as it is.
    states_per_step, steps : int
        GRPO: states of one update, each with `group` transcripts, and updates.
    scale_rewards : {"group", "batch", "none"}
        What advantages are divided by. Divided within groups, a call that costs its price often
        and saves much rarely is unlearned.
    episode_slots : int
        Length of the training episodes; 0 for the preset's.

    Raises
    ------
    ValueError
        A number out of range.
    """

    start: str = "sft-lookahead"
    price_slots: float = 0.005
    presets: tuple[str, ...] = ("paper", "busy", "large", "slow-servers")
    states: int = 8_000
    drawn: float = 0.3
    temperature_slots: float = 0.1
    warm_steps: int = 1_500
    warm_batch: int = 64
    warm_rate: float = 1e-3
    states_per_step: int = 64
    steps: int = 200
    learning_rate: float = 1e-4
    kl: float = 0.0
    scale_rewards: str = "batch"
    episode_slots: int = 0
    trl: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, price_slots=0, states=1, warm_steps=0, warm_batch=1, episode_slots=0)
        at_least(self, states_per_step=1, steps=1)
        positive(self, "temperature_slots", "warm_rate")
        share(self, "drawn")
        one_of(self, scale_rewards=("group", "batch", "none"))
        if self.states < self.states_per_step:
            raise ValueError(
                f"states_per_step = {self.states_per_step} is more than states = {self.states}"
            )


def train(
    settings: Settings,
    out: str | os.PathLike[str],
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train, or take an interrupted training up (`learning.recipes`); returns the run folder.

    Raises
    ------
    ValueError
        If the start is no checkpoint of one-turn COMLLM prompts, or `out` holds something else.
    learning.runs.divergence.TrainingDiverged
        If the loss or a weight is not finite.
    """
    import torch
    from trl import GRPOConfig

    from learning.language import tiny_model, vocabulary
    from learning.offloading.policies import tool_calls as policy
    from learning.offloading.training import call_states
    from learning.runs import hugging_face, trl_fields

    source = start_folder(settings.start)
    model = tiny_model.load(source)
    if model.config.grammar != vocabulary.COMLLM.name:
        raise ValueError(f"start: grammar is {model.config.grammar!r}, calls are of 'comllm'")
    trl_fields.read(GRPOConfig, settings.trl)  # before a folder is begun
    run = TrainingRun.open(out, policy.KIND, settings, seed=seed, resume=resume, start=source)
    if run.is_whole:
        return run.path
    torch.set_num_threads(1)  # sums in one order, however many cores there are
    slots = settings.episode_slots or None
    found, cost, ahead = call_states.collect(
        settings.presets, settings.states, settings.drawn, seed=seed, slots=slots
    )
    told = call_states.told(found, cost, ahead, seed=seed)
    if settings.warm_steps:
        taught = call_states.lessons(model, found, told)
        uses = settings.warm_steps * settings.warm_batch
        rows = call_states.warm_rows(
            found, cost, ahead, taught, uses, settings.price_slots, seed=seed
        )
        model = _warm(model, settings, rows, run, source, seed)
    hugging_face.fit(make_trainer(model, settings, told, run, seed=seed), run, on_progress)
    policy.save(model, run.checkpoint, price_slots=settings.price_slots, futures=0)
    return run.finish({"states": len(told), "start": str(settings.start)})


def _warm(
    model: Any,
    settings: Settings,
    rows: Mapping[str, Any],
    run: TrainingRun,
    source: Path,
    seed: int,
) -> Any:
    """The model after SFT on transcripts, kept in a run of its own inside the run."""
    from learning.language import tiny_model
    from learning.offloading.policies import tool_calls as policy
    from learning.runs import hugging_face

    warm = TrainingRun.open(
        run.path / "warm", "tool-calls-warm", settings, seed=seed, resume=True, start=source
    )
    if not warm.is_whole:
        hugging_face.fit(_warm_trainer(model, settings, rows, warm, seed), warm)
        policy.save(model, warm.checkpoint, price_slots=settings.price_slots, futures=0)
        warm.finish({"transcripts": len(rows["stake"]), "start": str(settings.start)})
    return tiny_model.load(warm.checkpoint)


def _warm_trainer(
    model: Any, settings: Settings, transcripts: Mapping[str, Any], run: TrainingRun, seed: int
) -> Any:
    import datasets as hf
    import pyarrow as pa
    from trl import SFTConfig

    from learning.language.soft_label_sft import LossTrainer
    from learning.language.tokenizer import CompactTokenizer
    from learning.offloading.training.call_trainers import call_loss, collate
    from learning.offloading.training.rows import lists
    from learning.runs import hugging_face

    rows = {n: lists(c) if c.ndim == 2 else pa.array(c) for n, c in transcripts.items()}
    arguments = hugging_face.arguments(
        SFTConfig,
        run,
        seed=seed,
        max_steps=settings.warm_steps,
        per_device_train_batch_size=settings.warm_batch,
        learning_rate=settings.warm_rate,
        adam_beta2=0.98,
        weight_decay=0.0,
        save_steps=500,
        dataloader_pin_memory=False,
        max_length=None,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        shuffle_dataset=False,
    )
    return LossTrainer(
        ordered=True,
        model=model,
        args=arguments,
        processing_class=CompactTokenizer(),
        train_dataset=hf.Dataset(pa.table(rows)),
        loss=partial(call_loss, temperature_slots=settings.temperature_slots),
        data_collator=collate,
    )


def make_trainer(model: Any, settings: Settings, told: Any, run: TrainingRun, *, seed: int) -> Any:
    """TRL's GRPO trainer over the states."""
    from datasets import Dataset

    from learning.language.tokenizer import CompactTokenizer
    from learning.offloading.training.call_trainers import ToolCallGRPOTrainer, call_reward

    reward = update_wrapper(partial(call_reward, price_slots=settings.price_slots), call_reward)
    return ToolCallGRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=grpo_arguments(
            settings,
            run,
            seed=seed,
            answers=settings.states_per_step * settings.group,
            scale_rewards=settings.scale_rewards,
            max_completion_length=calls.CALLED + 1,
            # A word counts as much in a transcript of two turns as in one of one.
            loss_type="dapo",
        ),
        train_dataset=Dataset.from_dict({"prompt": [str(i) for i in range(len(told))]}),
        processing_class=CompactTokenizer(),
        told=told,
    )
