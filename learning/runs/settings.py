"""What `Settings` of trainers refuse, said once: each error names the field and its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def at_least(settings: Any, **least: float) -> None:
    """Refuse fields below the given numbers.

    Raises
    ------
    ValueError
        Names the first one.
    """
    for name, low in least.items():
        if not getattr(settings, name) >= low:
            raise ValueError(f"{name} = {getattr(settings, name)} must be >= {low}")


def positive(settings: Any, *names: str) -> None:
    """Refuse fields that are not above 0.

    Raises
    ------
    ValueError
        Names the first one.
    """
    for name in names:
        if not getattr(settings, name) > 0:
            raise ValueError(f"{name} = {getattr(settings, name)} must be > 0")


def share(settings: Any, *names: str) -> None:
    """Refuse fields outside [0, 1].

    Raises
    ------
    ValueError
        Names the first one.
    """
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ValueError(f"{name} = {getattr(settings, name)} must be in [0, 1]")


def one_of(settings: Any, **known: Sequence[str]) -> None:
    """Refuse names that are not known.

    Raises
    ------
    ValueError
        Names the first field, its value and what is known.
    """
    for name, choices in known.items():
        value = getattr(settings, name)
        if value not in choices:
            raise ValueError(f"{name}: unknown {value!r}, one of {', '.join(choices)}")
