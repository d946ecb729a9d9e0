"""Checks of the flat arrays of an offloading instance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.checks import no_duplicates, refuse
from mecopt.offloading.units import INFINITE_NS, UNLIMITED


def _pointer(name: str, ptr: NDArray[Any], groups: int, members: int) -> None:
    if ptr.shape != (groups + 1,):
        raise ValueError(f"{name} must have {groups + 1} entries, has {ptr.size}")
    if ptr[0] != 0 or ptr[-1] != members or (np.diff(ptr) < 0).any():
        raise ValueError(f"{name} must rise from 0 to {members}, is {ptr[0]} to {ptr[-1]}")


def _index(name: str, array: NDArray[Any], size: int, of: str) -> None:
    refuse((array < 0) | (array >= size), name, array, f"is not one of the {size} {of}")


def check_offloading(x: Any) -> None:
    """Validate the flat arrays of an `OffloadingInstance`, which imports this module."""
    n_tasks, n_resources = len(x.release_ns), len(x.resource_names)
    n_options, n_stages = len(x.fixed_cost_ns), len(x.service_ns)
    if n_tasks == 0:
        raise ValueError("tasks: the list is empty")
    if n_resources == 0:
        raise ValueError("resources: the list is empty")
    for name, size in {
        "resource_kinds": n_resources,
        "capacity": n_resources,
        "owner": n_tasks,
        "deadline_ns": n_tasks,
        "drop_cost_ns": n_tasks,
        "latency_weight": n_tasks,
        "task_names": n_tasks,
        "option_label": n_options,
        "stage_resource": n_stages,
        "believed_ns": n_stages,
    }.items():
        if len(getattr(x, name)) != size:
            raise ValueError(f"{name} must have {size} entries, has {len(getattr(x, name))}")
    no_duplicates("resource_names", x.resource_names)
    no_duplicates("owner_names", x.owner_names)
    no_duplicates("labels", x.labels)
    _pointer("down_ptr", x.down_ptr, n_resources, len(x.down_ns))
    _pointer("option_ptr", x.option_ptr, n_tasks, n_options)
    _pointer("stage_ptr", x.stage_ptr, n_options, n_stages)
    _pointer("pred_ptr", x.pred_ptr, n_stages, len(x.pred))
    refuse(np.diff(x.option_ptr) == 0, "tasks", np.arange(n_tasks), "has no options")
    refuse(np.diff(x.stage_ptr) == 0, "options", np.arange(n_options), "has no stages")
    _index("stage_resource", x.stage_resource, n_resources, "resources")
    _index("owner", x.owner, len(x.owner_names), "owners")
    _index("option_label", x.option_label, len(x.labels), "labels")
    refuse((x.capacity < 1) | (x.capacity > UNLIMITED), "capacity", x.capacity, "must be >= 1")
    refuse(x.release_ns < 0, "release_ns", x.release_ns, "is negative")
    refuse(x.release_ns >= INFINITE_NS, "release_ns", x.release_ns, "is infinite")
    step = np.diff(x.release_ns, prepend=x.release_ns[:1])
    refuse(step < 0, "release_ns", x.release_ns, "is earlier than the release before it")
    refuse(x.deadline_ns < 0, "deadline_ns", x.deadline_ns, "is negative")
    refuse(x.drop_cost_ns < 0, "drop_cost_ns", x.drop_cost_ns, "is negative")
    refuse(x.fixed_cost_ns >= INFINITE_NS, "fixed_cost_ns", x.fixed_cost_ns, "is infinite")
    for name in ("service_ns", "believed_ns"):
        value = getattr(x, name)
        refuse(value < 0, name, value, "is negative")
        refuse(value >= INFINITE_NS, name, value, "is infinite")
    # Times must add up in 64 bits, whatever is decided.
    longest = float(x.release_ns[-1]) + float(x.service_ns.astype(np.float64).sum())
    if longest >= INFINITE_NS:
        raise ValueError(f"service_ns: releases and services add up to {longest:.3g} ns, over 2^62")
    start, end = x.down_ns[:, 0], x.down_ns[:, 1]
    refuse(start < 0, "down_ns start", start, "is negative")
    refuse(end <= start, "down_ns end", end, "is not after its start")
    same = np.repeat(np.arange(n_resources), np.diff(x.down_ptr))
    overlap = np.zeros(len(start), dtype=bool)
    overlap[1:] = (same[1:] == same[:-1]) & (start[1:] <= end[:-1])
    refuse(overlap, "down_ns start", start, "touches or precedes the interval before it")
    _check_stage_graphs(x, n_stages)


def _check_stage_graphs(x: Any, n_stages: int) -> None:
    """Predecessors stay within their option and contain no cycle."""
    option = np.repeat(np.arange(len(x.fixed_cost_ns)), np.diff(x.stage_ptr))
    child = np.repeat(np.arange(n_stages), np.diff(x.pred_ptr))
    _index("pred", x.pred, n_stages, "stages")
    refuse(option[x.pred] != option[child], "pred", x.pred, "belongs to another option")
    pairs = child.astype(np.int64) * n_stages + x.pred
    repeated = np.zeros(len(pairs), dtype=bool)
    order = np.argsort(pairs, kind="stable")
    repeated[order[1:]] = pairs[order[1:]] == pairs[order[:-1]]
    refuse(repeated, "pred", x.pred, "is listed twice for one stage")
    refuse(
        _on_cycle(child, x.pred, n_stages),
        "stages",
        np.arange(n_stages),
        "lies on or behind a cycle of its option",
    )


def _on_cycle(child: NDArray[Any], pred: NDArray[Any], n_stages: int) -> NDArray[np.bool_]:
    """(S,) stages that no order of the option reaches, each edge looked at once."""
    waiting = np.bincount(child, minlength=n_stages)
    if (pred < child).all():  # listed in an order that works
        return np.zeros(n_stages, dtype=bool)
    by_pred = np.argsort(pred, kind="stable")
    followers = child[by_pred].tolist()
    first = np.searchsorted(pred[by_pred], np.arange(n_stages + 1)).tolist()
    left = waiting.tolist()
    ready = [s for s in range(n_stages) if not left[s]]
    while ready:
        s = ready.pop()
        for follower in followers[first[s] : first[s + 1]]:
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    return np.array(left) > 0
