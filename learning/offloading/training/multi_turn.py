r"""Multi-turn GRPO: whole trajectories in one world, a reward per decision.

COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148) calls its training multi-turn and rewards single
states; here the model really decides turn after turn in one world, through TRL's rollout hook
(`rollout_func`). A group is `group` trajectories of one episode, same arrivals. Turn t is a prompt
and a one-word answer; the sequence that TRL trains on is

.. math:: p_0\ a_0\ p_1\ a_1 \dots p_{H-1}\ a_{H-1},

with the prompts after the first marked as words of the environment (``env_mask``). A state is
Markov, so each answer is conditioned on its own prompt only, not on the turns before.

Decision t earns minus the realised cost of its task, from the replay of the trajectory. Its return
is what it and the later decisions earn:

.. math:: G_t = -\sum_{s \ge t} \gamma^{s-t}\, c_s,

over the tasks of the same user (``credit="user"``; users meet only at the servers, so others'
tasks add mostly noise) or of everybody (``"all"``). The advantage of turn t is its return,
normalised over the group at that turn, as TRL's advantages of shape (B, T).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning import seeds
from learning.language import vocabulary
from learning.language.one_token_grpo import OneWordGRPOTrainer
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states.batch_rollout import decide_all
from learning.offloading.states.decision_states import States
from learning.offloading.training.grpo_config import GrpoSettings, grpo_arguments, train_embedded
from learning.runs.folder import TrainingRun
from learning.runs.settings import at_least, one_of, share
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm

#: Training episodes of this module start here, apart from those of
#: `learning.offloading.training.grpo`.
FIRST_SEED = seeds.FIRST_TRAINING + 500_000
CREDITS = ("user", "all")


@dataclass(frozen=True)
class Settings(GrpoSettings):
    """Everything that decides a multi-turn training, besides its seed.

    Parameters
    ----------
    start : str
        Checkpoint to start from: a folder, or the name of a shipped one.
    slots : int
        Length of an episode; every task released in it is one turn.
    episodes_per_step, steps : int
        Episodes of one update, each with `group` trajectories, and updates.
    credit : {"user", "all"}
        Whose later tasks count in the return of a decision.
    discount : float
        gamma per turn counted.

    Raises
    ------
    ValueError
        A number out of range, or an unknown credit.
    """

    start: str = "sft"
    slots: int = 16
    episodes_per_step: int = 6
    steps: int = 60
    credit: str = "user"
    discount: float = 0.9
    kl: float = 0.0
    save_steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, slots=1, episodes_per_step=1, steps=1)
        one_of(self, credit=CREDITS)
        share(self, "discount")


def episodes(settings: Settings, *, seed: int) -> dict[str, OffloadingInstance]:
    """Every training episode by name; none is used twice."""
    count = settings.steps * settings.episodes_per_step
    first = FIRST_SEED + 10_000 * seed
    seeds.check([first, first + count - 1], "train")
    out = {}
    for i in range(count):
        preset = settings.presets[i % len(settings.presets)]
        out[f"{preset} {first + i}"] = comllm.generate(preset, first + i, slots=settings.slots)
    return out


# ---------------------------------------------------------------------------------- trajectories
@dataclass(frozen=True, eq=False)
class Turns:
    """Decisions taken side by side in several worlds, one list entry per turn.

    Parameters
    ----------
    world : list of (n,) int64
        Which worlds decided at this turn.
    ids, answer, logp : list of arrays
        Prompts (n, T), tokens of the answers (n,) and their log-probabilities (n,).
    choice : list of (K,) int64
        Choices of each world.
    """

    world: list[NDArray[np.int64]]
    ids: list[NDArray[np.int64]]
    answer: list[NDArray[np.int64]]
    logp: list[NDArray[np.float64]]
    choice: list[NDArray[np.int64]]


#: Prompts (n, T) -> tokens of the answers (n,) and their log-probabilities (n,).
Answer = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.float64]]]


def play(
    instances: Sequence[OffloadingInstance], answer: Answer, rng: np.random.Generator
) -> Turns:
    """Let a model decide every task of every world, turn after turn, in batches.

    Servers are shuffled and renamed at every turn. An answer that names no valid option drops the
    task.
    """
    turns = Turns([], [], [], [], [])

    def decide(found: States, worlds: NDArray[np.int64]) -> NDArray[np.int64]:
        naming = prompts.shuffled(found, rng)
        ids = prompts.compact_ids(found, naming)
        tokens, logp = answer(ids)
        turns.world.append(worlds)
        turns.ids.append(ids)
        turns.answer.append(tokens)
        turns.logp.append(logp)
        matches = prompts.option_word_ids(naming) == tokens[:, None]
        matches &= tokens[:, None] != vocabulary.WORD_ID[vocabulary.PAD]
        return np.where(matches.any(axis=1), matches.argmax(axis=1), found.n_servers + 1)

    turns.choice.extend(decide_all(instances, decide))
    return turns


def returns(
    cost: NDArray[np.float64], owner: NDArray[np.integer], *, credit: str, discount: float
) -> NDArray[np.float64]:
    """(K,) return of each decision: minus the discounted cost of its task and of later ones.

    >>> returns(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 0]), credit="user", discount=0.5)
    array([-3., -2., -4.])
    >>> returns(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 0]), credit="all", discount=0.5)
    array([-3., -4., -4.])
    """
    out = np.empty(len(cost))
    ahead: dict[int, float] = {}
    for k in range(len(cost) - 1, -1, -1):
        who = int(owner[k]) if credit == "user" else 0
        out[k] = -cost[k] + discount * ahead.get(who, 0.0)
        ahead[who] = out[k]
    return out


def turn_advantages(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """(group, H) returns, normalised over the group at each turn; 0 where all are equal."""
    centred = value - value.mean(axis=0)
    return np.asarray(centred / (value.std(axis=0, ddof=1) + 1e-4))


def trajectory_reward(
    completions: list[str], decision_cost: list[list[float]], **columns: Any
) -> list[float]:
    """Minus the mean cost of a trajectory's tasks, slots (what TRL logs as the reward).

    Raises
    ------
    ValueError
        If a cost is NaN: TRL would take the reward for one that was not given, and go on.

    >>> trajectory_reward(["..."], decision_cost=[[2.0, 4.0]])
    [-3.0]
    """
    for i, cost in enumerate(decision_cost):
        if np.isnan(cost).any():
            raise ValueError(f"decision_cost of trajectory {i} holds a NaN")
    return [-float(np.mean(cost)) for cost in decision_cost]


# --------------------------------------------------------------------------------------- trainer
class TrajectoryGRPOTrainer(OneWordGRPOTrainer):
    """GRPO over trajectories of one-word answers, an advantage per turn.

    Parameters
    ----------
    worlds : dict from str to OffloadingInstance
        The episode that each prompt of the data set names.
    credit, discount
        See `Settings`.
    **kwargs
        Of `trl.GRPOTrainer`.
    """

    def __init__(
        self,
        *args: Any,
        worlds: dict[str, OffloadingInstance],
        credit: str,
        discount: float,
        **kwargs: Any,
    ) -> None:
        self._worlds, self._credit, self._discount = worlds, credit, discount
        super().__init__(*args, prompt_ids={}, **kwargs)

    def _answer(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        with torch.no_grad():
            logps = self._next_word(self.model, torch.from_numpy(ids))
        drawn = torch.multinomial(logps.exp(), 1)
        return drawn[:, 0].numpy(), logps.gather(1, drawn)[:, 0].double().numpy()

    def _rollout(self, names: list[str], trainer: Any) -> dict[str, Any]:
        """One trajectory per name; equal names stand side by side and make a group."""
        instances = [self._worlds[name] for name in names]
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        turns = play(instances, self._answer, rng)
        width = max(ids.shape[1] for ids in turns.ids)
        pad = vocabulary.WORD_ID[vocabulary.PAD]
        n = len(instances)
        sequence: list[list[int]] = [[] for _ in range(n)]
        logprobs: list[list[float]] = [[] for _ in range(n)]
        for world, ids, answer, logp in zip(
            turns.world, turns.ids, turns.answer, turns.logp, strict=True
        ):
            padded = np.pad(ids, ((0, 0), (width - ids.shape[1], 0)), constant_values=pad)
            for i, prompt, word, value in zip(world, padded, answer, logp, strict=True):
                sequence[i] += [*prompt.tolist(), int(word)]
                logprobs[i] += [0.0] * width + [float(value)]
        cost = [
            replay(x, c).cost_s / float(x.meta["slot_s"])
            for x, c in zip(instances, turns.choice, strict=True)
        ]
        self._turn_width = width + 1
        self._advantages = self._of_turns(instances, cost)
        return {
            "prompt_ids": [row[:width] for row in sequence],
            "completion_ids": [row[width:] for row in sequence],
            "logprobs": [row[width:] for row in logprobs],
            "env_mask": [([1] + [0] * width) * (len(c) - 1) + [1] for c in cost],
            "decision_cost": [c.tolist() for c in cost],
        }

    def _of_turns(
        self, instances: Sequence[OffloadingInstance], cost: list[NDArray[np.float64]]
    ) -> list[NDArray[np.float64]]:
        """(H,) advantage of every turn of every trajectory."""
        value = [
            returns(c, x.owner, credit=self._credit, discount=self._discount)
            for c, x in zip(cost, instances, strict=True)
        ]
        size = self.num_generations
        groups = [np.stack(value[i : i + size]) for i in range(0, len(value), size)]
        return [row for group in groups for row in turn_advantages(group)]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        per_token = torch.zeros(output["completion_ids"].shape)
        for i, advantage in enumerate(self._advantages):
            end = self._turn_width * (len(advantage) - 1) + 1
            per_token[i, : end : self._turn_width] = torch.from_numpy(advantage).float()
        output["advantages"] = per_token
        return output

    def _answers(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int
    ) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Score every turn as a row of its own: its answer is conditioned on its prompt only."""
        batch, length = input_ids.shape
        turn = input_ids.reshape(-1, self._turn_width)
        real = torch.nonzero(attention_mask.reshape(-1, self._turn_width)[:, -1])[:, 0]
        place = (real + 1) * self._turn_width - 1

        def placed(value: Tensor) -> Tensor:
            out = torch.zeros(batch * length, dtype=value.dtype).index_put((place,), value)
            return out.reshape(batch, length)[:, -logits_to_keep:]

        return self._next_word(model, turn[real, :-1]), turn[real, -1:], placed


def _trainer(
    model: Any, settings: Settings, run: TrainingRun, seed: int
) -> tuple[TrajectoryGRPOTrainer, dict[str, int]]:
    """The trainer over every training episode, and how many these are."""
    from datasets import Dataset

    from learning.language.tokenizer import CompactTokenizer

    worlds = episodes(settings, seed=seed)
    trainer = TrajectoryGRPOTrainer(
        model=model,
        reward_funcs=trajectory_reward,
        args=grpo_arguments(
            settings, run, seed=seed, answers=settings.episodes_per_step * settings.group
        ),
        train_dataset=Dataset.from_dict({"prompt": list(worlds)}),
        processing_class=CompactTokenizer(),
        worlds=worlds,
        credit=settings.credit,
        discount=settings.discount,
    )
    return trainer, {"episodes": len(worlds)}


#: Train into a run folder; the other arguments of `grpo_config.train_embedded`.
train = partial(train_embedded, "multi-turn", "realised cost", _trainer)
