"""Rules on the plans of a trained planner, by name: what pyproject.toml declares as entry points.

An entry point is the policy's name with ``_`` for ``-``; ``checkpoint`` is a planner in a folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from learning import zoo as checkpoints
from mecopt.task_graphs.policies import by_name

if TYPE_CHECKING:
    from learning.task_graphs.planner import LanguagePlanner
    from mecopt.offloading.policies.protocol import Policy

#: Ends the name of a rule that believes the trained planner.
ENDING = "-distilled"
#: Names of policies with a trained planner (docs/task_graphs.md says how it is trained).
NAMES = tuple(f"{rule}{ENDING}" for rule in ("graph-greedy", "graph-joint", "graph-lookahead"))


def planner(checkpoint: str | os.PathLike[str] | None = None) -> LanguagePlanner:
    """The trained planner: the shipped checkpoint, or that of a folder (`learning.zoo.load`).

    Raises
    ------
    ValueError
        If the folder holds no planner that can be loaded.
    """
    folder = checkpoints.shipped("task_graphs", "planner") if checkpoint is None else checkpoint
    assert folder is not None, "comes with the package"
    found: LanguagePlanner = checkpoints.load("task_graphs", "planner", folder)
    return found


def distilled(
    rule: str, *, seed: int = 0, checkpoint: str | os.PathLike[str] | None = None, **_: Any
) -> Policy:
    """A rule by name that believes the trained planner, and pays for its time."""
    return by_name.rule(rule, planner(checkpoint), seed)


def __getattr__(attribute: str) -> Callable[..., Policy]:
    """The factory that an entry point names."""
    name = attribute.replace("_", "-")
    if name in NAMES:
        return partial(distilled, name.removesuffix(ENDING))
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
