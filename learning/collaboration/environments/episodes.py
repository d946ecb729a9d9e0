"""Which episodes environments play, and what their observations are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from learning import seeds as seed_parts
from learning.collaboration.process.rows import CEILING, VIEWS
from learning.runs.settings import at_least
from mecopt import checks
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.instance import OffloadingInstance

#: Draws the instance of an episode.
Sampler = Callable[[np.random.Generator], OffloadingInstance]


@dataclass(frozen=True)
class LedrlSampler:
    """Draws episodes of a preset from training seeds.

    Parameters
    ----------
    preset : str
    changes : mapping
        Overrides of the preset's parameters.
    first_seed, seeds : int
        Seeds are drawn from ``first_seed : first_seed + seeds``, all of them training seeds
        (`learning.seeds`).

    Raises
    ------
    ValueError
        Unknown preset or parameter, nothing to draw from, or seeds that are not for training.
    """

    preset: str = "paper"
    changes: Mapping[str, Any] = field(default_factory=dict)
    first_seed: int = seed_parts.FIRST_TRAINING
    seeds: int = 1_000_000

    def __post_init__(self) -> None:
        ledrl.parameters(self.preset, **self.changes)
        at_least(self, seeds=1)
        seed_parts.check([self.first_seed, self.first_seed + self.seeds - 1], "train")

    def __call__(self, rng: np.random.Generator) -> OffloadingInstance:
        """The instance of one episode."""
        seed = self.first_seed + int(rng.integers(self.seeds))
        return ledrl.generate(self.preset, seed, **self.changes)


def sampler_of(
    instances: Sampler | Sequence[OffloadingInstance] | OffloadingInstance | None,
) -> Sampler:
    """A function that draws instances: the one given, or one of those listed.

    Raises
    ------
    ValueError
        If the list is empty.
    """
    if instances is None:
        return LedrlSampler()
    if callable(instances):
        return instances
    listed = [instances] if isinstance(instances, OffloadingInstance) else list(instances)
    if not listed:
        raise ValueError("instances: is empty")
    return lambda rng: listed[int(rng.integers(len(listed)))]


def space(candidates: int, view: str) -> gymnasium.spaces.Dict:
    """Observations: ``rows`` (C, F), see `learning.collaboration.process.rows`, and which
    candidates are allowed, ``action_mask`` (C,) of 0 and 1.
    """
    checks.whole("candidates", candidates, 1)
    checks.known("view", view, VIEWS)
    shape = (candidates, VIEWS[view])
    return gymnasium.spaces.Dict(
        {
            "rows": gymnasium.spaces.Box(-CEILING, CEILING, shape, np.float32),
            "action_mask": gymnasium.spaces.MultiBinary(candidates),
        }
    )


def nothing(candidates: int, view: str) -> dict[str, NDArray]:
    """What an agent sees that has nothing to decide: only 0 is allowed."""
    mask = np.zeros(candidates, dtype=np.int8)
    mask[0] = 1
    return {"rows": np.zeros((candidates, VIEWS[view]), dtype=np.float32), "action_mask": mask}
