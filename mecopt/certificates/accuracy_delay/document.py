"""Certificates of snapshots: what is written, and what is recomputed.

The proof is a tree of regions (`mecopt.certificates.accuracy_delay.proof`) with prices at its
leaves; `mecopt.certificates.accuracy_delay.values` finds what they prove, in integers.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from mecopt import checks
from mecopt.accuracy_delay.assignment import Assignment
from mecopt.accuracy_delay.instance import UNITS_PER_NS, UNITS_PER_S, QuerySnapshot
from mecopt.certificates.accuracy_delay.proof import KINDS, Branch, Proof, bound_of
from mecopt.certificates.accuracy_delay.values import Prices, Snapshot, everything
from mecopt.certificates.budget import Budget
from mecopt.certificates.checked import Checked, rounded_down, rounded_up
from mecopt.certificates.scales import LARGEST_PRICE
from mecopt.result import Result
from mecopt.strict_json import number, shown, whole_number

#: What the documents of this family say in the field ``family``.
FAMILY = "accuracy_delay"
#: Unit of costs, with its leading space.
COST_UNIT = " s"


def body(result: Result[Any, Any]) -> dict[str, Any]:
    """Fields of the certificate of a result that has a proof and a decision."""
    x: QuerySnapshot = result.instance
    found: Assignment = result.schedule  # type: ignore[assignment]
    return {
        "instance": x.to_document(),
        "choice": found.choice.tolist(),
        "objective": result.objective,
        "bound": result.bound,
        "price_scale": UNITS_PER_NS,
        "nodes": [_node(node) for node in result.proof.nodes],
    }


def _node(node: Branch | Prices) -> dict[str, Any]:
    if isinstance(node, Branch):
        return {
            "split": node.kind,
            "server": node.server,
            "at": node.at,
            "parts": [node.first, node.second],
        }
    return {
        "user": list(node.user),
        "accuracy": node.accuracy,
        "leaving": node.leaving,
        "slopes": [list(slopes) for slopes in node.slopes],
    }


def _read_node(node: Any, x: QuerySnapshot) -> Branch | Prices:
    checks.mapping("nodes", node)
    if "split" in node:
        parts = [whole_number("parts", part) for part in _list("parts", node["parts"])]
        kind = node["split"]
        if kind not in KINDS or len(parts) != 2:
            raise ValueError(f"nodes: {shown(node)} is no branch")
        server, at = whole_number("server", node["server"]), whole_number("at", node["at"])
        if kind != "all" and not 0 <= server < x.n_servers:
            raise ValueError(f"nodes: there is no server {server}")
        if kind == "pair" and not 0 <= at < x.n_users:
            raise ValueError(f"nodes: there is no user {at}")
        return Branch(kind, server, at, *parts)
    user = _prices("user", node["user"])
    slopes = tuple(_prices("slopes", row) for row in _list("slopes", node["slopes"]))
    accuracy, leaving = _prices("accuracy", [node["accuracy"], node["leaving"]])
    if len(user) != x.n_users or len(slopes) != x.n_servers:
        raise ValueError("nodes: prices of a leaf are not one per user and server")
    if accuracy < 0:
        raise ValueError(f"accuracy: price {accuracy} is negative")
    return Prices(user, accuracy, leaving, slopes)


def _list(name: str, value: Any) -> list[Any]:
    if type(value) is not list:
        raise ValueError(f"{name} is not a list: {shown(value)}")
    return value


def _prices(name: str, values: Any) -> tuple[int, ...]:
    for value in _list(name, values):
        if type(value) is not int or abs(value) >= LARGEST_PRICE:
            raise ValueError(f"{name}: price {shown(value)} is not a whole number below 2^62")
    return tuple(values)


class _Fields:
    """The fields of a document as they stand; nothing is rounded or converted.

    Raises ValueError for whatever is malformed.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.instance = QuerySnapshot.from_document(document["instance"])
        self.objective = number("objective", document["objective"])
        self.bound = number("bound", document["bound"])
        scale = whole_number("price_scale", document["price_scale"])
        if scale != UNITS_PER_NS:
            raise ValueError(f"price_scale is {scale}, expected {UNITS_PER_NS}")
        self.choice = [whole_number("choice", c) for c in _list("choice", document["choice"])]
        nodes = _list("nodes", document["nodes"])
        self.proof = Proof(tuple(_read_node(node, self.instance) for node in nodes))


def check(document: dict[str, Any], where: str, budget: Budget) -> Checked:
    """Objective, bound and leaves as recomputed, and why the claims do not hold.

    Raises
    ------
    ValueError
        If the document is malformed.
    """
    try:
        given = _Fields(document)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{where}: malformed field {error}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    x = given.instance
    snapshot = Snapshot(x, budget)
    cost, problems = _check_decision(snapshot, given.choice, given.objective)
    bound, leaves = -math.inf, 0
    try:
        least, leaves = bound_of(snapshot, everything(x), given.proof, budget)
        exact = math.inf if least is None else Fraction(least, UNITS_PER_S)
        bound = math.inf if least is None else rounded_down(Fraction(least, UNITS_PER_S))
        if exact < Fraction(given.bound):
            problems.append(
                f"the exact value {bound!r} s is below the claimed bound {given.bound!r} s"
            )
    except ValueError as reason:
        problems.append(str(reason))
    if given.bound > cost:
        problems.append(f"the claimed bound {given.bound!r} is above the objective {cost!r}")
    return Checked(cost, bound, leaves, problems, x.content_hash)


def _check_decision(
    snapshot: Snapshot, choice: list[int], claimed: float
) -> tuple[float, list[str]]:
    """Cost of the decision, rounded up (infinite when it is none), and what is wrong with it."""
    total = snapshot.cost(choice)
    if isinstance(total, str):
        return math.inf, [f"the decision breaks a constraint: {total}"]
    exact = Fraction(total, UNITS_PER_S)
    cost = rounded_up(exact)
    slack = Fraction(1, 10**9) * max(Fraction(1), abs(exact))  # a claim is a rounded float
    if abs(exact - Fraction(claimed)) > slack:
        return cost, [f"the replay costs {cost!r} s, claimed is {claimed!r} s"]
    return cost, []
