"""Certificates of caching results: what is written, and what is recomputed.

The proof is one price per choice of every pair in every slot (the links between plans and slots),
and one per row of what couples servers. Any prices prove something; `mecopt.exact.caching` finds
what, in integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from mecopt.caching.instance import CachingInstance
from mecopt.caching.plan import CachingPlan
from mecopt.exact.caching import COST_SCALE, PRICE_SCALE, Prices, Reach, exact_bound, exact_cost
from mecopt.result import Result

#: What the documents of this family say in the field ``family``.
FAMILY = "caching"


def body(result: Result[Any, Any]) -> dict[str, Any]:
    """Fields of the certificate of a result that has a proof and a plan."""
    x: CachingInstance = result.instance
    plan: CachingPlan = result.schedule  # type: ignore[assignment]
    proof = result.proof
    return {
        "family": FAMILY,
        "instance": x.to_document(),
        "a": plan.a.astype(int).tolist(),
        "x": (plan.flow if x.is_forwarding else plan.x).tolist(),
        "objective": result.objective,
        "bound": result.bound,
        "price_scale": PRICE_SCALE,
        "links": [
            np.rint(prices * PRICE_SCALE).astype(np.int64).tolist() for prices in proof.links
        ],
        "coupling": np.rint(proof.coupling * PRICE_SCALE).astype(np.int64).tolist(),
    }


def check(
    document: dict[str, Any], where: str, progress: Callable[[int, int], None] | None = None
) -> tuple[float, float, list[str]]:
    """Claimed objective and bound, and why they do not hold (empty when they do).

    Raises
    ------
    ValueError
        If the document is malformed.
    """
    try:
        x = CachingInstance.from_document(document["instance"], f"{where}: instance")
        objective, bound = float(document["objective"]), float(document["bound"])
        scale = int(document["price_scale"])
        resident = np.asarray(document["a"], dtype=np.int64)
        served = np.asarray(document["x"], dtype=np.int64)
        links = [[int(price) for price in prices] for prices in document["links"]]
        coupling = [int(price) for price in document["coupling"]]
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{where}: malformed field {error}") from None
    for name, value in (("objective", objective), ("bound", bound)):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {name} = {value} is not a finite number")
    if scale != PRICE_SCALE:
        raise ValueError(f"{where}: price_scale is {scale}, expected {PRICE_SCALE}")
    problems = _check_plan(x, resident, served, objective)
    try:
        prices = Prices(_by_choice(x, links), coupling)
        exact = Fraction(exact_bound(x, prices, progress), COST_SCALE)
        if exact < Fraction(bound):
            problems.append(
                f"the exact value {float(exact)!r} is below the claimed bound {bound!r}"
            )
    except ValueError as error:
        problems.append(str(error))
    if bound > objective + 1e-9 * max(1.0, abs(objective)):
        problems.append(f"the claimed bound {bound!r} is above the claimed objective {objective!r}")
    return objective, bound, problems


def _check_plan(x: CachingInstance, resident: Any, served: Any, claimed: float) -> list[str]:
    shape = (x.n_servers, x.n_pairs, x.n_slots)
    flow_shape = (x.n_servers, 3, x.n_pairs, x.n_slots)
    if resident.shape != shape:
        return [f"a has shape {resident.shape}, expected {shape}"]
    if served.shape == shape:
        flow = np.zeros(flow_shape, dtype=np.int64)
        flow[:, 1] = served
        served = flow
    if served.shape != flow_shape:
        return [f"x has shape {served.shape}, expected {shape} or {flow_shape}"]
    total = exact_cost(x, resident.tolist(), served.tolist())
    if isinstance(total, str):
        return [f"the plan breaks a constraint: {total}"]
    exact = Fraction(total, COST_SCALE)
    slack = Fraction(1, 10**9) * max(Fraction(1), abs(exact))  # a claim is a rounded float
    if abs(exact - Fraction(claimed)) > slack:
        return [f"the replay costs {float(exact)!r}, claimed is {claimed!r}"]
    return []


def _by_choice(x: CachingInstance, links: list[list[int]]) -> list[list[list[list[int]]]]:
    """Prices by server, pair, slot and choice."""
    reach = Reach(x)
    if len(links) != x.n_servers:
        raise ValueError(f"link prices of {len(links)} servers, expected {x.n_servers}")
    out: list[list[list[list[int]]]] = []
    for n, prices in enumerate(links):
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
        out.append(pairs)
    return out
