"""A leaf of a proof: what its tasks may still do, and the FIFO windows that follow from it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from mecopt.certificates.budget import Budget
from mecopt.certificates.offloading.structure import Structure

#: What each task may do: global option indices, -1 for the drop.
Alternatives = list[tuple[int, ...]]


@dataclass(frozen=True)
class Leaf:
    """A set of alternatives, and the FIFO windows that follow from it."""

    alternatives: Alternatives
    earliest: Mapping[int, int]  # option -> known lower bound on its chain's start


def leaf_of(structure: Structure, alternatives: Alternatives, budget: Budget | None = None) -> Leaf:
    """Work out FIFO windows: see `formulations.offloading.branch` for the argument.

    Tasks with one alternative are fixed. As long as all earlier tasks of an owner are fixed, the
    arrival of a fixed task at its first shared stage is known; FIFO over the known arrivals alone
    is a lower bound on every start, because more arrivals only delay.
    """
    x = structure.instance
    spend = (Budget() if budget is None else budget).spend
    known: dict[int, list[tuple[int, int, int, int]]] = {}
    if structure.is_chain:
        for tasks in structure.owned:
            free: dict[int, int] = {}
            sure = True
            for k in tasks:
                spend()
                if len(alternatives[k]) != 1:
                    sure = False
                    continue
                o = alternatives[k][0]
                if o < 0:
                    continue
                shape = structure.shapes[o]
                spend(5 + len(shape.sources))
                release = int(x.release_ns[k])
                arrival = release + shape.lag
                for r, service, lag in shape.sources if sure else ():
                    free[r] = max(free.get(r, 0), release) + service
                    arrival = free[r] + (lag or 0)
                if shape.first_stage is None or not (sure or not shape.sources):
                    continue
                r = shape.chain[0].resource
                path = x.stage_resource[int(x.stage_ptr[o]) : shape.first_stage + 1]
                # A task that may be lost on the way may never arrive.
                if all(x.down_ptr[q] == x.down_ptr[q + 1] for q in path):
                    job = (arrival, shape.first_stage, o, shape.chain[0].service)
                    known.setdefault(r, []).append(job)
    earliest: dict[int, int] = {}
    for r, jobs in known.items():
        servers = [0] * min(int(x.capacity[r]), len(jobs))
        for arrival, _, o, service in sorted(jobs):
            spend(10)
            begin = max(arrival, servers[0])
            heapq.heapreplace(servers, begin + service)
            earliest[o] = begin
    return Leaf(alternatives, earliest)
