"""The tree of a proof: leaves that cover every schedule, each with its exact value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mecopt.certificates.budget import Budget
from mecopt.certificates.offloading.leaf import Alternatives, leaf_of
from mecopt.certificates.offloading.pricing import ExactPricer
from mecopt.certificates.offloading.replay import exact_replay
from mecopt.certificates.offloading.structure import structure_of
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS
from mecopt.strict_json import shown

#: Alternatives of one task.
_Part = tuple[int, ...]


#: Price vectors, and numbers worked out under them, that are remembered between leaves.
_MOST_PRICERS, _MOST_REMEMBERED = 64, 2**22


@dataclass(frozen=True)
class _GiveBack:
    """What a task may do again once a part of the tree is done."""

    task: int
    part: _Part


class Rejected(ValueError):
    """The proof does not hold."""


class Tree:
    """Nodes of a proof, and what its price vectors are worth.

    What tasks may do at a node is one list that changes on the way through the tree.
    """

    def __init__(
        self,
        instance: OffloadingInstance,
        shift: int,
        tables: list[dict[int, dict[int, int]]],
        nodes: list[dict[str, Any]],
        budget: Budget,
    ) -> None:
        self.x, self.shift, self.tables, self.nodes = instance, shift, tables, nodes
        self.budget = budget
        self.structure = structure_of(instance, budget)
        self.pricers: dict[int, ExactPricer] = {}
        self.alternatives: Alternatives = [
            (*range(int(instance.option_ptr[k]), int(instance.option_ptr[k + 1])),)
            + ((-1,) if instance.drop_cost_ns[k] < INFINITE_NS else ())
            for k in range(instance.n_tasks)
        ]

    def least(self) -> tuple[int | None, int]:
        """Least value of the leaves (None when none has a schedule), and their number.

        Raises
        ------
        Rejected
            If a node is malformed or used twice, or leaves do not cover the root.
        """
        total = sum("prices" in node for node in self.nodes)
        least: int | None = None
        leaves = 0
        used: set[int] = set()
        # Nodes to visit with what they leave of a task, and between them what tasks get back. The
        # file names the nodes: nothing that it can say may look like the other kind of entry.
        pending: list[tuple[Any, int, _Part] | _GiveBack] = [(0, -1, ())]
        while pending:
            entry = pending.pop()
            if isinstance(entry, _GiveBack):
                self.alternatives[entry.task] = entry.part
                continue
            index, k, part = entry
            self.budget.spend()
            if type(index) is not int or not 0 <= index < len(self.nodes) or index in used:
                raise Rejected(f"tree node {shown(index)} is missing or used twice")
            used.add(index)
            if k >= 0:
                pending.append(_GiveBack(k, self.alternatives[k]))
                self.alternatives[k] = part
            node = self.nodes[index]
            if "prices" not in node:
                pending.extend(self._children(node))
                continue
            leaves += 1
            self.budget.leaf(leaves, total)
            value = self._value(index, node["prices"])
            if value is not None and (least is None or value < least):
                least = value
        return least, leaves

    def _value(self, index: int, which: Any) -> int | None:
        """Exact value of a leaf; None when no schedule is there."""
        if type(which) is not int or not -1 <= which < len(self.tables):
            raise Rejected(f"tree node {index}: no price vector {shown(which)}")
        if which == -1:
            return self._complete_value()
        remembered = sum(pricer.size for pricer in self.pricers.values())
        if len(self.pricers) > _MOST_PRICERS or remembered > _MOST_REMEMBERED:
            self.pricers.clear()
        if which not in self.pricers:
            try:
                table = self.tables[which]
                self.pricers[which] = ExactPricer(self.structure, self.shift, table, self.budget)
            except (ValueError, IndexError) as error:
                raise Rejected(f"prices[{which}]: {error}") from None
        leaf = leaf_of(self.structure, self.alternatives, self.budget)
        return self.pricers[which].value(leaf)

    def _children(self, node: dict[str, Any]) -> list[tuple[Any, int, _Part]]:
        """The parts of a split; they must cover what the node allows."""
        x, k, parts = self.x, node.get("task"), node.get("parts")
        if type(k) is not int or not 0 <= k < x.n_tasks or type(parts) is not list:
            raise Rejected(f"malformed tree node {shown(node)}")
        lo, allowed = int(x.option_ptr[k]), set(self.alternatives[k])
        self.budget.spend(len(allowed))
        missing = set(allowed)
        out = []
        for part in parts:
            if type(part) is not list or len(part) != 2 or type(part[0]) is not list:
                raise Rejected(f"malformed tree node {shown(node)}")
            given, child = part
            self.budget.spend(1 + len(given))
            if not all(type(c) is int and c >= -1 for c in given):
                raise Rejected(f"malformed tree node {shown(node)}")
            listed = dict.fromkeys(lo + c if c >= 0 else -1 for c in given)
            left = tuple(o for o in listed if o in allowed)
            missing.difference_update(left)
            if left:
                out.append((child, k, left))
        if missing:
            raise Rejected(f"a split of {x.task_names[k]} leaves out {len(missing)} alternatives")
        return out

    def _complete_value(self) -> int | None:
        """Exact cost of a leaf in which every task is fixed."""
        self.budget.spend(self.x.n_tasks)
        if any(len(options) != 1 for options in self.alternatives):
            raise Rejected("a leaf without prices leaves a task open")
        choice = [
            options[0] - int(self.x.option_ptr[k]) if options[0] >= 0 else -1
            for k, options in enumerate(self.alternatives)
        ]
        return exact_replay(self.x, choice, self.budget).total
