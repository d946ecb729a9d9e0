"""The offloading instance: tasks choose routes over shared FIFO resources.

An `OffloadingInstance` is frozen and always valid. Times are integer nanoseconds, rounded once
when the instance is made; the rounded instance *is* the instance, so every replay and every
certificate is exact. Costs are measured in seconds of latency and stored in nanoseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks, files
from mecopt.offloading.arrays import Arrays, kernel_arrays
from mecopt.offloading.tasks import Option as Option
from mecopt.offloading.tasks import Resource as Resource
from mecopt.offloading.tasks import Stage as Stage
from mecopt.offloading.tasks import Task as Task
from mecopt.offloading.units import DROPPED, IntArray, to_ns
from mecopt.offloading.validate import check_offloading

FORMAT = files.Format("mecopt.offloading-instance", version=1, finite=True)


def _whole(name: str, array: ArrayLike, dtype: Any) -> NDArray[Any]:
    """Frozen integer array; refuses fractions, other types and values out of range."""
    given = np.asarray(array)
    if given.size == 0:
        return checks.frozen(given, dtype)
    if given.dtype.kind not in "iu":
        raise ValueError(f"{name}: must hold whole numbers, has dtype {given.dtype}")
    limits = np.iinfo(dtype)
    checks.refuse((given < limits.min) | (given > limits.max), name, given, "is out of range")
    return checks.frozen(given, dtype)


_NAMES = ("resource_names", "resource_kinds", "owner_names", "labels", "task_names")
_INT64 = (
    "down_ns",
    "release_ns",
    "deadline_ns",
    "drop_cost_ns",
    "fixed_cost_ns",
    "service_ns",
    "believed_ns",
)
_INT32 = (
    "capacity",
    "down_ptr",
    "owner",
    "option_ptr",
    "option_label",
    "stage_ptr",
    "stage_resource",
    "pred_ptr",
    "pred",
)


@dataclass(frozen=True, eq=False)
class OffloadingInstance(files.Saved):
    """Tasks that choose routes over FIFO resources (frozen, validated, serialisable).

    K tasks, O options, S stages, R resources, U owners, all in flat arrays. Options
    ``option_ptr[k]:option_ptr[k + 1]`` belong to task k; stages ``stage_ptr[o]:stage_ptr[o + 1]``
    to option o; ``pred[pred_ptr[s]:pred_ptr[s + 1]]`` are the stages that precede stage s.

    Parameters
    ----------
    resource_names, resource_kinds : tuple of str, length R
    capacity : (R,) int32
        Parallel servers, `UNLIMITED` for a pure delay.
    down_ptr : (R + 1,) int32
    down_ns : (D, 2) int64
        Down intervals [start, end) of each resource, ns, sorted and disjoint.
    owner_names : tuple of str, length U
    owner : (K,) int32
    release_ns : (K,) int64
        Release times in ns, sorted.
    deadline_ns : (K,) int64
        Relative deadlines in ns, `INFINITE_NS` for none.
    drop_cost_ns : (K,) int64
        Cost of a late or dropped task in ns, `INFINITE_NS` when neither is allowed.
    latency_weight : (K,) float64
        Cost of a second of latency; rounded to multiples of 2^-30.
    option_ptr : (K + 1,) int32
    labels : tuple of str
    option_label : (O,) int32
        Index into `labels`.
    fixed_cost_ns : (O,) int64
    stage_ptr : (O + 1,) int32
    stage_resource : (S,) int32
    service_ns, believed_ns : (S,) int64
        Realised service times, and those a policy believes, ns.
    pred_ptr : (S + 1,) int32
    pred : (P,) int32
    task_names : tuple of str, length K, optional
    meta : mapping
        Provenance (scenario, preset, seed, tags); JSON-able, not part of the hash.

    Raises
    ------
    ValueError
        Names the argument, the position and the value of whatever is malformed.
    """

    resource_names: tuple[str, ...]
    resource_kinds: tuple[str, ...]
    capacity: NDArray[np.int32]
    down_ptr: NDArray[np.int32]
    down_ns: IntArray
    owner_names: tuple[str, ...]
    owner: NDArray[np.int32]
    release_ns: IntArray
    deadline_ns: IntArray
    drop_cost_ns: IntArray
    latency_weight: NDArray[np.float64]
    option_ptr: NDArray[np.int32]
    labels: tuple[str, ...]
    option_label: NDArray[np.int32]
    fixed_cost_ns: IntArray
    stage_ptr: NDArray[np.int32]
    stage_resource: NDArray[np.int32]
    service_ns: IntArray
    believed_ns: IntArray
    pred_ptr: NDArray[np.int32]
    pred: NDArray[np.int32]
    task_names: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _INT64:
            object.__setattr__(self, name, _whole(name, getattr(self, name), np.int64))
        for name in _INT32:
            object.__setattr__(self, name, _whole(name, getattr(self, name), np.int32))
        object.__setattr__(self, "down_ns", checks.frozen(self.down_ns.reshape(-1, 2), np.int64))
        weight = np.asarray(self.latency_weight)
        if weight.dtype.kind not in "iuf":
            raise ValueError(f"latency_weight: must hold numbers, has dtype {weight.dtype}")
        checks.refuse(~np.isfinite(weight) | (weight < 0), "latency_weight", weight, "must be >= 0")
        grid = np.rint(weight * 2.0**30) / 2.0**30
        object.__setattr__(self, "latency_weight", checks.frozen(grid, np.float64))
        for name in _NAMES:
            object.__setattr__(self, name, checks.names(name, getattr(self, name)))
        checks.mapping("meta", self.meta)
        if not self.task_names:
            object.__setattr__(self, "task_names", tuple(f"task {k}" for k in range(self.n_tasks)))
        check_offloading(self)

    # ---------------------------------------------------------------- sizes and views
    @property
    def n_tasks(self) -> int:
        return len(self.release_ns)

    @property
    def n_resources(self) -> int:
        return len(self.resource_names)

    @property
    def n_options(self) -> int:
        return len(self.fixed_cost_ns)

    @cached_property
    def task_of_option(self) -> NDArray[np.int64]:
        """(O,) task that owns each option."""
        return np.repeat(np.arange(self.n_tasks), np.diff(self.option_ptr))

    @cached_property
    def option_of_stage(self) -> NDArray[np.int64]:
        """(S,) option that owns each stage."""
        return np.repeat(np.arange(self.n_options), np.diff(self.stage_ptr))

    @cached_property
    def is_chain(self) -> bool:
        """True when every option is a chain in listed order."""
        position = np.arange(len(self.service_ns)) - self.stage_ptr[self.option_of_stage]
        n_pred = np.diff(self.pred_ptr)
        if not np.array_equal(n_pred, (position > 0).astype(n_pred.dtype)):
            return False
        return bool(np.array_equal(self.pred, np.flatnonzero(position > 0) - 1))

    @cached_property
    def arrays(self) -> Arrays:
        """What the compiled kernels read."""
        return kernel_arrays(self)

    @cached_property
    def most_units(self) -> int:
        """Units of the resource that has most of them, at least 1."""
        return int(np.diff(self.arrays.free_ptr).max(initial=1))

    @property
    def needs_events(self) -> bool:
        """True when a failure can cancel queued siblings (DAG options and down intervals)."""
        return len(self.down_ns) > 0 and not self.is_chain

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything that can change a replay; names and meta left out."""
        digest = hashlib.sha256(b"mecopt.offloading/1")
        for f in fields(self):
            if f.name in _INT64 or f.name in _INT32 or f.name == "latency_weight":
                if f.name == "option_label":
                    continue
                array = getattr(self, f.name)
                digest.update(f"{f.name}{array.dtype.str}{array.shape}".encode())
                digest.update(array.tobytes())
        return digest.hexdigest()

    def options_of(self, task: int) -> range:
        """Global option indices of a task."""
        return range(int(self.option_ptr[task]), int(self.option_ptr[task + 1]))

    def option_name(self, task: int, choice: int) -> str:
        """Label of a choice (``"dropped"`` for -1)."""
        if choice == DROPPED:
            return "dropped"
        return self.labels[self.option_label[self.option_ptr[task] + choice]]

    #: Which family of problems this is, and what its files look like.
    family: ClassVar[str] = "offloading"
    format: ClassVar = FORMAT
    texts: ClassVar = _NAMES

    @property
    def cost_unit(self) -> str:
        """Costs are seconds."""
        return " s"

    def spread(self, cost: float) -> str:
        """A sum of costs per task, in words."""
        return f"over {self.n_tasks} tasks ({cost / self.n_tasks:.6g} s each)"

    def __repr__(self) -> str:
        return (
            f"OffloadingInstance({self.n_tasks} tasks of {len(self.owner_names)} owners, "
            f"{self.n_options} options, {self.n_resources} resources, "
            f"hash {self.content_hash[:12]})"
        )

    # ---------------------------------------------------------------- construction
    @classmethod
    def from_tasks(
        cls,
        resources: Iterable[Resource],
        tasks: Iterable[Task],
        meta: Mapping[str, Any] | None = None,
    ) -> OffloadingInstance:
        """Build an instance from `Resource` and `Task` objects, in seconds.

        Raises
        ------
        ValueError
            Unknown resource names, duplicate names, cyclic stage graphs, empty lists, unsorted
            releases, bad numbers; the message names the argument and the value.
        """
        resources, tasks = list(resources), list(tasks)
        checks.no_duplicates("resources", [r.name for r in resources])
        index = {r.name: i for i, r in enumerate(resources)}
        owners: dict[str, int] = {}
        labels: dict[str, int] = {}
        option_ptr, stage_ptr, pred_ptr = [0], [0], [0]
        option_label: list[int] = []
        stage_resource: list[int] = []
        pred: list[int] = []
        fixed: list[float] = []
        service: list[float] = []
        believed: list[float] = []
        for k, task in enumerate(tasks):
            owners.setdefault(task.owner, len(owners))
            checks.no_duplicates(f"tasks[{k}].options", [o.name for o in task.options])
            for option in task.options:
                where = f"tasks[{k}].options[{option.name!r}]"
                base = len(service)
                for i, stage in enumerate(option.stages):
                    if stage.resource not in index:
                        raise ValueError(
                            f"{where}.stages[{i}].resource: unknown resource {stage.resource!r}"
                        )
                    before = stage.after if stage.after is not None else (i - 1,) * (i > 0)
                    for p in before:
                        if not 0 <= p < len(option.stages):
                            raise ValueError(f"{where}.stages[{i}].after: no stage {p}")
                    pred.extend(base + p for p in before)
                    pred_ptr.append(len(pred))
                    stage_resource.append(index[stage.resource])
                    service.append(stage.service_s)
                    guess = stage.service_s if stage.believed_s is None else stage.believed_s
                    believed.append(guess)
                option_label.append(labels.setdefault(option.name, len(labels)))
                fixed.append(option.fixed_cost_s)
                stage_ptr.append(len(service))
            option_ptr.append(len(fixed))
        down_ptr = np.cumsum([0, *(len(r.down_s) for r in resources)])
        down = [interval for r in resources for interval in r.down_s]
        named = [t.name if t.name is not None else f"task {k}" for k, t in enumerate(tasks)]
        checks.no_duplicates("tasks", named)
        return cls(
            resource_names=tuple(r.name for r in resources),
            resource_kinds=tuple(r.kind for r in resources),
            capacity=checks.integers("capacity", [r.capacity for r in resources]),
            down_ptr=down_ptr,
            down_ns=to_ns(np.array(down, dtype=float).reshape(-1, 2), "down_s"),
            owner_names=tuple(owners),
            owner=np.array([owners[t.owner] for t in tasks], dtype=np.int32),
            release_ns=to_ns([t.release_s for t in tasks], "release_s"),
            deadline_ns=to_ns([t.deadline_s for t in tasks], "deadline_s"),
            drop_cost_ns=to_ns([t.drop_cost_s for t in tasks], "drop_cost_s"),
            latency_weight=np.array([t.latency_weight for t in tasks], dtype=float),
            option_ptr=np.array(option_ptr),
            labels=tuple(labels),
            option_label=np.array(option_label, dtype=np.int32),
            fixed_cost_ns=to_ns(fixed, "fixed_cost_s"),
            stage_ptr=np.array(stage_ptr),
            stage_resource=np.array(stage_resource, dtype=np.int32),
            service_ns=to_ns(service, "service_s"),
            believed_ns=to_ns(believed, "believed_s"),
            pred_ptr=np.array(pred_ptr),
            pred=np.array(pred, dtype=np.int32),
            task_names=tuple(named),
            meta=dict(meta or {}),
        )
