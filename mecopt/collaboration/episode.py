"""Tasks over a network that fails, as an instance of the offloading kernel.

A task is released at its node and stays there, or takes a route of a few hops: a chain of transfers
and one execution. Its last stage, the *outcome*, is a pure delay that rules believe to be nothing.
Where a transfer or the execution did not survive, it takes longer than the deadline: the task is
late, whatever the queues. So damage is found at the planned end, every stage keeps its place until
its own planned end, and who uses what never depends on what was damaged (our decision; it is what
`mecopt.collaboration.expected` builds on). A node that goes down is another matter: it loses what
it serves and what waits for it, as down intervals do (`mecopt.offloading.instance`).

A task on time is worth 1: fixed cost -1, no cost of latency, no cost of a drop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt.collaboration.failures import FloatArray
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import UNLIMITED, to_ns

#: Fixed cost of a task that is on time, in ns: it counts as -1.
ON_TIME_COST_NS = -(10**9)


@dataclass(frozen=True, eq=False)
class Tasks:
    """Tasks in order of release.

    Parameters
    ----------
    release_s : (K,) float
    origin : (K,) int
        Node of each.
    size_bytes, cycles : (K,) float
    deadline_s : float
        Relative, the same for all.
    """

    release_s: FloatArray
    origin: NDArray[np.int64]
    size_bytes: FloatArray
    cycles: FloatArray
    deadline_s: float

    def __len__(self) -> int:
        return len(self.release_s)


@dataclass(frozen=True, eq=False)
class World:
    """What really happens; no rule knows it.

    Parameters
    ----------
    down_s : sequence of lists of (start, end)
        Down intervals of each node.
    strength : (K, nodes + links) float
        What each task bears on each resource: its stage of t seconds survives where
        rate x t < strength. Drawn from Exp(1), the chance of that is exp(-rate x t), and higher
        rates never save a task.
    """

    down_s: Sequence[Sequence[tuple[float, float]]]
    strength: FloatArray


def instance_of(
    network: Network, tasks: Tasks, world: World, most_hops: int, provenance: Mapping[str, Any]
) -> OffloadingInstance:
    """The instance: options are to stay, and every route that can meet the deadline unhindered.

    Parameters
    ----------
    network : Network
    tasks : Tasks
        At least one.
    world : World
    most_hops : int
        Longest route.
    provenance : mapping
        Goes into the meta, beside the network.
    """
    n_nodes, n_links, n_tasks = len(network.nodes), len(network.links), len(tasks)
    found = _options(network, tasks, most_hops)
    stage_ptr = np.array(found.stage_ptr)
    resource = np.array(found.resource, dtype=np.int32)
    believed_ns = to_ns(found.seconds, "service_s")
    first = np.zeros(len(resource), dtype=bool)
    first[stage_ptr[:-1]] = True
    down = [interval for intervals in world.down_s for interval in intervals]
    down_count = [*map(len, world.down_s), *[0] * (n_links + 1)]
    deadline_ns = to_ns(np.full(n_tasks, tasks.deadline_s), "deadline_s")
    task = np.repeat(np.arange(n_tasks), np.diff(found.option_ptr))
    task_of_stage = np.repeat(task, np.diff(stage_ptr))
    damaged = _damaged(network, world, resource, believed_ns, task_of_stage, stage_ptr)
    service_ns = believed_ns.copy()
    service_ns[stage_ptr[1:] - 1] = np.where(damaged, deadline_ns[task] + 1, 0)
    return OffloadingInstance(
        resource_names=network.resource_names,
        resource_kinds=("server",) * n_nodes + ("link",) * (n_links + 1),
        capacity=np.array(
            [*(n.places for n in network.nodes), *[1] * n_links, UNLIMITED], dtype=np.int32
        ),
        down_ptr=np.concatenate([[0], np.cumsum(down_count)]).astype(np.int32),
        down_ns=to_ns(np.array(down, dtype=float).reshape(-1, 2), "down_s"),
        owner_names=tuple(node.name for node in network.nodes),
        owner=tasks.origin.astype(np.int32),
        release_ns=to_ns(tasks.release_s, "release_s"),
        deadline_ns=deadline_ns,
        drop_cost_ns=np.zeros(n_tasks, dtype=np.int64),
        latency_weight=np.zeros(n_tasks),
        option_ptr=np.array(found.option_ptr, dtype=np.int32),
        labels=found.labels,
        option_label=np.array(found.label, dtype=np.int32),
        fixed_cost_ns=np.full(len(task), ON_TIME_COST_NS),
        stage_ptr=stage_ptr.astype(np.int32),
        stage_resource=resource,
        service_ns=service_ns,
        believed_ns=believed_ns,
        pred_ptr=np.concatenate([[0], np.cumsum(~first)]).astype(np.int32),
        pred=(np.flatnonzero(~first) - 1).astype(np.int32),
        meta={**provenance, "collaboration": network.document()},
    )


class _Options(NamedTuple):
    """Options of all tasks, flat."""

    option_ptr: list[int]
    stage_ptr: list[int]
    labels: tuple[str, ...]
    label: list[int]  # per option
    resource: list[int]  # per stage
    seconds: list[float]


def _options(network: Network, tasks: Tasks, most_hops: int) -> _Options:
    """To stay, and every route that can meet the deadline when nothing is in the way."""
    n_nodes, outcome = len(network.nodes), len(network.resource_names) - 1
    bytes_per_s = np.array([link.bytes_per_s for link in network.links])
    cycles_per_s = np.array([node.cycles_per_s for node in network.nodes])
    ways = {v: network.named_routes(v, most_hops) for v in sorted(set(tasks.origin.tolist()))}
    every = dict.fromkeys(name for _, names in ways.values() for name in names)
    labels = {name: i for i, name in enumerate(every)}
    option_ptr, stage_ptr = [0], [0]
    label: list[int] = []
    resource: list[int] = []
    seconds: list[float] = []
    for k in range(len(tasks)):
        transfer = (tasks.size_bytes[k] / bytes_per_s).tolist()
        execution = (tasks.cycles[k] / cycles_per_s).tolist()
        own = int(tasks.origin[k])
        for (links, end), name in zip(*ways[own], strict=True):
            takes = [transfer[i] for i in links] + [execution[end]]
            if links and sum(takes) > tasks.deadline_s:
                continue
            resource += [*(n_nodes + i for i in links), end, outcome]
            seconds += [*takes, 0.0]
            stage_ptr.append(len(resource))
            label.append(labels[name])
        option_ptr.append(len(label))
    return _Options(option_ptr, stage_ptr, tuple(labels), label, resource, seconds)


def _damaged(
    network: Network,
    world: World,
    resource: NDArray[np.int32],
    service_ns: NDArray[np.int64],
    task: NDArray[np.int64],
    stage_ptr: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """(O,) options with a stage that does not survive."""
    strength = np.column_stack([world.strength, np.full(len(world.strength), np.inf)])
    lost = network.failure_per_s[resource] * service_ns * 1e-9 >= strength[task, resource]
    return np.logical_or.reduceat(lost, stage_ptr[:-1])
