"""A network and its tasks: what an instance of task graphs was made of, and is made of again.

The instance is an `OffloadingInstance`; plans, requests and network travel in its ``meta``, so that
a planner can be asked, and a schedule shown as a graph, from a saved file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from mecopt.offloading.instance import OffloadingInstance
from mecopt.strict_json import number, shown
from mecopt.task_graphs.correctness import Skill, undivided
from mecopt.task_graphs.network import Link, Network, Node
from mecopt.task_graphs.options import GraphTask, Weights, instance_of
from mecopt.task_graphs.plan import TaskPlan
from mecopt.task_graphs.plan_file import plan_document, read_plan

#: Arrays that say which options there are: equal for every estimate of the same plans.
_STRUCTURE = ("option_ptr", "stage_ptr", "stage_resource", "pred_ptr", "pred")
#: Fields of a link that may be infinite.
_UNLIMITED = ("bit_per_s", "frame_bits")


@dataclass(frozen=True, eq=False)
class Episode:
    """Tasks over a network.

    Parameters
    ----------
    network : Network
    tasks : tuple of GraphTask
        In order of release.
    weights : Weights
    requests : sequence of str
        What was asked, for planners that read; empty when nothing is known.
    undivided_penalty : float
        See `mecopt.task_graphs.correctness.undivided`.
    provenance : mapping
        Scenario, preset, seed and the like; goes into the instance's meta.
    """

    network: Network
    tasks: tuple[GraphTask, ...]
    weights: Weights = field(default_factory=Weights)
    requests: Sequence[str] = ()
    undivided_penalty: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def instance(self) -> OffloadingInstance:
        """The instance, with what it was made of in its meta."""
        meta = {**self.provenance, "task_graphs": self._document()}
        return instance_of(self.network, self.tasks, self.weights, meta)

    def _document(self) -> dict[str, Any]:
        return {
            "nodes": [asdict(n) for n in self.network.nodes],
            "links": [_without_infinity(asdict(link)) for link in self.network.links],
            "weights": asdict(self.weights),
            "undivided_penalty": self.undivided_penalty,
            "requests": list(self.requests),
            "tasks": [
                {
                    "origin": t.origin,
                    "input_bits": t.input_bits,
                    "plan": plan_document(t.plan),
                    "whole": None if t.whole is None else plan_document(t.whole),
                }
                for t in self.tasks
            ],
        }

    @classmethod
    def of(cls, instance: OffloadingInstance) -> Episode:
        """What an instance was made of.

        Raises
        ------
        ValueError
            If its meta does not say, or says something else than its arrays.
        """
        found = cls.in_meta(instance)
        if not found.has_options_of(instance):
            raise ValueError("meta.task_graphs: its plans are not those of the instance's options")
        return found

    @classmethod
    def in_meta(cls, instance: OffloadingInstance) -> Episode:
        """What the meta of an instance says, not compared with its arrays.

        Raises
        ------
        ValueError
            If it does not say.
        """
        document = instance.meta.get("task_graphs")
        if document is None:
            raise ValueError(
                f"instance: {instance!r} has no plans in its meta, it is not of task graphs"
            )
        try:
            return cls._read(document, instance)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"meta.task_graphs: cannot be read ({shown(error)})") from None

    @classmethod
    def _read(cls, document: Mapping[str, Any], instance: OffloadingInstance) -> Episode:
        weights = dict(document["weights"])
        rows = document["tasks"]
        if len(rows) != instance.n_tasks:
            raise ValueError(
                f"meta.task_graphs: has {len(rows)} tasks, the instance {instance.n_tasks}"
            )
        _texts("meta.task_graphs: origins", [row["origin"] for row in rows])
        tasks = tuple(
            GraphTask(
                float(instance.release_ns[k]) * 1e-9,
                row["origin"],
                read_plan(row["plan"]),
                None if row["whole"] is None else read_plan(row["whole"]),
                row["input_bits"],
                instance.task_names[k],
            )
            for k, row in enumerate(rows)
        )
        links = (dict.fromkeys(_UNLIMITED, float("inf")) | link for link in document["links"])
        return cls(
            Network(
                tuple(Node(**node) for node in document["nodes"]),
                tuple(Link(**link) for link in links),
            ),
            tasks,
            Weights(**{**weights, "skill": Skill(**weights["skill"])}),
            _texts("meta.task_graphs.requests", document["requests"]),
            number("meta.task_graphs.undivided_penalty", document["undivided_penalty"]),
            {name: value for name, value in instance.meta.items() if name != "task_graphs"},
        )

    def has_options_of(self, instance: OffloadingInstance) -> bool:
        """Whether its tasks have the options and stages of an instance, whatever their numbers."""
        mine = self.instance
        return mine.resource_names == instance.resource_names and all(
            np.array_equal(getattr(mine, name), getattr(instance, name)) for name in _STRUCTURE
        )

    def with_plans(self, plans: Sequence[TaskPlan]) -> Episode:
        """The same tasks as somebody believes them to be: other numbers, the same shape.

        Raises
        ------
        ValueError
            If there are not as many plans as tasks, or one has other roles or dependencies.
        """
        if len(plans) != len(self.tasks):
            raise ValueError(f"plans: {len(plans)} of them for {len(self.tasks)} tasks")
        tasks = []
        for task, plan in zip(self.tasks, plans, strict=True):
            if plan.shape != task.plan.shape:
                raise ValueError(f"plans: that of {task.name} has other roles or dependencies")
            whole = None if task.whole is None else undivided(plan, self.undivided_penalty)
            tasks.append(replace(task, plan=plan, whole=whole))
        return replace(self, tasks=tuple(tasks))


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{name}: must be a list of texts, is {shown(values)}")
    return tuple(values)


def _without_infinity(link: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: what has no limit is left out."""
    return {k: v for k, v in link.items() if not (k in _UNLIMITED and v == float("inf"))}
