"""What pretrained models learn from: states of training episodes as text, with costs of options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learning import seeds
from learning.language import token_label_sft as answer_labels
from learning.language.chat import Frame
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts.forms_brief import form_named
from learning.offloading.rewards import rewards
from learning.offloading.rewards.rewards import check_costs
from learning.offloading.rewards.teachers import make_reward
from learning.offloading.states.decision_states import States
from learning.offloading.training import grpo
from mecopt.offloading.scenarios import comllm

if TYPE_CHECKING:
    from datasets import Dataset


def collect(
    states: int, presets: tuple[str, ...], reward: str, *, seed: int
) -> tuple[States, NDArray[np.float64]]:
    """Training states, drawn from trajectories of training episodes, and the cost of each option.

    Ten states an episode, as in the published protocol.
    """
    common = grpo.Settings(
        reward=reward,
        presets=presets,
        episodes=-(-states // (10 * len(presets))),
        drawn_episodes=0,
        behaviours=("one-step-oracle",),
    )
    found, cost = grpo.collect(common, seed=seed)
    chosen = np.random.default_rng([9, seed]).permutation(len(found))[:states]
    return found[chosen], cost[chosen]


def collect_tuning(
    states: int, presets: tuple[str, ...], reward: str, *, seed: int
) -> tuple[States, NDArray[np.float64]]:
    """States of the one-step oracle on tuning episodes, one a preset, costed as in `collect`."""
    worlds = [comllm.generate(preset, seeds.PARTS["tune"][0]) for preset in presets]
    found, cost = rewards.collect(
        worlds, make_reward(reward, seed=seed), "one-step-oracle", seed=seed
    )
    chosen = np.random.default_rng([10, seed]).permutation(len(found))[:states]
    return found[chosen], cost[chosen]


def dataset(
    found: States,
    cost: NDArray[np.float64],
    form: str,
    *,
    seed: int,
    frame: Frame = Frame(),  # noqa: B008 - a constant
) -> Dataset:
    """Hugging Face data set: prompt, completion (the least cost's name), options and costs.

    Servers are shuffled and renamed; `frame` stands around every prompt.

    Raises
    ------
    ValueError
        Without states, with a cost that is NaN, or an unknown form.
    """
    from datasets import Dataset

    check_costs(cost)
    told = form_named(form)
    naming = prompts.shuffled(found, np.random.default_rng([8, seed]))
    names = [told.option_names(naming, i) for i in range(len(found))]
    best = cost.argmin(axis=1)
    head = frame.before + told.instructions("slots", 0)
    texts = told.texts(found, naming, "slots", 0)
    return Dataset.from_dict(
        {
            "prompt": [head + text + frame.after for text in texts],
            "completion": [frame.answer(row[b]) for row, b in zip(names, best, strict=True)],
            "options": names,
            "cost": cost.tolist(),
            "listed": [_listed(naming, i) for i in range(len(found))],
        }
    )


def _listed(naming: prompts.Naming, i: int) -> list[int]:
    """Options of state i in the order of their lines: local, servers, drop."""
    servers = [1 + int(j) for j in naming.order[i] if j >= 0]
    return [0, *servers, 1 + naming.order.shape[1]]


def labelled(
    rows: Dataset,
    tokenizer: Any,
    form: str,
    *,
    temperature_slots: float,
    lines_weight: float,
    frame: Frame = Frame(),  # noqa: B008 - a constant
) -> Dataset:
    """Rows of `dataset` tokenised with cost labels (`learning.language.token_label_sft`)."""
    head = frame.before + form_named(form).instructions("slots", 0)

    def of(row: dict[str, Any]) -> dict[str, list]:
        return answer_labels.labelled_row(
            tokenizer,
            head,
            row["prompt"].removeprefix(head).removesuffix(frame.after),
            [frame.answer(name) for name in row["options"]],
            row["listed"],
            np.array(row["cost"]),
            temperature_slots=temperature_slots,
            lines_weight=lines_weight,
            after=frame.after,
        )

    from datasets import Dataset

    return Dataset.from_list([of(row) for row in rows])
