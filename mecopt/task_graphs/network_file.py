"""A small network as a JSON document: the machines and links that somebody's own graph may use.

    {"nodes": [{"name": "laptop", "kind": "device", "params_b": 1.5, "tflops": 20, "tb_per_s": 0.2},
               {"name": "desk", "prompt_tokens_per_s": 2000, "output_tokens_per_s": 40,
                "params_b": 32}],
     "links": [{"between": ["laptop", "desk"], "mbps": 50, "latency_s": 0.01}]}

`SCHEMA` says the rest. A machine is given by model and hardware, from which a roofline gives its
speed, or by the speeds that somebody measured.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mecopt import checks
from mecopt.strict_json import number, shown
from mecopt.task_graphs.network import KINDS, MOST_SLOTS, Link, Network, Node, roofline
from mecopt.task_graphs.options import Weights
from mecopt.task_graphs.plan_file import NAME, in_file

_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_NOT_NEGATIVE = {"type": "number", "minimum": 0}
#: The two ways to say how fast a node is.
_HARDWARE = ("params_b", "tflops", "tb_per_s")
_SPEEDS = ("prompt_tokens_per_s", "output_tokens_per_s")

#: Fields of an object: name -> schema.
_NODE: dict[str, Any] = {
    "name": NAME,
    "kind": {"enum": list(KINDS)},
    "slots": {"type": "integer", "minimum": 1, "maximum": MOST_SLOTS},
    **dict.fromkeys((*_HARDWARE, *_SPEEDS), _POSITIVE),
}
_LINK: dict[str, Any] = {
    "between": {"type": "array", "items": NAME, "minItems": 2, "maxItems": 2},
    "mbps": _POSITIVE,
    "latency_s": _NOT_NEGATIVE,
    "channel": NAME,
}
_TOP: dict[str, Any] = {
    "nodes": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": _NODE,
            "additionalProperties": False,
            "oneOf": [{"required": list(_HARDWARE)}, {"required": list(_SPEEDS)}],
        },
    },
    "links": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["between", "mbps"],
            "properties": _LINK,
            "additionalProperties": False,
        },
    },
    "start": NAME,
    "input_mbit": _NOT_NEGATIVE,
    "accuracy_weight": _NOT_NEGATIVE,
    "latency_weight_per_s": _NOT_NEGATIVE,
    "bits_per_token": _NOT_NEGATIVE,
}
#: JSON schema (draft 2020-12) of a network. That names differ, and that links join nodes that are
#: there, is beyond a schema.
SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Network of a task graph",
    "type": "object",
    "required": ["nodes"],
    "additionalProperties": False,
    "properties": _TOP,
}


@dataclass(frozen=True)
class OwnNetwork:
    """A network, and how a task that begins in it counts.

    Parameters
    ----------
    network : Network
    start : str
        Node where the task begins, and where its result is wanted.
    input_bits : float
        What travels once to every node that works on the task.
    weights : Weights
    """

    network: Network
    start: str
    input_bits: float = 0.0
    weights: Weights = Weights()


def load_network(path: str | os.PathLike[str]) -> OwnNetwork:
    """The network in a JSON file.

    Raises
    ------
    ValueError
        If the file cannot be read as JSON or holds no network; the message starts with the path.
    """
    found: OwnNetwork = in_file(path, read_network)
    return found


def read_network(document: Any) -> OwnNetwork:
    """The network of a JSON document.

    Raises
    ------
    ValueError
        Names the node or link and the field that is missing, unknown or malformed.
    """
    top = _object("network", document, _TOP, ("nodes",))
    nodes = tuple(_node(f"nodes[{i}]", row) for i, row in enumerate(_rows("nodes", top["nodes"])))
    links = tuple(
        _link(f"links[{i}]", row) for i, row in enumerate(_rows("links", top.get("links", [])))
    )
    network = Network(nodes, links)
    start = top.get("start", nodes[0].name)
    if not isinstance(start, str) or start not in network.index:
        raise ValueError(f"start: {shown(start)} is no node")
    usual = Weights()
    weights = Weights(
        _amount(top, "accuracy_weight", usual.accuracy),
        _amount(top, "latency_weight_per_s", usual.latency_per_s),
        _amount(top, "bits_per_token", usual.bits_per_token),
    )
    return OwnNetwork(network, start, 1e6 * _amount(top, "input_mbit", 0.0), weights)


def _rows(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name}: must be a list, is {shown(value)}")
    return value


def _object(where: str, row: Any, known: Mapping[str, Any], needed: tuple[str, ...]) -> Any:
    """A JSON object with fields that are known, and all that are needed."""
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: must be an object, is {shown(row)}")
    for name in row:
        if name not in known:
            raise ValueError(f"{where}: unknown field {shown(name)}, one of {', '.join(known)}")
    for name in needed:
        if name not in row:
            raise ValueError(f"{where}: the field {name!r} is missing")
    return row


def _amount(row: Mapping[str, Any], name: str, usual: float, where: str = "") -> float:
    """A number of at least 0."""
    value = number(f"{where}{name}", row.get(name, usual))
    if value < 0:
        raise ValueError(f"{where}{name} = {value:g} is negative")
    return value


def _positive(row: Mapping[str, Any], name: str, where: str) -> float:
    value = number(f"{where}{name}", row[name])
    if not value > 0:
        raise ValueError(f"{where}{name} = {value:g} must be > 0")
    return value


def _name(where: str, value: Any) -> str:
    (text,) = checks.names(where, (value,))
    return text


def _node(where: str, row: Any) -> Node:
    _object(where, row, _NODE, ("name",))
    name = _name(f"{where}.name", row["name"])
    where = f"node {shown(name)}: "
    values = {n: _positive(row, n, where) for n in (*_HARDWARE, *_SPEEDS) if n in row}
    slots = row.get("slots", 1)
    checks.whole(f"{where}slots", slots, 1)
    by_speed = all(n in row for n in _SPEEDS)
    by_hardware = all(n in row for n in _HARDWARE)
    if by_speed == by_hardware:
        raise ValueError(
            f"{where}its speed is said {'twice' if by_speed else 'nowhere'}: give either "
            f"{', '.join(_HARDWARE)} or {', '.join(_SPEEDS)}"
        )
    if by_hardware:
        seconds = roofline(
            1e9 * values["params_b"], 1e12 * values["tflops"], 1e12 * values["tb_per_s"], slots
        )
    else:
        seconds = 1.0 / values[_SPEEDS[0]], 1.0 / values[_SPEEDS[1]]
    params = 1e9 * values["params_b"] if "params_b" in values else None
    return Node(name, *seconds, slots=slots, kind=row.get("kind", "server"), params=params)


def _link(where: str, row: Any) -> Link:
    _object(where, row, _LINK, ("between", "mbps"))
    ends = _rows(f"{where}.between", row["between"])
    if len(ends) != 2:
        raise ValueError(f"{where}.between: must be two nodes, is {shown(ends)}")
    a, b = checks.names(f"{where}.between", ends)
    at = f"link {shown(a)} - {shown(b)}: "
    return Link(
        a,
        b,
        1e6 * _positive(row, "mbps", at),
        _amount(row, "latency_s", 0.0, at),
        channel=_name(f"{where}.channel", row.get("channel", "")),
    )
