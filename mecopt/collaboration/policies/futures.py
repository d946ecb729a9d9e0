"""Look-ahead for failing nodes: sampled futures in which every task is worth its chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mecopt.checks import check_seed
from mecopt.collaboration.expected import expected
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.scenarios.futures import Futures, generated_from, task_seeds

#: Futures per decision, how far they are played (s), options tried (D): from a sweep on preset
#: `paper`, seeds 1000:1004.
SAMPLES, HORIZON_S, CANDIDATES = 16, 2.0, 8


def ledrl_futures(seed: int = 0, data_dir: Any = None) -> Futures:
    """Futures over the network of an episode, nothing failing, each task worth its chance.

    Parameters
    ----------
    seed : int
        Equal seeds give equal futures.
    data_dir : path, optional
        The data folder, for edge sites.

    Raises
    ------
    ValueError
        If the seed is negative; from the returned function, when the instance is no such episode.
    """
    check_seed(seed)

    def futures(instance: OffloadingInstance, samples: int) -> list[OffloadingInstance]:
        meta, changes = instance.meta, generated_from(instance, "ledrl")
        drawn = (
            ledrl.generate(
                meta["preset"], meta["seed"], task_seed=task_seed, data_dir=data_dir, **changes
            )
            for task_seed in task_seeds(seed, samples)
        )
        # Worth is what the rates of the instance say, also where a rule was told wrong ones.
        told = {"collaboration": meta["collaboration"]}
        return [expected(replace(x, meta={**x.meta, **told})) for x in drawn]

    return futures


@dataclass
class ExpectedLookahead(Lookahead):
    """Look-ahead in chances: what a task is worth, and what it leaves for those that may follow.

    Parameters are those of `mecopt.offloading.policies.lookahead.Lookahead`.
    """

    def believed(self, instance: OffloadingInstance) -> OffloadingInstance:
        """The instance with an option on time worth its chance."""
        return replace(instance, fixed_cost_ns=expected(instance).fixed_cost_ns)


def lookahead(seed: int = 0, data_dir: Any = None) -> ExpectedLookahead:
    """The look-ahead over sampled futures of LeDRL's episodes."""
    futures = ledrl_futures(seed, data_dir)
    return ExpectedLookahead(SAMPLES, HORIZON_S, futures, "expected-lookahead", CANDIDATES)
