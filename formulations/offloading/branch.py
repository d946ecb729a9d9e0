"""Branching on (task, option): what a branch allows, and what is then known.

A branch keeps, per task, a set of allowed alternatives (options, or the drop). Two things tighten
its relaxation beyond the removed options:

* *occupancy*: a task with one allowed option occupies its private resources even when it is late;
* *FIFO windows*: when an owner's tasks are fixed up to some point, their arrivals at the first
  shared stage are known exactly, and FIFO over the known arrivals alone is a lower bound on every
  start (more arrivals only delay). With every task fixed the relaxation equals the replay wherever
  options have one shared stage.

`mecopt.certificates` holds a second, independent derivation of the same facts for `mecopt verify`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.pricing.blocks import Blocks
from formulations.offloading.pricing.options import Branch
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS, UNLIMITED


@dataclass(frozen=True, eq=False)
class Allowed:
    """Alternatives that remain: flags per option, and per task for the drop."""

    option: NDArray[np.uint8]  # (O,)
    drop: NDArray[np.uint8]  # (K,)

    def count(self, instance: OffloadingInstance) -> NDArray[np.int64]:
        """(K,) number of alternatives of each task."""
        per_task = np.add.reduceat(self.option.astype(np.int64), instance.option_ptr[:-1])
        return np.asarray(per_task + self.drop, dtype=np.int64)

    def only(self, instance: OffloadingInstance, task: int, option: int) -> Allowed:
        """Fix a task to one alternative (global option, or -1 for the drop)."""
        flags, drop = self.option.copy(), self.drop.copy()
        flags[instance.option_ptr[task] : instance.option_ptr[task + 1]] = 0
        drop[task] = option < 0
        if option >= 0:
            flags[option] = 1
        return Allowed(flags, drop)

    def without(self, task: int, options: list[int]) -> Allowed:
        """Remove alternatives of a task."""
        flags, drop = self.option.copy(), self.drop.copy()
        for o in options:
            if o < 0:
                drop[task] = 0
            else:
                flags[o] = 0
        return Allowed(flags, drop)

    def alternatives(self, instance: OffloadingInstance, task: int) -> list[int]:
        """Allowed global options of a task, then -1 if it may be dropped."""
        lo, hi = int(instance.option_ptr[task]), int(instance.option_ptr[task + 1])
        out: list[int] = (lo + np.flatnonzero(self.option[lo:hi])).tolist()
        return [*out, -1] if self.drop[task] else out


def everything(instance: OffloadingInstance) -> Allowed:
    """The root: every option, and the drop wherever it is not forbidden."""
    can_drop = instance.drop_cost_ns < INFINITE_NS
    return Allowed(np.ones(instance.n_options, dtype=np.uint8), can_drop.astype(np.uint8))


class Tightener:
    """Turns allowed alternatives into the `Branch` the pricing kernels read."""

    def __init__(self, instance: OffloadingInstance, blocks: Blocks) -> None:
        self.instance = instance
        self.blocks = blocks
        x = instance
        # An option can miss its deadline, or be lost: then its task may end at the drop cost.
        has_down = np.diff(x.down_ptr) > 0
        risky = np.logical_or.reduceat(has_down[x.stage_resource], x.stage_ptr[:-1])
        self._may_fail = risky | (x.deadline_ns[x.task_of_option] < INFINITE_NS)
        self._forbidden = x.drop_cost_ns >= INFINITE_NS
        self._width = 1 << blocks.shift
        self._first = self._first_shared(has_down)

    def _first_shared(self, has_down: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(O,) stage index of the chain's first stage if its FIFO is simple, else -1."""
        x, b = self.instance, self.blocks
        first = np.full(x.n_options, -1, dtype=np.int64)
        if not x.is_chain:
            return first
        for o in range(x.n_options):
            if b.chain_ptr[o] == b.chain_ptr[o + 1]:
                continue
            s = int(x.stage_ptr[o]) + int(b.source_ptr[o + 1] - b.source_ptr[o])
            while x.capacity[x.stage_resource[s]] == UNLIMITED:
                s += 1
            # A task that may be lost on the way may never arrive.
            if not has_down[x.stage_resource[x.stage_ptr[o] : s + 1]].any():
                first[o] = s
        return first

    def branch(self, allowed: Allowed) -> Branch:
        """Kernel form of a set of alternatives, with what follows from fixed tasks."""
        x = self.instance
        n_run = np.add.reduceat(allowed.option.astype(np.int64), x.option_ptr[:-1])
        may_fail = np.logical_or.reduceat(self._may_fail & (allowed.option > 0), x.option_ptr[:-1])
        # A failure in a DAG can cancel queued stages, which then occupy nothing.
        occupies = (n_run == 1) & (not x.needs_events)
        droplike = np.where(may_fail, np.where(occupies, 2, 1), 0)
        droplike = np.where(allowed.drop > 0, 1, droplike)
        droplike = np.where(self._forbidden, 0, droplike).astype(np.uint8)
        return Branch(allowed.option, droplike, self._windows(allowed, n_run))

    def single_droplike(self, task: int, option: int) -> int:
        """How a task with one allowed option may end at the drop cost (see `Branch`)."""
        if not self._may_fail[option] or self._forbidden[task]:
            return 0
        return 1 if self.instance.needs_events else 2

    def _windows(self, allowed: Allowed, n_run: NDArray[np.int64]) -> NDArray[np.int64]:
        """Earliest chain starts from FIFO over arrivals that are known exactly."""
        x, b = self.instance, self.blocks
        earliest = np.zeros(x.n_options, dtype=np.int64)
        fixed = (n_run + allowed.drop) == 1
        if not fixed.any() or not x.is_chain:
            return earliest
        known: dict[int, list[tuple[int, int, int, int]]] = {}
        for u in range(len(b.n_dims)):
            free = [0] * int(b.n_dims[u])
            sure = True
            for k in b.task[b.block_ptr[u] : b.block_ptr[u + 1]]:
                if not fixed[k]:
                    sure = False
                    continue
                if allowed.drop[k]:
                    continue
                lo, hi = x.option_ptr[k], x.option_ptr[k + 1]
                o = int(lo + np.argmax(allowed.option[lo:hi]))
                arrival = int(x.release_ns[k] + b.base_lag[o])
                for i in range(b.source_ptr[o], b.source_ptr[o + 1]):
                    if not sure:
                        break
                    d = int(b.source_dim[i])
                    free[d] = max(free[d], int(x.release_ns[k])) + int(b.source_service[i])
                    arrival = free[d] + int(b.source_lag[i])
                s = int(self._first[o])
                if s >= 0 and (sure or b.source_ptr[o] == b.source_ptr[o + 1]):
                    r = int(x.stage_resource[s])
                    known.setdefault(r, []).append((arrival, s, o, int(x.service_ns[s])))
        for r, jobs in known.items():
            units = [0] * min(int(x.capacity[r]), len(jobs))
            for arrival, _, o, service in sorted(jobs):
                i = min(range(len(units)), key=units.__getitem__)
                begin = max(arrival, units[i])
                units[i] = begin + service
                earliest[o] = begin
        return earliest
