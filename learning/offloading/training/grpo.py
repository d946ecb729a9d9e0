"""GRPO of the embedded model on rewards of single decisions (LACS and longer ones).

The recipe of COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148): start from an SFT checkpoint, sample a
group of 8 answers per state, reward each, normalise within the group. The states come from
trajectories of training episodes; every option of each is costed while they are collected
(`learning.offloading.rewards.rewards.collect`), so rewards are a column of the data set.

Group 8, clip 0.2, KL 0.04 and temperature 1 are our decision (D); learning rate and
steps are ours (D): the published 1e-6 is for billions of parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learning import seeds
from learning.language import vocabulary
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.rewards import rewards
from learning.offloading.rewards.rewards import reward_of_answer, unparsable_cost_slots
from learning.offloading.rewards.teachers import REWARDS, GreedyTeacher, Remembered, make_reward
from learning.offloading.states import decision_states as states
from learning.offloading.states.decision_states import States
from learning.offloading.training.episodes import draw_parameters
from learning.offloading.training.grpo_config import GrpoSettings, grpo_arguments, train_embedded
from learning.runs.folder import TrainingRun
from learning.runs.settings import at_least, not_empty, one_of
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.scenarios import comllm

if TYPE_CHECKING:
    from datasets import Dataset

SCALES = ("group", "batch", "none")
#: Behaviour that stands for the greedy teacher of the reward that is trained.
TEACHER = "teacher"


@dataclass(frozen=True)
class Settings(GrpoSettings):
    """Everything that decides a GRPO training on single decisions, besides its seed.

    Parameters
    ----------
    start : str
        Checkpoint to start from: a folder, or the name of a shipped one.
    reward : str
        One of `learning.offloading.rewards.teachers.REWARDS`.
    episodes : int
        Training episodes per preset and behaviour.
    drawn_episodes : int
        Further episodes per behaviour, each of a setting with drawn loads, links and speeds
        (`learning.offloading.training.episodes.draw_parameters`).
    behaviours : tuple of str
        Whose trajectories the states come from: policies by name, or ``"teacher"``, the greedy
        teacher of the reward.
    exact_groups : bool
        Enumerate the options instead of sampling (`learning.language.one_token_grpo`); needs
        ``kl=0``.
    entropy_slots : float
        With exact groups: coefficient of the entropy bonus, slots per nat; the best policy is then
        softmax(-cost / entropy_slots), as soft labels of SFT are. Advantages are slots, not scaled.
    states_per_step, steps : int
        States of one update, and updates.
    scale_rewards : {"group", "batch", "none"}
        What advantages are divided by: standard deviation of the group, of the batch, or nothing.

    Raises
    ------
    ValueError
        A number out of range.
    """

    start: str = "sft"
    reward: str = "lacs"
    episodes: int = 20
    drawn_episodes: int = 24
    behaviours: tuple[str, ...] = ("one-step-oracle", TEACHER)
    exact_groups: bool = False
    entropy_slots: float = 0.0
    states_per_step: int = 64
    steps: int = 300
    scale_rewards: str = "group"

    def __post_init__(self) -> None:
        super().__post_init__()
        not_empty(self, "behaviours")
        at_least(self, episodes=1, drawn_episodes=0, states_per_step=1, steps=1)
        one_of(self, reward=REWARDS, scale_rewards=SCALES)
        if self.exact_groups and self.kl > 0:
            raise ValueError(f"kl = {self.kl} must be 0 with exact groups: it needs samples")
        at_least(self, entropy_slots=0)
        if self.entropy_slots > 0 and not self.exact_groups:
            raise ValueError(f"entropy_slots = {self.entropy_slots} needs exact_groups = true")


#: Names of trained policies and the settings that make them, from a shared SFT checkpoint.
RECIPES: dict[str, Settings] = {
    "grpo": Settings(),
    "grpo-lambda0": Settings(reward="lacs-lambda0"),
    # Sampled groups are soon alike eight or nine times in ten (no gradient); exact
    # ones lose nothing.
    "grpo-lookahead": Settings(
        reward="user-values",
        exact_groups=True,
        kl=0.0,
        entropy_slots=0.1,
        states_per_step=128,
        steps=700,
    ),
}


# ------------------------------------------------------------------------------------------ data
def collect(settings: Settings, *, seed: int) -> tuple[States, NDArray[np.float64]]:
    """States of training episodes and the cost of every option, slots.

    Training seeds are used once and differ between training seeds.
    """
    rng = np.random.default_rng([7, seed])
    reward = Remembered(make_reward(settings.reward, seed=seed))
    parts: list[States] = []
    costs: list[NDArray[np.float64]] = []
    first = seeds.FIRST_TRAINING + 10_000 * seed
    for behaviour in settings.behaviours:
        actor: str | Policy = GreedyTeacher(reward) if behaviour == TEACHER else behaviour
        worlds = [
            comllm.generate(preset, first + i * settings.episodes + j)
            for i, preset in enumerate(settings.presets)
            for j in range(settings.episodes)
        ]
        first += len(worlds)
        for _ in range(settings.drawn_episodes):
            worlds.append(comllm.generate("paper", first, **draw_parameters(rng)))
            first += 1
        found, cost = rewards.collect(worlds, reward, actor, seed=seed)
        parts.append(found)
        costs.append(cost)
    joined = states.concat(parts)
    seeds.check(joined.seed, "train")
    return joined, np.concatenate(costs)


def dataset(found: States, cost: NDArray[np.float64], *, seed: int) -> Dataset:
    """Hugging Face data set: prompt, names and costs of the options; servers shuffled and renamed.

    Raises
    ------
    ValueError
        Without states, or with a cost that is NaN.
    """
    from datasets import Dataset

    rewards.check_costs(cost)
    naming = prompts.shuffled(found, np.random.default_rng([8, seed]))
    return Dataset.from_dict(
        {
            "prompt": prompts.compact_texts(found, naming),
            "options": [prompts.option_names(naming, i) for i in range(len(found))],
            "cost": cost.tolist(),
            "prompt_ids": _unpadded(prompts.compact_ids(found, naming)),
            "option_ids": prompts.option_word_ids(naming).tolist(),
        }
    )


def _unpadded(ids: NDArray[np.int64]) -> list[list[int]]:
    pad = vocabulary.WORD_ID[vocabulary.PAD]
    return [row[row != pad].tolist() for row in ids]


def decision_reward(
    completions: list[str],
    options: list[list[str]],
    cost: list[list[float]],
    log_metric: Callable[[str, float], None] | None = None,
    group: int = 1,
    **columns: Any,
) -> list[float]:
    """Reward of each answer in slots, as a function of answers and data set columns.

    With `log_metric` and a group size it reports the spread within groups and the share of
    answers that name a valid option.

    >>> decision_reward(["s02"], options=[["local", "s02", "drop"]], cost=[[6.0, 2.5, 20.0]])
    [-2.5]
    """
    earned = [
        reward_of_answer(answer, names, costs)
        for answer, names, costs in zip(completions, options, cost, strict=True)
    ]
    if log_metric is not None:
        found = rewards.spread(np.array(earned).reshape(-1, group))
        log_metric("group_spread_slots", found.mean_slots)
        log_metric("groups_without_spread", found.share_without)
        valid = [
            answer.strip() in names for answer, names in zip(completions, options, strict=True)
        ]
        log_metric("parse_rate", float(np.mean(valid)))
    return earned


def make_trainer(
    model: Any, rows: Dataset, settings: Settings, run: TrainingRun, *, seed: int
) -> Any:
    """TRL's GRPO trainer over the rows of `dataset`."""
    from learning.language.one_token_grpo import OneWordGRPOTrainer, Options
    from learning.language.tokenizer import CompactTokenizer

    # Whole columns at once: a row at a time takes twenty times as long.
    texts, prompt_ids = rows["prompt"][:], rows["prompt_ids"][:]
    exact = None
    if settings.exact_groups:
        pad = vocabulary.WORD_ID[vocabulary.PAD]
        exact = {
            text: Options([i for i in ids if i != pad], -unparsable_cost_slots(cost))
            for text, ids, cost in zip(texts, rows["option_ids"][:], rows["cost"][:], strict=True)
        }
    return OneWordGRPOTrainer(
        model=model,
        reward_funcs=group_reward(settings.group),
        args=grpo_arguments(
            settings,
            run,
            seed=seed,
            answers=settings.states_per_step * settings.group,
            scale_rewards=settings.scale_rewards,
        ),
        train_dataset=rows.select_columns(["prompt", "options", "cost"]),
        processing_class=CompactTokenizer(),
        prompt_ids=dict(zip(texts, prompt_ids, strict=True)),
        exact=exact,
        entropy_slots=settings.entropy_slots,
    )


def group_reward(group: int) -> Callable[..., list[float]]:
    """`decision_reward` for groups of a size, under its own name, by which TRL logs it."""
    return update_wrapper(partial(decision_reward, group=group), decision_reward)


def _from_episodes(
    model: Any, settings: Settings, run: TrainingRun, seed: int
) -> tuple[Any, dict[str, int]]:
    """The trainer over states of training episodes, and how many these are."""
    found, cost = collect(settings, seed=seed)
    if len(found) < settings.states_per_step:
        raise ValueError(
            f"states_per_step = {settings.states_per_step} is more than the {len(found)} states of "
            "the training episodes"
        )
    rows = dataset(found, cost, seed=seed)
    return make_trainer(model, rows, settings, run, seed=seed), {"states": len(found)}


#: Train into a run folder; the other arguments of `grpo_config.train_embedded`.
train = partial(train_embedded, "grpo", "{reward}", _from_episodes)
