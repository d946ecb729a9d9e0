"""What a scorecard row holds: costs, gaps, fairness, decision times, and their intervals.

Every figure is a function of replayed schedules. Gaps are relative numbers (0.02 is two per cent),
taken per instance and averaged afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.replay import shown_to, timed_rollout
from mecopt.statistics import jain

if TYPE_CHECKING:
    from mecopt.offloading.instance import OffloadingInstance
    from mecopt.offloading.observation import Observation
    from mecopt.offloading.policies.protocol import Policy
    from mecopt.offloading.schedule import Schedule

#: Decision states of one rollout at which the backlog is read, at most (evenly spread).
BACKLOG_STATES = 500


def performance_ratio(oracle_cost: float, cost: float) -> float:
    """PR of COMLLM (arXiv 2604.07148): mean one-step-oracle cost / mean policy cost.

    Above 1 the policy is cheaper than the myopic oracle.
    """
    return oracle_cost / cost if cost > 0 else float("nan")


def backlog_fairness(backlog_s: NDArray[np.float64]) -> float:
    """Jain's index of server backlog, averaged over decision states.

    Parameters
    ----------
    backlog_s : (states, servers) float
        Wait at the back of each server's queue, s (`Recorder.backlog_s`).
    """
    return float(np.mean([jain(state) for state in backlog_s])) if backlog_s.size else float("nan")


def tasks_per_server(schedule: Schedule) -> NDArray[np.int64]:
    """Tasks that were sent to each resource of kind ``"server"``."""
    x = schedule.instance
    chosen = np.flatnonzero(schedule.choice >= 0)
    option = x.option_ptr[chosen] + schedule.choice[chosen]
    used = np.isin(x.option_of_stage, option)
    pairs = np.unique(np.stack([x.option_of_stage[used], x.stage_resource[used]]), axis=1)
    count = np.bincount(pairs[1], minlength=x.n_resources)
    return count[server_mask(x)].astype(np.int64)


def assignment_fairness(schedule: Schedule) -> float:
    """Jain's index of tasks per server; NaN when the instance has no server."""
    count = tasks_per_server(schedule)
    return jain(count) if count.size else float("nan")


def parse_rate(policy: Policy) -> float:
    """Share of a model's answers since `reset` that named a valid option.

    A policy that writes text keeps count in an attribute ``parse_rate``; one that picks among the
    options cannot answer wrongly: 1.0.
    """
    return float(getattr(policy, "parse_rate", 1.0))


def server_mask(instance: OffloadingInstance) -> NDArray[np.bool_]:
    """(R,) True for resources of kind ``"server"``."""
    return np.array([kind == "server" for kind in instance.resource_kinds], dtype=bool)


@dataclass
class Recorder:
    """A policy that decides as another one does, and notes what the rollout looked like.

    Parameters
    ----------
    policy : Policy
        Who decides.

    Attributes
    ----------
    backlog_s : list of (servers,) arrays
        Server backlog at (at most `BACKLOG_STATES`, evenly spread) decision states, s.
    wall_s : list of float
        Wall seconds of each `act` of the inner policy.
    overhead_s : list of float
        CPU seconds this recorder itself spent in each decision.
    """

    policy: Policy
    name: str = field(init=False)
    backlog_s: list[NDArray[np.float64]] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    overhead_s: list[float] = field(default_factory=list)
    _every: int = field(default=1, repr=False)
    _servers: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool), repr=False)

    def __post_init__(self) -> None:
        self.name = self.policy.name

    def believed(self, instance: OffloadingInstance) -> OffloadingInstance:
        """What the inner policy believes."""
        return shown_to(self.policy, instance)

    def reset(self, instance: OffloadingInstance) -> None:
        """Forget the last rollout."""
        self.backlog_s, self.wall_s, self.overhead_s = [], [], []
        self._every = max(1, -(-instance.n_tasks // BACKLOG_STATES))
        self._servers = server_mask(instance)
        self.policy.reset(instance)

    def act(self, observation: Observation) -> int:
        begin = perf_counter()
        answer = self.policy.act(observation)
        self.wall_s.append(perf_counter() - begin)
        begin = thread_time()
        if len(self.overhead_s) % self._every == 0 and self._servers.any():
            self.backlog_s.append(observation.backlog_s[self._servers])
        self.overhead_s.append(thread_time() - begin)
        return answer


def run_policy(instance: OffloadingInstance, policy: Policy) -> tuple[Schedule, dict[str, Any]]:
    """Roll out one policy and measure it.

    Returns
    -------
    schedule : Schedule
    row : dict
        ``policy``, ``mean_cost_s``, ``drop_rate`` (late, failed or dropped), ``parse_rate``,
        ``backlog_fairness``, ``assignment_fairness``, ``decision_seconds_p50``,
        ``decision_seconds_p99`` (CPU, one thread, batch 1, observation included),
        ``decision_wall_seconds_p50`` (the policy's own code), ``mean_cost_charged_s`` (mean cost
        with the mean decision time added to each task, at what its latency costs; queues that such
        a delay would shift are left as they are).
    """
    recorder = Recorder(policy)
    schedule, seconds = timed_rollout(instance, recorder)
    cpu = np.maximum(seconds - np.array(recorder.overhead_s), 0.0)
    return schedule, {
        "policy": policy.name,
        "mean_cost_s": schedule.mean_cost_s,
        "drop_rate": schedule.drop_rate,
        "parse_rate": parse_rate(policy),
        "backlog_fairness": backlog_fairness(np.array(recorder.backlog_s)),
        "assignment_fairness": assignment_fairness(schedule),
        "decision_seconds_p50": float(np.quantile(cpu, 0.5)),
        "decision_seconds_p99": float(np.quantile(cpu, 0.99)),
        "decision_wall_seconds_p50": float(np.quantile(recorder.wall_s, 0.5)),
        "mean_cost_charged_s": schedule.mean_cost_s
        + float(cpu.mean() * instance.latency_weight.mean()),
    }
