"""A schedule: what a decision did, as the core's own replay found it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecopt.offloading.status import DROPPED as STATUS_DROPPED
from mecopt.offloading.status import FAILED, LATE, NEVER, ON_TIME

if TYPE_CHECKING:
    from mecopt.offloading.instance import OffloadingInstance

#: Names of the status codes, in order.
STATUS_NAMES = ("on time", "late", "dropped", "failed")


@dataclass(frozen=True, eq=False)
class Schedule:
    """The outcome of one decision on one instance; made by `replay` and `rollout` only.

    Parameters
    ----------
    instance : OffloadingInstance
    choice : (K,) int64
        Option index of each task within its own options; -1 is dropped.
    arrival_ns, start_ns, finish_ns : (slots,) int64
        Times of the chosen stages; `NEVER` (2^62) where a stage never got there.
    completion_ns : (K,) int64
        Completion of each task, `NEVER` for dropped and failed ones.
    status : (K,) int8
        0 on time, 1 late, 2 dropped, 3 failed (lost when a resource went down).
    cost_s : (K,) float64
        Cost of each task in s; infinite where a drop is forbidden.
    """

    instance: OffloadingInstance
    choice: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    finish_ns: NDArray[np.int64]
    completion_ns: NDArray[np.int64]
    status: NDArray[np.int8]
    cost_s: NDArray[np.float64]

    @property
    def objective(self) -> float:
        """Sum of costs over tasks, s."""
        return float(self.cost_s.sum())

    @property
    def mean_cost_s(self) -> float:
        """Mean cost per task, s."""
        return float(self.cost_s.mean())

    @cached_property
    def latency_s(self) -> NDArray[np.float64]:
        """(K,) latency in s; NaN for tasks that never finish."""
        done = self.completion_ns < NEVER
        span = np.where(done, self.completion_ns - self.instance.release_ns, 0) * 1e-9
        return np.where(done, span, np.nan)

    @property
    def violations(self) -> pd.DataFrame:
        """Tasks that did not finish on time: task, owner, status, option, lateness in s."""
        bad = np.flatnonzero(self.status != ON_TIME)
        x = self.instance
        late = self.latency_s[bad] - x.deadline_ns[bad] * 1e-9
        return pd.DataFrame(
            {
                "task": [x.task_names[k] for k in bad],
                "owner": [x.owner_names[x.owner[k]] for k in bad],
                "status": [STATUS_NAMES[self.status[k]] for k in bad],
                "option": [x.option_name(int(k), int(self.choice[k])) for k in bad],
                "lateness_s": late,
            }
        )

    @property
    def drop_rate(self) -> float:
        """Share of tasks late, failed or dropped."""
        return float(np.mean(self.status != ON_TIME))

    def tasks(self) -> pd.DataFrame:
        """One row per task: owner, option, release, latency, cost (s), status."""
        x = self.instance
        return pd.DataFrame(
            {
                "task": x.task_names,
                "owner": [x.owner_names[u] for u in x.owner],
                "option": [x.option_name(k, int(c)) for k, c in enumerate(self.choice)],
                "release_s": x.release_ns * 1e-9,
                "latency_s": self.latency_s,
                "cost_s": self.cost_s,
                "status": [STATUS_NAMES[s] for s in self.status],
            }
        )

    def timeline(self) -> pd.DataFrame:
        """One row per stage that was served: resource, task, arrival, start, finish in s."""
        x = self.instance
        chosen = np.flatnonzero(self.choice >= 0)
        option = x.option_ptr[chosen] + self.choice[chosen]
        count = x.stage_ptr[option + 1] - x.stage_ptr[option]
        task = np.repeat(chosen, count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        stage = np.repeat(x.stage_ptr[option], count) + within
        slot_ptr = x.arrays.slot_ptr
        slot = slot_ptr[task] + within
        served = self.start_ns[slot] < NEVER
        task, stage, slot = task[served], stage[served], slot[served]
        finish = self.finish_ns[slot]
        resource = x.stage_resource[stage]
        frame = pd.DataFrame(
            {
                "resource": [x.resource_names[r] for r in resource],
                "kind": [x.resource_kinds[r] for r in resource],
                "task": [x.task_names[k] for k in task],
                "owner": [x.owner_names[x.owner[k]] for k in task],
                "stage": within[served],
                "arrival_s": self.arrival_ns[slot] * 1e-9,
                "start_s": self.start_ns[slot] * 1e-9,
                "finish_s": np.where(finish < NEVER, finish * 1e-9, np.nan),
            }
        )
        return frame.sort_values(["resource", "start_s"], kind="stable", ignore_index=True)


def judge(
    instance: OffloadingInstance, completion: NDArray[np.int64], status: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Turn completions into costs in s, marking late tasks in `status` (in place).

    Cost = w_d x latency + fixed cost within the deadline (inclusive), the drop cost otherwise.
    The fixed cost is added by the caller, who knows the options.
    """
    from mecopt.offloading.units import INFINITE_NS

    finished = (status != STATUS_DROPPED) & (status != FAILED)
    latency = np.where(finished, completion - instance.release_ns, 0)
    status[finished & (latency > instance.deadline_ns)] = LATE
    drop = np.where(
        instance.drop_cost_ns >= INFINITE_NS, np.inf, instance.drop_cost_ns.astype(float)
    )
    return np.where(status == ON_TIME, instance.latency_weight * latency, drop)
