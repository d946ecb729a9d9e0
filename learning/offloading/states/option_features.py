"""One decision state as numbers of order one: a row per option, the same for every network.

Options are described, not numbered: a network that scores rows with shared weights does not care
how many servers there are or in which order they come, and the description exists for every
offloading instance, not only for COMLLM's. The last row is dropping the task.

Row of an option, times and costs divided by what is usual for the task (`Scale`: its deadline):

| column | what |
|---|---|
| present | 1 for options the task has and that are up, 0 for padding and forbidden drops |
| late | 1 when the option is believed to miss the deadline, and for dropping |
| cost | believed cost: weighted latency + fixed cost, the drop cost when late |
| first_wait | wait at the queue of the option's first stage (the user's uplink or device) |
| later_wait | all further waiting on the way (at the server) |
| link, device, server | service times on links, on devices, on anything else |
| behind | committed work of others that this task would overtake at the option's last queue |

`BEHIND` is given only to those who ask for it (``behind=True``): networks trained before it was
known read the columns before it. A rule that ignores it does not see whom it delays: on slow
servers half of what a look-ahead gains over user values is in this one number.

Three numbers say what is known of the load (`Load`); they are zero where nothing is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.projection import wait_free
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import INFINITE_NS

if TYPE_CHECKING:
    from learning.offloading.states.decision_states import States

COLUMNS = ("present", "late", "cost", "first_wait", "later_wait", "link", "device", "server")
PRESENT, LATE, COST, FIRST_WAIT, LATER_WAIT, LINK, DEVICE, SERVER = range(len(COLUMNS))
#: The column after those.
BEHIND = len(COLUMNS)
#: Times are clipped at this many deadlines: five are as bad as fifty.
CEILING = 5.0

_CLASS_OF_KIND = {"uplink": LINK, "link": LINK, "device": DEVICE}
#: A latency this little above the deadline is on time (times are rounded to ns), in deadlines.
_TOLERANCE = 1e-7


class Load(NamedTuple):
    """What a policy may know of the arrivals; zeros where nothing is known.

    Attributes
    ----------
    arrivals : float
        Expected tasks of one user within a deadline.
    device_service : float
        Mean service time on the user's own device / deadline.
    server_load : float
        Load of all servers together if everything was offloaded.
    """

    arrivals: float = 0.0
    device_service: float = 0.0
    server_load: float = 0.0


class Scale(NamedTuple):
    """What times and costs of a task are divided by, so that numbers are of order one, ns.

    A task whose latency counts in full has one scale for both: its deadline, without one its drop
    cost. Where that says nothing, a usual time is four times what the tasks of the instance take at
    least, and a usual cost the largest of: a usual time of latency, a drop, the fixed costs.

    Attributes
    ----------
    time_ns, cost_ns : (K,) float64
    """

    time_ns: NDArray[np.float64]
    cost_ns: NDArray[np.float64]


def scale_of(instance: OffloadingInstance) -> Scale:
    """Scales of the tasks of an instance, from believed times."""
    x = instance
    in_full = x.latency_weight == 1
    drop = np.where((x.drop_cost_ns > 0) & (x.drop_cost_ns < INFINITE_NS), x.drop_cost_ns, 0.0)
    fallback = np.full(x.n_tasks, _usual_ns(x))
    time = np.where(in_full & (drop > 0), drop, fallback)
    time = np.where(x.deadline_ns < INFINITE_NS, np.maximum(1.0, x.deadline_ns), time)
    fixed = np.maximum.reduceat(np.abs(x.fixed_cost_ns).astype(np.float64), x.option_ptr[:-1])
    mixed = np.maximum(np.maximum(x.latency_weight * time, drop), fixed)
    return Scale(time, np.where(in_full, time, np.where(mixed > 0, mixed, 1e9)))


def _usual_ns(x: OffloadingInstance) -> float:
    """Four times the mean over tasks of the believed seconds of the shortest option; 1 s for 0."""
    service = np.add.reduceat(x.believed_ns.astype(np.float64), x.stage_ptr[:-1])
    return 4.0 * float(np.minimum.reduceat(service, x.option_ptr[:-1]).mean()) or 1e9


class Reader:
    """Describes the decision states of one instance, one at a time (compiled).

    Parameters
    ----------
    instance : OffloadingInstance
    load : Load, optional
        Without it, read from `instance.meta` when that is a COMLLM episode, else unknown (zeros).
    behind : bool
        Give rows the column `BEHIND`.
    """

    def __init__(
        self, instance: OffloadingInstance, load: Load | None = None, *, behind: bool = False
    ) -> None:
        self._width = len(COLUMNS) + behind
        self.load = np.array(load_of(instance) if load is None else load, dtype=np.float32)
        self.scale = scale_of(instance)
        self._column = column_of(instance)
        self._units = np.empty(int(np.diff(instance.arrays.free_ptr).max(initial=1)), np.int64)

    def options(self, observation: Observation) -> NDArray[np.float32]:
        """(n + 1, columns) a row per option of the task, in order, and one for dropping."""
        x, task = observation.instance, observation.task
        out = np.zeros((observation.n_options + 1, self._width), dtype=np.float32)
        backlog = observation.backlog_s if self._width > BEHIND else np.empty(0)
        describe(
            x.arrays,
            x.believed_ns,
            observation.completion_ns,
            observation.free_ns,
            observation.entries,
            task,
            observation.now_ns,
            int(x.deadline_ns[task]),
            int(x.drop_cost_ns[task]),
            float(x.latency_weight[task]),
            float(self.scale.time_ns[task]),
            float(self.scale.cost_ns[task]),
            x.fixed_cost_ns,
            self._column,
            backlog,
            self._units,
            out,
        )
        return out


def column_of(instance: OffloadingInstance) -> NDArray[np.int64]:
    """(R,) column of the rows that times on each resource belong to."""
    kinds = [_CLASS_OF_KIND.get(kind, SERVER) for kind in instance.resource_kinds]
    return np.array(kinds, dtype=np.int64)


def load_of(instance: OffloadingInstance) -> Load:
    """Load of a COMLLM episode from the parameters in its meta data; zeros for other instances."""
    if instance.meta.get("scenario") != "comllm":
        return Load()
    p = instance.meta["parameters"]
    gcycles = p["density_gcycles_per_mbit"] * float(np.mean(p["task_mbit"]))
    # Option 0 computes on the device, the others upload and compute: the ratio tells the speed.
    service_ns = instance.believed_ns[: instance.stage_ptr[instance.option_ptr[1]]]
    server_ghz = p["device_ghz"] * service_ns[0] / service_ns[2::2]
    deadline_s = p["deadline_slots"] * p["slot_s"]
    per_s = p["users"] * p["arrival_probability"] / p["slot_s"]
    return Load(
        p["arrival_probability"] * p["deadline_slots"],
        gcycles / p["device_ghz"] / deadline_s,
        float(per_s * gcycles / server_ghz.sum()),
    )


@njit(cache=True)
def describe(
    arrays,
    believed,
    completion,
    free,
    entries,
    task,
    now,
    deadline,
    drop,
    weight,
    unit,
    cost_unit,
    fixed,
    column,
    backlog,
    units,
    out,
):
    """Write the rows of one decision state."""
    option_ptr, stage_ptr = arrays.option_ptr, arrays.stage_ptr
    base = option_ptr[task]
    n = option_ptr[task + 1] - base
    drop_cost = min(CEILING, drop / cost_unit)
    for i in range(n):
        if completion[i] >= NEVER:
            continue
        o = base + i
        latency = completion[i] - now
        first, last = stage_ptr[o], stage_ptr[o + 1]
        r = arrays.resource[first]
        wait = max(0, wait_free(arrays.free_ptr, r, now, free, entries, units) - now)
        later = latency - wait
        out[i, PRESENT] = 1.0
        for s in range(first, last):
            later -= believed[s]
            out[i, column[arrays.resource[s]]] += believed[s] / unit
        out[i, FIRST_WAIT] = min(CEILING, wait / unit)
        # Parallel stages overlap: less than the sum of services is no wait.
        out[i, LATER_WAIT] = min(CEILING, max(0, later) / unit)
        if latency > deadline:
            out[i, LATE] = 1.0
            out[i, COST] = drop_cost
        else:
            out[i, COST] = max(-CEILING, min(CEILING, (weight * latency + fixed[o]) / cost_unit))
        for c in (LINK, DEVICE, SERVER):
            out[i, c] = min(CEILING, out[i, c])
        if out.shape[1] > BEHIND:
            start = latency - believed[last - 1]
            behind = backlog[arrays.resource[last - 1]] * 1e9 - start
            out[i, BEHIND] = min(CEILING, max(0.0, behind) / unit)
    if drop < INFINITE_NS:
        out[n, PRESENT] = 1.0
        out[n, LATE] = 1.0
        out[n, COST] = drop_cost


def of_states(
    states: States, *, behind: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows and load of many COMLLM states at once: the same numbers as `Reader` gives.

    Parameters
    ----------
    states : States
    behind : bool
        Give rows the column `BEHIND`.

    Returns
    -------
    options : (B, J + 2, columns) float32
    load : (B, 3) float32
    """
    s = states
    b, j = len(s), s.n_servers
    finite = np.isfinite(s.deadline_slots)
    fallback = np.where(np.isfinite(s.drop_cost_slots), s.drop_cost_slots, 1.0 / s.slot_s)
    unit = np.where(finite, s.deadline_slots, fallback)[:, None]
    latency, cost = s.latency_slots, s.one_step_cost_slots
    out = np.zeros((b, j + 2, len(COLUMNS) + behind))
    out[:, :, PRESENT] = np.isfinite(cost)
    out[:, :-1, LATE] = latency > s.deadline_slots[:, None] * (1 + _TOLERANCE)
    out[:, -1, LATE] = 1.0
    out[:, :, COST] = cost / unit
    out[:, 0, FIRST_WAIT] = s.device_wait_slots / unit[:, 0]
    out[:, 1:-1, FIRST_WAIT] = s.uplink_wait_slots[:, None] / unit
    out[:, 1:-1, LATER_WAIT] = s.wait_slots / unit
    out[:, 1:-1, LINK] = s.transfer_slots / unit
    out[:, 0, DEVICE] = s.device_slots / unit[:, 0]
    out[:, 1:-1, SERVER] = s.compute_slots / unit
    if behind:
        out[:, 1:-1, BEHIND] = s.behind_slots / unit
    out[:, :, 1:] = np.clip(out[:, :, 1:], -CEILING, CEILING)
    out[out[:, :, PRESENT] == 0] = 0.0
    gcycles = s.density * s.mean_size_mbit
    total_ghz = np.where(s.present, s.server_ghz, 0.0).sum(axis=1)
    load = np.column_stack(
        [
            s.arrival_probability * unit[:, 0],
            gcycles / s.device_ghz / (unit[:, 0] * s.slot_s),
            s.users * s.arrival_probability * gcycles / (total_ghz * s.slot_s),
        ]
    )
    return out.astype(np.float32), load.astype(np.float32)
