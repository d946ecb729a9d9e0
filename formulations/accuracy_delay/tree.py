"""Branch and bound over regions of decisions: numbers of queries first, then users, then sums.

With the number of queries at every server settled, a snapshot with equal shares and no accuracy to
reach is a transportation problem, which prices solve; so numbers are branched on first. What is
left after that comes of the accuracy (users who are half at a server) or, with optimal shares, of
the square of a server's roots (branched on at half the slope, where the sets that tie lie apart).

Every node has prices of its own, found from its parent's by ascent; the least exact value among the
leaves is the bound.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from formulations.accuracy_delay.doubt import Doubt
from formulations.accuracy_delay.oracle import OTHERS, FloatArray, IntArray, Priced, RegionOracle
from formulations.dual.ascent import ascend
from mecopt.accuracy_delay.instance import LOCAL, UNITS_PER_NS, QuerySnapshot
from mecopt.certificates.accuracy_delay.proof import Branch, Proof
from mecopt.certificates.accuracy_delay.values import Prices, Region, Snapshot, everything

#: Evaluations of a node's ascent.
_EVALUATIONS = 150
#: First step of an ascent, as a share of the mean delay on the device; of the price of accuracy.
_STEP, _ACCURACY_STEP = 0.05, 0.03
#: Prices of accuracy that are tried first, in ns per unit, and evaluations for each.
_FIRST_PRICE, _TRIALS = 1e7, 60

#: CPU seconds for a user and a number of queries in `Snapshot.value`.
_SECONDS_PER_KEY = 8e-7
#: Seconds that a first bound may run over the limit: it is worth more than the bound without one.
_GRACE_S = 0.2

Offer = Callable[[IntArray], None]


@dataclass(frozen=True, eq=False)
class _Leaf:
    """A region, its prices as floats and on the grid, exact value in units, and how to split it."""

    region: Region
    prices: FloatArray
    proof: Prices
    value: int
    split: tuple[str, int, int] | None


class Tree:
    """Regions that cover every decision, and the bound that they prove.

    Parameters
    ----------
    x : QuerySnapshot
    offer : callable
        Called with decisions (N,) that fit the rooms.
    deadline : float
        `time.perf_counter()` value at which to stop.
    """

    def __init__(self, x: QuerySnapshot, offer: Offer, deadline: float) -> None:
        self.x, self.offer, self.deadline = x, offer, deadline
        self.exact = Snapshot(x)
        self.nodes: list[Branch | _Leaf] = []
        self.evaluations = 0
        #: Whether time, what proving takes set aside, ended the work.
        self.ran_out = False
        # What recomputing a value in whole numbers may take, s.
        self._proving_s = _SECONDS_PER_KEY * x.n_users * x.n_servers * 11
        self._heap: list[tuple[int, int]] = []
        root = everything(x)
        oracle = RegionOracle(x, root)
        # Prices at which no server wants a query are proven quickly: delays are not negative.
        shy = np.append(-x.worth_ns.astype(np.float64), np.zeros(OTHERS))
        self._append(self._settle(oracle, shy, oracle.price(shy), None))

    @property
    def bound_units(self) -> int:
        """Least value of the leaves, in 2^-20 ns."""
        return self._heap[0][0]

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return len(self._heap)

    @property
    def is_done(self) -> bool:
        """Whether the leaf of least value cannot be split."""
        leaf = self.nodes[self._heap[0][1]]
        assert isinstance(leaf, _Leaf)
        return leaf.split is None

    def proof(self) -> Proof:
        """The tree as certificates write it."""
        return Proof(tuple(node.proof if isinstance(node, _Leaf) else node for node in self.nodes))

    def begin(self, target: float) -> None:
        """Prices of the root, by a search over the price of accuracy and an ascent from there."""
        oracle = RegionOracle(self.x, everything(self.x))
        start = oracle.start()
        if oracle.to_win > 0:
            start = self._search_accuracy(oracle, start)
        if time.perf_counter() + self._proving_s > self.deadline + _GRACE_S:
            self.ran_out = True  # proving what such prices bound would take too long
            return
        leaf = self._leaf(oracle, start, 3 * _EVALUATIONS, target, 1.0)
        if leaf.value > self.bound_units:
            self.nodes.clear()
            self._heap.clear()
            self._append(leaf)

    def grow(self, target: Callable[[], float], rest: Callable[[], None]) -> None:
        """Split the leaf of least value until all reach `target()` ns or time is over.

        `rest` is called after every split.
        """
        while time.perf_counter() < self.deadline - 2.0 * self._proving_s:  # of both parts
            value, at = self._heap[0]
            leaf = self.nodes[at]
            assert isinstance(leaf, _Leaf)
            if value >= target() * UNITS_PER_NS or leaf.split is None:
                return
            kind, server, limit = leaf.split
            branch = Branch(kind, server, limit, len(self.nodes), len(self.nodes) + 1)
            parts = [self._solve(part, leaf, target()) for part in branch.split(leaf.region)]
            heapq.heappop(self._heap)
            self.nodes[at] = branch
            for part in parts:
                self._append(part)
            rest()
        self.ran_out = True

    # ------------------------------------------------------------------------------- nodes
    def _append(self, leaf: _Leaf) -> None:
        self.nodes.append(leaf)
        heapq.heappush(self._heap, (leaf.value, len(self.nodes) - 1))

    def _solve(self, region: Region, parent: _Leaf, target: float) -> _Leaf:
        """Prices of a part; its value is at least its parent's."""
        oracle = RegionOracle(self.x, region)
        return self._leaf(oracle, parent.prices, _EVALUATIONS, target, 0.2)

    def _leaf(
        self, oracle: RegionOracle, start: FloatArray, evaluations: int, target: float, size: float
    ) -> _Leaf:
        """A region with the best prices of an ascent, split by what its evaluations disagree on."""
        seen = Doubt(oracle)
        rise = self._rise(
            oracle, start, oracle.lower, oracle.upper, evaluations, size, target, seen
        )
        priced = oracle.price(rise[0])
        return self._settle(oracle, rise[0], priced, seen.split(priced))

    def _search_accuracy(self, oracle: RegionOracle, start: FloatArray) -> FloatArray:
        """Prices at the best of doubling prices of accuracy, each ascended for a little."""
        best, kept, price = -np.inf, start, _FIRST_PRICE
        prices = start.copy()
        while time.perf_counter() < self.deadline:
            low, high = oracle.lower.copy(), oracle.upper.copy()
            low[-OTHERS] = high[-OTHERS] = prices[-OTHERS] = price
            rise = self._rise(oracle, prices, low, high, _TRIALS, 1.0, np.inf, None)
            prices = rise[0]
            if rise[1] < best:
                break
            best, kept = rise[1], prices.copy()
            price *= 2.0
        return kept

    def _rise(
        self,
        oracle: RegionOracle,
        start: FloatArray,
        low: FloatArray,
        high: FloatArray,
        evaluations: int,
        size: float,
        target: float,
        seen: Doubt | None,
    ) -> tuple[FloatArray, float]:
        mean = float(self.x.local_ns.mean()) + float(self.x.worth_ns.mean()) + 1.0
        step = np.full(len(start), size * _STEP * mean)
        step[-OTHERS] = _ACCURACY_STEP * max(start[-OTHERS], 1.0)

        def watch(t: int, best: float, priced: Priced) -> bool:
            sizes = [2 * len(chosen) + 3 for chosen in priced.chosen]
            self._proving_s = _SECONDS_PER_KEY * self.x.n_users * sum(sizes)
            if t % 10 == 9:
                self._offer_sets(priced.chosen)
            if seen is not None and t >= evaluations // 3:
                seen.add(priced)
            late = time.perf_counter() > self.deadline - self._proving_s
            return late or best >= target

        rise = ascend(
            oracle,
            start,
            iterations=evaluations,
            step=step,
            lower=low,
            upper=high,
            deadline=self.deadline - self._proving_s,
            watch=watch,
        )
        self.evaluations += rise.iterations
        return rise.prices, rise.value

    def _settle(
        self,
        oracle: RegionOracle,
        prices: FloatArray,
        priced: Priced,
        split: tuple[str, int, int] | None,
    ) -> _Leaf:
        """A leaf with its exact value; a region without decisions has an endless one."""
        proof = oracle.on_grid(prices, priced)
        value = self.exact.value(oracle.region, proof)
        endless = 2**200
        return _Leaf(oracle.region, prices, proof, endless if value is None else value, split)

    # --------------------------------------------------------------------------- decisions
    def _offer_sets(self, chosen: tuple[IntArray, ...]) -> None:
        """The sets of servers as a decision: who is chosen twice goes where that is cheaper."""
        choice = np.full(self.x.n_users, LOCAL, dtype=np.int64)
        for j, users in enumerate(chosen):
            taken = users[choice[users] != LOCAL]
            keep = self.x.linear_ns[taken, choice[taken]] <= self.x.linear_ns[taken, j]
            choice[users] = j
            if len(taken):
                choice[taken[keep]] = _others(chosen, j, taken[keep])
        self.offer(choice)


def _others(chosen: tuple[IntArray, ...], j: int, users: IntArray) -> IntArray:
    """The first server before j that chose each user."""
    out = np.full(len(users), LOCAL, dtype=np.int64)
    for k in range(j - 1, -1, -1):
        out[np.isin(users, chosen[k])] = k
    return out
