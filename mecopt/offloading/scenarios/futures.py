"""Sampled futures of the generator that an instance names."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mecopt.checks import check_seed
from mecopt.offloading.instance import OffloadingInstance
from mecopt.strict_json import shown

#: (instance, samples) -> that many companions.
Futures = Callable[[OffloadingInstance, int], Sequence[OffloadingInstance]]
#: Companions use task seeds from here on, far from those of a person who draws a few.
_FIRST_TASK_SEED = 1_000_000


def generated_futures(seed: int = 0, data_dir: str | os.PathLike[str] | None = None) -> Futures:
    """Companions from the generator named in `instance.meta` (scenarios comllm and traces).

    Parameters
    ----------
    seed : int
        Seed of the futures; equal seeds give equal decisions.
    data_dir : path, optional
        Data folder of the traces scenario.

    Raises
    ------
    ValueError
        If the seed is negative; from the returned function, when the scenario has no generator
        of companions.
    """

    check_seed(seed)

    def futures(instance: OffloadingInstance, samples: int) -> list[OffloadingInstance]:
        from mecopt.offloading.scenarios import comllm, traces

        meta, changes = instance.meta, generated_from(instance, "comllm", "traces")
        # Either generator takes its setting, the seed of what stays, and the seed of the tasks.
        if meta["scenario"] == "comllm":
            generate = partial(comllm.generate, meta["preset"])
        else:
            generate = partial(traces.generate, meta["trace"], meta["window"], data_dir=data_dir)
        return [generate(meta["seed"], task_seed=s, **changes) for s in task_seeds(seed, samples)]

    return futures


def task_seeds(seed: int, count: int) -> range:
    """Task seeds of so many futures; equal seeds give equal ones."""
    first = _FIRST_TASK_SEED + 1_000 * seed
    return range(first, first + count)


def generated_from(instance: OffloadingInstance, *scenarios: str) -> dict[str, Any]:
    """Parameters of the generator of an instance, as the generator takes them.

    Raises
    ------
    ValueError
        If the instance names none of these scenarios, or its parameters cannot be read.
    """
    scenario = instance.meta.get("scenario")
    if scenario not in scenarios:
        raise ValueError(
            f"futures: scenario {scenario!r} has no generator of sampled futures here; give "
            "Lookahead(futures=...), a function of (instance, samples) that returns instances "
            "over the same resources"
        )
    try:
        return {name: _frozen(value) for name, value in instance.meta["parameters"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"meta.parameters: cannot be read ({shown(error)})") from None


def _frozen(value: Any) -> Any:
    """A parameter as the generators take it: lists that come from a file become tuples."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
