"""A plan: the subtasks of one task, what each depends on, and what is expected of it.

A plan is what a planner writes and a scheduler reads. It is validated as a connected acyclic graph
of known roles, so that whoever holds a `TaskPlan` can schedule it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.strict_json import number, shown

#: What a subtask can be for (D). An aggregator puts the outputs of others together.
ROLES = ("retrieve", "extract", "reason", "compute", "write", "check", "aggregate")
#: Most subtasks of a plan: every assignment to m nodes is an option, m^n of them.
MOST_SUBTASKS = 12


@dataclass(frozen=True)
class Subtask:
    """One call of a language model.

    Parameters
    ----------
    name : str
    role : str
        One of `ROLES`.
    output_tokens : float
        Expected length of the answer, >= 0.
    difficulty : float
        On the scale of model skill, see `mecopt.task_graphs.correctness`; any finite number.
    after : tuple of str
        Names of the subtasks whose outputs it reads.
    prompt_tokens : float
        Length of its own prompt, outputs of others not counted, >= 0.
    critical : bool
        Whether the task is wrong when this subtask is.
    correctness : mapping from node name to float
        Expected correctness where it is known, in [0, 1]; elsewhere it follows from the difficulty
        and the node's model.

    Raises
    ------
    ValueError
        Names the subtask, the field and the value.
    """

    name: str
    role: str
    output_tokens: float
    difficulty: float = 0.0
    after: tuple[str, ...] = ()
    prompt_tokens: float = 0.0
    critical: bool = True
    correctness: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.names("subtask name", (self.name,))
        where = f"subtask {shown(self.name)}: "
        if self.role not in ROLES:
            raise ValueError(
                f"{where}role = {shown(self.role)} is unknown, one of {', '.join(ROLES)}"
            )
        for name in ("output_tokens", "prompt_tokens"):
            value = number(f"{where}{name}", getattr(self, name))
            if value < 0:
                raise ValueError(f"{where}{name} = {value:g} is negative")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "difficulty", number(f"{where}difficulty", self.difficulty))
        if type(self.critical) is not bool:
            raise ValueError(f"{where}critical = {shown(self.critical)} must be true or false")
        object.__setattr__(self, "after", checks.names(f"{where}after", self.after))
        checks.no_duplicates(f"{where}after", self.after)
        checks.mapping(f"{where}correctness", self.correctness)
        known = {}
        for node, value in self.correctness.items():
            known[node] = number(f"{where}correctness[{shown(node)}]", value)
            if not 0 <= known[node] <= 1:
                raise ValueError(
                    f"{where}correctness[{shown(node)}] = {known[node]:g} is not in [0, 1]"
                )
        object.__setattr__(self, "correctness", MappingProxyType(known))


@dataclass(frozen=True)
class TaskPlan:
    """Subtasks and their dependencies: a connected acyclic graph (frozen, validated).

    Parameters
    ----------
    subtasks : tuple of Subtask
        At least one, at most `MOST_SUBTASKS`, with different names.

    Raises
    ------
    ValueError
        Unknown or cyclic dependencies, parts that hang together with nothing, names twice.
    """

    subtasks: tuple[Subtask, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subtasks", tuple(self.subtasks))
        for i, s in enumerate(self.subtasks):
            if not isinstance(s, Subtask):
                raise ValueError(f"subtasks[{i}]: {shown(s)} is not a Subtask")
        if not 1 <= len(self.subtasks) <= MOST_SUBTASKS:
            raise ValueError(
                f"subtasks: {len(self.subtasks)} of them, a plan has 1..{MOST_SUBTASKS}"
            )
        checks.no_duplicates("subtasks", self.names)
        known = set(self.names)
        for s in self.subtasks:
            for name in s.after:
                if name not in known:
                    raise ValueError(
                        f"subtask {shown(s.name)}: after {shown(name)}, which is no subtask"
                    )
        try:
            TopologicalSorter({s.name: s.after for s in self.subtasks}).prepare()
        except CycleError as error:
            cycle = " -> ".join(map(shown, error.args[1]))
            raise ValueError(f"subtasks: {cycle} is a cycle") from None
        parts = self._parts()
        if len(parts) > 1:
            raise ValueError(
                f"subtasks: {shown(parts[1][0])} is not connected with {shown(parts[0][0])}"
            )

    def _parts(self) -> list[list[str]]:
        """Names by connected component, in listed order."""
        group = {name: {name} for name in self.names}
        for s in self.subtasks:
            for name in s.after:
                joined = group[s.name] | group[name]
                for member in joined:
                    group[member] = joined
        seen: set[str] = set()
        parts = []
        for name in self.names:
            if name not in seen:
                seen |= group[name]
                parts.append([other for other in self.names if other in group[name]])
        return parts

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.subtasks)

    def __len__(self) -> int:
        return len(self.subtasks)

    @cached_property
    def order(self) -> NDArray[np.int32]:
        """(n,) positions of the subtasks, each behind those it depends on, else as listed."""
        at = {name: i for i, name in enumerate(self.names)}
        left = [{at[name] for name in s.after} for s in self.subtasks]
        out: list[int] = []
        while len(out) < len(left):
            out.append(next(i for i, on in enumerate(left) if i not in out and on <= set(out)))
        return np.array(out, dtype=np.int32)

    @cached_property
    def before(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the subtasks each one depends on, rising."""
        at = {name: i for i, name in enumerate(self.names)}
        return tuple(tuple(sorted(at[name] for name in s.after)) for s in self.subtasks)

    @property
    def sinks(self) -> tuple[int, ...]:
        """Positions of the subtasks nobody waits for: what goes back to who asked."""
        used = {i for before in self.before for i in before}
        return tuple(i for i in range(len(self)) if i not in used)

    @property
    def shape(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Role and dependencies by position: what two plans of one task must agree on."""
        return tuple((s.role, b) for s, b in zip(self.subtasks, self.before, strict=True))

    def with_values(self, **columns: Any) -> TaskPlan:
        """The same plan with other numbers: ``with_values(output_tokens=[...])``, one a subtask."""
        for name, values in columns.items():
            if len(values) != len(self):
                raise ValueError(f"{name}: {len(values)} values for {len(self)} subtasks")
        return TaskPlan(
            tuple(
                replace(s, **{name: values[i] for name, values in columns.items()})
                for i, s in enumerate(self.subtasks)
            )
        )
