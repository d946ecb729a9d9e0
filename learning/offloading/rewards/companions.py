"""Sampled futures of any instance: what its tasks, and those of others like it, might have been.

A look-ahead label plays sampled futures over the same resources. A scenario with a generator draws
them (`mecopt.offloading.scenarios.futures`). Any other instance has only its own tasks and those of
further instances over the same resources, so they are *resampled*: each owner's tasks come from one
of these instances, drawn at random, and are shifted in time by a random amount, round the end of
the instance. Rates of arrival, bursts of an owner and everything about a task stay; who meets whom,
and when, is drawn anew.

A resampled future holds tasks that the real one has, at other times. So it serves labels of
training, never a policy that is measured on the instance itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.rearrange import Moved, rearranged
from mecopt.offloading.scenarios.futures import Futures, generated_futures

#: Stream of random numbers.
_STREAM = 11
#: Scenarios that can draw further tasks over the same resources.
GENERATORS = ("comllm", "traces")


def same_resources(one: OffloadingInstance, other: OffloadingInstance) -> bool:
    """Whether two instances have the same resources, by name, kind and capacity."""
    return (
        one.resource_names == other.resource_names
        and one.resource_kinds == other.resource_kinds
        and bool(np.array_equal(one.capacity, other.capacity))
    )


def futures_of(pool: Sequence[OffloadingInstance], seed: int = 0) -> Futures:
    """Futures of any instance: its generator's, else resampled from it and those like it in `pool`.

    Parameters
    ----------
    pool : sequence of OffloadingInstance
        Further instances; those over other resources are passed over.
    seed : int
    """

    def futures(instance: OffloadingInstance, samples: int) -> Sequence[OffloadingInstance]:
        if instance.meta.get("scenario") in GENERATORS:
            return generated_futures(seed)(instance, samples)
        alike = [x for x in pool if x is not instance and same_resources(instance, x)]
        return resampled([instance, *alike], samples, seed)

    return futures


def resampled(
    instances: Sequence[OffloadingInstance], samples: int, seed: int = 0
) -> list[OffloadingInstance]:
    """Futures from the tasks of instances over the same resources.

    Parameters
    ----------
    instances : sequence of OffloadingInstance
        The one whose futures they are comes first; its length in time is theirs.
    samples : int
    seed : int
        Equal instances and seeds give equal futures.
    """
    first = instances[0]
    digest = int(first.content_hash[:15], 16)
    rng = np.random.default_rng([_STREAM, seed, digest])
    return [_one(instances, rng) for _ in range(samples)]


def _one(instances: Sequence[OffloadingInstance], rng: np.random.Generator) -> OffloadingInstance:
    span, grid = _span_and_grid(instances[0])
    owners = dict.fromkeys(name for x in instances for name in x.owner_names)
    source = dict(zip(owners, rng.integers(len(instances), size=len(owners)), strict=True))
    shift = dict(zip(owners, rng.integers(span // grid, size=len(owners)) * grid, strict=True))
    parts = []
    for i, x in enumerate(instances):
        of_owner = np.array([source[name] == i for name in x.owner_names])
        tasks = np.flatnonzero(of_owner[x.owner] & (x.release_ns < span))
        by = np.array([shift[name] for name in x.owner_names])[x.owner[tasks]]
        parts.append(Moved(x, tasks, (x.release_ns[tasks] + by) % span))
    if not any(
        np.size(part.release_ns) for part in parts
    ):  # who was drawn releases nothing in time
        return instances[0]
    return rearranged(parts)


def _span_and_grid(x: OffloadingInstance) -> tuple[int, int]:
    """ns after which arrivals repeat (one mean gap after the last), and the grid they lie on."""
    last = int(x.release_ns[-1])
    grid = max(1, int(np.gcd.reduce(x.release_ns)))
    gap = last // max(1, len(np.unique(x.release_ns)) - 1)
    return max(last + gap, grid) // grid * grid, grid
