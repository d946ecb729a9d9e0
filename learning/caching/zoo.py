"""Trained caching policies by name: what pyproject.toml declares as entry points."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from learning import recipes, zoo
from mecopt import extras, plugins

#: Names of trained policies (docs/caching.md says how each is trained).
NAMES = recipes.policies("caching")


def _trained(
    name: str,
    *,
    preset: str | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    **_: Any,
) -> Any:
    if checkpoint is not None:
        return replace(zoo.load("caching", name, checkpoint), seed=seed)
    with extras.needed(f"policy: {name!r}", "learning"):
        from learning.caching import policy
    return policy.Shipped(name, preset if preset in policy.PRESETS else None, seed)


def __getattr__(attribute: str) -> Callable[..., Any]:
    """The factory that an entry point names."""
    if attribute in (*NAMES, plugins.ANY_CHECKPOINT):
        return partial(_trained, attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
