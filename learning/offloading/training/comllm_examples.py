"""Examples of COMLLM's episodes as option rows: presets, numbers of servers and drawn settings.

States come from trajectories of a rule that looks ahead (most) and of the one-step oracle that may
drop, so that a pupil has seen fuller queues than it leaves itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning import seeds
from learning.offloading.rewards import own_values
from learning.offloading.rewards.own_values import OwnValues
from learning.offloading.rewards.rewards import Reward
from learning.offloading.rewards.teachers import Remembered, make_reward
from learning.offloading.rewards.user_values import UserValues
from learning.offloading.training import cost_examples
from learning.offloading.training.cost_examples import Examples
from learning.offloading.training.episodes import draw_parameters, draw_sizes
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.scenarios import comllm

#: Labels -> reward whose costs they are.
LABELS = {
    "values-lookahead": "values-lookahead",
    "server-aware": "server-aware",
    "user-values": "user-values",
    "lookahead": "rollout",
    "one-step": "lacs-lambda0",
    "hindsight-priced": "hindsight-priced",
}
#: Episodes of a pair in one round.
_ROUND = 5
#: Tuning instances per preset on which progress is measured, and states of each.
_TUNING_INSTANCES, _TUNING_STATES = 2, 100


@dataclass(frozen=True)
class Plan:
    """Which episodes, and how many states of each.

    Parameters
    ----------
    presets : tuple of str
    servers : tuple of int
        Numbers of servers; every pair of preset and number gets the same number of episodes.
    episodes : int
        Episodes per pair, one in five of them played by the one-step oracle that may drop.
    drawn : int
        Further episodes, each with a drawn load, links, speeds and numbers of users and servers.
    states_per_episode : int
    labels : str
        Key of `LABELS`.
    """

    presets: tuple[str, ...]
    servers: tuple[int, ...]
    episodes: int
    drawn: int
    states_per_episode: int
    labels: str


def collect(plan: Plan, seed: int) -> Examples:
    """Examples of training seeds; equal arguments give equal examples.

    Episodes are drawn in rounds of `_ROUND` per pair, so that more episodes are further rounds.
    """
    rounds = max(1, -(-plan.episodes // _ROUND))
    parts = [_round(plan, seed, k, rounds) for k in range(rounds)]
    return cost_examples.joined(parts)


def _round(plan: Plan, seed: int, k: int, rounds: int) -> Examples:
    """Round k: some episodes of every pair, and its part of those that are drawn."""
    rng = np.random.default_rng([3, seed, k])
    n = min(_ROUND, plan.episodes - k * _ROUND)
    n_drawn = plan.drawn * (k + 1) // rounds - plan.drawn * k // rounds
    parts = []
    for preset in plan.presets:
        for servers in plan.servers:
            drawn = _drawn(rng, n)
            episodes = [comllm.generate(preset, int(s), servers=servers) for s in drawn]
            parts += _played(episodes, plan, seed)
    drawn = _drawn(rng, n_drawn)
    changes = [draw_parameters(rng) | draw_sizes(rng) for _ in drawn]
    episodes = [comllm.generate("paper", int(s), **c) for s, c in zip(drawn, changes, strict=True)]
    return cost_examples.joined(parts + _played(episodes, plan, seed))


def _drawn(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Different training seeds."""
    found = seeds.FIRST_TRAINING + rng.choice(10**6, count, replace=False)
    seeds.check(found, "train")
    return found


def _reward(plan: Plan, seed: int) -> Reward:
    return Remembered(make_reward(LABELS[plan.labels], seed=seed))


def _follow(plan: Plan) -> Policy:
    """The rule that plays most episodes; one whose tables the labels need anyway."""
    if plan.labels == "values-lookahead":
        return OwnValues(own_values.LABEL)
    return UserValues()


def _played(episodes: list[OffloadingInstance], plan: Plan, seed: int) -> list[Examples]:
    """Examples of episodes, one in five of them played by the one-step oracle that may drop."""
    reward, n = _reward(plan, seed), plan.states_per_episode
    shares: tuple[tuple[list[OffloadingInstance], str | Policy], ...] = (
        (episodes[::5], "one-step-oracle-drop"),
        ([x for i, x in enumerate(episodes) if i % 5], _follow(plan)),
    )
    return [
        cost_examples.collect(part, reward, follow, per_instance=n, seed=seed)
        for part, follow in shares
        if part
    ]


def tuning(plan: Plan, seed: int = 0) -> list[Examples]:
    """Examples of tuning seeds, one part per number of servers."""
    first = seeds.PARTS["tune"][0]
    reward = _reward(plan, seed)
    return [
        cost_examples.collect(
            [
                comllm.generate(preset, s, servers=servers)
                for preset in plan.presets
                for s in range(first, first + _TUNING_INSTANCES)
            ],
            reward,
            _follow(plan),
            per_instance=_TUNING_STATES,
        )
        for servers in dict.fromkeys(plan.servers)
    ]
