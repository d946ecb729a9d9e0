"""Tasks with plans, made the tasks of an `OffloadingInstance`: an option for every assignment.

Cost of an option is w_d x latency - w_a x expected correctness, so that -cost is the reward of
arXiv 2604.21399 and the optimum is the most total reward. Options are numbered so that 0 runs the
whole task where it began and the next ones at the servers, nearest first; then come the assignments
of the split task, the last subtask's place varying fastest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS, UNLIMITED, to_ns
from mecopt.task_graphs.assignments import Job, Wires, enumerate_assignments
from mecopt.task_graphs.correctness import Skill
from mecopt.task_graphs.network import Network, Node
from mecopt.task_graphs.plan import Subtask, TaskPlan

#: Most assignments of one task.
MOST_ASSIGNMENTS = 100_000
#: Longest time of an instance, and most that a right task can be worth in seconds.
_MOST_S = 1e8


@dataclass(frozen=True)
class Weights:
    """What accuracy and time are worth, and what a token takes on the way.

    Parameters
    ----------
    accuracy : float
        w_a, worth of a task that is right, >= 0.
    latency_per_s : float
        w_d, cost of a second, >= 0.
    bits_per_token : float
        Of outputs that travel, >= 0.
    skill : Skill
    """

    accuracy: float = 1.0  # P
    latency_per_s: float = 0.01  # P
    bits_per_token: float = 32.0  # D, text
    skill: Skill = Skill()

    def __post_init__(self) -> None:
        for name in ("accuracy", "latency_per_s", "bits_per_token"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} = {value!r} must be a number >= 0")
        if self.accuracy > _MOST_S:
            raise ValueError(f"accuracy = {self.accuracy!r} must be at most {_MOST_S:g}")


@dataclass(frozen=True)
class GraphTask:
    """A task that can be split.

    Parameters
    ----------
    release_s : float
    origin : str
        Node where it begins, and where its result is wanted.
    plan : TaskPlan
    whole : TaskPlan or None
        The task as one call, if it can also run like that; left out of the options when the plan
        has one subtask only.
    input_bits : float
        What travels once to every node that works on the task, >= 0.
    name : str
    """

    release_s: float
    origin: str
    plan: TaskPlan
    whole: TaskPlan | None = None
    input_bits: float = 0.0
    name: str = "task"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.input_bits) and self.input_bits >= 0):
            raise ValueError(f"{self.name}: input_bits = {self.input_bits!r} must be a number >= 0")
        if self.whole is not None and len(self.whole) != 1:
            raise ValueError(f"{self.name}: whole has {len(self.whole)} subtasks, must have one")

    @property
    def ways(self) -> tuple[TaskPlan, ...]:
        """The plans whose assignments are its options: whole first, then split."""
        if self.whole is None or len(self.plan) == 1:
            return (self.plan,)
        return (self.whole, self.plan)


@dataclass(frozen=True)
class Layout:
    """How a network's resources are numbered: nodes, then channels, then links of their own."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    capacity: NDArray[np.int32]
    wires: Wires


def layout_of(network: Network) -> Layout:
    """Resources and routes of a network, as instances and kernels number them."""
    names = [node.name for node in network.nodes]
    kinds = [node.kind for node in network.nodes]
    capacity = [node.slots for node in network.nodes]
    at: dict[str, int] = {}
    resource = []
    for link in network.links:
        name = link.channel or f"link {link.a} - {link.b}"
        if name not in at:
            at[name] = len(names)
            names.append(name)
            kinds.append("uplink" if link.channel else "link")
            capacity.append(1 if link.channel else UNLIMITED)
        resource.append(at[name])
    n = len(network.nodes)
    pointer = np.zeros((n, n + 1), dtype=np.int32)
    hops: list[tuple[int, int]] = []
    for a in range(n):
        routes = network.routes_from(a)
        for b in range(n):
            pointer[a, b] = len(hops)
            hops.extend(routes.get(b, ()))
            pointer[a, b + 1] = len(hops)
    links = network.links
    wires = Wires(
        pointer,
        np.array([node for node, _ in hops], dtype=np.int32),
        np.array([link for _, link in hops], dtype=np.int32),
        np.array(resource, dtype=np.int32),
        *(
            np.array([getattr(link, name) for link in links], dtype=np.float64)
            for name in ("bit_per_s", "latency_s", "frame_bits", "frame_s")
        ),
    )
    return Layout(tuple(names), tuple(kinds), np.array(capacity, dtype=np.int32), wires)


def correctness_on(node: Node, subtask: Subtask, skill: Skill) -> float:
    """Expected correctness of a subtask on a node: the plan's word, or else by the node's model.

    Raises
    ------
    ValueError
        If neither says.
    """
    if node.name in subtask.correctness:
        return subtask.correctness[node.name]
    if node.params is None:
        raise ValueError(
            f"subtask {subtask.name!r}: no correctness on node {node.name!r}, whose model "
            "has no params"
        )
    return float(skill.correctness(node.params, subtask.difficulty))


def job_of(
    plan: TaskPlan, places: Sequence[int], input_bits: float, network: Network, weights: Weights
) -> Job:
    """What the kernel reads of one way to run a task.

    Raises
    ------
    ValueError
        If there are more than `MOST_ASSIGNMENTS`; if a plan's correctness names a node that is not
        there, or neither plan nor node says how right a critical subtask is; if a call takes
        longer than an instance may last.
    """
    if len(places) ** len(plan) > MOST_ASSIGNMENTS:
        raise ValueError(
            f"plan: {len(plan)} subtasks on {len(places)} nodes have {len(places) ** len(plan)} "
            f"assignments, more than {MOST_ASSIGNMENTS}"
        )
    order = plan.order
    position = np.empty(len(plan), dtype=np.int32)
    position[order] = np.arange(len(plan), dtype=np.int32)
    before = [sorted(int(position[p]) for p in plan.before[i]) for i in order]
    seconds = np.empty((len(plan), len(places)))
    right = np.ones((len(plan), len(places)))
    for s, i in enumerate(order):
        subtask = plan.subtasks[i]
        for name in subtask.correctness:
            if name not in network.index:
                raise ValueError(f"subtask {subtask.name!r}: correctness of unknown node {name!r}")
        prompt = subtask.prompt_tokens + sum(plan.subtasks[p].output_tokens for p in plan.before[i])
        for j, where in enumerate(places):
            node = network.nodes[where]
            seconds[s, j] = node.execution_s(prompt, subtask.output_tokens)
            if not seconds[s, j] <= _MOST_S:
                raise ValueError(
                    f"subtask {subtask.name!r} on node {node.name!r}: takes {seconds[s, j]:g} s, "
                    f"more than {_MOST_S:g}"
                )
            if not subtask.critical or weights.accuracy == 0:
                continue
            right[s, j] = correctness_on(node, subtask, weights.skill)
    sinks = set(plan.sinks)
    outputs = [plan.subtasks[i].output_tokens * weights.bits_per_token for i in order]
    return Job(
        before_ptr=np.cumsum([0, *map(len, before)]).astype(np.int32),
        before=np.array([p for ps in before for p in ps], dtype=np.int32),
        is_sink=np.array([int(i) in sinks for i in order]),
        place=np.array(places, dtype=np.int32),
        execution_ns=to_ns(seconds, "execution_s"),
        bits=np.array([input_bits, *outputs]),
        correctness=right,
        worth_ns=weights.accuracy * 1e9,
    )


class Block:
    """Options of one way to run a task, as flat arrays; numbers of stages start at 0."""

    def __init__(self, job: Job, wires: Wires) -> None:
        n, m = job.execution_ns.shape
        nodes = wires.route_ptr.shape[0]
        # Each item reaches each node once at most; a call waits for its inputs, a hop for one.
        stages = m**n * (n + (n + 1) * min(nodes, m + 1))
        room = np.empty(stages, dtype=np.int32), np.empty(stages, dtype=np.int64)
        edges = stages + m**n * (n + len(job.before))
        pointer, pred = np.empty(stages + 1, dtype=np.int64), np.empty(edges, dtype=np.int64)
        self.stage_end = np.empty(m**n, dtype=np.int64)
        self.fixed_ns = np.empty(m**n, dtype=np.int64)
        self.n_stages = int(
            enumerate_assignments(
                job, wires, 0, (*room, pointer, pred), self.stage_end, self.fixed_ns
            )
        )
        self.resource = room[0][: self.n_stages].copy()
        self.service_ns = room[1][: self.n_stages].copy()
        self.pred_end = pointer[1 : self.n_stages + 1].copy()
        self.pred = pred[: pointer[self.n_stages]].copy()


def instance_of(
    network: Network,
    tasks: Iterable[GraphTask],
    weights: Weights | None = None,
    meta: Mapping[str, Any] | None = None,
) -> OffloadingInstance:
    """The offloading instance of tasks over a network.

    Parameters
    ----------
    network : Network
    tasks : iterable of GraphTask
        In order of release.
    weights : Weights, optional
    meta : mapping, optional
        Of the instance.

    Raises
    ------
    ValueError
        Names what cannot be used; see `job_of` and `OffloadingInstance`.
    """
    weights = Weights() if weights is None else weights
    tasks = list(tasks)
    if not tasks:
        raise ValueError("tasks: the list is empty")
    layout = layout_of(network)
    blocks: list[Block] = []
    option_count, labels, label_of = [], [], _Labels()
    for task in tasks:
        places = network.places(task.origin)
        titles = ["device", *(network.nodes[i].name for i in places[1:])]
        if network.nodes[places[0]].kind != "device":
            titles[0] = network.nodes[places[0]].name
        count = 0
        for plan in task.ways:
            job = job_of(plan, places, task.input_bits, network, weights)
            _check_transfers(network, float(job.bits.max()))
            blocks.append(Block(job, layout.wires))
            labels.append(label_of(tuple(titles), len(plan)))
            count += len(blocks[-1].fixed_ns)
        option_count.append(count)
    stage_base = np.cumsum([0, *(b.n_stages for b in blocks)])
    pred_base = np.cumsum([0, *(len(b.pred) for b in blocks)])
    names = [n.name for n in network.nodes]
    owners = [name for name in names if any(t.origin == name for t in tasks)]
    service = np.concatenate([b.service_ns for b in blocks])
    return OffloadingInstance(
        resource_names=layout.names,
        resource_kinds=layout.kinds,
        capacity=layout.capacity,
        down_ptr=np.zeros(len(layout.names) + 1, dtype=np.int32),
        down_ns=np.empty((0, 2), dtype=np.int64),
        owner_names=tuple(owners),
        owner=np.array([owners.index(t.origin) for t in tasks], dtype=np.int32),
        release_ns=to_ns([t.release_s for t in tasks], "release_s"),
        deadline_ns=np.full(len(tasks), INFINITE_NS),
        drop_cost_ns=np.full(len(tasks), INFINITE_NS),
        latency_weight=np.full(len(tasks), weights.latency_per_s),
        option_ptr=np.cumsum([0, *option_count]),
        labels=tuple(label_of.names),
        option_label=np.concatenate(labels),
        fixed_cost_ns=np.concatenate([b.fixed_ns for b in blocks]),
        stage_ptr=_pointers([b.stage_end for b in blocks], stage_base),
        stage_resource=np.concatenate([b.resource for b in blocks]),
        service_ns=service,
        believed_ns=service,
        pred_ptr=_pointers([b.pred_end for b in blocks], pred_base),
        pred=np.concatenate([b.pred + base for b, base in zip(blocks, stage_base, strict=False)]),
        task_names=tuple(t.name for t in tasks),
        meta=dict(meta or {}),
    )


def _check_transfers(network: Network, bits: float) -> None:
    """Refuse networks in which something can travel for longer than an instance may last."""
    for link in network.links:
        if not link.seconds(bits) <= _MOST_S:
            raise ValueError(
                f"link {link.a!r} - {link.b!r}: {bits:g} bits take {link.seconds(bits):g} s, more "
                f"than {_MOST_S:g}"
            )


def _pointers(ends: Sequence[NDArray[np.int64]], base: NDArray[np.int64]) -> NDArray[Any]:
    shifted = [end + first for end, first in zip(ends, base, strict=False)]
    return np.concatenate([[0], *shifted])


class _Labels:
    """Names of options: places joined by ``+``, numbered as they come up."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._known: dict[str, int] = {}
        self._made: dict[tuple[tuple[str, ...], int], NDArray[np.int32]] = {}

    def __call__(self, titles: tuple[str, ...], n: int) -> NDArray[np.int32]:
        if (titles, n) not in self._made:
            texts = [""]
            for _ in range(n):
                texts = [f"{t}+{title}" if t else title for t in texts for title in titles]
            for text in texts:
                if text not in self._known:
                    self._known[text] = len(self.names)
                    self.names.append(text)
            of = np.array([self._known[text] for text in texts], dtype=np.int32)
            self._made[titles, n] = of
        return self._made[titles, n]
