"""Room for the compiled environment: instances one after the other, and places to play them at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.offloading.states.option_features import COLUMNS, Load, column_of, load_of, scale_of
from mecopt.offloading import projection
from mecopt.offloading.arrays import Arrays
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import DEFAULT_SLOT_S, DROPPED


class Episodes(NamedTuple):
    """Instances one after the other; the arrays of each are numbered from zero."""

    start: NDArray[np.int64]  # (E + 1, fields) where the arrays of each instance begin
    arrays: Arrays
    believed: NDArray[np.int64]
    service: NDArray[np.int64]
    deadline: NDArray[np.int64]
    drop: NDArray[np.int64]
    weight: NDArray[np.float64]
    fixed: NDArray[np.int64]
    owner: NDArray[np.int64]
    time_scale: NDArray[np.float64]  # of each task, ns (`option_features.Scale`)
    cost_scale: NDArray[np.float64]
    column: NDArray[np.int64]  # of each resource (`option_features`)
    slot_s: NDArray[np.float64]  # (E,)
    load: NDArray[np.float32]  # (E, 3)
    needs_events: NDArray[np.bool_]  # (E,)


class World(NamedTuple):
    """Realised worlds of P places (or of one): what `OnlineSystem` keeps of an episode.

    K tasks, U units, R resources and S slots of stages at most.
    """

    free: NDArray[np.int64]  # (P, U)
    epoch: NDArray[np.int32]  # (P, R)
    heap_t: NDArray[np.int64]  # (P, S + 1)
    heap_s: NDArray[np.int32]
    size: NDArray[np.int64]  # (P, 1)
    waiting: NDArray[np.int32]  # (P, S)
    ready: NDArray[np.int64]
    arrival: NDArray[np.int64]
    begun: NDArray[np.int64]
    finish: NDArray[np.int64]
    lost: NDArray[np.int64]  # (P, K)
    completion: NDArray[np.int64]
    status: NDArray[np.int8]


class Places(NamedTuple):
    """Where each place stands."""

    episode: NDArray[np.int64]  # (P,) which of the episodes it plays
    coming: NDArray[np.int64]  # (P,) which it plays next
    user: NDArray[np.int64]  # (P,) whose tasks are decided, -1 for everybody's
    coming_user: NDArray[np.int64]
    task: NDArray[np.int64]  # (P,)
    first: NDArray[np.int64]  # (P,) the option done first, for a drop that is forbidden
    cost: NDArray[np.float64]  # (P,) of the decided tasks, slots
    choice: NDArray[np.int64]  # (P, K)
    active: NDArray[np.int64]  # (P, K)
    n_active: NDArray[np.int64]  # (P,)
    invalid: NDArray[np.int64]  # (P,) actions of this episode that named no option
    over: NDArray[np.bool_]  # (P,) whether the last step ended an episode, and of that one:
    ended: NDArray[np.int64]  # (P, 2) its tasks, and its invalid actions
    ended_cost: NDArray[np.float64]  # (P,) its cost, slots


class Scratch(NamedTuple):
    """Room for the world as it is believed, and for one realised world that is run ahead."""

    free: NDArray[np.int64]
    heap_t: NDArray[np.int64]
    heap_s: NDArray[np.int32]
    waiting: NDArray[np.int32]
    ready: NDArray[np.int64]
    entries: tuple[NDArray[np.int64], ...]
    units: NDArray[np.int64]
    ends: NDArray[np.int64]
    completion: NDArray[np.int64]  # of the options
    rows: NDArray[np.float32]
    backlog: NDArray[np.float64]  # not shown: empty
    ahead: World


class Game:
    """P places at which the episodes of some instances are played.

    Unpacked (``*game``) it is the first arguments of the functions of
    `learning.offloading.training.environment_kernel`.

    Parameters
    ----------
    instances : sequence of OffloadingInstance
    places : int
    load : Load or None
        As of `learning.offloading.states.option_features.Reader`.
    load_ceiling : float
        Load figures are clipped here.
    """

    def __init__(
        self,
        instances: Sequence[OffloadingInstance],
        places: int,
        load: Load | None,
        load_ceiling: float,
    ) -> None:
        self.instances = list(instances)
        self.owners = [np.unique(x.owner) for x in self.instances]
        self.episodes = _joined(self.instances, load, load_ceiling)
        tasks = max(x.n_tasks for x in self.instances)
        slots = max(int(x.arrays.slot_ptr[-1]) for x in self.instances)
        units = max(int(x.arrays.free_ptr[-1]) for x in self.instances)
        resources = max(x.n_resources for x in self.instances)
        self.world = _world(places, tasks, slots, units, resources)
        self.places = _places(places, tasks)
        options = max(int(np.diff(x.option_ptr).max()) for x in self.instances)
        stages = max(int(np.diff(x.stage_ptr).max()) for x in self.instances)
        self.scratch = Scratch(
            free=np.zeros(units, dtype=np.int64),
            heap_t=np.zeros(slots + 1, dtype=np.int64),
            heap_s=np.zeros(slots + 1, dtype=np.int32),
            waiting=np.zeros(slots, dtype=np.int32),
            ready=np.zeros(slots, dtype=np.int64),
            entries=projection.entries_for(resources, slots + 1),
            units=np.zeros(max(x.most_units for x in self.instances), dtype=np.int64),
            ends=np.zeros(stages, dtype=np.int64),
            completion=np.zeros(options, dtype=np.int64),
            rows=np.zeros((options + 1, len(COLUMNS)), dtype=np.float32),
            backlog=np.empty(0),
            ahead=_world(1, tasks, slots, units, resources),
        )

    def __iter__(self) -> Iterator[Episodes | Places | World | Scratch]:
        return iter((self.episodes, self.places, self.world, self.scratch))


def _joined(
    instances: Sequence[OffloadingInstance], load: Load | None, load_ceiling: float
) -> Episodes:
    columns = [column_of(x) for x in instances]
    parts = [(*x.arrays, x.fixed_cost_ns, c) for x, c in zip(instances, columns, strict=True)]
    lengths = np.array([[len(array) for array in part] for part in parts])
    start = np.vstack([np.zeros_like(lengths[:1]), lengths.cumsum(axis=0)])

    def joined(name: str) -> NDArray:
        return np.concatenate([getattr(x, name) for x in instances])

    scales = [scale_of(x) for x in instances]
    known = [load_of(x) if load is None else load for x in instances]
    return Episodes(
        start=start,
        arrays=Arrays(
            *(np.concatenate(same) for same in zip(*(p[:14] for p in parts), strict=True))
        ),
        believed=joined("believed_ns"),
        service=joined("service_ns"),
        deadline=joined("deadline_ns"),
        drop=joined("drop_cost_ns"),
        weight=joined("latency_weight"),
        fixed=joined("fixed_cost_ns"),
        owner=joined("owner").astype(np.int64),
        time_scale=np.concatenate([s.time_ns for s in scales]),
        cost_scale=np.concatenate([s.cost_ns for s in scales]),
        column=np.concatenate(columns),
        slot_s=np.array([float(x.meta.get("slot_s", DEFAULT_SLOT_S)) for x in instances]),
        load=np.minimum(np.array(known, dtype=np.float32), np.float32(load_ceiling)),
        needs_events=np.array([x.needs_events for x in instances]),
    )


def _world(places: int, tasks: int, slots: int, units: int, resources: int) -> World:
    def whole(width: int, kind: type = np.int64) -> NDArray:
        return np.zeros((places, width), dtype=kind)

    return World(
        free=whole(units),
        epoch=whole(resources, np.int32),
        heap_t=whole(slots + 1),
        heap_s=whole(slots + 1, np.int32),
        size=whole(1),
        waiting=whole(slots, np.int32),
        ready=whole(slots),
        arrival=whole(slots),
        begun=whole(slots),
        finish=whole(slots),
        lost=whole(tasks),
        completion=whole(tasks),
        status=whole(tasks, np.int8),
    )


def _places(places: int, tasks: int) -> Places:
    def whole(*shape: int) -> NDArray[np.int64]:
        return np.zeros((places, *shape), dtype=np.int64)

    return Places(
        episode=whole(),
        coming=whole(),
        user=whole(),
        coming_user=whole(),
        task=whole(),
        first=whole(),
        cost=np.zeros(places),
        choice=np.full((places, tasks), DROPPED, dtype=np.int64),
        active=whole(tasks),
        n_active=whole(),
        invalid=whole(),
        over=np.zeros(places, dtype=np.bool_),
        ended=whole(2),
        ended_cost=np.zeros(places),
    )
