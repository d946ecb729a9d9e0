"""Offloading policies by name: what pyproject.toml declares as entry points (`mecopt.plugins`).

An entry point is the policy's name with ``_`` for ``-``; ``checkpoint`` is any policy in a folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from learning import recipes
from learning import zoo as checkpoints
from mecopt import plugins
from mecopt.offloading.policies.protocol import Policy

#: Names of trained policies (docs/learning.md says how each is trained).
NAMES = recipes.policies("offloading")
#: Rules that labels and rewards of training follow; they need no checkpoint.
TEACHERS = (
    "user-values",
    "own-values",
    "greedy-lacs",
    "greedy-lacs-lambda0",
    "greedy-lacs-mean",
    "greedy-rollout",
    "greedy-priced",
)


def shipped(name: str) -> Path | None:
    """Folder of the checkpoint that comes with the package; None when there is none."""
    return checkpoints.shipped("offloading", name)


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Policy:
    """A trained policy: the shipped checkpoint, or that of a folder (`learning.zoo.load`).

    Raises
    ------
    ValueError
        If none is shipped, or the folder holds no checkpoint that can be loaded.
    """
    policy: Policy = checkpoints.trained("offloading", name, folder)
    return policy


def _trained(name: str, *, checkpoint: str | os.PathLike[str] | None = None, **_: Any) -> Policy:
    return load(name, checkpoint)


def _teacher(
    name: str, *, seed: int = 0, checkpoint: str | os.PathLike[str] | None = None, **_: Any
) -> Policy:
    from learning.offloading.rewards.own_values import OwnValues
    from learning.offloading.rewards.teachers import GreedyTeacher, make_reward
    from learning.offloading.rewards.user_values import UserValues

    if checkpoint is not None:
        raise ValueError(f"checkpoint: {name!r} is a rule without parameters to load")
    if name == "user-values":
        return UserValues()
    if name == "own-values":
        return OwnValues()
    return GreedyTeacher(make_reward(name.removeprefix("greedy-"), seed=seed), name)


def __getattr__(attribute: str) -> Callable[..., Policy]:
    """The factory that an entry point names."""
    name = attribute.replace("_", "-")
    if name in TEACHERS:
        return partial(_teacher, name)
    if name in (*NAMES, plugins.ANY_CHECKPOINT):
        return partial(_trained, name)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
