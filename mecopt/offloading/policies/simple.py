"""Rules that need no tuning: one-step oracles, random, local, nearest, least loaded, round robin.

The one-step oracle is what COMLLM (arXiv 2604.07148) calls its oracle: per task, the option with
the least cost given the work committed so far. Ties go to the option listed first (local, then the
lowest server, in the scenarios of mecopt).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mecopt.checks import check_seed
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.status import NEVER


class _Forgetful:
    """A rule that decides by the observation alone."""

    def reset(self, instance: OffloadingInstance) -> None:
        """Nothing to prepare."""


@dataclass
class OneStepOracle(_Forgetful):
    """Least believed cost now; never drops (least cost even when late)."""

    name: str = "one-step-oracle"

    def act(self, observation: Observation) -> int:
        return int(np.argmin(observation.run_cost_s))


@dataclass
class OneStepOracleDrop(_Forgetful):
    """Least believed cost now; drops when dropping is cheaper than every option."""

    name: str = "one-step-oracle-drop"

    def act(self, observation: Observation) -> int:
        cost = observation.cost_s
        best = int(np.argmin(cost))
        late = observation.completion_ns[best] - observation.now_ns
        deadline = observation.instance.deadline_ns[observation.task]
        return -1 if late > deadline or cost[best] > observation.drop_cost_s else best


@dataclass
class Random:
    """Uniform over the options; equal seeds give equal decisions."""

    seed: int = 0
    name: str = "random"
    _rng: np.random.Generator = field(default_factory=np.random.default_rng, repr=False)

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def reset(self, instance: OffloadingInstance) -> None:
        digest = int(instance.content_hash[:15], 16)
        self._rng = np.random.default_rng([self.seed, digest])

    def act(self, observation: Observation) -> int:
        return int(self._rng.integers(observation.n_options))


def _options_at(observation: Observation, kind: str) -> list[int]:
    """Options whose every stage that is not a link or uplink is of a kind; all if there is none."""
    x, wanted = observation.instance, []
    for i, o in enumerate(x.options_of(observation.task)):
        stages = range(x.stage_ptr[o], x.stage_ptr[o + 1])
        used = {x.resource_kinds[x.stage_resource[s]] for s in stages}
        if used - {"uplink", "link"} == {kind}:
            wanted.append(i)
    return wanted or list(range(observation.n_options))


def own_service_s(observation: Observation) -> NDArray[np.float64]:
    """(n,) believed service seconds of each option, all stages, without waiting."""
    x = observation.instance
    options = x.options_of(observation.task)
    first, last = x.stage_ptr[options.start], x.stage_ptr[options.stop]
    edges = x.stage_ptr[options.start : options.stop] - first
    return np.add.reduceat(x.believed_ns[first:last], edges) * 1e-9


@dataclass
class Local(_Forgetful):
    """Always the device; the least believed cost among the others where there is no device."""

    name: str = "local"

    def act(self, observation: Observation) -> int:
        pool = _options_at(observation, "device")
        return min(pool, key=lambda i: observation.run_cost_s[i])


@dataclass
class Nearest(_Forgetful):
    """The server whose first stage (the upload) is shortest; the device where there is none."""

    name: str = "nearest"

    def act(self, observation: Observation) -> int:
        x, options = observation.instance, observation.instance.options_of(observation.task)
        pool = _options_at(observation, "server")
        return min(pool, key=lambda i: x.believed_ns[x.stage_ptr[options.start + i]])


@dataclass
class LeastLoaded(_Forgetful):
    """The option whose last resource has the shortest committed queue; ties to the shortest."""

    name: str = "least-loaded"

    def act(self, observation: Observation) -> int:
        x, backlog = observation.instance, observation.backlog_s
        service = own_service_s(observation)

        def key(i: int) -> tuple[float, float]:
            last = x.stage_ptr[x.option_ptr[observation.task] + i + 1] - 1
            r = x.stage_resource[last]
            return (backlog[r] if observation.up[r] else np.inf, service[i])

        return min(range(observation.n_options), key=key)


@dataclass
class RoundRobin:
    """The servers in turn, per owner; options that meet a resource that is down are skipped."""

    name: str = "round-robin"
    _next: dict[int, int] = field(default_factory=dict, repr=False)

    def reset(self, instance: OffloadingInstance) -> None:
        self._next = {}

    def act(self, observation: Observation) -> int:
        x = observation.instance
        pool = _options_at(observation, "server")
        up = [i for i in pool if observation.completion_ns[i] < NEVER] or pool
        owner = int(x.owner[observation.task])
        turn = self._next.get(owner, 0)
        self._next[owner] = turn + 1
        return up[turn % len(up)]
