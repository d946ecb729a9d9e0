"""Sampled futures of WiFi episodes: other tasks of the same users over the same network.

Of the many assignments of a sampled task only the cheapest are kept, as they are when nobody else
is there: that leaves what a future costs much the same, at a fraction of the time. An episode drawn
serves several times, turned by an eighth of its length: what is played of a future is much shorter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.checks import check_seed
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.scenarios.futures import Futures, generated_from, task_seeds
from mecopt.task_graphs.scenarios import wifi

#: How often an episode serves.
_TURNS = 8


def wifi_futures(seed: int = 0, most_options: int = 5) -> Futures:
    """Futures from the generator of an episode that says in its meta what it was generated from.

    Parameters
    ----------
    seed : int
        Equal seeds give equal futures.
    most_options : int
        Cheapest options that each sampled task keeps; see `thinned`.

    Raises
    ------
    ValueError
        If the seed is negative; from the returned function, when the instance is no WiFi episode.
    """
    check_seed(seed)

    def futures(instance: OffloadingInstance, samples: int) -> list[OffloadingInstance]:
        meta, changes = instance.meta, generated_from(instance, "wifi")
        period_ns = round(1e9 * wifi.parameters(meta["preset"], **changes).horizon_s)
        turns = _TURNS if period_ns > 0 else 1
        out: list[OffloadingInstance] = []
        for task_seed in task_seeds(seed, -(-samples // turns)):
            drawn = wifi.generate(meta["preset"], meta["seed"], task_seed=task_seed, **changes)
            few = thinned(drawn, most_options)
            out += [turned(few, t * period_ns // turns, period_ns) for t in range(turns)]
        return out[:samples]

    return futures


def thinned(instance: OffloadingInstance, most_options: int) -> OffloadingInstance:
    """An instance with few options a task: the cheapest ones while nothing else is committed."""
    system = OnlineSystem(instance)
    keep = np.zeros(instance.n_options, dtype=bool)
    for k in range(instance.n_tasks):
        cost = system.observe(k).run_cost_s
        cheapest = np.argsort(cost, kind="stable")[:most_options]
        keep[instance.option_ptr[k] + cheapest] = True
    return rearranged(instance, np.arange(instance.n_tasks), keep)


def turned(instance: OffloadingInstance, by_ns: int, period_ns: int) -> OffloadingInstance:
    """An instance whose tasks come later; those after the end of the period come at its begin."""
    if by_ns == 0:
        return instance
    release = (instance.release_ns + by_ns) % period_ns
    order = np.argsort(release, kind="stable")
    every = np.ones(instance.n_options, dtype=bool)
    return replace(rearranged(instance, order, every), release_ns=release[order])


def rearranged(
    instance: OffloadingInstance, tasks: NDArray[np.int64], keep: NDArray[np.bool_]
) -> OffloadingInstance:
    """The tasks in another order, at the releases of those before, with some options only.

    Parameters
    ----------
    instance : OffloadingInstance
    tasks : (K,) int64
        Which task comes first, second, ...
    keep : (O,) bool
        Options to keep, at least one of each task.
    """
    x = instance
    place = np.empty(x.n_tasks, dtype=np.int64)
    place[tasks] = np.arange(x.n_tasks)
    options = np.flatnonzero(keep)
    of = place[x.task_of_option[options]]
    options = options[np.argsort(of, kind="stable")]
    stages = _joined(x.stage_ptr, options)
    edges = _joined(x.pred_ptr, stages)
    number = np.empty(len(x.service_ns), dtype=np.int32)  # of each stage that is kept
    number[stages] = np.arange(len(stages))
    return replace(
        x,
        owner=x.owner[tasks],
        deadline_ns=x.deadline_ns[tasks],
        drop_cost_ns=x.drop_cost_ns[tasks],
        latency_weight=x.latency_weight[tasks],
        task_names=tuple(x.task_names[k] for k in tasks),
        option_ptr=_pointers(np.bincount(of, minlength=x.n_tasks)),
        option_label=x.option_label[options],
        fixed_cost_ns=x.fixed_cost_ns[options],
        stage_ptr=_pointers(np.diff(x.stage_ptr)[options]),
        stage_resource=x.stage_resource[stages],
        service_ns=x.service_ns[stages],
        believed_ns=x.believed_ns[stages],
        pred_ptr=_pointers(np.diff(x.pred_ptr)[stages]),
        pred=number[x.pred[edges]],
        meta={},
    )


def _joined(pointer: NDArray[Any], of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions ``pointer[i]:pointer[i + 1]`` of every i, one after the other."""
    count = (pointer[of + 1] - pointer[of]).astype(np.int64)
    before = np.cumsum(count) - count
    return np.repeat(pointer[of] - before, count) + np.arange(count.sum())


def _pointers(counts: NDArray[Any]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
