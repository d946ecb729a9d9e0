"""What penalties need of a system: worlds it may bring, and what is expected at each release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.first import longest_paths_ns
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS


@dataclass(frozen=True, eq=False)
class Drawn:
    """A sampled world, and what is expected of its tasks.

    Parameters
    ----------
    instance : OffloadingInstance
    expected_own_s : (O,) float64
        Mean of `own_cost_s` of every option, given what is known when its task is decided.
    redrawn_s : (M, S) float64
        Services of every stage as they might have been, given the same, s: M draws.
    luck_s : float
        A figure of mean zero whatever rules decide, close to what this world costs more than
        others.
    """

    instance: OffloadingInstance
    expected_own_s: NDArray[np.float64]
    redrawn_s: NDArray[np.float64]
    luck_s: float = 0.0


class Law(Protocol):
    """A distribution of worlds over the same resources.

    What comes after a moment must be independent of what came before, apart from the services of
    tasks that are known by then: futures are drawn without looking at the past.
    """

    @property
    def slot_s(self) -> float: ...

    @property
    def expected_tasks(self) -> float: ...

    @property
    def provenance(self) -> Mapping[str, Any]: ...

    @property
    def entropy(self) -> tuple[int, ...]:
        """Numbers that go into the seeds of all worlds, such as the seed of the servers."""
        ...

    def world(self, rng: np.random.Generator, redraws: int) -> Drawn:
        """A world with so many draws of its services, and its luck."""
        ...

    def future(self, rng: np.random.Generator) -> Drawn:
        """A world for rollouts: without redraws, its luck is not worked out."""
        ...


def own_cost_s(instance: OffloadingInstance) -> NDArray[np.float64]:
    """(O,) what each option costs its task when nothing waits: the drop cost where that is late."""
    x, task = instance, instance.task_of_option
    latency = longest_paths_ns(x)
    run = x.latency_weight[task] * latency + x.fixed_cost_ns
    drop = np.where(x.drop_cost_ns < INFINITE_NS, x.drop_cost_ns.astype(np.float64), np.inf)
    return np.asarray(np.where(latency <= x.deadline_ns[task], run, drop[task]) * 1e-9)
