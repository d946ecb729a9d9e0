"""What an instance's relaxation looks like: private resources, and one shape per option.

The relaxation lets every stage wait and lets shared resources serve in any order; it keeps release
times, precedence, and each owner's private FIFO resources. A DAG option is relaxed further: stages
off its longest path may run at any moment their own window leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

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
    """Shapes of all options, private resources, and the end of the priced horizon."""

    instance: OffloadingInstance
    private: frozenset[int]
    shapes: tuple[Shape, ...]
    horizon: int
    is_chain: bool


def structure_of(instance: OffloadingInstance) -> Structure:
    """Derive the relaxation's structure."""
    x = instance
    users: dict[int, set[int]] = {}
    inner: set[int] = set()
    for s in range(len(x.service_ns)):
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
    shapes = tuple(_shape(x, o, private) for o in range(x.n_options))
    return Structure(x, private, shapes, _horizon(x), x.is_chain)


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


def _shape(x: OffloadingInstance, o: int, private: frozenset[int]) -> Shape:
    lo, hi = int(x.stage_ptr[o]), int(x.stage_ptr[o + 1])
    stages = range(lo, hi)
    service = {s: int(x.service_ns[s]) for s in stages}
    where = {s: int(x.stage_resource[s]) for s in stages}
    before = {s: [int(p) for p in x.pred[x.pred_ptr[s] : x.pred_ptr[s + 1]]] for s in stages}

    head: dict[int, int] = {}  # longest path from release to the start of a stage
    while len(head) < len(stages):
        for s in stages:
            if s not in head and all(p in head for p in before[s]):
                head[s] = max((head[p] + service[p] for p in before[s]), default=0)

    @cache
    def reach(s: int, goal: int | None) -> int | None:
        """Longest path from the finish of s to the start of `goal`, or to completion."""
        if s == goal:
            return None
        after = [q for q in stages if s in before[q]]
        if goal is None:
            return max((service[q] + (reach(q, None) or 0) for q in after), default=0)
        ways = [0 if q == goal else reach(q, goal) for q in after]
        known = [
            w + (service[q] if q != goal else 0)
            for q, w in zip(after, ways, strict=True)
            if w is not None
        ]
        return max(known) if known else None

    total = max(head[s] + service[s] for s in stages)
    # The longest path, walked back; ties go to the stage listed first.
    s = next(s for s in stages if head[s] + service[s] == total)
    path = [s]
    while before[s]:
        s = max(sorted(before[s]), key=lambda p: head[p] + service[p])
        path.append(s)
    path.reverse()
    shared = [s for s in stages if where[s] not in private and x.capacity[where[s]] != UNLIMITED]
    chain = [s for s in path if s in shared]
    first = chain[0] if chain else None
    priced = []
    for j, s in enumerate(chain):
        after = head[chain[j + 1]] if j + 1 < len(chain) else total
        priced.append(Priced(where[s], service[s], after - head[s] - service[s]))
    return Shape(
        task=int(x.task_of_option[o]),
        fixed=int(x.fixed_cost_ns[o]),
        lag=head[first] if first is not None else total,
        sources=tuple(
            (where[s], service[s], reach(s, first)) for s in stages if where[s] in private
        ),
        chain=tuple(priced),
        loose=tuple(
            Loose(where[s], service[s], head[s], reach(s, None) or 0)
            for s in shared
            if s not in chain
        ),
        first_stage=first,
    )
