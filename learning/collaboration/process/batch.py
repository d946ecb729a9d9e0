"""Episodes of failing nodes as the compiled decision process reads them: many, one after the other.

A task's options are the leaves of a tree: at every node of it an agent says *keep*, candidate 0, or
*send over the i-th link that leaves here*, candidate i. The candidates that lead to an option are
packed into one number, eight bits a hop, the first hop lowest; an option ends with a 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.collaboration.expected import intact
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import DEFAULT_SLOT_S

#: Bits of a candidate in a packed way, and how many hops a way may have.
BITS, MOST_HOPS = 8, 7


#: An episode: its tasks ``first:last``, nodes, length of a slot, rate at which a node goes down,
#: speed of the fastest link, mean speed of a place.
EPISODE = np.dtype(
    [("first", "i8"), ("last", "i8"), ("nodes", "i8"), ("slot_ns", "i8")]
    + [("node_failure_per_s", "f8"), ("most_bytes_per_s", "f8"), ("mean_speed", "f8")]
)
#: A task: release, relative deadline (ns), node, size (0 where no option leaves the node), cycles,
#: first option (those of the next task begin where its own end).
TASK = np.dtype(
    [("release", "i8"), ("deadline", "i8"), ("origin", "i8"), ("option", "i8")]
    + [("bytes", "f8"), ("cycles", "f8")]
)
#: An option: candidates on its way, packed; hops, first stage, what the outcome really takes (ns),
#: chance that no stage is damaged.
OPTION = np.dtype(
    [("way", "i8"), ("hops", "i8"), ("stage", "i8"), ("extra", "i8"), ("intact", "f8")]
)
#: A stage: whose it is, where, and how long it takes (ns).
STAGE = np.dtype([("task", "i8"), ("option", "i8"), ("resource", "i8"), ("takes", "i8")])


class Batch(NamedTuple):
    """P episodes, flat; nodes, links, resources padded to the largest episode.

    Tasks, options and stages are numbered through all episodes, resources within their episode:
    nodes first, then links. The outcome, the last stage of an option, is no resource here. Records
    in place of many arrays: kernels pass a batch on to each other, and numba takes a while over
    every array of it.
    """

    episode: NDArray[np.void]  # (P,) EPISODE
    task: NDArray[np.void]  # (K + 1,) TASK
    option: NDArray[np.void]  # (O,) OPTION
    stage: NDArray[np.void]  # (S,) STAGE
    speed: NDArray[np.float64]  # (P, N) cycles per second of a place
    failure: NDArray[np.float64]  # (P, R) rate at which a stage goes wrong, 1/s
    leaving: NDArray[np.int64]  # (P, N, C - 1) resource of each link that leaves, -1 for none
    beside: NDArray[np.int64]  # (P, N, C - 1) the node at its end, -1 for none
    free_ptr: NDArray[np.int64]  # (P, R + 1)
    down_ptr: NDArray[np.int64]  # (P, N + 1)
    down_ns: NDArray[np.int64]  # (D, 2)


def batch_of(
    instances: Sequence[OffloadingInstance],
    candidates: int,
    networks: Sequence[Network] | None = None,
) -> Batch:
    """Instances in a row.

    Parameters
    ----------
    instances : sequence of OffloadingInstance
        Of failing nodes, at least one.
    candidates : int
        Most candidates of a decision: 1 + the most links that leave a node.
    networks : sequence of Network, optional
        What agents believe of rates, in place of what the instances say.

    Raises
    ------
    ValueError
        If there is no instance, one is of another family, has longer routes than `MOST_HOPS`, or a
        node with more links.
    """
    if not instances:
        raise ValueError("instances: is empty")
    nets = [Network.of(x) for x in instances] if networks is None else list(networks)
    parts = [
        _Episode(x, net, i, candidates)
        for i, (x, net) in enumerate(zip(instances, nets, strict=True))
    ]
    most_nodes = max(len(net.nodes) for net in nets)
    most_resources = max(len(net.resource_names) - 1 for net in nets)

    def padded(name: str, width: int, fill: float) -> NDArray:
        rows = [getattr(part, name) for part in parts]
        shape = (len(rows), width, *rows[0].shape[1:])
        out = np.full(shape, fill, dtype=rows[0].dtype)
        for i, row in enumerate(rows):
            out[i, : len(row)] = row
            if name.endswith("_ptr"):
                out[i, len(row) :] = row[-1]
        return out

    def joined(name: str) -> NDArray:
        return np.concatenate([getattr(part, name) for part in parts])

    def pointers(name: str) -> NDArray[np.int64]:
        counts = [np.diff(getattr(part, name)) for part in parts]
        return np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)

    option_ptr, stage_ptr = pointers("option_ptr"), pointers("stage_ptr")
    task_of_option = np.repeat(np.arange(len(option_ptr) - 1), np.diff(option_ptr))
    option_of_stage = np.repeat(np.arange(len(stage_ptr) - 1), np.diff(stage_ptr))
    downs = np.cumsum([0, *(len(part.down_ns) for part in parts[:-1])])
    down_ptr = padded("down_ptr", most_nodes + 1, 0) + downs[:, None]
    ends = np.cumsum([x.n_tasks for x in instances])
    return Batch(
        episode=_records(
            EPISODE,
            len(parts),
            first=ends - [x.n_tasks for x in instances],
            last=ends,
            nodes=[len(net.nodes) for net in nets],
            slot_ns=[part.slot_ns for part in parts],
            node_failure_per_s=[net.node_failure_per_s for net in nets],
            most_bytes_per_s=[part.most_bytes_per_s for part in parts],
            mean_speed=[part.speed.mean() for part in parts],
        ),
        task=_records(
            TASK,
            len(option_ptr),
            option=option_ptr,
            **{name: np.append(joined(name), 0) for name in TASK.names or () if name != "option"},
        ),
        option=_records(
            OPTION,
            len(stage_ptr) - 1,
            stage=stage_ptr[:-1],
            **{name: joined(name) for name in OPTION.names or () if name != "stage"},
        ),
        stage=_records(
            STAGE,
            len(option_of_stage),
            task=task_of_option[option_of_stage],
            option=option_of_stage,
            resource=joined("resource"),
            takes=joined("takes"),
        ),
        speed=padded("speed", most_nodes, 0.0),
        failure=padded("failure", most_resources, 0.0),
        leaving=padded("leaving", most_nodes, -1),
        beside=padded("beside", most_nodes, -1),
        free_ptr=padded("free_ptr", most_resources + 1, 0),
        down_ptr=down_ptr.astype(np.int64),
        down_ns=joined("down_ns"),
    )


def _records(kind: np.dtype, n: int, **fields: ArrayLike) -> NDArray[np.void]:
    out = np.zeros(n, dtype=kind)
    for name, values in fields.items():
        out[name] = values
    return out


class _Episode:
    """The arrays of one instance, by the names of `Batch`."""

    def __init__(self, x: OffloadingInstance, net: Network, index: int, candidates: int) -> None:
        n = len(net.nodes)
        most = max(map(len, net.leaving))
        if most >= candidates:
            raise ValueError(
                f"candidates = {candidates}: a node of instance {index} has {most} links"
            )
        self.leaving = np.full((n, candidates - 1), -1, dtype=np.int64)
        self.beside = np.full((n, candidates - 1), -1, dtype=np.int64)
        candidate = np.zeros(len(net.links), dtype=np.int64)
        for v, links in enumerate(net.leaving):
            for i, (link, end) in enumerate(links):
                self.leaving[v, i], self.beside[v, i] = n + link, end
                candidate[link] = 1 + i
        self.speed = np.array([node.cycles_per_s for node in net.nodes])
        self.failure = net.failure_per_s[:-1]
        bytes_per_s = np.array([link.bytes_per_s for link in net.links])
        self.most_bytes_per_s = float(bytes_per_s.max(initial=1.0))
        self.slot_ns = int(1e9 * float(x.meta.get("slot_s", DEFAULT_SLOT_S)))
        self.free_ptr = x.arrays.free_ptr[:-1].astype(np.int64)
        self.down_ptr = x.down_ptr[: n + 1].astype(np.int64)
        self.down_ns = x.down_ns
        self.release, self.deadline = x.release_ns, x.deadline_ns
        self.origin = x.owner.astype(np.int64)
        self.option_ptr = x.option_ptr.astype(np.int64)
        self.stage_ptr = x.stage_ptr.astype(np.int64)
        self.resource = x.stage_resource.astype(np.int64)
        self.takes = x.believed_ns
        self.extra = x.service_ns[x.stage_ptr[1:] - 1]
        self.intact = intact(x, net)
        self.hops = np.diff(self.stage_ptr) - 2
        if self.hops.max() > MOST_HOPS:
            raise ValueError(f"instance {index}: routes of {self.hops.max()} hops, not {MOST_HOPS}")
        position = np.arange(len(self.takes)) - self.stage_ptr[x.option_of_stage]
        is_link = position < self.hops[x.option_of_stage]
        step = np.zeros(len(self.takes), dtype=np.int64)
        step[is_link] = candidate[self.resource[is_link] - n] << (BITS * position[is_link])
        self.way = np.add.reduceat(step, self.stage_ptr[:-1])
        # The first option is to stay; of routes, every first stage says how large the task is.
        keep = self.stage_ptr[self.option_ptr[:-1]]
        self.cycles = self.takes[keep] * 1e-9 * self.speed[self.resource[keep]]
        self.bytes = np.zeros(x.n_tasks)
        leaves = np.flatnonzero(self.hops > 0)
        first = self.stage_ptr[leaves]
        size = self.takes[first] * 1e-9 * bytes_per_s[self.resource[first] - n]
        self.bytes[x.task_of_option[leaves]] = size
