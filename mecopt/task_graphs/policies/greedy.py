"""The published greedy rule: subtask by subtask, then the best of three modes.

Subtasks are placed in topological order, each where its own J = w_a alpha - w_d T is largest: alpha
is how right the model there gets it, T the time from release until it is done, given where the
subtasks before it went and the work already committed to channels and nodes. The last subtask, the
aggregator of plans that have one, counts the way back into T. Then the whole task on its device,
the whole task at each server, and the split task so placed are compared by the J of the task
(arXiv 2604.21399; the queue model and ties, which go to the option listed first, are ours).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading import projection
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.status import NEVER
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.options import job_of


@dataclass
class GraphGreedy:
    """See the module docstring; needs the plans in the instance's meta."""

    name: str = "graph-greedy"
    _right: list[NDArray[np.float64]] = field(default_factory=list, repr=False)
    _whole: list[int] = field(default_factory=list, repr=False)
    _worth: float = field(default=0.0, repr=False)
    _n_nodes: int = field(default=0, repr=False)

    def reset(self, instance: OffloadingInstance) -> None:
        """Read from the plans how right each subtask is on each place.

        Raises
        ------
        ValueError
            If the instance is not of task graphs, or its tasks have other numbers of options than
            their plans.
        """
        episode = Episode.in_meta(instance)
        network, weights = episode.network, episode.weights
        places = {origin: network.places(origin) for origin in {t.origin for t in episode.tasks}}
        jobs = [
            job_of(t.plan, places[t.origin], t.input_bits, network, weights) for t in episode.tasks
        ]
        self._right = [job.correctness for job in jobs]
        self._whole = [len(places[t.origin]) if len(t.ways) > 1 else 0 for t in episode.tasks]
        count = [
            right.shape[1] ** right.shape[0] + whole
            for right, whole in zip(self._right, self._whole, strict=True)
        ]
        if not np.array_equal(count, np.diff(instance.option_ptr)):
            raise ValueError("meta.task_graphs: its plans are not those of the instance's options")
        self._worth, self._n_nodes = weights.accuracy, len(network.nodes)

    def act(self, observation: Observation) -> int:
        cost = observation.run_cost_s
        whole = self._whole[observation.task]
        if len(self._right[observation.task]) == 1:
            return int(np.argmin(cost))
        candidates = [*range(whole), whole + self._placed(observation, whole)]
        return min(candidates, key=lambda option: cost[option])

    def _placed(self, observation: Observation, whole: int) -> int:
        """Number of the assignment, among those of the split task, that is placed one by one."""
        x, task = observation.instance, observation.task
        right = self._right[task]
        n, m = right.shape
        base = int(x.option_ptr[task]) + whole
        chosen = 0
        for s in range(n):
            step = m ** (n - 1 - s)
            done = [self._done_ns(observation, base + chosen + j * step, s, n) for j in range(m)]
            late = np.array(done, dtype=np.float64) - observation.now_ns
            own = self._worth * right[s] - x.latency_weight[task] * late * 1e-9
            chosen += int(np.argmax(own)) * step
        return chosen

    def _done_ns(self, observation: Observation, option: int, s: int, n: int) -> int:
        """When subtask s is done under an option, the last one with the way back."""
        x = observation.instance
        first, last = int(x.stage_ptr[option]), int(x.stage_ptr[option + 1])
        ends = np.empty(last - first, dtype=np.int64)
        completion = projection.estimate(
            x.arrays,
            x.believed_ns,
            option,
            observation.now_ns,
            observation.free_ns,
            observation.entries,
            observation.up,
            np.empty(x.most_units, dtype=np.int64),
            ends,
        )
        if completion >= NEVER or s == n - 1:
            return int(completion)
        calls = np.flatnonzero(x.stage_resource[first:last] < self._n_nodes)
        return int(ends[calls[s]])
