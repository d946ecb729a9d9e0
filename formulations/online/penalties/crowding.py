"""[crowding]: the part of a penalty that is about those who follow, by simplified rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.online.penalties import kernel
from formulations.online.penalties.kernel import Tables
from formulations.online.penalties.worlds import Drawn
from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS, UNLIMITED


@dataclass(frozen=True)
class Shape:
    """How the future enters a penalty; any shape is valid, tuning seeds choose a tight one.

    Parameters
    ----------
    kinds : tuple of str
        Kinds of resources that make rollouts wait.
    horizon_s : float
        How far those who follow are followed, s.
    theta : float
        Scale of [crowding]; 0 leaves it out.
    """

    kinds: tuple[str, ...]
    horizon_s: float
    theta: float

    def __post_init__(self) -> None:
        checks.names("kinds", self.kinds)
        if not 0 < self.horizon_s < np.inf:
            raise ValueError(f"horizon_s = {self.horizon_s} must be > 0 and finite")
        if not 0 <= self.theta < np.inf:
            raise ValueError(f"theta = {self.theta} must be >= 0 and finite")


class Queues:
    """The resources that count, in one numbering for all worlds over them."""

    def __init__(self, instance: OffloadingInstance, kinds: Sequence[str]) -> None:
        counts = np.isin(np.array(instance.resource_kinds), kinds)
        counts &= instance.capacity < UNLIMITED
        self.number = np.where(counts, np.cumsum(counts) - 1, -1)
        units = instance.capacity[counts].astype(np.int64)
        self.free_ptr = np.concatenate([[0], np.cumsum(units)]).astype(np.int64)

    def tables(self, worlds: Sequence[Drawn]) -> Tables:
        """Worlds one after another.

        Raises
        ------
        ValueError
            If an option is no chain of stages.
        """
        parts = [w.instance for w in worlds]
        if not all(x.is_chain for x in parts):
            raise ValueError("instance: penalties by rollouts need options that are chains")

        def joined(name: str) -> NDArray:
            return np.concatenate([getattr(x, name) for x in parts])

        def seconds(name: str) -> NDArray[np.float64]:
            ns = joined(name)
            return np.where(ns < INFINITE_NS, ns * 1e-9, np.inf)

        def pointer(name: str) -> NDArray[np.int64]:
            lengths = np.concatenate([np.diff(getattr(x, name)) for x in parts])
            return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

        return Tables(
            release=seconds("release_ns"),
            deadline=seconds("deadline_ns"),
            drop=seconds("drop_cost_ns"),
            option_ptr=pointer("option_ptr"),
            stage_ptr=pointer("stage_ptr"),
            resource=self.number[joined("stage_resource")],
            service=seconds("service_ns"),
            believed=seconds("believed_ns"),
            own=np.concatenate([w.expected_own_s for w in worlds]),
        )


class Crowding:
    """[crowding] of worlds against the same futures.

    Parameters
    ----------
    futures : sequence of Drawn
        Independent worlds over the same resources, or every world there is.
    shape : Shape
    weight : (M,) float64, optional
        Probabilities of the futures where they are all there are; equal unless given.

    Raises
    ------
    ValueError
        Without futures, or where an option is no chain.
    """

    def __init__(
        self,
        futures: Sequence[Drawn],
        shape: Shape,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        if not futures:
            raise ValueError("futures: is empty, the mean cannot be estimated")
        count = len(futures)
        self._queues = Queues(futures[0].instance, shape.kinds)
        self._futures = self._queues.tables(futures)
        sizes = [w.instance.n_tasks for w in futures]
        self._task_ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._weight = np.full(count, 1 / count) if weight is None else weight
        self._shape = shape

    def z_s(self, world: Drawn) -> NDArray[np.float64]:
        """(O,) theta x [crowding] of every option, s.

        Raises
        ------
        ValueError
            If the world has not one redraw per future, or other resources.
        """
        count = len(self._weight)
        if len(world.redrawn_s) != count:
            raise ValueError(f"redrawn_s: {len(world.redrawn_s)} draws, {count} futures")
        if world.instance.n_resources != len(self._queues.number):
            raise ValueError("world: its resources are not those of the futures")
        z = np.zeros(world.instance.n_options)
        if len(self._queues.free_ptr) > 1:
            kernel.crowding(
                self._queues.tables([world]),
                world.redrawn_s,
                self._futures,
                self._task_ptr,
                self._weight,
                self._queues.free_ptr,
                self._shape.horizon_s,
                z,
            )
        return self._shape.theta * z
