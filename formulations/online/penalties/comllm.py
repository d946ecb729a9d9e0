"""COMLLM's generator as a law: all that a task needs is known at its release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from formulations.online.bound import generated_by
from formulations.online.control import control_for
from formulations.online.penalties.worlds import Drawn, own_cost_s
from formulations.online.tasks import System, system_of
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.scenarios.futures import generated_from


@dataclass(frozen=True, eq=False)
class ComllmLaw:
    """Episodes over the servers of one; only its generator and servers count.

    Raises
    ------
    ValueError
        If the instance is of another scenario.
    """

    instance: OffloadingInstance

    def __post_init__(self) -> None:
        system_of(self.instance)

    @cached_property
    def _system(self) -> System:
        return system_of(self.instance)[0]

    @property
    def slot_s(self) -> float:
        return float(self.instance.meta["slot_s"])

    @property
    def expected_tasks(self) -> float:
        return self._system.expected_tasks

    @property
    def entropy(self) -> tuple[int, ...]:
        return (int(self.instance.meta["seed"]),)

    @property
    def provenance(self) -> Mapping[str, Any]:
        meta = self.instance.meta
        return {**generated_by(meta), "server_seed": meta["seed"]}

    def _episode(self, rng: np.random.Generator) -> OffloadingInstance:
        # Nobody else asks for a task seed as large as these.
        task_seed = int(rng.integers(2**62, 2**63 - 1))
        meta = self.instance.meta
        changes = generated_from(self.instance, "comllm")
        return comllm.generate(meta["preset"], meta["seed"], task_seed=task_seed, **changes)

    def world(self, rng: np.random.Generator, redraws: int) -> Drawn:
        """An episode; its luck is [luck] of `formulations.online.control` under a simple rule.

        The tables behind it are sampled anew for every world, so that worlds stay independent.
        """
        x = self._episode(rng)
        control = control_for(self.instance, int(rng.integers(2**31)))
        luck = control.luck_slots(rollout(x, OneStepOracleDrop()))
        redrawn = np.tile(x.service_ns * 1e-9, (redraws, 1))
        return Drawn(x, own_cost_s(x), redrawn, luck * self.slot_s)

    def future(self, rng: np.random.Generator) -> Drawn:
        x = self._episode(rng)
        return Drawn(x, own_cost_s(x), np.empty((0, len(x.service_ns))))
