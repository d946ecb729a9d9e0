"""Certificates of offloading results: what is written, and what is recomputed.

The proof is a tree that splits the alternatives of
one task at a time; each leaf has a price vector whose exact Lagrangian value must reach the claimed
bound, or has every task fixed, and then its replay must cost at least that. Prices made by any
other tool can be checked the same way: write them in this format (docs/files.md).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np

from mecopt import checks
from mecopt.certificates import frame
from mecopt.certificates.budget import Budget
from mecopt.certificates.checked import Checked
from mecopt.certificates.frame import Claims, entries
from mecopt.certificates.offloading.replay import exact_replay
from mecopt.certificates.offloading.tree import Tree
from mecopt.certificates.scales import COST_SCALE, LARGEST_PRICE, PRICE_SCALE
from mecopt.offloading.instance import OffloadingInstance
from mecopt.result import Result
from mecopt.strict_json import shown, whole_number

#: What the documents of this family say in the field ``family``; older files do not say.
FAMILY = "offloading"
COST_UNIT = " s"
_NS = COST_SCALE * 10**9  # scaled units per second
#: How the index of a resource is written.
_INDEX = re.compile("0|-?[1-9][0-9]{0,9}")


def body(result: Result[Any, Any]) -> dict[str, Any]:
    """Fields of the certificate of a result that has a proof and a schedule."""
    proof, x = result.proof, result.instance
    schedule: Any = result.schedule
    nodes: list[dict[str, Any]] = []
    used: dict[int, int] = {}
    stack = [(proof.root, -1, 0)]
    while stack:
        node, parent, part = stack.pop()
        if parent >= 0:
            nodes[parent]["parts"][part][1] = len(nodes)
        if not node.parts:
            price = -1 if node.prices < 0 else used.setdefault(node.prices, len(used))
            nodes.append({"prices": price})
            continue
        lo = int(x.option_ptr[node.task])
        local = [[[o - lo if o >= 0 else -1 for o in alts], -1] for alts, _ in node.parts]
        nodes.append({"task": node.task, "parts": local})
        here = len(nodes) - 1
        stack.extend((child, here, i) for i, (_, child) in enumerate(node.parts))
    return {
        "instance": x.to_document(),
        "choice": schedule.choice.tolist(),
        "objective": schedule.objective,
        "bound": result.bound,
        "bucket_shift": proof.shift,
        "price_scale": PRICE_SCALE,
        "prices": [_sparse(proof, index) for index in used],
        "tree": nodes,
    }


def _sparse(proof: Any, index: int) -> dict[str, list[list[int]]]:
    """Positive prices of one vector: resource index -> [bucket, price on the grid] pairs."""
    out = {}
    for r, first in enumerate(proof.rows):
        if first < 0:
            continue
        grid = np.rint(proof.prices[index][first : first + proof.stride - 1] * PRICE_SCALE)
        buckets = np.flatnonzero(grid)
        if len(buckets):
            out[str(r)] = [[int(b), int(grid[b])] for b in buckets]
    return out


class _Fields(Claims):
    """The fields of a document as they stand; nothing is rounded or converted."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.instance = OffloadingInstance.from_document(document["instance"])
        super().__init__(document, PRICE_SCALE)
        self.shift = whole_number("bucket_shift", document["bucket_shift"])
        self.choice = [whole_number("choice", c) for c in entries("choice", document["choice"])]
        self.tables = [_table(table) for table in entries("prices", document["prices"])]
        self.tree = entries("tree", document["tree"])
        if not all(isinstance(node, dict) for node in self.tree):
            raise ValueError("tree is not a list of nodes")


def _table(table: Any) -> dict[int, dict[int, int]]:
    """One price vector: resource -> {bucket: price}, each named once."""
    checks.mapping("prices", table)
    out: dict[int, dict[int, int]] = {}
    for name, pairs in table.items():
        if not _INDEX.fullmatch(name):
            raise ValueError(f"prices: {shown(name)} is not the index of a resource")
        buckets: dict[int, int] = {}
        for pair in entries("prices", pairs):
            if type(pair) is not list or [type(v) for v in pair] != [int, int]:
                raise ValueError(f"prices: {shown(pair)} is not a bucket and a price")
            bucket, price = pair
            if max(abs(bucket), abs(price)) >= LARGEST_PRICE:
                raise ValueError(f"prices: {shown(pair)} is not below 2^62")
            if bucket in buckets:
                raise ValueError(f"prices: bucket {bucket} of resource {name} is there twice")
            buckets[bucket] = price
        out[int(name)] = buckets
    return out


def check(document: dict[str, Any], where: str, budget: Budget) -> Checked:
    """Objective, bound and leaves as recomputed, and why the claims do not hold.

    Raises
    ------
    ValueError
        If the document is malformed.
    """

    def cost(given: _Fields) -> Fraction | str:
        return _cost(given.instance, given.choice, budget)

    def prove(given: _Fields) -> tuple[Fraction | None, int]:
        tree = Tree(given.instance, given.shift, given.tables, given.tree, budget)
        least, leaves = tree.least()
        return None if least is None else Fraction(least, _NS), leaves

    return frame.check(document, where, _Fields, cost, prove, unit=COST_UNIT)


def _cost(instance: OffloadingInstance, choice: list[int], budget: Budget) -> Fraction | str:
    """Cost of the schedule, or why it is none."""
    count = np.diff(instance.option_ptr)
    if len(choice) != instance.n_tasks:
        return f"choice has {len(choice)} entries for {instance.n_tasks} tasks"
    for k, c in enumerate(choice):
        if not -1 <= c < count[k]:
            return f"choice[{k}] = {shown(c)}: the task has {count[k]} options"
    total = exact_replay(instance, choice, budget).total
    if total is None:
        return "the schedule drops a task that must not be dropped"
    return Fraction(total, _NS)
