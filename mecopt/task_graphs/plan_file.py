"""Plans as JSON documents, and as graphs of networkx.

A document is ``{"subtasks": [{"name": ..., "role": ..., "output_tokens": ...}, ...]}``; `SCHEMA`
says the rest. Everything is checked by `TaskPlan`, whose messages name subtask, field and value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import numpy as np

from mecopt import strict_json
from mecopt.files import write_json
from mecopt.strict_json import shown
from mecopt.task_graphs.plan import MOST_SUBTASKS, ROLES, Subtask, TaskPlan
from mecopt.terminal import CONTROL

_NUMBER = {"type": "number"}
_NOT_NEGATIVE = {"type": "number", "minimum": 0}
#: Schema of a name: a text without control characters.
NAME = {"type": "string", "not": {"pattern": CONTROL.pattern}}

#: JSON schema (draft 2020-12) of a plan. Cycles, separate parts and names that are there twice or
#: not at all are beyond a schema.
SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Task plan",
    "type": "object",
    "required": ["subtasks"],
    "additionalProperties": False,
    "properties": {
        "subtasks": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_SUBTASKS,
            "items": {
                "type": "object",
                "required": ["name", "role", "output_tokens"],
                "additionalProperties": False,
                "properties": {
                    "name": NAME,
                    "role": {"enum": list(ROLES)},
                    "output_tokens": _NOT_NEGATIVE,
                    "difficulty": _NUMBER,
                    "after": {"type": "array", "items": NAME, "uniqueItems": True},
                    "prompt_tokens": _NOT_NEGATIVE,
                    "critical": {"type": "boolean"},
                    "correctness": {
                        "type": "object",
                        "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
                    },
                },
            },
        }
    },
}
_FIELDS = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(Subtask)}


def read_plan(document: Any) -> TaskPlan:
    """The plan of a JSON document (a mapping, as `json.loads` gives it).

    Raises
    ------
    ValueError
        Names the subtask and the field that is missing, unknown or malformed.
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"plan: must be an object with the field 'subtasks', is {shown(document)}")
    for name in document:
        if name != "subtasks":
            raise ValueError(f"plan: unknown field {shown(name)}, the only one is subtasks")
    if "subtasks" not in document:
        raise ValueError("plan: the field 'subtasks' is missing")
    rows = document["subtasks"]
    if not isinstance(rows, list | tuple):
        raise ValueError(f"subtasks: must be a list, is {shown(rows)}")
    return TaskPlan(tuple(_subtask(i, row) for i, row in enumerate(rows)))


def _subtask(i: int, row: Any) -> Subtask:
    if not isinstance(row, Mapping):
        raise ValueError(f"subtasks[{i}]: must be an object, is {shown(row)}")
    for name in row:
        if name not in _FIELDS:
            raise ValueError(f"subtasks[{i}]: unknown field {shown(name)}")
    for name, needed in _FIELDS.items():
        if needed and name not in row:
            raise ValueError(f"subtasks[{i}]: the field {name!r} is missing")
    after = row.get("after", ())
    if not isinstance(after, list | tuple):
        raise ValueError(f"subtasks[{i}].after: must be a list of names, is {shown(after)}")
    return Subtask(**{**row, "after": tuple(after)})


def plan_document(plan: TaskPlan) -> dict[str, Any]:
    """The JSON document of a plan; fields at their defaults are left out."""
    rows = []
    for s in plan.subtasks:
        row: dict[str, Any] = {"name": s.name, "role": s.role, "output_tokens": s.output_tokens}
        if s.difficulty:
            row["difficulty"] = s.difficulty
        if s.after:
            row["after"] = list(s.after)
        if s.prompt_tokens:
            row["prompt_tokens"] = s.prompt_tokens
        if not s.critical:
            row["critical"] = False
        if s.correctness:
            row["correctness"] = dict(s.correctness)
        rows.append(row)
    return {"subtasks": rows}


def load_plan(path: str | os.PathLike[str]) -> TaskPlan:
    """The plan in a JSON file.

    Raises
    ------
    ValueError
        If the file cannot be read as JSON or holds no plan; the message starts with the path.
    """
    return in_file(path, read_plan)


def in_file(path: str | os.PathLike[str], read: Any) -> Any:
    """What `read` makes of a JSON file; its complaints then start with the path."""
    try:
        return read(strict_json.content(path, finite=True))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def save_plan(path: Any, plan: TaskPlan) -> None:
    """Write a plan as JSON."""
    write_json(path, plan_document(plan))


def plan_of_graph(graph: Any) -> TaskPlan:
    """The plan of a directed networkx graph: an edge a -> b says that b reads what a writes.

    Parameters
    ----------
    graph : networkx.DiGraph
        Names of nodes become names of subtasks; their attributes are the other fields of `Subtask`,
        numbers also those of numpy.

    Raises
    ------
    ValueError
        If the graph is not directed, or its nodes make no plan.
    """
    if not (hasattr(graph, "is_directed") and graph.is_directed()):
        raise ValueError(f"graph: {shown(graph)} is not a directed graph of networkx")
    rows = []
    for i, (node, values) in enumerate(graph.nodes(data=True)):
        clash = {"name", "after"} & set(values)
        if clash:
            raise ValueError(
                f"graph: node {shown(node)} has an attribute {min(clash)!r} of its own"
            )
        before = [str(other) for other in graph.predecessors(node)]
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
        rows.append(_subtask(i, {"name": str(node), **plain, "after": before}))
    return TaskPlan(tuple(rows))


def graph_of_plan(plan: TaskPlan) -> Any:
    """A `networkx.DiGraph` of a plan, the inverse of `plan_of_graph`; needs networkx."""
    import networkx

    graph = networkx.DiGraph()
    for row in plan_document(plan)["subtasks"]:
        values = {name: value for name, value in row.items() if name not in ("name", "after")}
        graph.add_node(row["name"], **values)
    graph.add_edges_from((name, s.name) for s in plan.subtasks for name in s.after)
    return graph
