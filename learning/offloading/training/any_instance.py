"""Examples of any instances: two trajectories over each, labelled by a reward that needs no preset.

One trajectory follows the labels, one is the one-step oracle that drops and now and then takes any
option, so that longer queues have been seen than a good policy leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from learning.offloading.rewards.companions import futures_of
from learning.offloading.rewards.labels import Exploring
from learning.offloading.rewards.long import HindsightPriced, RolloutValue
from learning.offloading.rewards.rewards import Reward
from learning.offloading.rewards.server_aware import ServerAware
from learning.offloading.rewards.teachers import GreedyTeacher, Remembered, make_reward
from learning.offloading.rewards.values_lookahead import ValuesRollout
from learning.offloading.training.cost_examples import Examples, collect, joined
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.scenarios.futures import Futures

#: Label -> reward whose costs are learned, from sampled futures and the seed of what it draws.
LABELS: dict[str, Callable[[Futures, int], Reward]] = {
    "one-step": lambda futures, seed: make_reward("lacs-lambda0", seed=seed),
    "lookahead": lambda futures, seed: RolloutValue(seed=seed, futures=futures),
    "server-aware": lambda futures, seed: ServerAware(seed=seed, futures=futures),
    "values-lookahead": lambda futures, seed: ValuesRollout(seed=seed, futures=futures),
    "hindsight-priced": lambda futures, seed: HindsightPriced(),
}
#: Share of random options on the second trajectory.
_EXPLORE = 0.1


def examples(
    instances: Sequence[OffloadingInstance], labels: str, states: int, seed: int
) -> Examples:
    """About `states` labelled states of instances, as many of each; of all if that is fewer.

    Parameters
    ----------
    instances : sequence of OffloadingInstance
        Futures of one without a generator are resampled from all that have its resources.
    labels : str
        Key of `LABELS`.
    states, seed : int

    Raises
    ------
    ValueError
        Unknown labels, or a state that cannot be learned from.
    """
    if labels not in LABELS:
        raise ValueError(
            f"labels: {labels!r} needs COMLLM's parameters; other instances have "
            f"{', '.join(LABELS)}"
        )
    reward = Remembered(LABELS[labels](futures_of(instances, seed), seed))
    each = -(-states // (2 * len(instances)))
    parts = []
    for follow in (GreedyTeacher(reward), Exploring(OneStepOracleDrop(), _EXPLORE, seed)):
        parts.append(collect(instances, reward, follow, per_instance=each, seed=seed))
    return joined(parts)
