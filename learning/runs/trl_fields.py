"""Any field of TRL's configurations, set by the user: read as its type, or refused in one line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

#: Fields that the folder of the run or a setting of the training decides.
DECIDED = {
    "output_dir": "--out",
    "seed": "--seed",
    "data_seed": "--seed",
    "max_steps": "--steps",
    "num_train_epochs": "--steps",
    "resume_from_checkpoint": "--out",
    "save_strategy": "save_steps",
}
_BOOL = {"true": True, "false": False}


def read(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as `kind`, ``trl.SFTConfig`` or ``trl.GRPOConfig``, takes them.

    Parameters
    ----------
    kind : type
    given : mapping
        Name -> value; text is read as the field's type (numbers, true/false, none, JSON).

    Raises
    ------
    ValueError
        If a field is unknown, decided elsewhere, or has a value of another type.
    """
    known = {f.name for f in fields(kind) if f.init}
    hints = get_type_hints(kind) if given else {}
    out = {}
    for name, value in given.items():
        if name in DECIDED:
            raise ValueError(f"trl.{name}: {DECIDED[name]} decides it")
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=3)
            hint = f"; close: {', '.join(close)}" if close else ""
            raise ValueError(f"trl.{name}: {kind.__name__} has no such field{hint}")
        out[name] = _typed(name, value, _kinds(hints[name]))
    return out


def _kinds(hint: Any) -> list[Any]:
    """Types that a field takes, the members of a union one by one."""
    if get_origin(hint) in (Union, UnionType):
        return [kind for inner in get_args(hint) for kind in _kinds(inner)]
    return [hint]


def _typed(name: str, value: Any, kinds: list[Any]) -> Any:
    for kind in (bool, int, float, dict, list, NoneType, str):
        if any(kind is (get_origin(k) or k) for k in kinds):
            try:
                return _read_as(kind, value)
            except (KeyError, TypeError, ValueError):
                continue
    for kind in kinds:
        if get_origin(kind) is Literal and value in get_args(kind):
            return value
    names = ", ".join(getattr(k, "__name__", str(k)) for k in kinds)
    raise ValueError(f"trl.{name}: {value!r} cannot be read as {names}")


def _read_as(kind: type, value: Any) -> Any:
    """The value as a type; raises where it is none of it."""
    if not isinstance(value, str):
        if isinstance(value, bool) and kind is not bool:
            raise TypeError
        if kind is float and isinstance(value, int):
            return float(value)
        if not isinstance(value, kind):
            raise TypeError
        return value
    if kind is bool:
        return _BOOL[value.lower()]
    if kind is NoneType:
        return {"none": None, "null": None}[value.lower()]
    if kind in (dict, list):
        found = json.loads(value)
        if not isinstance(found, kind):
            raise TypeError
        return found
    return kind(value)
