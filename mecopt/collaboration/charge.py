"""What decisions are worth when they take time: the same choices, released later.

A rule that waits for a language model decides late. Its choices are kept, and every task that
waited is released to its route only after the wait; its deadline stays where it was. All queues
shift with it, so that who waited also delays others, or lets them pass. What the rule would have
decided had it seen those queues is left open (our decision).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import check_choice, replay
from mecopt.offloading.status import ON_TIME
from mecopt.offloading.units import to_ns


def charged(instance: OffloadingInstance, choice: ArrayLike, delay_s: ArrayLike) -> float:
    """Share of tasks on time when each decision took its time.

    Parameters
    ----------
    instance : OffloadingInstance
        With finite deadlines.
    choice : (K,) int
        Option of each task, -1 to drop it.
    delay_s : (K,) or scalar float
        Time between the release of a task and its decision, >= 0. A task whose decision takes until
        its deadline or longer is late and uses nothing.

    Raises
    ------
    ValueError
        If a delay is negative or not finite, or the choice is malformed.
    """
    c = check_choice(instance, choice)
    delay = np.broadcast_to(np.asarray(delay_s, dtype=np.float64), (instance.n_tasks,))
    wrong = np.flatnonzero(~(np.isfinite(delay) & (delay >= 0)))
    if len(wrong):
        raise ValueError(f"delay_s[{wrong[0]}] = {delay[wrong[0]]} must be finite and >= 0")
    # Beyond the deadline a delay is as good as any other.
    longest_s = float(instance.deadline_ns.max()) * 1e-9 + 1.0
    waited_ns = to_ns(np.minimum(delay, longest_s), "delay_s")
    c = np.where(waited_ns < instance.deadline_ns, c, -1)
    waited_ns = np.where(waited_ns < instance.deadline_ns, waited_ns, 0)
    later, order = delayed(instance, waited_ns)
    return float(np.mean(replay(later, c[order]).status == ON_TIME))


def delayed(
    instance: OffloadingInstance, waited_ns: NDArray[np.int64]
) -> tuple[OffloadingInstance, NDArray[np.int64]]:
    """The instance with later releases and the same absolute deadlines, and the order of its tasks.

    Parameters
    ----------
    instance : OffloadingInstance
    waited_ns : (K,) int
        Below each task's deadline.

    Returns
    -------
    later : OffloadingInstance
        Tasks in order of their new releases, equal ones in the old order.
    order : (K,) int
        Old index of each of its tasks.
    """
    x = instance
    release = x.release_ns + waited_ns
    order = np.argsort(release, kind="stable")
    option, option_ptr = _gathered(x.option_ptr, order)
    stage, stage_ptr = _gathered(x.stage_ptr, option)
    pred, pred_ptr = _gathered(x.pred_ptr, stage)
    # Stages that precede others are named by their place among all.
    place = np.empty(len(stage), dtype=np.int64)
    place[stage] = np.arange(len(stage))
    later = replace(
        x,
        owner=x.owner[order],
        release_ns=release[order],
        deadline_ns=(x.deadline_ns - waited_ns)[order],
        drop_cost_ns=x.drop_cost_ns[order],
        latency_weight=x.latency_weight[order],
        option_ptr=option_ptr,
        option_label=x.option_label[option],
        fixed_cost_ns=x.fixed_cost_ns[option],
        stage_ptr=stage_ptr,
        stage_resource=x.stage_resource[stage],
        service_ns=x.service_ns[stage],
        believed_ns=x.believed_ns[stage],
        pred_ptr=pred_ptr,
        pred=place[x.pred[pred]].astype(np.int32),
        task_names=tuple(x.task_names[k] for k in order),
    )
    return later, order


def _gathered(
    ptr: NDArray[np.int32], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Places of the members of groups taken in another order, and the new pointer."""
    count = np.diff(ptr)[order]
    new = np.concatenate([[0], np.cumsum(count)])
    within = np.arange(new[-1]) - np.repeat(new[:-1], count)
    return np.repeat(ptr[:-1][order], count) + within, new.astype(np.int32)
