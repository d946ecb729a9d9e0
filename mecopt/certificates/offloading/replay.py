"""Replay of a decision in plain Python integers.

One event list, explicit queues. Events at equal times: completions, down starts, repairs, arrivals
at resources, releases; ties at a resource by (arrival, task, stage). Costs are integers in units of
2^-30 ns, the grid of latency weights.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from mecopt.certificates.budget import Budget
from mecopt.certificates.scales import COST_SCALE
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import DROPPED, INFINITE_NS, UNLIMITED

_COMPLETION, _DOWN, _REPAIR, _ARRIVAL, _RELEASE = range(5)


@dataclass(frozen=True)
class Outcome:
    """Completion (ns, None if never) and cost (scaled, None where a drop is forbidden) per task."""

    completion: list[int | None]
    cost: list[int | None]

    @property
    def total(self) -> int | None:
        """Sum of the costs, None when one is forbidden."""
        return None if None in self.cost else sum(c for c in self.cost if c is not None)


def exact_replay(
    instance: OffloadingInstance, choice: Sequence[int], budget: Budget | None = None
) -> Outcome:
    """Simulate a decision; see the module docstring for the rules."""
    x = instance
    n = x.n_tasks
    spend = (Budget() if budget is None else budget).spend
    spend(2 * n + x.n_resources)
    option = [int(x.option_ptr[k]) + c if c != DROPPED else None for k, c in enumerate(choice)]
    preds = {
        s: [int(p) for p in x.pred[x.pred_ptr[s] : x.pred_ptr[s + 1]]]
        for o in option
        if o is not None
        for s in range(int(x.stage_ptr[o]), int(x.stage_ptr[o + 1]))
    }
    task_of = {s: int(x.task_of_option[x.option_of_stage[s]]) for s in preds}
    followers: dict[int, list[int]] = {s: [] for s in preds}
    for s, before in preds.items():
        for p in before:
            followers[p].append(s)
    resource = {s: int(x.stage_resource[s]) for s in preds}
    service = {s: int(x.service_ns[s]) for s in preds}
    # Queues keep stages of failed tasks until their turn, and skip them then.
    queue: dict[int, deque[int]] = {r: deque() for r in range(x.n_resources)}
    serving: dict[int, set[int]] = {r: set() for r in range(x.n_resources)}
    up = [True] * x.n_resources
    done: dict[int, int] = {}
    failed = [False] * n
    events = [(int(x.release_ns[k]), _RELEASE, k) for k in range(n) if option[k] is not None]
    for r in range(x.n_resources):
        for e in range(x.down_ptr[r], x.down_ptr[r + 1]):
            events.append((int(x.down_ns[e, 0]), _DOWN, r))
            events.append((int(x.down_ns[e, 1]), _REPAIR, r))
    heapq.heapify(events)

    while events:
        now, kind, item = heapq.heappop(events)
        spend(10)
        if kind == _RELEASE:
            o = option[item]
            assert o is not None
            for s in range(int(x.stage_ptr[o]), int(x.stage_ptr[o + 1])):
                if not preds[s]:
                    heapq.heappush(events, (now, _ARRIVAL, s))
            continue
        if kind == _REPAIR:
            up[item] = True
            continue
        if kind == _DOWN:
            up[item] = False
            for s in (*queue[item], *serving[item]):
                failed[task_of[s]] = True
            queue[item].clear()
            serving[item].clear()
            continue
        r = resource[item]
        if kind == _COMPLETION:
            if item not in serving[r]:
                continue  # it was lost
            serving[r].remove(item)
            done[item] = now
            for s in followers[item]:
                if not failed[task_of[s]] and all(p in done for p in preds[s]):
                    heapq.heappush(events, (now, _ARRIVAL, s))
        elif not failed[task_of[item]]:
            if up[r]:
                queue[r].append(item)
            else:
                failed[task_of[item]] = True
        limit = UNLIMITED if x.capacity[r] == UNLIMITED else int(x.capacity[r])
        while queue[r] and len(serving[r]) < limit:
            s = queue[r].popleft()
            if failed[task_of[s]]:
                continue
            serving[r].add(s)
            heapq.heappush(events, (now + service[s], _COMPLETION, s))

    completion: list[int | None] = []
    cost: list[int | None] = []
    for k in range(n):
        o = option[k]
        stages = range(int(x.stage_ptr[o]), int(x.stage_ptr[o + 1])) if o is not None else range(0)
        finished = o is not None and not failed[k] and all(s in done for s in stages)
        end = max(done[s] for s in stages) if finished else None
        completion.append(end)
        latency = None if end is None else end - int(x.release_ns[k])
        if latency is not None and o is not None and latency <= x.deadline_ns[k]:
            weight = int(x.latency_weight[k] * COST_SCALE)
            cost.append(weight * latency + int(x.fixed_cost_ns[o]) * COST_SCALE)
        elif x.drop_cost_ns[k] >= INFINITE_NS:
            cost.append(None)
        else:
            cost.append(int(x.drop_cost_ns[k]) * COST_SCALE)
    return Outcome(completion, cost)
