"""Certificates of caching results: what is written, and what is recomputed.

The proof is one price per choice of every pair in every slot (the links between plans and slots),
and one per row of what couples servers; of a server that was branched on, a tree whose leaves have
such prices. Any prices prove something; `mecopt.certificates.caching.values` finds what, in
integers.
"""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.caching.coupling import Backhaul
from mecopt.caching.instance import CachingInstance
from mecopt.caching.plan import CachingPlan
from mecopt.certificates import frame
from mecopt.certificates.budget import Budget
from mecopt.certificates.caching.knapsack import Hint
from mecopt.certificates.caching.proof import ServerProof
from mecopt.certificates.caching.values import (
    Branch,
    Leaf,
    Links,
    Prices,
    Reach,
    exact_bound,
    exact_cost,
)
from mecopt.certificates.checked import Checked
from mecopt.certificates.frame import Claims, entries, prices
from mecopt.certificates.scales import COST_SCALE, FINE, LARGEST_PRICE, PRICE_SCALE, RATIO
from mecopt.result import Result
from mecopt.strict_json import check_numbers, shown, whole_number

#: What the documents of this family say in the field ``family``.
FAMILY = "caching"
#: Unit of costs, with its leading space; caching costs are weighted sums without one.
COST_UNIT = ""


def body(result: Result[Any, Any]) -> dict[str, Any]:
    """Fields of the certificate of a result that has a proof and a plan."""
    x: CachingInstance = result.instance
    plan: CachingPlan = result.schedule  # type: ignore[assignment]
    proof = result.proof
    coupling = np.rint(proof.coupling * PRICE_SCALE).astype(np.int64).tolist()
    if isinstance(x.coupling, Backhaul) and not coupling:
        coupling = [0] * x.n_slots  # a link that costs nothing has no prices to find
    return {
        "instance": x.to_document(),
        "a": plan.a.astype(int).tolist(),
        "x": (plan.flow if x.is_forwarding else plan.x).tolist(),
        "objective": result.objective,
        "bound": result.bound,
        "price_scale": PRICE_SCALE,
        "links": [_whole(server.links) for server in proof.servers],
        "hints": [_hints(server) for server in proof.servers],
        "coupling": coupling,
        "trees": [
            {"server": n, "nodes": [_node(node) for node in nodes]}
            for n, nodes in proof.trees.items()
        ],
    }


def _whole(prices: NDArray[np.float64]) -> list[int]:
    return np.rint(prices * PRICE_SCALE).astype(np.int64).tolist()


def _hints(server: ServerProof) -> dict[str, list[int]]:
    """Energy prices and claims of a server's slots; a claim between two units is rounded down."""
    energy = np.minimum(np.rint(server.energy * (PRICE_SCALE * RATIO * FINE)), LARGEST_PRICE / 2)
    return {
        "energy": energy.astype(np.int64).tolist(),
        "least": np.floor(server.least * PRICE_SCALE).astype(np.int64).tolist(),
    }


def _node(node: Branch | ServerProof) -> dict[str, Any]:
    """A branch, or the prices of a leaf."""
    if isinstance(node, Branch):
        return asdict(node)
    return {"links": _whole(node.links), "hints": _hints(node)}


class _Fields(Claims):
    """The fields of a document as they stand; nothing is rounded or converted."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.instance = CachingInstance.from_document(document["instance"])
        super().__init__(document, PRICE_SCALE)
        self.resident, self.served = (_integers(document[name], name) for name in ("a", "x"))
        self.links = [prices("links", given) for given in entries("links", document["links"])]
        # Older files, and those of other tools, have no hints and no trees.
        self.hints = [_read_hints(h) for h in entries("hints", document.get("hints", []))]
        self.coupling = prices("coupling", document["coupling"])
        self.trees: dict[int, list[Branch | tuple[list[int], list[Hint]]]] = {}
        for tree in entries("trees", document.get("trees", [])):
            server = whole_number("trees: server", tree["server"])
            if server in self.trees:
                raise ValueError(f"trees: server {server} has two")
            self.trees[server] = [_read_node(node) for node in entries("nodes", tree["nodes"])]


def check(document: dict[str, Any], where: str, budget: Budget) -> Checked:
    """Objective, bound and leaves as recomputed, and why the claims do not hold.

    Raises
    ------
    ValueError
        If the document is malformed.
    """

    def cost(given: _Fields) -> Fraction | str:
        return _cost(given.instance, given.resident, given.served, budget)

    def prove(given: _Fields) -> tuple[Fraction | None, int]:
        x = given.instance
        found = Prices(
            _by_choice(x, given.links, given.hints, budget),
            given.coupling,
            _trees_by_choice(x, given.trees, budget),
        )
        value, leaves = exact_bound(x, found, budget)
        return Fraction(value, COST_SCALE), leaves

    return frame.check(document, where, _Fields, cost, prove, unit=COST_UNIT, slack=0)


def _integers(value: Any, name: str) -> NDArray[np.int64]:
    """An array of whole numbers as they stand: nothing is rounded."""
    check_numbers(name, value, whole=True)
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: rows of different lengths") from None
    if array.size and array.dtype != np.int64:
        raise ValueError(f"{name}: a number is out of range")
    return array.astype(np.int64)


def _read_hints(hints: Any) -> list[Hint]:
    """Where to look for the value of every slot; no hint can make a bound too high."""
    checks.mapping("hints", hints)
    energy, least = prices("hints", hints["energy"]), prices("hints", hints["least"])
    if len(energy) != len(least):
        raise ValueError(f"hints: {len(energy)} energy prices and {len(least)} least costs")
    if any(price < 0 for price in energy):
        raise ValueError(f"hints: energy price {min(energy)} is negative")
    return [Hint(price, cost * RATIO) for price, cost in zip(energy, least, strict=True)]


def _cost(x: CachingInstance, resident: Any, served: Any, budget: Budget) -> Fraction | str:
    """Cost of the plan, or why it is none."""
    shape = (x.n_servers, x.n_pairs, x.n_slots)
    flow_shape = (x.n_servers, 3, x.n_pairs, x.n_slots)
    if resident.shape != shape:
        return f"a has shape {resident.shape}, expected {shape}"
    if served.shape == shape:
        flow = np.zeros(flow_shape, dtype=np.int64)
        flow[:, 1] = served
        served = flow
    if served.shape != flow_shape:
        return f"x has shape {served.shape}, expected {shape} or {flow_shape}"
    total = exact_cost(x, resident.tolist(), served.tolist(), budget)
    if isinstance(total, str):
        return f"the plan breaks a constraint: {total}"
    return Fraction(total, COST_SCALE)


def _by_choice(
    x: CachingInstance, links: list[list[int]], hints: list[list[Hint]], budget: Budget
) -> list[Leaf]:
    """Prices by server, pair, slot and choice."""
    reach = Reach(x)
    if len(links) != x.n_servers:
        raise ValueError(f"link prices of {len(links)} servers, expected {x.n_servers}")
    if len(hints) not in (0, x.n_servers):
        raise ValueError(f"hints of {len(hints)} servers, expected {x.n_servers}")
    return [
        _leaf(x, reach, n, prices, hints[n] if hints else [], budget)
        for n, prices in enumerate(links)
    ]


def _leaf(
    x: CachingInstance, reach: Reach, n: int, prices: list[int], hints: list[Hint], budget: Budget
) -> Leaf:
    if len(hints) not in (0, x.n_slots):
        raise ValueError(f"server {n}: hints of {len(hints)} slots, expected {x.n_slots}")
    at, pairs = 0, []
    for p in range(x.n_pairs):
        budget.spend(4 * x.n_slots)
        slots = []
        for t in range(x.n_slots):
            count = reach.most(n, p, t) + 2
            slots.append(prices[at : at + count])
            at += count
        pairs.append(slots)
    if at != len(prices):
        raise ValueError(f"server {n}: {len(prices)} link prices for {at} choices")
    links: Links = pairs
    return Leaf(links, hints)


def _read_node(node: Any) -> Branch | tuple[list[int], list[Hint]]:
    checks.mapping("trees: node", node)
    if "links" in node:
        hints = _read_hints(node["hints"]) if "hints" in node else []
        return prices("links", node["links"]), hints
    numbers = [node[name] for name in ("pair", "slot", "off", "on")]
    if not all(type(value) is int for value in numbers):
        raise ValueError(f"trees: branch {shown(numbers)} must hold whole numbers")
    return Branch(*numbers)


def _trees_by_choice(
    x: CachingInstance,
    trees: dict[int, list[Branch | tuple[list[int], list[Hint]]]],
    budget: Budget,
) -> dict[int, list[Branch | Leaf]]:
    """Nodes of every tree, prices by pair, slot and choice."""
    reach, out = Reach(x), {}
    for n, nodes in trees.items():
        if not 0 <= n < x.n_servers:
            raise ValueError(f"trees: there is no server {n}")
        if not nodes:
            raise ValueError(f"trees: server {n} has no nodes")
        out[n] = [
            node if isinstance(node, Branch) else _leaf(x, reach, n, *node, budget)
            for node in nodes
        ]
    return out
