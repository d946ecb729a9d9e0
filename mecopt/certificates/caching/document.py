"""Certificates of caching results: what is written, and what is recomputed.

The proof is one price per choice of every pair in every slot (the links between plans and slots),
and one per row of what couples servers; of a server that was branched on, a tree whose leaves have
such prices. Any prices prove something; `mecopt.certificates.caching.values` finds what, in
integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.caching.coupling import Backhaul
from mecopt.caching.instance import CachingInstance
from mecopt.caching.plan import CachingPlan
from mecopt.certificates.caching.values import (
    Branch,
    Links,
    Prices,
    Reach,
    exact_bound,
    exact_cost,
)
from mecopt.certificates.checked import Checked
from mecopt.certificates.scales import COST_SCALE, PRICE_SCALE
from mecopt.result import Result

#: Prices in a certificate are smaller than this, in units of 1 / PRICE_SCALE.
LARGEST_PRICE = 2**62
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
        "links": [_whole(prices) for prices in proof.links],
        "coupling": coupling,
        "trees": [
            {"server": n, "nodes": [_node(node) for node in nodes]}
            for n, nodes in proof.trees.items()
        ],
    }


def _whole(prices: NDArray[np.float64]) -> list[int]:
    return np.rint(prices * PRICE_SCALE).astype(np.int64).tolist()


def _node(node: Any) -> dict[str, Any]:
    """A branch, or the prices of a leaf."""
    return {"links": _whole(node)} if isinstance(node, np.ndarray) else asdict(node)


def check(
    document: dict[str, Any], where: str, progress: Callable[[int, int], None] | None = None
) -> Checked:
    """Objective, bound, leaves, and why the claims do not hold (empty when they do).

    The objective is the claimed one or what the replay costs, whichever is larger, so that the
    optimum lies between the two numbers when nothing is wrong.

    Raises
    ------
    ValueError
        If the document is malformed.
    """
    try:
        x = CachingInstance.from_document(document["instance"], f"{where}: instance")
        objective, bound = float(document["objective"]), float(document["bound"])
        scale = int(document["price_scale"])
        resident, served = (_integers(document[name], name) for name in ("a", "x"))
        links = [_prices(prices, "links") for prices in document["links"]]
        coupling = _prices(document["coupling"], "coupling")
        trees = {}
        for tree in document.get("trees", []):  # older files have none
            trees[int(tree["server"])] = [_read_node(node) for node in tree["nodes"]]
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{where}: malformed field {error}") from None
    except _Malformed as error:
        raise ValueError(f"{where}: {error}") from None
    for name, value in (("objective", objective), ("bound", bound)):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {name} = {value} is not a finite number")
    if scale != PRICE_SCALE:
        raise ValueError(f"{where}: price_scale is {scale}, expected {PRICE_SCALE}")
    cost, problems = _check_plan(x, resident, served, objective)
    objective = max(objective, cost)
    try:
        prices = Prices(_by_choice(x, links), coupling, _trees_by_choice(x, trees))
        exact = Fraction(exact_bound(x, prices, progress), COST_SCALE)
        if exact < Fraction(bound):
            problems.append(
                f"the exact value {float(exact)!r} is below the claimed bound {bound!r}"
            )
    except ValueError as error:
        problems.append(str(error))
    if bound > objective:
        problems.append(f"the claimed bound {bound!r} is above the objective {objective!r}")
    return Checked(objective, bound, 1, problems)


class _Malformed(ValueError):
    """A field that is not what it has to be."""


def _integers(value: Any, name: str) -> NDArray[np.int64]:
    """An array of whole numbers as they stand: nothing is rounded."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise _Malformed(f"{name}: rows of different lengths") from None
    if array.dtype.kind not in "iu":
        raise _Malformed(f"{name}: must hold whole numbers, has {array.dtype}")
    return array.astype(np.int64)


def _prices(values: Any, name: str) -> list[int]:
    """Prices on the grid, of a size that sums can bear."""
    for value in values:
        if type(value) is not int or abs(value) >= LARGEST_PRICE:
            raise _Malformed(f"{name}: price {value!r:.30} is not a whole number below 2^62")
    return list(values)


def _check_plan(
    x: CachingInstance, resident: Any, served: Any, claimed: float
) -> tuple[float, list[str]]:
    """Cost of the plan (that claimed when there is none), and what is wrong with it."""
    shape = (x.n_servers, x.n_pairs, x.n_slots)
    flow_shape = (x.n_servers, 3, x.n_pairs, x.n_slots)
    if resident.shape != shape:
        return claimed, [f"a has shape {resident.shape}, expected {shape}"]
    if served.shape == shape:
        flow = np.zeros(flow_shape, dtype=np.int64)
        flow[:, 1] = served
        served = flow
    if served.shape != flow_shape:
        return claimed, [f"x has shape {served.shape}, expected {shape} or {flow_shape}"]
    total = exact_cost(x, resident.tolist(), served.tolist())
    if isinstance(total, str):
        return claimed, [f"the plan breaks a constraint: {total}"]
    exact = Fraction(total, COST_SCALE)
    # A claim is a rounded float; the cost that is reported is rounded up.
    cost = float(exact)
    if Fraction(cost) < exact:
        cost = math.nextafter(cost, math.inf)
    if abs(exact - Fraction(claimed)) > abs(exact) / 10**9:
        return cost, [f"the replay costs {cost!r}, claimed is {claimed!r}"]
    return cost, []


def _by_choice(x: CachingInstance, links: list[list[int]]) -> list[Links]:
    """Prices by server, pair, slot and choice."""
    reach = Reach(x)
    if len(links) != x.n_servers:
        raise ValueError(f"link prices of {len(links)} servers, expected {x.n_servers}")
    return [_of_server(x, reach, n, prices) for n, prices in enumerate(links)]


def _of_server(x: CachingInstance, reach: Reach, n: int, prices: list[int]) -> Links:
    at, pairs = 0, []
    for p in range(x.n_pairs):
        slots = []
        for t in range(x.n_slots):
            count = reach.most(n, p, t) + 2
            slots.append(prices[at : at + count])
            at += count
        pairs.append(slots)
    if at != len(prices):
        raise ValueError(f"server {n}: {len(prices)} link prices for {at} choices")
    return pairs


def _read_node(node: dict[str, Any]) -> Branch | list[int]:
    if "links" in node:
        return _prices(node["links"], "links")
    numbers = [node[name] for name in ("pair", "slot", "off", "on")]
    if not all(type(number) is int for number in numbers):
        raise _Malformed(f"trees: branch {numbers} must hold whole numbers")
    return Branch(*numbers)


def _trees_by_choice(
    x: CachingInstance, trees: dict[int, list[Branch | list[int]]]
) -> dict[int, list[Branch | Links]]:
    """Nodes of every tree, prices by pair, slot and choice."""
    reach, out = Reach(x), {}
    for n, nodes in trees.items():
        if not 0 <= n < x.n_servers:
            raise ValueError(f"trees: there is no server {n}")
        if not nodes:
            raise ValueError(f"trees: server {n} has no nodes")
        out[n] = [
            node if isinstance(node, Branch) else _of_server(x, reach, n, node) for node in nodes
        ]
    return out
