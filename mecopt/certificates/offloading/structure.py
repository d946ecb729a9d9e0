"""What an instance's relaxation looks like: private resources, and one shape per option.

The relaxation lets every stage wait and lets shared resources serve in any order; it keeps release
times, precedence, and each owner's private FIFO resources. A DAG option is relaxed further: stages
off its longest path may run at any moment their own window leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mecopt.certificates.budget import Budget
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS, UNLIMITED


@dataclass(frozen=True)
class Priced:
    """A stage on a shared resource: resource, service, delay after it (ns)."""

    resource: int
    service: int
    gap: int


@dataclass(frozen=True)
class Loose:
    """A shared stage off the longest path: its window is [release + head, deadline - tail]."""

    resource: int
    service: int
    head: int
    tail: int

    @property
    def ahead(self) -> int:
        """Least time from its start to completion."""
        return self.service + self.tail


@dataclass(frozen=True)
class Shape:
    """One option as the relaxation sees it.

    `sources` are private stages: (resource, service, lag from their finish to the chain, None if
    they do not lead to it). `lag` is the longest path from release to the chain (or to completion
    when no stage is shared). `first_stage` is the global index of the chain's first stage.
    """

    task: int
    fixed: int
    lag: int
    sources: tuple[tuple[int, int, int | None], ...]
    chain: tuple[Priced, ...]
    loose: tuple[Loose, ...]
    first_stage: int | None

    @property
    def span(self) -> int:
        """Least time from the chain's start to completion."""
        return sum(p.service + p.gap for p in self.chain)


@dataclass(frozen=True)
class Structure:
    """Shapes of all options, private resources, and the end of the priced horizon.

    `owned` are the tasks of every owner, in order.
    """

    instance: OffloadingInstance
    owned: tuple[tuple[int, ...], ...]
    private: frozenset[int]
    shapes: tuple[Shape, ...]
    horizon: int
    is_chain: bool


def structure_of(instance: OffloadingInstance, budget: Budget | None = None) -> Structure:
    """Derive the relaxation's structure."""
    x = instance
    spend = (Budget() if budget is None else budget).spend
    owned: list[list[int]] = [[] for _ in x.owner_names]
    for k in range(x.n_tasks):
        owned[int(x.owner[k])].append(k)
    users: dict[int, set[int]] = {}
    inner: set[int] = set()
    for s in range(len(x.service_ns)):
        spend(5)
        r = int(x.stage_resource[s])
        users.setdefault(r, set()).add(int(x.owner[x.task_of_option[x.option_of_stage[s]]]))
        if x.pred_ptr[s] != x.pred_ptr[s + 1]:
            inner.add(r)
    private = frozenset(
        r
        for r, who in users.items()
        if len(who) == 1
        and r not in inner
        and x.capacity[r] == 1
        and x.down_ptr[r] == x.down_ptr[r + 1]
    )
    shapes = []
    for o in range(x.n_options):
        stages = int(x.stage_ptr[o + 1] - x.stage_ptr[o])
        spend(20 + 10 * stages + int(x.pred_ptr[x.stage_ptr[o + 1]] - x.pred_ptr[x.stage_ptr[o]]))
        shapes.append(_shape(x, o, private, spend))
    return Structure(x, tuple(map(tuple, owned)), private, tuple(shapes), _horizon(x), x.is_chain)


def _horizon(x: OffloadingInstance) -> int:
    """A time by which every useful stage has ended."""
    finite = [int(d) for d in x.deadline_ns if d < INFINITE_NS]
    last = max(
        int(r) + (int(d) if d < INFINITE_NS else 0)
        for r, d in zip(x.release_ns, x.deadline_ns, strict=True)
    )
    if len(finite) == x.n_tasks:
        return last
    longest = [0] * x.n_tasks
    for o in range(x.n_options):
        k = int(x.task_of_option[o])
        total = sum(int(v) for v in x.service_ns[x.stage_ptr[o] : x.stage_ptr[o + 1]])
        longest[k] = max(longest[k], total)
    return max(last, int(x.release_ns[-1]) + sum(longest))


def _in_order(stages: range, before: dict[int, list[int]]) -> list[int]:
    """The stages with predecessors first."""
    after: dict[int, list[int]] = {s: [] for s in stages}
    for s in stages:
        for p in before[s]:
            after[p].append(s)
    waiting = {s: len(before[s]) for s in stages}
    order = [s for s in stages if not waiting[s]]
    for s in order:  # grows while it is walked
        for q in after[s]:
            waiting[q] -= 1
            if not waiting[q]:
                order.append(q)
    return order


def _tails(
    order: list[int], before: dict[int, list[int]], service: dict[int, int], goal: int | None
) -> dict[int, int]:
    """Longest path from the finish of a stage to the start of `goal`, or to completion.

    Stages that do not lead to the goal are left out.
    """
    out = {s: 0 for s in order} if goal is None else {}
    for q in reversed(order):
        behind = 0 if q == goal else out.get(q)
        if behind is not None:
            step = behind + (0 if q == goal else service[q])
            for p in before[q]:
                out[p] = max(out.get(p, 0), step)
    if goal is not None:
        out.pop(goal, None)
    return out


def _shape(
    x: OffloadingInstance, o: int, private: frozenset[int], spend: Callable[[int], None]
) -> Shape:
    lo, hi = int(x.stage_ptr[o]), int(x.stage_ptr[o + 1])
    stages = range(lo, hi)
    service = {s: int(x.service_ns[s]) for s in stages}
    where = {s: int(x.stage_resource[s]) for s in stages}
    before = {s: [int(p) for p in x.pred[x.pred_ptr[s] : x.pred_ptr[s + 1]]] for s in stages}
    order = _in_order(stages, before)

    head: dict[int, int] = {}  # longest path from release to the start of a stage
    for s in order:
        head[s] = max((head[p] + service[p] for p in before[s]), default=0)

    total = max(head[s] + service[s] for s in stages)
    # The longest path, walked back; ties go to the stage listed first.
    s = next(s for s in stages if head[s] + service[s] == total)
    path = [s]
    while before[s]:
        s = max(sorted(before[s]), key=lambda p: head[p] + service[p])
        path.append(s)
    path.reverse()
    spend(len(stages))
    shared = [s for s in stages if where[s] not in private and x.capacity[where[s]] != UNLIMITED]
    limited = set(shared)
    chain = [s for s in path if s in limited]
    first = chain[0] if chain else None
    tail = _tails(order, before, service, None)
    ahead = tail if first is None else _tails(order, before, service, first)
    on_chain = set(chain)
    priced = []
    for j, s in enumerate(chain):
        after = head[chain[j + 1]] if j + 1 < len(chain) else total
        priced.append(Priced(where[s], service[s], after - head[s] - service[s]))
    return Shape(
        task=int(x.task_of_option[o]),
        fixed=int(x.fixed_cost_ns[o]),
        lag=head[first] if first is not None else total,
        sources=tuple((where[s], service[s], ahead.get(s)) for s in stages if where[s] in private),
        chain=tuple(priced),
        loose=tuple(
            Loose(where[s], service[s], head[s], tail[s]) for s in shared if s not in on_chain
        ),
        first_stage=first,
    )
