"""A higher certified bound for one server: a tree over what is resident when.

The best prices leave a gap that no prices close: plans that are half resident. A node of the tree
settles for some pairs and slots whether the pair is resident; every schedule keeps to one of two
children. Each node gets prices of its own, by the same ascent, which starts from those of its
parent; the least value among the leaves bounds all schedules. The leaf of least value is branched
on first, at the pair and slot about which the plans of its ascent disagree most, counted over the
slots around.

`mecopt verify` recomputes every leaf in integers (`mecopt.certificates.caching.values`).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from formulations.caching.blocks import Blocks, FloatArray, IntArray
from formulations.caching.oracle import CachingEvaluation, LinkOracle, RestrictedOracle
from formulations.dual.ascent import PRICE_GRID, ascend, on_grid
from mecopt.certificates.caching.proof import ServerProof
from mecopt.certificates.caching.values import Branch

#: Evaluations of a node, and its first step, in the usual ones.
_EVALUATIONS, _STEP = 240, 0.06
#: Most leaves of a tree: each is verified in whole numbers.
MOST_LEAVES = 200
#: Slots on either side that count when pair and slot are chosen.
_AROUND = 6


@dataclass(frozen=True, eq=False)
class Proven:
    """What prices bound, less what sums may have been rounded, and what the proof says.

    `prices` (choices + coupling rows,) are on the grid of proofs; `energy` and `least` (N, T) are
    the energy prices and the least costs of the slots at them.
    """

    value: float
    prices: FloatArray
    energy: FloatArray
    least: FloatArray

    def servers(self, blocks: Blocks) -> list[ServerProof]:
        """What is said of every server."""
        edges = blocks.first[:: blocks.n_pairs * blocks.n_slots]
        links = np.split(self.prices[: blocks.n_choices], edges[1:-1])
        return [ServerProof(*parts) for parts in zip(links, self.energy, self.least, strict=True)]


def proven(links: LinkOracle, prices: FloatArray) -> Proven:
    """The bound of prices put on the grid of proofs."""
    blocks, n = links.blocks, links.blocks.n_choices
    rounded = on_grid(prices)
    most = np.floor(links.coupling.upper * PRICE_GRID) / PRICE_GRID
    rounded[n:] = np.minimum(np.maximum(rounded[n:], 0.0), most)
    priced = links.price(rounded)
    value = links.dual_value(rounded, priced)
    scale = np.abs(priced.value).sum() + abs(value)
    least = priced.value[blocks.n_servers * blocks.n_pairs :].reshape(blocks.n_servers, -1)
    return Proven(
        value - 1e-12 * scale * np.sqrt(len(rounded)),
        rounded,
        links.pricer.energy_price.copy(),
        least,
    )


@dataclass(frozen=True, eq=False)
class _Leaf:
    """What is settled (place q T + t: resident or not), what prices prove, where plans disagree."""

    settled: dict[int, bool]
    proven: Proven
    split: int  # place to branch on


class Tree:
    """Leaves that cover every schedule of one server, and the bound they prove.

    Parameters
    ----------
    links : LinkOracle
        Of one server.
    prices : (choices,) float64
        Of the bound so far.
    watch : callable
        Called with the choices (Q T,) of slot blocks, which fit the server.
    deadline : float
        `time.perf_counter` at which ascents stop.
    """

    def __init__(
        self,
        links: LinkOracle,
        prices: FloatArray,
        watch: Callable[[IntArray], None],
        deadline: float = np.inf,
    ) -> None:
        self.links, self.watch, self.deadline = links, watch, deadline
        self.nodes: list[Branch | _Leaf] = []
        self._heap: list[tuple[float, int]] = []
        self._append(self._solve({}, prices, np.inf))

    @property
    def bound(self) -> float:
        """Least value of the leaves."""
        return self._heap[0][0]

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return len(self._heap)

    def proof(self) -> list[Branch | ServerProof]:
        """Branches, and prices of leaves; the root first."""
        return [
            node.proven.servers(self.links.blocks)[0] if isinstance(node, _Leaf) else node
            for node in self.nodes
        ]

    def grow(self, target: Callable[[], float], until: float) -> None:
        """Branch on the leaf of least value until all reach `target()`, or until a time.

        A node that was begun is finished, unless the tree's deadline is over; one whose slots were
        only bounded then is left out.
        """
        while self.bound < target() and self.leaves < MOST_LEAVES:
            if time.perf_counter() >= min(until, self.deadline):
                return
            i = self._heap[0][1]
            leaf = self.nodes[i]
            assert isinstance(leaf, _Leaf)
            if leaf.split < 0:
                return
            children = [
                self._solve({**leaf.settled, leaf.split: on}, leaf.proven.prices, target())
                for on in (False, True)
            ]
            if self.links.pricer.hurried:  # children may be worse than their parent
                return
            heapq.heappop(self._heap)
            at = [self._append(child) for child in children]
            pair, slot = divmod(leaf.split, self.links.blocks.n_slots)
            self.nodes[i] = Branch(pair, slot, *at)

    def _append(self, leaf: _Leaf) -> int:
        self.nodes.append(leaf)
        heapq.heappush(self._heap, (leaf.proven.value, len(self.nodes) - 1))
        return len(self.nodes) - 1

    def _solve(self, settled: dict[int, bool], start: FloatArray, target: float) -> _Leaf:
        """Prices of a node; at those it starts from its value is at least its parent's."""
        blocks, prices = self.links.blocks, start.copy()
        oracle = RestrictedOracle(blocks, self.links.pricer, self.links.coupling)
        for place, on in settled.items():
            oracle.ban(_against(blocks, place, on), prices)
        seen, count = np.zeros(len(blocks.requests)), 0

        def watch(t: int, best: float, priced: CachingEvaluation) -> bool:
            nonlocal count
            if t % 5 == 0 and priced.slots is not None:
                self.watch(priced.slots)
            if t >= _EVALUATIONS // 3:
                seen[:] += priced.plans > 0
                count += 1
            return best >= target and t > 0

        rise = ascend(
            oracle,
            prices,
            iterations=_EVALUATIONS,
            step=_STEP * oracle.step,
            lower=oracle.lower,
            upper=oracle.upper,
            deadline=self.deadline,
            watch=watch,
        )
        share = seen / max(count, 1)
        return _Leaf(settled, proven(oracle, rise.prices), _most_divided(blocks, share, settled))


def _against(blocks: Blocks, place: int, on: bool) -> IntArray:
    """Choices of a place that are out when its pair is resident (`on`), or not."""
    first, end = int(blocks.first[place]), int(blocks.first[place + 1])
    return np.arange(first, first + 1) if on else np.arange(first + 1, end)


def _most_divided(blocks: Blocks, share: FloatArray, settled: dict[int, bool]) -> int:
    """Place with the most doubt around it, -1 when plans agree everywhere."""
    slots = blocks.n_slots
    doubt = (share * (1 - share)).reshape(-1, slots)
    kernel = np.ones(2 * _AROUND + 1)
    around = np.array([np.convolve(row, kernel)[_AROUND : _AROUND + slots] for row in doubt])
    around[doubt <= 1e-3] = 0.0
    score = around.ravel()
    score[list(settled)] = 0.0
    return int(score.argmax()) if score.max() > 0 else -1
