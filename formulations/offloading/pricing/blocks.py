"""Blocks of the offloading decomposition: what each owner decides, and what it shares.

A resource is *private* when it has one server, no down interval, and only source stages of a
single owner use it; its FIFO order is then the owner's release order and a plan can simulate it
exactly. Every other limited resource is *shared* and gets price rows; unlimited ones are delays.

For pricing an option becomes (all times relative, ns):

* sources: private stages (dimension of the label, service, lag from its finish to the chain);
* a chain of shared stages along the longest path (service, delay before the next, one price each);
* loose stages: shared stages off that path (DAG options), which the relaxation lets run at their
  cheapest moment inside the window that earliest start and deadline leave.

For options that are chains this loses nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from formulations.dual.stopping import OutOfTime
from formulations.offloading.pricing.graphs import split_options
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS, UNLIMITED

#: Most rows of an instance: so many, and so many more for each of its stages.
_FEWEST_ROWS, _ROWS_PER_STAGE = 50_000, 50


class Blocks(NamedTuple):
    """Flat arrays the pricing kernels read; see the module docstring."""

    block_ptr: NDArray[np.int64]  # (U + 1,)
    task: NDArray[np.int64]  # (K,) tasks by block, in release order
    n_dims: NDArray[np.int64]  # (U,) private resources of each block
    release: NDArray[np.int64]
    deadline: NDArray[np.int64]
    drop_cost: NDArray[np.float64]  # ns, infinite where forbidden
    weight: NDArray[np.float64]
    fixed: NDArray[np.float64]  # (O,) ns
    option_ptr: NDArray[np.int32]
    base_lag: NDArray[np.int64]  # (O,) release to chain, without private stages
    source_ptr: NDArray[np.int64]  # (O + 1,)
    source_dim: NDArray[np.int64]
    source_service: NDArray[np.int64]
    source_lag: NDArray[np.int64]
    chain_ptr: NDArray[np.int64]  # (O + 1,)
    chain_row: NDArray[np.int64]  # row offset of the stage's resource, -1 without rows
    chain_service: NDArray[np.int64]
    chain_gap: NDArray[np.int64]  # delay after the stage
    loose_ptr: NDArray[np.int64]  # (O + 1,)
    loose_row: NDArray[np.int64]
    loose_service: NDArray[np.int64]
    loose_head: NDArray[np.int64]  # earliest start after release
    loose_tail: NDArray[np.int64]  # least time from its finish to completion
    stride: int  # buckets per resource, one of them beyond the horizon and free
    shift: int  # a bucket lasts 2**shift ns
    capacity: NDArray[np.float64]  # (rows,) ns of service a row can give
    cheapest: NDArray[np.int64]  # (O,) options of each task by cost without prices, least first
    floor: NDArray[np.float64]  # (O,) cost without prices, nothing waiting, in the order of options


class Private(NamedTuple):
    """Which resources are private, and to which label dimension they belong."""

    owner: NDArray[np.int64]  # (R,) owner of a private resource, -1 for others
    dim: NDArray[np.int64]  # (R,) its label dimension


def private_resources(instance: OffloadingInstance) -> Private:
    """Find the private resources of every owner."""
    r = instance.stage_resource
    owner = instance.owner[instance.task_of_option[instance.option_of_stage]].astype(np.int64)
    low = np.full(instance.n_resources, 2**62)
    high = np.full(instance.n_resources, -1)
    np.minimum.at(low, r, owner)
    np.maximum.at(high, r, owner)
    inner = np.zeros(instance.n_resources, dtype=bool)
    inner[r[np.diff(instance.pred_ptr) > 0]] = True
    private = (low == high) & ~inner & (instance.capacity == 1)
    private &= np.diff(instance.down_ptr) == 0
    who = np.where(private, high, -1)
    dim = np.zeros(instance.n_resources, dtype=np.int64)
    mine = np.flatnonzero(private)
    mine = mine[np.argsort(who[mine], kind="stable")]
    first = np.searchsorted(who[mine], who[mine])  # where those of the same owner begin
    dim[mine] = np.arange(len(mine)) - first
    return Private(who, dim)


def horizon_ns(instance: OffloadingInstance) -> int:
    """A time by which every useful stage has ended."""
    finite = instance.deadline_ns < INFINITE_NS
    last = int((instance.release_ns + np.where(finite, instance.deadline_ns, 0)).max())
    if finite.all():
        return last
    longest = np.zeros(instance.n_tasks, dtype=np.int64)
    total = np.add.reduceat(instance.service_ns, instance.stage_ptr[:-1])
    np.maximum.at(longest, instance.task_of_option, total)
    return max(last, int(instance.release_ns.max() + longest.sum()))


def priced_until(instance: OffloadingInstance, completion_ns: int) -> int:
    """Until when time is priced, given when a good schedule ends; from then on it is free.

    Any moment gives a bound. Where nobody has a resource to itself, a late one only makes buckets
    coarse: without deadlines the end of `horizon_ns` is far beyond that of any good schedule.
    """
    full = horizon_ns(instance)
    if (private_resources(instance).owner >= 0).any():
        return full
    return min(full, max(int(instance.release_ns.max()), completion_ns))


def choose_shift(
    instance: OffloadingInstance,
    until: int | None = None,
    buckets: int = 1200,
    rows: int = 4_000_000,
) -> int:
    """Bucket length 2^shift ns: about a tenth of a typical shared service.

    Coarser where a horizon would have more than `buckets` of them, but not longer than a typical
    service, unless all resources together would have more than `rows`, or more than a few tasks
    can be worth whose times differ by orders of magnitude.
    """
    rows = min(rows, _FEWEST_ROWS + _ROWS_PER_STAGE * len(instance.service_ns))
    private = private_resources(instance)
    shared = (private.owner < 0) & (instance.capacity != UNLIMITED)
    service = instance.service_ns[shared[instance.stage_resource]]
    service = service[service > 0]
    typical = float(np.median(service)) if len(service) else 1e9
    span = max(horizon_ns(instance) if until is None else until, 1)
    fine = max(np.floor(np.log2(max(typical / 10, 1))), 0)
    coarse = max(np.ceil(np.log2(span / buckets)), fine)
    limit = np.ceil(np.log2(span * max(int(shared.sum()), 1) / rows))
    return int(max(min(coarse, max(np.floor(np.log2(typical)), fine)), limit, 0))


def buckets(instance: OffloadingInstance, shift: int, until: int | None = None) -> int:
    """Buckets of ``2**shift`` ns per resource, the last of them beyond the horizon."""
    return ((horizon_ns(instance) if until is None else until) >> shift) + 2


def first_rows(instance: OffloadingInstance, private: Private, stride: int) -> NDArray[np.int64]:
    """(R,) first price row of each shared resource, -1 for private, unlimited and unused ones."""
    shared = (instance.capacity != UNLIMITED) & (private.owner < 0)
    used = np.zeros(instance.n_resources, dtype=bool)
    used[instance.stage_resource] = True
    row = np.full(instance.n_resources, -1, dtype=np.int64)
    row[shared & used] = np.arange((shared & used).sum()) * stride
    return row


def compile_blocks(
    instance: OffloadingInstance,
    shift: int,
    stop: NDArray[np.int64] | None = None,
    until: int | None = None,
) -> Blocks:
    """Derive the pricing arrays; buckets last ``2**shift`` ns, time is priced `until` then.

    Raises
    ------
    OutOfTime
        If ``stop[0]`` was set before the end.
    """
    private = private_resources(instance)
    stride = buckets(instance, shift, until)
    row = first_rows(instance, private, stride)
    shared = row >= 0
    options = _chains(instance, private, row) if instance.is_chain else None
    if options is None:
        options = _graphs(instance, private, row, stop)
    order = np.argsort(instance.owner, kind="stable")
    counts = np.bincount(instance.owner, minlength=len(instance.owner_names))
    dims = np.bincount(private.owner[private.owner >= 0], minlength=len(instance.owner_names))
    forbidden = instance.drop_cost_ns >= INFINITE_NS
    floor = _floor(instance, options)
    return Blocks(
        block_ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        task=order.astype(np.int64),
        n_dims=dims.astype(np.int64),
        release=instance.release_ns,
        deadline=instance.deadline_ns,
        drop_cost=np.where(forbidden, np.inf, instance.drop_cost_ns.astype(float)),
        weight=instance.latency_weight,
        fixed=instance.fixed_cost_ns.astype(float),
        option_ptr=instance.option_ptr,
        stride=stride,
        shift=shift,
        capacity=_row_capacity(instance, shared, stride, shift),
        cheapest=np.lexsort((floor, instance.task_of_option)),
        floor=floor,
        **options,
    )


def _floor(
    instance: OffloadingInstance, options: dict[str, NDArray[np.int64]]
) -> NDArray[np.float64]:
    """(O,) what each option costs without prices when nothing waits, ns."""
    total = np.concatenate([[0], np.cumsum(options["chain_service"] + options["chain_gap"])])
    ends = options["base_lag"] + np.diff(total[options["chain_ptr"]])
    weight = instance.latency_weight[instance.task_of_option]
    return weight * ends + instance.fixed_cost_ns


def _row_capacity(
    instance: OffloadingInstance, shared: NDArray[np.bool_], stride: int, shift: int
) -> NDArray[np.float64]:
    """Server nanoseconds each (resource, bucket) offers: capacity x time up."""
    width = 1 << shift
    out = []
    for r in np.flatnonzero(shared):
        up = np.full(stride, width, dtype=np.int64)
        for e in range(instance.down_ptr[r], instance.down_ptr[r + 1]):
            start, end = (int(t) for t in instance.down_ns[e])
            first, last = min(start >> shift, stride), min((end - 1) >> shift, stride - 1)
            for b in range(first, last + 1):
                up[b] -= min(end, (b + 1) * width) - max(start, b * width)
        up[-1] = width  # beyond the horizon: never priced
        out.append(up * float(instance.capacity[r]))
    return np.concatenate(out) if out else np.zeros(0)


def _chains(
    instance: OffloadingInstance, private: Private, row: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """Option arrays when every option is a chain (vectorised)."""
    n = instance.n_options
    r, service = instance.stage_resource, instance.service_ns
    option = instance.option_of_stage
    first = np.zeros(len(r), dtype=bool)
    first[instance.stage_ptr[:-1]] = True
    is_source = first & (private.owner[r] >= 0)
    priced = ~is_source & (row[r] >= 0)
    delay = ~is_source & ~priced
    # A delay belongs to the priced stage before it, or to the lag before the chain.
    index = np.cumsum(priced) - 1
    chain_ptr = np.concatenate([[0], np.cumsum(np.bincount(option[priced], minlength=n))])
    gap = np.zeros(int(priced.sum()), dtype=np.int64)
    lag = np.zeros(n, dtype=np.int64)
    behind = delay & (index >= chain_ptr[option])
    np.add.at(gap, index[behind], service[behind])
    ahead = delay & ~behind
    np.add.at(lag, option[ahead], service[ahead])
    source_ptr = np.concatenate([[0], np.cumsum(np.bincount(option[is_source], minlength=n))])
    source_service = service[is_source]
    base = lag.copy()
    base[option[is_source]] += source_service
    none = np.zeros(0, dtype=np.int64)
    return {
        "base_lag": base,
        "source_ptr": source_ptr.astype(np.int64),
        "source_dim": private.dim[r[is_source]],
        "source_service": source_service,
        "source_lag": lag[option[is_source]],
        "chain_ptr": chain_ptr.astype(np.int64),
        "chain_row": row[r[priced]],
        "chain_service": service[priced],
        "chain_gap": gap,
        "loose_ptr": np.zeros(n + 1, dtype=np.int64),
        "loose_row": none,
        "loose_service": none,
        "loose_head": none,
        "loose_tail": none,
    }


def _graphs(
    instance: OffloadingInstance,
    private: Private,
    row: NDArray[np.int64],
    stop: NDArray[np.int64] | None,
) -> dict[str, NDArray[np.int64]]:
    """Option arrays for DAG options."""
    n, stages = instance.n_options, len(instance.service_ns)
    columns = {
        "base_lag": n,
        "source_ptr": n + 1,
        **dict.fromkeys(("source_dim", "source_service", "source_lag"), stages),
        "chain_ptr": n + 1,
        **dict.fromkeys(("chain_row", "chain_service", "chain_gap"), stages),
        "loose_ptr": n + 1,
        **dict.fromkeys(("loose_row", "loose_service", "loose_head", "loose_tail"), stages),
    }
    out = {name: np.zeros(size, dtype=np.int64) for name, size in columns.items()}
    done = split_options(
        instance.stage_ptr, instance.stage_resource, instance.service_ns,
        instance.pred_ptr, instance.pred, np.where(private.owner >= 0, private.dim, -1), row,
        np.zeros(1, dtype=np.int64) if stop is None else stop, tuple(out.values()),
    )  # fmt: skip
    if not done:
        raise OutOfTime
    for part in ("source", "chain", "loose"):
        used = int(out[f"{part}_ptr"][-1])
        for name in columns:
            if name.startswith(part) and not name.endswith("_ptr"):
                out[name] = out[name][:used].copy()
    return out
