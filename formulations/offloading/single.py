"""One task with the network to itself: its options are replayed one after the other.

An option costs at least what it costs when nothing waits, not even for another of its own stages.
Options are replayed by rising value of that floor until it reaches the least cost found, which is
then the optimum. The proof has a complete leaf for each option replayed and one leaf without
prices for all others; what waits for its own kind is beyond prices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from formulations.dual.progress import Progress
from formulations.offloading.first import longest_paths_ns
from formulations.offloading.pricing.oracle import named_prices
from mecopt.certificates.offloading.proof import Node, Proof
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.units import INFINITE_NS
from mecopt.result import BoundKind, Result

#: Bucket length of a proof that has no prices, 2^40 ns, and what rounding a sum of three may cost.
_SHIFT, _ROUNDING = 40, 1e-14


def is_single(x: OffloadingInstance) -> bool:
    """Whether an instance is one task that must run, is never late and never lost."""
    return (
        x.n_tasks == 1
        and x.deadline_ns[0] >= INFINITE_NS
        and x.drop_cost_ns[0] >= INFINITE_NS
        and not len(x.down_ns)
    )


def solve_single(x: OffloadingInstance, progress: Progress, first: int = -1) -> Result:
    """Schedule and certified bound of such an instance.

    Parameters
    ----------
    x : OffloadingInstance
        With one task, see `is_single`.
    progress : Progress
        When to stop; at least one option is replayed.
    first : int
        An option to begin with; -1 for the one with the lowest floor.
    """
    path = x.latency_weight[0] * longest_paths_ns(x)
    size = np.abs(path) + np.abs(x.fixed_cost_ns)
    floor = path + x.fixed_cost_ns - _ROUNDING * size
    order = np.argsort(floor, kind="stable")
    first = int(order[0]) if first < 0 else first
    order = np.concatenate([[first], order[order != first]])
    best, chosen, done = np.inf, first, 0
    for o in order.tolist():
        if done:  # no floor behind this one is lower
            progress.note(min(best, floor[o]) * 1e-9, best * 1e-9)
            if floor[o] >= best or progress.is_late:
                break
        cost = 1e9 * replay(x, np.array([o])).objective - _ROUNDING * size[o]
        if cost < best:
            best, chosen = cost, o
        done += 1
    left = order[done:]
    bound_ns = min(best, float(floor[left].min(initial=np.inf)))
    none: NDArray[np.int64] = np.full(x.n_resources, -1, dtype=np.int64)
    proof = Proof(_SHIFT, 1, none, [np.zeros(0)], _tree(order[:done], left), bound_ns)
    schedule = replay(x, np.array([chosen]))
    return progress.result(
        x,
        schedule,
        bound_ns * 1e-9,
        method="plans",
        bound_kind=BoundKind.CERTIFIED,
        late=progress.is_late,
        margin=1e-9 * 4 * _ROUNDING * float(size[chosen]),
        prices=named_prices(x, _SHIFT, 1, none, np.zeros(0)),
        proof=proof,
        details={"replayed": done, "options": x.n_options},
    )


def _tree(replayed: NDArray[np.int64], left: NDArray[np.int64]) -> Node:
    """A complete leaf for every option replayed, and one without prices for those that are not."""
    root = Node(prices=0)
    parts = [[o] for o in replayed.tolist()] + ([left.tolist()] if len(left) else [])
    leaves = root.split(0, parts)
    for leaf in leaves[: len(replayed)]:
        leaf.prices = -1
    return root
