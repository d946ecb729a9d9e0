"""What `Settings` of trainers refuse, said once: each error names the field and its value."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np


def at_least(settings: Any, **least: float) -> None:
    """Refuse fields below the given numbers."""
    for name, low in least.items():
        _refuse(settings, [name], f"must be >= {low}", low=low)


def positive(settings: Any, *names: str) -> None:
    """Refuse fields that are not above 0."""
    _refuse(settings, names, "must be > 0", above=0)


def not_empty(settings: Any, *names: str) -> None:
    """Refuse fields that hold nothing to draw from."""
    for name in names:
        if not getattr(settings, name):
            raise ValueError(f"{name}: is empty, expected at least one")


def share(settings: Any, *names: str) -> None:
    """Refuse fields outside [0, 1]."""
    _refuse(settings, names, "must be in [0, 1]", low=0, high=1)


def one_of(settings: Any, **known: Collection[str]) -> None:
    """Refuse fields whose value is not among the known names."""
    for name, choices in known.items():
        value = getattr(settings, name)
        if value not in choices:
            raise ValueError(f"{name}: unknown {value!r}, one of {', '.join(choices)}")


def _refuse(
    settings: Any,
    names: Iterable[str],
    must: str,
    *,
    low: float = -np.inf,
    above: float = -np.inf,
    high: float = np.inf,
) -> None:
    for name in names:
        value = getattr(settings, name)
        if not (low <= value <= high and value > above):
            raise ValueError(f"{name} = {value} {must}")
