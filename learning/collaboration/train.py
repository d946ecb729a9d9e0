r"""Training the small strategist: fine-tuning on a teacher's spread, with TRL's SFTTrainer.

With q the teacher's shares of the candidates and r whether a node's next tasks fare worse than
usual, the loss of a prompt is

.. math::

    -\sum_c q_c \log p(c \mid \text{act}) - w \log p(r \mid \text{risk}),

p over all words, so that the model learns to answer with nothing but letters and tags. Neighbours
are listed in an order drawn anew for every row: their letters mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import datasets as hf
import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging
from trl import SFTConfig

from learning import seeds
from learning.collaboration import labels, small_model, words
from learning.collaboration.labels import Labelled
from learning.collaboration.memory import Recollection
from learning.collaboration.sight import LETTERS
from learning.collaboration.strategists import KIND
from learning.language import tiny_model
from learning.language.soft_label_sft import LossTrainer
from learning.runs import hugging_face
from learning.runs.folder import OnProgress, TrainingRun, describe_checkpoint
from learning.runs.settings import at_least, one_of, positive
from mecopt.collaboration.scenarios import ledrl


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training, besides its seed.

    Parameters
    ----------
    preset : str
        Preset of the episodes that are learned from.
    episodes : int
        How many; the teacher plays each once, some 3 s.
    hidden, layers : int
        Size of the model.
    risk_weight : float
        Weight of the risk beside that of the strategy.
    steps, batch : int
        Gradient steps, and prompts per step.
    learning_rate : float
        Peak; linear warm-up, then cosine to zero.
    log_every, save_every : int
        Steps between rows of progress, and between states to resume from.

    Raises
    ------
    ValueError
        If the preset is unknown or a number is out of range.
    """

    preset: str = "paper"
    episodes: int = 80
    hidden: int = 64
    layers: int = 2
    risk_weight: float = 0.3
    steps: int = 3000
    batch: int = 64
    learning_rate: float = 3e-3
    log_every: int = 50
    save_every: int = 500

    def __post_init__(self) -> None:
        one_of(self, preset=ledrl.PRESETS)
        at_least(self, episodes=1, layers=1, steps=1, batch=1, log_every=1, save_every=1)
        positive(self, "learning_rate")
        at_least(self, risk_weight=0)
        tiny_model.check_size(self.hidden)


def train(
    settings: Settings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    labelled: Labelled | None = None,
) -> Path:
    """Train, or take an interrupted training up (`learning.recipes`); returns the run folder.

    `labelled` are rows to learn from in place of those the settings describe.

    Raises
    ------
    ValueError
        If the folder holds something else.
    learning.runs.divergence.TrainingDiverged
        If the loss or a weight is not finite.
    """
    run = TrainingRun.open(out, "ledrl-prior", settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    hf.disable_progress_bars()  # of rows and shards; training has its own
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    data = labelled if labelled is not None else _kept(settings, seed, run.path / "labelled.npz")
    seconds = run.cpu_seconds
    model = small_model.create(seed, hidden=settings.hidden, layers=settings.layers)
    trainer = make_trainer(settings, model, data, run, seed=seed)
    hugging_face.fit(trainer, run, on_progress)
    model.eval().save_pretrained(run.checkpoint)
    words.tokenizer().save_pretrained(run.checkpoint)
    describe_checkpoint(run.checkpoint, KIND, source="embedded")
    median = float(np.median(data.bad))
    return run.finish({"rows": len(data), "label_cpu_seconds": seconds, "median_bad": median})


def _kept(settings: Settings, seed: int, file: Path) -> Labelled:
    """Rows of training seeds, kept beside the run: they take as long as the training."""
    if not file.exists():
        first = seeds.FIRST_TRAINING + 10_000 * seed
        labels.write(labels.collect(settings.preset, settings.episodes, first), file)
    return labels.read(file)


def make_trainer(
    settings: Settings, model: Any, data: Labelled, run: TrainingRun, *, seed: int
) -> LossTrainer:
    """The trainer of these settings, not yet started."""
    arguments = hugging_face.arguments(
        SFTConfig,
        run,
        seed=seed,
        **hugging_face.paced(settings),
        warmup_steps=min(100, settings.steps // 10),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        shuffle_dataset=False,
    )
    return LossTrainer(
        loss=partial(answer_loss, risk_weight=settings.risk_weight),
        ordered=True,
        model=model,
        args=arguments,
        processing_class=words.tokenizer(),
        train_dataset=training_rows(data, settings.steps * settings.batch, seed=seed),
        data_collator=collate,
    )


# ------------------------------------------------------------------------------------------- rows
def training_rows(data: Labelled, rows: int, *, seed: int) -> hf.Dataset:
    """So many rows in the order of training: every pass in an order of its own."""
    rng = np.random.default_rng([15, seed])
    median = float(np.median(data.bad))
    passes = [rng.permutation(len(data)) for _ in range(-(-rows // len(data)))]
    chosen = shuffled(data[np.concatenate(passes)[:rows]], rng)
    ids: list[Any] = [None] * rows
    for which, tokens in words.prompts(chosen.seen):
        for i, row in zip(which, tokens, strict=True):
            ids[i] = row.tolist()
    return hf.Dataset.from_dict(
        {
            "input_ids": ids,
            "strategy": chosen.strategy.tolist(),
            "risky": chosen.risky(median).astype(float).tolist(),
        }
    )


def shuffled(data: Labelled, rng: np.random.Generator) -> Labelled:
    """Every row with its neighbours in another order; the node itself stays first."""
    n, wide = data.strategy.shape
    draw = rng.random((n, wide))
    draw[:, 0] = -1.0
    draw[np.arange(wide) >= data.seen.count[:, None]] = 2.0
    order = np.argsort(draw, axis=1)
    seen, known = data.seen, data.seen.known

    def taken(values: Any) -> Any:
        index = order if values.ndim == 2 else order[:, :, None]
        return np.take_along_axis(values, index, axis=1)

    recalled = Recollection(taken(known.trouble), taken(known.share), taken(known.lately))
    there = replace(seen, places=taken(seen.places), up=taken(seen.up), known=recalled)
    return Labelled(there, taken(data.strategy), data.bad)


def collate(rows: list[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Tokens and mask (B, T) padded on the left; the teacher's shares, and whether it is risky."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = np.full((len(rows), longest), words.ID[words.PAD])
    for i, row in enumerate(rows):
        ids[i, longest - len(row["input_ids"]) :] = row["input_ids"]
    return {
        "input_ids": torch.from_numpy(ids),
        "strategy": torch.tensor([row["strategy"] for row in rows], dtype=torch.float32),
        "risky": torch.tensor([row["risky"] for row in rows], dtype=torch.float32),
    }


def answer_loss(
    model: Any, input_ids: Tensor, strategy: Tensor, risky: Tensor, *, risk_weight: float
) -> Tensor:
    """Loss of a batch of `collate`."""
    mask = (input_ids != words.ID[words.PAD]).long()
    logits = model(
        input_ids=input_ids, attention_mask=mask, logits_to_keep=2, use_cache=False
    ).logits
    risk, act = logits.log_softmax(dim=-1).unbind(dim=1)
    letters = act[:, [words.ID[letter] for letter in LETTERS[: strategy.shape[1]]]]
    low, high = risk[:, words.ID[words.LOW]], risk[:, words.ID[words.HIGH]]
    of_risk = -(risky * high + (1.0 - risky) * low)
    return (-(strategy * letters).sum(dim=1) + risk_weight * of_risk).mean()
