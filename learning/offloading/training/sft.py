"""Supervised fine-tuning of the embedded model on labelled states, with TRL's SFTTrainer.

COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148) fine-tunes on one answer per state; so does
``loss="hard"``, with TRL's own loss. ``loss="soft"`` learns from the costs of all options
(`learning.language.soft_label_sft`). The recipe ``sft`` has one-step labels, ``sft-lookahead``
labels that look ahead along the user's own queues, ``sft-values`` those of `values-lookahead`, in
option prompts, which say whom a task would overtake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trl import SFTConfig

from learning import seeds
from learning.language import tiny_model
from learning.language.soft_label_sft import LossTrainer, collate, cost_loss
from learning.language.tokenizer import CompactTokenizer
from learning.language.vocabulary import COMLLM, GRAMMARS, OPTIONS, Grammar
from learning.offloading.rewards import labels
from learning.offloading.rewards.labels import Labelled
from learning.offloading.rewards.user_values import UserValues
from learning.offloading.states import decision_states as decision_states
from learning.offloading.training import (
    any_instance,
    comllm_examples,
    cost_examples,
    option_rows,
    sources,
)
from learning.offloading.training import rows as datasets
from learning.offloading.training.any_instance import LABELS
from learning.offloading.training.cost_examples import Examples
from learning.offloading.training.episodes import DRAWN_SETTINGS, draw_parameters
from learning.offloading.training.sources import SourceSettings
from learning.runs import hugging_face, trl_fields
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, not_empty, one_of, positive, share
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.scenarios import comllm

LOSSES = ("soft", "hard")
#: States of an episode that are labelled where each takes milliseconds: more episodes are seen.
#: In option prompts there are more, because half of the time goes into the tables of an episode.
_PER_EPISODE, _OPTIONS_PER_EPISODE = 60, 100


@dataclass(frozen=True)
class Settings(SourceSettings):
    """What decides the result of a training, besides its seed.

    Parameters
    ----------
    instances, scenario, options, episodes
        Other instances than COMLLM's (`SourceSettings`), told in option prompts; servers, drawn and
        explore are not used then.
    labels : str
        One of `learning.offloading.rewards.labels.METHODS`; of option prompts one of
        `learning.offloading.training.comllm_examples.LABELS`, of other instances one of
        `learning.offloading.training.any_instance.LABELS`.
    prompts : str
        How COMLLM's states are told: ``"comllm"``, or ``"options"``, a line per option, which says
        whom a task would overtake. Other instances are always told in option prompts.
    loss : str
        ``"soft"`` (cost labels) or ``"hard"`` (the cheapest option).
    presets : tuple of str
        COMLLM presets; each gives the same number of states.
    servers : tuple of int
        Numbers of servers; every pair of preset and number gives the same number of states.
    states : int
        Labelled states in all.
    drawn : float
        Share of the states from settings with drawn loads, links and speeds
        (`learning.offloading.training.episodes.draw_parameters`) in place of a preset's, so that
        the model has seen longer and shorter times; in option prompts with drawn numbers of users
        and servers, too.
    explore : float
        Share of random options in the trajectories of one half of the states.
    temperature_slots : float
        Options this close share the label.
    lines_weight : float
        Weight of the loss after server lines beside that of the answer.
    hidden, layers : int
        Size of the model.
    steps, batch : int
        Gradient steps, and prompts per step.
    learning_rate : float
        Peak; linear warm-up, then cosine to zero.
    log_every, save_every : int
        Steps between rows of progress, and between states to resume from.
    trl : mapping
        Fields of `trl.SFTConfig` that come before all others (``--set trl.FIELD=VALUE``).

    Raises
    ------
    ValueError
        If a name is unknown or a number is out of range.
    """

    labels: str = "one-step"
    prompts: str = COMLLM.name
    loss: str = "soft"
    presets: tuple[str, ...] = ("paper", "busy", "large")
    servers: tuple[int, ...] = (6,)
    states: int = 60_000
    drawn: float = 0.3
    explore: float = 0.1
    temperature_slots: float = 0.1
    lines_weight: float = 1.0
    hidden: int = 64
    layers: int = 2
    steps: int = 4000
    batch: int = 64
    learning_rate: float = 3e-3
    log_every: int = 50
    save_every: int = 1000
    trl: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check_source()
        one_of(self, prompts=GRAMMARS, loss=LOSSES)
        if self.prompts == OPTIONS.name and not self.any_instance:
            one_of(self, labels=comllm_examples.LABELS)
        else:
            one_of(self, labels=dict.fromkeys((*labels.METHODS, *LABELS)))
        not_empty(self, "presets", "servers")
        at_least(self, states=1, layers=1, steps=1, batch=1, log_every=1, save_every=1)
        positive(self, "temperature_slots", "learning_rate")
        share(self, "explore", "drawn")
        tiny_model.check_size(self.hidden)


#: `user-values` teach looking ahead without noise: a rollout of 30 futures errs by 0.1 slot (0.4 on
#: `large`) and takes 1.6 ms a state. That is why they label here (D), and they are the shipped
#: checkpoint's; for instances that have none, say ``labels="server-aware"``.
RECIPES = {
    "sft": Settings(),
    "sft-lookahead": Settings(labels="user-values", steps=4500),
    "sft-values": Settings(
        labels="values-lookahead",
        prompts=OPTIONS.name,
        presets=tuple(comllm.PRESETS),
        servers=(3, 6, 6, 11),
        states=32_000,
        drawn=0.25,
        steps=2000,
    ),
}


# ------------------------------------------------------------------------------------------ data
def collect(settings: Settings, seed: int) -> Labelled:
    """Labelled states of training seeds; equal arguments give equal states.

    One half comes from trajectories of the teacher (one-step oracle, look-ahead, user values, best
    schedules), one half from trajectories with random options now and then, so that the model has
    seen fuller queues than its teacher leaves.
    """
    rng = np.random.default_rng([6, seed])
    drawn = round(settings.drawn * settings.states)
    pairs = [(preset, servers) for preset in settings.presets for servers in settings.servers]
    wanted = -(-(settings.states - drawn) // len(pairs))
    parts = []
    for preset, servers in pairs if wanted else []:
        world = partial(_episode, rng, preset, servers)
        parts.append(_trajectories(settings, world, wanted, rng))
    for _ in range(DRAWN_SETTINGS if drawn else 0):
        changes = draw_parameters(rng)
        world = partial(_episode, rng, "paper", int(rng.choice(settings.servers)), **changes)
        found = _trajectories(settings, world, -(-drawn // DRAWN_SETTINGS), rng)
        states = replace(found.states, preset=("drawn",) * len(found))
        parts.append(replace(found, states=states))
    joined = labels.concat(parts)
    return joined[np.sort(rng.permutation(len(joined))[: settings.states])]


def collect_options(settings: Settings, seed: int) -> Examples:
    """About as many states of COMLLM's training seeds as option rows."""
    drawn = round(settings.drawn * settings.states / _OPTIONS_PER_EPISODE)
    pairs = len(settings.presets) * len(settings.servers)
    of_presets = (1 - settings.drawn) * settings.states / _OPTIONS_PER_EPISODE
    plan = comllm_examples.Plan(
        presets=settings.presets,
        servers=settings.servers,
        episodes=-(-round(of_presets) // pairs),
        drawn=drawn,
        states_per_episode=_OPTIONS_PER_EPISODE,
        labels=settings.labels,
    )
    return comllm_examples.collect(plan, seed)


def _episode(
    rng: np.random.Generator, preset: str, servers: int, **changes: Any
) -> OffloadingInstance:
    """An episode of any training seed."""
    seed = int(seeds.FIRST_TRAINING + rng.integers(10**6))
    return comllm.generate(preset, seed, servers=servers, **changes)


def _trajectories(
    settings: Settings,
    episode: Callable[[], OffloadingInstance],
    wanted: int,
    rng: np.random.Generator,
) -> Labelled:
    """`wanted` labelled states of as many episodes as that takes."""
    parts: list[Labelled] = []
    while sum(map(len, parts)) < wanted:
        explore = settings.explore if len(parts) % 2 else 0.0
        parts.append(label(episode(), settings.labels, explore))
    joined = labels.concat(parts)
    return joined[np.sort(rng.permutation(len(joined))[:wanted])]


def label(instance: OffloadingInstance, method: str, explore: float) -> Labelled:
    """States of one trajectory of an instance with the labels of a method.

    With `explore` the trajectory has this share of random options; otherwise the teacher's own.
    """
    seed = int(instance.meta["seed"])
    if method == "clairvoyant":
        return labels.by_schedule(instance)
    if method == "one-step":
        follow: Policy = policies.make("one-step-oracle")
        if explore:
            follow = labels.Exploring(policies.make("one-step-oracle-drop"), explore, seed)
        return labels.one_step(decision_states.collect([instance], follow))
    ahead = labels.Exploring(UserValues(), explore, seed) if explore else UserValues()
    if method == "user-values":
        return labels.by_user_values(instance, ahead)
    by_method = {
        "server-aware": labels.by_server_aware,
        "values-lookahead": labels.by_values_lookahead,
    }
    if method in by_method:
        return by_method[method](instance, ahead, per_instance=_PER_EPISODE, seed=seed)
    return labels.by_lookahead(instance, ahead if explore else "lookahead", seed=seed)


# -------------------------------------------------------------------------------------- training
def train(
    settings: Settings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    labelled: Labelled | None = None,
    instances: Sequence[OffloadingInstance] | None = None,
) -> Path:
    """Train, or take an interrupted training up (`learning.recipes`); returns the run folder.

    `labelled` are states, and `instances` instances, to learn from in place of those the settings
    describe. A policy trained on instances of any kind reads option prompts and decides any other.

    Raises
    ------
    ValueError
        If the folder holds something else, or there is nothing to learn from.
    learning.runs.divergence.TrainingDiverged
        If the loss or a weight is not finite.
    """
    trl_fields.read(SFTConfig, settings.trl)  # before a folder is begun
    parameters = asdict(settings) | {"given": sources.digests(instances)}
    run = TrainingRun.open(out, "sft", parameters, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    torch.set_num_threads(1)
    file = run.path / "labelled.npz"
    data: Labelled | Examples
    of_any = instances is not None or settings.any_instance
    if of_any or (settings.prompts == OPTIONS.name and labelled is None):
        data = _kept_examples(settings, seed, instances, file)
    else:
        data = labelled if labelled is not None else _kept(settings, seed, file)
    seconds = run.cpu_seconds
    model = tiny_model.create(
        seed,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        grammar=grammar_of(data).name,
    )
    trainer = make_trainer(settings, model, data, run, seed=seed)
    hugging_face.fit(trainer, run, on_progress)
    model.eval()
    tiny_model.save(model, run.checkpoint)
    return run.finish({"states": len(data), "label_cpu_seconds": seconds})


def _kept(settings: Settings, seed: int, file: Path) -> Labelled:
    """`collect`, kept beside the run: labels may take longer than what is left to train."""
    if not file.exists():
        labels.write(collect(settings, seed), file)
    return labels.read(file)


def _kept_examples(
    settings: Settings, seed: int, given: Sequence[OffloadingInstance] | None, file: Path
) -> Examples:
    """Examples of other instances, or of COMLLM's, as option rows, kept likewise."""
    if not file.exists():
        if given is None and not settings.any_instance:
            made = collect_options(settings, seed)
        else:
            found = sources.read(settings, seed) if given is None else given
            made = any_instance.examples(found, settings.labels, settings.states, seed)
        cost_examples.write(made, file)
    return cost_examples.read(file)


def grammar_of(data: Labelled | Examples) -> Grammar:
    """Of the prompts in which states are told."""
    return OPTIONS if isinstance(data, Examples) else COMLLM


def make_trainer(
    settings: Settings, model: Any, data: Labelled | Examples, run: TrainingRun, *, seed: int
) -> LossTrainer:
    """The trainer of these settings, not yet started."""
    uses, grammar = settings.steps * settings.batch, grammar_of(data)
    if isinstance(data, Examples):
        rows = option_rows.training_rows(data, uses, seed=seed, batch=settings.batch)
    else:
        rows = datasets.training_rows(data, uses, seed=seed)
    learned: dict[str, Any] = {}
    if settings.loss == "hard":
        rows = datasets.answer_rows(rows, grammar)
    else:
        weights = {name: getattr(settings, name) for name in ("temperature_slots", "lines_weight")}
        loss = partial(cost_loss, **weights, grammar=grammar)
        learned = {"loss": loss, "data_collator": partial(collate, grammar=grammar)}
    arguments = hugging_face.arguments(
        SFTConfig,
        run,
        seed=seed,
        own=settings.trl,
        **hugging_face.paced(settings),
        warmup_steps=min(100, settings.steps // 10),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        shuffle_dataset=False,
    )
    return LossTrainer(
        ordered=True,
        model=model,
        args=arguments,
        processing_class=CompactTokenizer(grammar=grammar.name),
        train_dataset=rows,
        **learned,
    )
