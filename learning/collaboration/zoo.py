"""Trained agents of failing nodes by name: what pyproject.toml declares as entry points."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learning import recipes
from learning import zoo as checkpoints
from learning.collaboration import strategists

if TYPE_CHECKING:
    from mecopt.offloading.policies.protocol import Policy

#: Names of trained policies (docs/failing_nodes_agents.md says how each is trained).
NAMES = tuple(n for n in recipes.policies("collaboration") if n not in strategists.NAMES)


def shipped(name: str) -> Path | None:
    """Folder of the checkpoint that comes with the package; None when there is none."""
    return checkpoints.shipped("collaboration", name)


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Policy:
    """Trained agents: the shipped checkpoint, or that of a folder (`learning.zoo.load`).

    Raises
    ------
    ValueError
        If none is shipped, or the folder holds no checkpoint that can be loaded.
    """
    policy: Policy = checkpoints.trained("collaboration", name, folder)
    return policy


def _trained(name: str, *, checkpoint: str | os.PathLike[str] | None = None, **_: Any) -> Policy:
    return load(name, checkpoint)


def __getattr__(attribute: str) -> Callable[..., Policy]:
    """The factory that an entry point names."""
    if attribute in NAMES:
        return partial(_trained, attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
