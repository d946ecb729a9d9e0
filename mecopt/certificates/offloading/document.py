"""Certificates of offloading results: what is written, and what is recomputed.

The proof is a tree that splits the alternatives of
one task at a time; each leaf has a price vector whose exact Lagrangian value must reach the claimed
bound, or has every task fixed, and then its replay must cost at least that. Prices made by any
other tool can be checked the same way: write them in this format (docs/files.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from mecopt.certificates.checked import Checked
from mecopt.certificates.offloading.pricing import Alternatives, ExactPricer, leaf_of
from mecopt.certificates.offloading.replay import exact_replay
from mecopt.certificates.offloading.structure import structure_of
from mecopt.certificates.scales import COST_SCALE, PRICE_SCALE
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS
from mecopt.result import Result

#: What the documents of this family say in the field ``family``; older files do not say.
FAMILY = "offloading"
COST_UNIT = " s"
_NS = COST_SCALE * 10**9  # scaled units per second


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


def check(
    document: dict[str, Any], where: str, progress: Callable[[int, int], None] | None = None
) -> Checked:
    """Objective, bound, leaves, and why the claims do not hold (no problems when they do).

    Raises
    ------
    ValueError
        If the document is malformed.
    """
    try:
        instance = OffloadingInstance.from_document(document["instance"], f"{where}: instance")
        objective, bound = float(document["objective"]), float(document["bound"])
        choice = [int(c) for c in document["choice"]]
        shift = int(document["bucket_shift"])
        tables = [
            {int(r): {int(b): int(p) for b, p in pairs} for r, pairs in table.items()}
            for table in document["prices"]
        ]
        tree = document["tree"]
        scale = int(document["price_scale"])
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{where}: malformed field {error}") from None
    for name, value in (("objective", objective), ("bound", bound)):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {name} = {value} is not a finite number")
    if not isinstance(tree, list) or not all(isinstance(node, dict) for node in tree):
        raise ValueError(f"{where}: tree is not a list of nodes")
    if scale != PRICE_SCALE:
        raise ValueError(f"{where}: price_scale is {scale}, expected {PRICE_SCALE}")
    problems = _check_schedule(instance, choice, objective)
    leaves = 0
    try:
        leaves = _check_tree(instance, shift, tables, tree, bound, progress)
    except _Rejected as reason:
        problems.append(str(reason))
    if bound > objective + 1e-9 * max(1.0, abs(objective)):
        problems.append(f"the claimed bound {bound!r} is above the claimed objective {objective!r}")
    return Checked(objective, bound, leaves, problems)


class _Rejected(Exception):
    """The proof does not hold."""


def _check_schedule(instance: OffloadingInstance, choice: list[int], claimed: float) -> list[str]:
    count = np.diff(instance.option_ptr)
    if len(choice) != instance.n_tasks:
        return [f"choice has {len(choice)} entries for {instance.n_tasks} tasks"]
    for k, c in enumerate(choice):
        if not -1 <= c < count[k]:
            return [f"choice[{k}] = {c}: the task has {count[k]} options"]
    total = exact_replay(instance, choice).total
    if total is None:
        return ["the schedule drops a task that must not be dropped"]
    exact = Fraction(total, _NS)
    slack = Fraction(1, 10**9) * max(Fraction(1), abs(exact))  # a claim is a rounded float
    if abs(exact - Fraction(claimed)) > slack:
        return [f"the replay costs {float(exact)!r} s, claimed is {claimed!r} s"]
    return []


def _check_tree(
    instance: OffloadingInstance,
    shift: int,
    tables: list[dict[int, dict[int, int]]],
    tree: list[Any],
    bound: float,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Check that leaves cover the root and each reaches the bound; returns their number."""
    structure = structure_of(instance)
    needed = Fraction(bound) * _NS
    pricers: dict[int, ExactPricer] = {}
    x = instance
    root: Alternatives = [
        (*range(int(x.option_ptr[k]), int(x.option_ptr[k + 1])),)
        + ((-1,) if x.drop_cost_ns[k] < INFINITE_NS else ())
        for k in range(x.n_tasks)
    ]
    total = sum("prices" in node for node in tree)
    stack = [(0, root)]
    visited: set[int] = set()
    leaves = 0
    while stack:
        index, alternatives = stack.pop()
        if not (isinstance(index, int) and 0 <= index < len(tree)) or index in visited:
            raise _Rejected(f"tree node {index!r} is missing or used twice")
        visited.add(index)
        node = tree[index]
        if "prices" not in node:
            stack.extend(_children(x, node, alternatives))
            continue
        leaves += 1
        if progress is not None:
            progress(leaves, total)
        which = node["prices"]
        if which == -1:
            value = _complete_value(x, alternatives)
        elif isinstance(which, int) and 0 <= which < len(tables):
            if which not in pricers:
                try:
                    pricers[which] = ExactPricer(structure, shift, tables[which])
                except (ValueError, IndexError) as error:
                    raise _Rejected(f"prices[{which}]: {error}") from None
            value = pricers[which].value(leaf_of(structure, alternatives))
        else:
            raise _Rejected(f"tree node {index}: no price vector {which!r}")
        if value is not None and value < needed:
            raise _Rejected(
                f"tree node {index}: exact value {float(Fraction(value, _NS))!r} s is below the "
                f"claimed bound {bound!r} s"
            )
    return leaves


def _children(
    x: OffloadingInstance, node: Any, alternatives: Alternatives
) -> list[tuple[int, Alternatives]]:
    """The parts of a split; they must cover what the node allows."""
    try:
        k = int(node["task"])
        if not 0 <= k < x.n_tasks:
            raise IndexError(f"no task {k}")
        lo = int(x.option_ptr[k])
        parts = [
            (tuple(lo + int(c) if c >= 0 else -1 for c in alts), child)
            for alts, child in node["parts"]
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _Rejected(f"malformed tree node {node!r:.80} ({error})") from None
    covered = {o for alts, _ in parts for o in alts}
    missing = set(alternatives[k]) - covered
    if missing:
        raise _Rejected(f"a split of {x.task_names[k]} leaves out {len(missing)} alternatives")
    out = []
    for alts, child in parts:
        narrowed = list(alternatives)
        narrowed[k] = tuple(o for o in alternatives[k] if o in alts)
        if narrowed[k]:
            out.append((child, narrowed))
    return out


def _complete_value(x: OffloadingInstance, alternatives: Alternatives) -> int | None:
    """Exact cost of a leaf in which every task is fixed."""
    if any(len(options) != 1 for options in alternatives):
        raise _Rejected("a leaf without prices leaves a task open")
    choice = [
        options[0] - int(x.option_ptr[k]) if options[0] >= 0 else -1
        for k, options in enumerate(alternatives)
    ]
    return exact_replay(x, choice).total
