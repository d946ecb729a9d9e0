"""Sampled futures of WiFi episodes: other tasks of the same users over the same network.

Of the many assignments of a sampled task only those are kept that a rule in a hurry would take: the
whole task at each place, and the cheapest ones when nobody else is there. That leaves what a future
costs much the same, at a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.checks import check_seed
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.scenarios.futures import Futures
from mecopt.task_graphs.scenarios import wifi

#: Task seeds of futures begin here, far from those of a person who draws a few.
_FIRST_TASK_SEED = 1_000_000


def wifi_futures(seed: int = 0, most_options: int = 8) -> Futures:
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
        meta: Mapping[str, Any] = instance.meta
        if meta.get("scenario") != "wifi":
            raise ValueError(
                f"futures: scenario {meta.get('scenario')!r} is not wifi; give "
                "Lookahead(futures=...), a function of (instance, samples) that returns "
                "instances over the same resources"
            )
        first = _FIRST_TASK_SEED + 1_000 * seed
        changes = wifi.frozen_changes(meta)
        drawn = (
            wifi.generate(meta["preset"], meta["seed"], task_seed=first + i, **changes)
            for i in range(samples)
        )
        return [thinned(x, most_options) for x in drawn]

    return futures


def thinned(instance: OffloadingInstance, most_options: int) -> OffloadingInstance:
    """An instance with few options a task: the cheapest ones while nothing else is committed."""
    system = OnlineSystem(instance)
    keep = np.zeros(instance.n_options, dtype=bool)
    for k in range(instance.n_tasks):
        cost = system.observe(k).run_cost_s
        cheapest = np.argsort(cost, kind="stable")[:most_options]
        keep[instance.option_ptr[k] + cheapest] = True
    return with_options(instance, keep)


def with_options(instance: OffloadingInstance, keep: NDArray[np.bool_]) -> OffloadingInstance:
    """The instance with some of its options only; meta is left out.

    Parameters
    ----------
    instance : OffloadingInstance
    keep : (O,) bool
        At least one of each task.
    """
    x = instance
    stages = keep[x.option_of_stage]
    edges = np.repeat(stages, np.diff(x.pred_ptr))
    number = np.cumsum(stages) - 1  # of each stage that is kept
    return replace(
        x,
        option_ptr=_pointers(np.add.reduceat(keep, x.option_ptr[:-1], dtype=np.int64)),
        option_label=x.option_label[keep],
        fixed_cost_ns=x.fixed_cost_ns[keep],
        stage_ptr=_pointers(np.diff(x.stage_ptr)[keep]),
        stage_resource=x.stage_resource[stages],
        service_ns=x.service_ns[stages],
        believed_ns=x.believed_ns[stages],
        pred_ptr=_pointers(np.diff(x.pred_ptr)[stages]),
        pred=number[x.pred[edges]],
        meta={},
    )


def _pointers(counts: NDArray[Any]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
