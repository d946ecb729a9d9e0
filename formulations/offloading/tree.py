"""Branch and bound on (task, option) over the plan decomposition.

Every node owns a relaxation (see `formulations.offloading.branch`), prices warm-started from its
parent, and a place in the proof tree. A node is worked as follows: a short ascent; probing (a task
forced to an alternative costs one block pricing; alternatives that cannot beat the incumbent become
leaves); repeat while something was fixed, because FIFO windows grow with every fixed task; then a
binary split of the first open task of some owner, the one whose second-best alternative costs most.
Nodes are taken by least bound.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.dual.ascent import ascend, on_grid
from formulations.dual.stopping import OutOfTime
from formulations.offloading.branch import Allowed, Tightener, everything
from formulations.offloading.improve import Improver
from formulations.offloading.pricing.options import Branch
from formulations.offloading.pricing.oracle import Oracle, Priced
from mecopt.certificates.offloading.proof import Node
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay

#: A node with at most this many decisions is enumerated by replay.
_ENUMERATE = 128


class BranchOracle:
    """The dual oracle of one branch: costs in ns, usage in ns per bucket."""

    cost_unit = 1e9

    def __init__(self, oracle: Oracle, branch: Branch) -> None:
        self.oracle = oracle
        self.branch = branch
        self.capacity = oracle.capacity
        self.row_unit = float(1 << oracle.shift)

    def price(self, prices: NDArray[np.float64]) -> Priced:
        return self.oracle.price(prices, self.branch)

    def dual_value(self, prices: NDArray[np.float64], priced: Priced) -> float:
        return self.oracle.dual_value(prices, priced)

    def plan_usage(self, priced: Priced) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        return self.oracle.plan_usage(priced)


class SafeOracle(BranchOracle):
    """The same, of prices on the grid of proofs and with values that are safe to claim."""

    def __init__(self, oracle: Oracle, branch: Branch) -> None:
        super().__init__(oracle, branch)
        self._grid = np.zeros(0)

    def price(self, prices: NDArray[np.float64]) -> Priced:
        self._grid = on_grid(prices)
        return super().price(self._grid)

    def dual_value(self, prices: NDArray[np.float64], priced: Priced) -> float:
        """Value of the prices that were priced last."""
        value = super().dual_value(self._grid, priced)
        return self.oracle.safe(self._grid, value, priced)


@dataclass(order=True)
class Open:
    """An open node: its bound (ns), a tie breaker, and what it needs to go on."""

    bound: float
    order: int
    allowed: Allowed
    prices: int
    node: Node


class Tree:
    """State of the search; `prices` are shared by the proof.

    Parameters
    ----------
    instance : OffloadingInstance
    oracle : Oracle
    improver : Improver
        Holds the incumbent; complete nodes and relaxed plans are offered to it.
    prices : (rows,) float64
        Root prices, on the grid.
    bound_ns : float
        Safe bound under these prices.
    scale : float
        About what a second of a server is worth.
    rounding : float
        Share of the sum of absolute costs that rounding may leave between bound and objective.
    """

    def __init__(
        self,
        instance: OffloadingInstance,
        oracle: Oracle,
        improver: Improver,
        prices: NDArray[np.float64],
        bound_ns: float,
        *,
        scale: float = 1.0,
        rounding: float = 0.0,
    ) -> None:
        self._scale, self._rounding = scale, rounding
        self.instance = instance
        self.oracle = oracle
        self.improver = improver
        self.tightener = Tightener(instance, oracle.blocks)
        self.prices = [prices]
        self.root = Node(prices=0)
        self.nodes = 0
        self._tick = 0
        self._closed = np.inf  # least bound of closed leaves
        self._owner = instance.owner
        self._heap: list[Open] = []
        self._push(bound_ns, everything(instance), 0, self.root)

    def _push(self, bound: float, allowed: Allowed, prices: int, node: Node) -> None:
        node.prices = prices
        heapq.heappush(self._heap, Open(bound, self._tick, allowed, prices, node))
        self._tick += 1

    @property
    def open(self) -> bool:
        """Whether nodes are left to work on."""
        return bool(self._heap)

    @property
    def bound_ns(self) -> float:
        """Least bound over all leaves, open and closed."""
        return min(self._closed, self._heap[0].bound if self._heap else np.inf)

    def run(self, *, gap: float, deadline: float) -> None:
        """Work nodes until the relative gap is reached, nothing is open, or time is over."""
        while self._heap and time.perf_counter() < deadline:
            if self._heap[0].bound >= self._cutoff(gap):
                break
            self._work(heapq.heappop(self._heap), gap, deadline)
            self.nodes += 1

    def _cutoff(self, gap: float) -> float:
        """Bound (ns) at which a leaf need not be worked on."""
        best = self.improver.objective * 1e9
        if best == np.inf:
            return best
        slack = max(gap / (1 + gap) * abs(best), self._rounding * self.improver.size * 1e9)
        return best - 0.5 * slack

    def _close(self, bound: float, node: Node, prices: int) -> None:
        node.prices = prices
        self._closed = min(self._closed, bound)

    def _work(self, item: Open, gap: float, deadline: float) -> None:
        x, oracle, node, allowed = self.instance, self.oracle, item.node, item.allowed
        start = self.prices[item.prices]
        bound, at = item.bound, item.prices
        score: dict[int, dict[int, float]] = {}
        for _ in range(8):
            count = allowed.count(x)
            if np.prod(np.minimum(count, 1000.0)) <= _ENUMERATE:
                self._enumerate(allowed, node, 0)
                return
            branch = self.tightener.branch(allowed)
            view = SafeOracle(oracle, branch)
            step = 0.05 * self._scale
            rise = ascend(view, start, iterations=40, step=step, patience=20.0, deadline=deadline)
            if rise.value > bound:
                self.prices.append(on_grid(rise.prices))
                bound, at, start = rise.value, len(self.prices) - 1, self.prices[-1]
            try:
                self._offer(oracle.price(on_grid(rise.prices), branch))
            except OutOfTime:
                score = {}
                break
            if bound >= self._cutoff(gap):
                self._close(bound, node, at)
                return
            if time.perf_counter() > deadline:
                break
            score, fixed, node, narrowed = self._probe(
                allowed, branch, self.prices[at], at, node, gap, deadline
            )
            if narrowed is None:
                return
            allowed = narrowed
            if not fixed:
                break
        else:
            score = {}  # narrowed at every turn: its turn is over
        if time.perf_counter() > deadline or not score:
            self._push(bound, allowed, at, node)
            return
        task, near = self._choose(score)
        values = score[task]
        far = [o for o in allowed.alternatives(x, task) if o not in near]
        children = node.split(task, [near, far])
        for side, other, child in zip((near, far), (far, near), children, strict=True):
            least = min(values[o] for o in side)
            self._push(max(bound, least), allowed.without(task, other), at, child)

    def _offer(self, priced: Priced) -> None:
        x = self.instance
        self.improver.offer(np.where(priced.choice >= 0, priced.choice - x.option_ptr[:-1], -1))

    def _enumerate(self, allowed: Allowed, node: Node, task: int) -> None:
        """Split every open task from `task` on; replays are the values of the leaves."""
        x = self.instance
        while task < x.n_tasks and len(allowed.alternatives(x, task)) == 1:
            task += 1
        if task < x.n_tasks:
            options = allowed.alternatives(x, task)
            for o, child in zip(options, node.split(task, [[o] for o in options]), strict=True):
                self._enumerate(allowed.only(x, task, o), child, task + 1)
            return
        fixed = [allowed.alternatives(x, k)[0] for k in range(x.n_tasks)]
        choice = np.array([o - x.option_ptr[k] if o >= 0 else -1 for k, o in enumerate(fixed)])
        self.improver.offer(choice)
        cost = replay(x, choice).cost_s
        value = float(cost.sum())
        if np.isfinite(value):  # less the rounding of the sum
            value -= 1e-14 * float(np.abs(cost).sum())
        self._close(value * 1e9, node, -1)

    def _probe(
        self,
        allowed: Allowed,
        branch: Branch,
        prices: NDArray[np.float64],
        at: int,
        node: Node,
        gap: float,
        deadline: float,
    ) -> tuple[dict[int, dict[int, float]], bool, Node, Allowed | None]:
        """Force every alternative of every open task; split off those that cannot win.

        Returns the bounds found per open task, whether anything was removed, the node where the
        search goes on and what it allows (None when nothing is left).
        """
        x, oracle = self.instance, self.oracle
        cutoff = self._cutoff(gap)
        score: dict[int, dict[int, float]] = {}
        removed = False
        try:
            priced = oracle.price(prices, branch)
        except OutOfTime:
            return score, removed, node, allowed
        for k in np.flatnonzero(allowed.count(x) > 1):
            if time.perf_counter() > deadline:
                break
            try:
                values = self._forced_values(int(k), allowed, branch, prices, priced)
            except OutOfTime:
                break
            lost = [o for o, v in values.items() if v >= cutoff]
            kept = [o for o in values if o not in lost]
            if lost:
                removed = True
                # A lone task's alternatives cost together what the least of them costs.
                sets = [lost] if oracle.is_lone(int(k)) else [[o] for o in lost]
                children = node.split(int(k), sets + ([kept] if kept else []))
                for of, child in zip(sets, children, strict=False):
                    self._close(min(values[o] for o in of), child, at)
                if not kept:
                    return score, removed, node, None
                node = children[-1]
                allowed = allowed.without(int(k), lost)
                branch = self.tightener.branch(allowed)
                try:
                    priced = oracle.price(prices, branch)
                except OutOfTime:
                    break
            if len(kept) > 1:
                score[int(k)] = {o: values[o] for o in kept}
        return score, removed, node, allowed

    def _forced_values(
        self,
        task: int,
        allowed: Allowed,
        branch: Branch,
        prices: NDArray[np.float64],
        priced: Priced,
    ) -> dict[int, float]:
        """Bound of every alternative of a task when it is forced."""
        oracle, u = self.oracle, int(self._owner[task])
        only = np.zeros(oracle.n_blocks, dtype=np.bool_)
        only[u] = True
        rest_value = priced.value.sum() - prices @ oracle.capacity - priced.value[u]
        values = {}
        if oracle.is_lone(task):
            return self._forced_alone(task, allowed, branch, prices, priced)
        for o in allowed.alternatives(self.instance, task):
            forced = self._force(branch, allowed, task, o)
            value = rest_value + oracle.price(prices, forced, only, priced.value).value[u]
            values[o] = oracle.safe(prices, value, priced) if np.isfinite(value) else np.inf
        return values

    def _forced_alone(
        self,
        task: int,
        allowed: Allowed,
        branch: Branch,
        prices: NDArray[np.float64],
        priced: Priced,
    ) -> dict[int, float]:
        """`_forced_values` of a task that has nothing to do with the others of its owner."""
        x, oracle = self.instance, self.oracle
        total = float(priced.value.sum() - prices @ oracle.capacity)
        least, _ = oracle.forced(prices, branch, task, -np.inf)
        # As much as the incumbent needs, and a margin for what `safe` takes off.
        enough = self.improver.objective * 1e9 - total + least
        _, cost = oracle.forced(prices, branch, task, enough + 1e-6 * abs(total))
        values = {}
        for o in allowed.alternatives(x, task):
            drop = float(oracle.blocks.drop_cost[task])
            forced = drop if o < 0 else float(cost[o - x.option_ptr[task]])
            if o >= 0 and self.tightener.single_droplike(task, o):
                forced = min(forced, drop)
            value = total - least + forced
            values[o] = oracle.safe(prices, value, priced) if np.isfinite(value) else np.inf
        return values

    def _force(self, branch: Branch, allowed: Allowed, task: int, option: int) -> Branch:
        """The branch of `allowed` with one task forced; FIFO windows stay as they are."""
        droplike = branch.droplike.copy()
        droplike[task] = 1 if option < 0 else self.tightener.single_droplike(task, option)
        forced = allowed.only(self.instance, task, option)
        return Branch(forced.option, droplike, branch.earliest)

    def _choose(self, score: dict[int, dict[int, float]]) -> tuple[int, list[int]]:
        """Task to split, and the alternatives on the side of its cheapest one.

        It is the first open task of an owner, the one whose other side is dearest.
        """
        first: dict[int, int] = {}
        for k in score:
            first.setdefault(int(self._owner[k]), k)
        splits = {k: self._split(k, score[k]) for k in first.values()}
        task = max(splits, key=lambda k: splits[k][0])
        return task, splits[task][1]

    def _split(self, task: int, values: dict[int, float]) -> tuple[float, list[int]]:
        """Least value of the alternatives far from the cheapest one, and those near to it.

        Near are, for a lone task, all that use some resource as long as the cheapest one does, of
        the resource that leaves the dearest others: a single one of many that are alike would
        leave others as cheap.
        """
        options = list(values)
        value = np.array([values[o] for o in options])
        best = int(np.argmin(value))
        near = np.arange(len(options)) == best
        if self.oracle.is_lone(task):
            use = self._uses(options)
            near = max(
                (near, *(use == use[best]).T),
                key=lambda side: value[~side].min(initial=np.inf) if not side.all() else -np.inf,
            )
        return float(value[~near].min()), [
            o for o, is_near in zip(options, near, strict=True) if is_near
        ]

    def _uses(self, options: list[int]) -> NDArray[np.int64]:
        """(n, R) time that each alternative uses each resource, ns; the drop uses none."""
        x = self.instance
        use = np.zeros((len(options), x.n_resources), dtype=np.int64)
        for i, o in enumerate(options):
            if o >= 0:
                stages = slice(int(x.stage_ptr[o]), int(x.stage_ptr[o + 1]))
                np.add.at(use[i], x.stage_resource[stages], x.service_ns[stages])
        return use
