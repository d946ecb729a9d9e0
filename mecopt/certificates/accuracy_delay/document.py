"""Certificates of snapshots: what is written, and what is recomputed.

The proof is a tree of regions (`mecopt.certificates.accuracy_delay.proof`) with prices at its
leaves; `mecopt.certificates.accuracy_delay.values` finds what they prove, in integers.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mecopt import checks
from mecopt.accuracy_delay.assignment import Assignment
from mecopt.accuracy_delay.instance import UNITS_PER_NS, UNITS_PER_S, QuerySnapshot
from mecopt.certificates import frame
from mecopt.certificates.accuracy_delay.proof import KINDS, Branch, Proof, bound_of
from mecopt.certificates.accuracy_delay.values import Prices, Snapshot, everything
from mecopt.certificates.budget import Budget
from mecopt.certificates.checked import Checked
from mecopt.certificates.frame import Claims, entries, prices
from mecopt.result import Result
from mecopt.strict_json import shown, whole_number

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
        parts = [whole_number("parts", part) for part in entries("parts", node["parts"])]
        kind = node["split"]
        if kind not in KINDS or len(parts) != 2:
            raise ValueError(f"nodes: {shown(node)} is no branch")
        server, at = whole_number("server", node["server"]), whole_number("at", node["at"])
        if kind != "all" and not 0 <= server < x.n_servers:
            raise ValueError(f"nodes: there is no server {server}")
        if kind == "pair" and not 0 <= at < x.n_users:
            raise ValueError(f"nodes: there is no user {at}")
        return Branch(kind, server, at, *parts)
    user = tuple(prices("user", node["user"]))
    slopes = tuple(tuple(prices("slopes", row)) for row in entries("slopes", node["slopes"]))
    accuracy, leaving = prices("accuracy", [node["accuracy"], node["leaving"]])
    if len(user) != x.n_users or len(slopes) != x.n_servers:
        raise ValueError("nodes: prices of a leaf are not one per user and server")
    if accuracy < 0:
        raise ValueError(f"accuracy: price {accuracy} is negative")
    return Prices(user, accuracy, leaving, slopes)


class _Fields(Claims):
    """The fields of a document as they stand; nothing is rounded or converted."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.instance = QuerySnapshot.from_document(document["instance"])
        super().__init__(document, UNITS_PER_NS)
        self.choice = [whole_number("choice", c) for c in entries("choice", document["choice"])]
        nodes = entries("nodes", document["nodes"])
        self.proof = Proof(tuple(_read_node(node, self.instance) for node in nodes))


def check(document: dict[str, Any], where: str, budget: Budget) -> Checked:
    """Objective, bound and leaves as recomputed, and why the claims do not hold.

    Raises
    ------
    ValueError
        If the document is malformed.
    """

    def cost(given: _Fields) -> Fraction | str:
        total = Snapshot(given.instance, budget).cost(given.choice)
        if isinstance(total, str):
            return f"the decision breaks a constraint: {total}"
        return Fraction(total, UNITS_PER_S)

    def prove(given: _Fields) -> tuple[Fraction | None, int]:
        x = given.instance
        least, leaves = bound_of(Snapshot(x, budget), everything(x), given.proof, budget)
        return None if least is None else Fraction(least, UNITS_PER_S), leaves

    return frame.check(document, where, _Fields, cost, prove, unit=COST_UNIT)
