"""One graph of calls over somebody's own machines, and a schedule read back as a table of calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mecopt.offloading.schedule import Schedule
from mecopt.task_graphs.correctness import WHOLE
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network_file import OwnNetwork
from mecopt.task_graphs.options import GraphTask, correctness_on
from mecopt.task_graphs.plan import TaskPlan

#: What travels to where the work is, in the column `item`.
INPUT = "input"


def own_episode(plan: TaskPlan, own: OwnNetwork, name: str = "task") -> Episode:
    """One task that begins at time 0, its calls wherever the network lets them run."""
    task = GraphTask(0.0, own.start, plan, None, own.input_bits, name)
    places = {own.network.nodes[i].name for i in own.network.places(own.start)}
    notes = [
        f"{node.name}: not used, {_why_not(node.kind, own.start)}"
        for node in own.network.nodes
        if node.name not in places
    ]
    provenance = {"scenario": "own graph", "notes": notes}
    return Episode(own.network, (task,), own.weights, provenance=provenance)


def _why_not(kind: str, start: str) -> str:
    return (
        "the device of somebody else" if kind == "device" else f"no links lead there from {start}"
    )


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    Parameters
    ----------
    stages : DataFrame
        One row per call or transfer in the order of the option: `stage` (position), `resource`,
        `kind` (call or transfer), `item` (the subtask, or what travels: the output of a subtask,
        or `INPUT`), `role` (of calls), `start_s`, `finish_s`, `after` (positions of the stages
        waited for), `correctness` (of critical calls, else NaN).
    release_s, latency_s, accuracy, reward : float
        `accuracy` is the expected correctness (NaN when it is worth nothing, and nobody has to
        say it), `reward` what the objective counts, its sign turned.
    """

    stages: pd.DataFrame
    release_s: float
    latency_s: float
    accuracy: float
    reward: float

    @property
    def calls(self) -> pd.DataFrame:
        """The rows of calls, in order of start."""
        rows = self.stages[self.stages["kind"] == "call"]
        return rows.sort_values("start_s", kind="stable", ignore_index=True)

    @property
    def assignment(self) -> dict[str, str]:
        """Node of each subtask."""
        rows = self.stages[self.stages["kind"] == "call"]
        return dict(zip(rows["item"], rows["resource"], strict=True))

    @property
    def is_split(self) -> bool:
        """Whether the task ran as its plan says, not as one call."""
        return list(self.assignment) != [WHOLE]


def outcome_of(episode: Episode, schedule: Schedule, task: int = 0) -> Outcome:
    """What a schedule makes of one task.

    Raises
    ------
    ValueError
        If the schedule is of another instance or drops the task, or there is no such task.
    """
    x = schedule.instance
    if x.content_hash != episode.instance.content_hash:
        raise ValueError(f"schedule: is of {x!r}, not of {episode.instance!r}")
    if not 0 <= task < x.n_tasks:
        raise ValueError(f"task = {task!r} is not among the {x.n_tasks} of {x!r}")
    if schedule.choice[task] < 0:
        raise ValueError(f"schedule: {x.task_names[task]} is dropped")
    option = int(x.option_ptr[task] + schedule.choice[task])
    first, end = int(x.stage_ptr[option]), int(x.stage_ptr[option + 1])
    resource = x.stage_resource[first:end]
    network, weights = episode.network, episode.weights
    is_call = resource < len(network.nodes)
    plan = next(p for p in episode.tasks[task].ways if len(p) == is_call.sum())
    calls = iter(plan.order)
    item: list[str] = []
    rows = []
    slot = int(x.arrays.slot_ptr[task])
    for s in range(end - first):
        after = (x.pred[x.pred_ptr[first + s] : x.pred_ptr[first + s + 1]] - first).tolist()
        right, role = np.nan, ""
        if is_call[s]:
            subtask = plan.subtasks[next(calls)]
            role = subtask.role
            item.append(subtask.name)
            if subtask.critical and weights.accuracy > 0:
                node = network.nodes[resource[s]]
                right = correctness_on(node, subtask, weights.skill)
        else:
            item.append(item[after[0]] if after else INPUT)
        rows.append(
            {
                "stage": s,
                "resource": x.resource_names[resource[s]],
                "kind": "call" if is_call[s] else "transfer",
                "item": item[-1],
                "role": role,
                "start_s": schedule.start_ns[slot + s] * 1e-9,
                "finish_s": schedule.finish_ns[slot + s] * 1e-9,
                "after": tuple(after),
                "correctness": right,
            }
        )
    stages = pd.DataFrame(rows)
    accuracy = float(np.nanprod(stages["correctness"]))  # of nothing: 1
    return Outcome(
        stages,
        release_s=float(x.release_ns[task]) * 1e-9,
        latency_s=float(schedule.latency_s[task]),
        accuracy=accuracy if weights.accuracy > 0 else float("nan"),
        reward=-float(schedule.cost_s[task]),
    )
