"""Replay of decisions and rollout of policies: the core's own word on what a decision costs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.checks import check_rollout
from mecopt.offloading import events, kernel
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.schedule import Schedule, judge
from mecopt.offloading.status import NEVER, ON_TIME

if TYPE_CHECKING:
    from mecopt.offloading.policies.protocol import Policy


def check_choice(instance: OffloadingInstance, choice: ArrayLike) -> NDArray[np.int64]:
    """Validated copy of a choice vector.

    Raises
    ------
    ValueError
        Wrong length, not whole numbers, or an option index the task does not have.
    """
    c = np.asarray(choice)
    if c.shape != (instance.n_tasks,):
        raise ValueError(f"choice must have {instance.n_tasks} entries, has shape {c.shape}")
    if c.dtype.kind not in "iu":
        raise ValueError(f"choice must hold whole numbers, has dtype {c.dtype}")
    c = c.astype(np.int64)
    count = np.diff(instance.option_ptr)
    bad = np.flatnonzero((c < -1) | (c >= count))
    if len(bad):
        k = int(bad[0])
        raise ValueError(f"choice[{k}] = {c[k]}: {instance.task_names[k]} has {count[k]} options")
    return c


def replay(instance: OffloadingInstance, choice: ArrayLike) -> Schedule:
    """Simulate a complete decision with realised times.

    Parameters
    ----------
    instance : OffloadingInstance
    choice : (K,) int
        Option index of each task within its own options, -1 to drop it.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        If `choice` is malformed.
    """
    c = check_choice(instance, choice)
    return schedule_of(instance, c, *run_kernel(instance, c))


def run_kernel(instance: OffloadingInstance, c: NDArray[np.int64]) -> tuple[NDArray, ...]:
    """Stage times, completion and status of a checked choice."""
    arrays = instance.arrays
    slots = int(arrays.slot_ptr[-1])
    arrival, start, finish = (np.empty(slots, dtype=np.int64) for _ in range(3))
    completion = np.empty(instance.n_tasks, dtype=np.int64)
    status = np.empty(instance.n_tasks, dtype=np.int8)
    out = arrival, start, finish, completion, status
    if instance.needs_events:
        events.replay_events(arrays, instance.service_ns, c, NEVER, *out)
    else:
        kernel.replay_lindley(arrays, instance.service_ns, c, *out)
    return out


def schedule_of(
    instance: OffloadingInstance,
    c: NDArray[np.int64],
    arrival: NDArray[np.int64],
    start: NDArray[np.int64],
    finish: NDArray[np.int64],
    completion: NDArray[np.int64],
    status: NDArray[np.int8],
) -> Schedule:
    """Price the kernel's output."""
    cost = judge(instance, completion, status)
    chosen = c >= 0
    option = np.where(chosen, instance.option_ptr[:-1] + c, 0)
    fixed = np.where(chosen, instance.fixed_cost_ns[option], 0)
    cost = np.where(status == ON_TIME, cost + fixed, cost) * 1e-9
    return Schedule(instance, c, arrival, start, finish, completion, status, cost)


def rollout(instance: OffloadingInstance, policy: Policy) -> Schedule:
    """Run an online policy: one decision per task at its release, in release order.

    The policy sees believed times only, those of the instance or its own
    (`mecopt.offloading.policies.protocol`); the schedule is the replay with realised ones.

    Raises
    ------
    ValueError
        If `instance` is of another family, `policy` is a class or no policy, or it answers with an
        option the task does not have.
    """
    return timed_rollout(instance, policy)[0]


#: What a policy may not believe otherwise: the options there are, and what really happens.
_REAL = (
    *("capacity", "down_ptr", "down_ns", "owner", "release_ns", "option_ptr", "stage_ptr"),
    *("stage_resource", "service_ns", "pred_ptr", "pred"),
)


def shown_to(policy: Policy, instance: OffloadingInstance) -> OffloadingInstance:
    """The instance as a policy sees it: that of its method `believed`, if it has one.

    Raises
    ------
    ValueError
        If what it believes has other options, or other realised times.
    """
    believed = getattr(policy, "believed", None)
    if believed is None:
        return instance
    shown: OffloadingInstance = believed(instance)
    for name in _REAL:
        if not np.array_equal(getattr(shown, name), getattr(instance, name)):
            raise ValueError(
                f"policy {policy.name!r} believes in another {name} than that of the instance"
            )
    return shown


def timed_rollout(
    instance: OffloadingInstance, policy: Policy
) -> tuple[Schedule, NDArray[np.float64]]:
    """`rollout`, and the CPU seconds of each decision (K,), observation included."""
    from mecopt.offloading.observation import OnlineSystem

    check_rollout(instance, policy, OffloadingInstance)
    shown = shown_to(policy, instance)
    system = OnlineSystem(shown)
    policy.reset(shown)
    choice = np.full(instance.n_tasks, -1, dtype=np.int64)
    seconds = np.empty(instance.n_tasks)
    for k in range(instance.n_tasks):
        system.advance(k)
        begin = time.thread_time()
        answer = policy.act(system.observe(k))
        seconds[k] = time.thread_time() - begin
        if not -1 <= answer < instance.option_ptr[k + 1] - instance.option_ptr[k]:
            raise ValueError(f"policy {policy.name!r} answered {answer} for task {k}")
        choice[k] = answer
        system.commit(k, int(answer))
    return replay(instance, choice), seconds
