"""Policies that other packages bring, found through Python entry points.

A package declares a factory under the group ``mecopt.policies``::

    [project.entry-points."mecopt.policies"]
    my-rule = "my_package.rules:make"

and mecopt calls ``make(preset=..., seed=..., data_dir=..., checkpoint=...)`` wherever a policy is
asked for by the name ``my-rule``. `checkpoint` is the folder given with ``--checkpoint
my-rule=FOLDER``, or None. mecopt's own trained policies (`learning`) come in this way, too, so the
core never imports them.

A name that nobody declares, but that comes with a checkpoint, is made by the factory declared as
``checkpoint``: it reads from the folder what the policy is.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mecopt.policies.protocol import Policy

GROUP = "mecopt.policies"
#: The factory for checkpoints under a name of the user's own.
ANY_CHECKPOINT = "checkpoint"


@cache
def declared() -> dict[str, EntryPoint]:
    """Entry points by policy name.

    Raises
    ------
    ValueError
        If two packages declare the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ValueError(
                f"policy: {point.name!r} is declared twice, by {other.value} and {point.value}"
            )
    return found


def names() -> tuple[str, ...]:
    """Names that other packages declare, in order of the alphabet."""
    return tuple(sorted(set(declared()) - {ANY_CHECKPOINT}))


def make(
    name: str,
    *,
    preset: str | None,
    seed: int,
    data_dir: str | os.PathLike[str] | None,
    checkpoint: str | os.PathLike[str] | None,
) -> Policy:
    """A declared policy.

    Raises
    ------
    ValueError
        If its package cannot be imported; whatever the factory refuses.
    """
    point = declared()[name if name in declared() else ANY_CHECKPOINT]
    try:
        factory = point.load()
    except ImportError as error:
        raise ValueError(f"policy: {name!r} cannot be imported ({error})") from None
    policy: Policy = factory(preset=preset, seed=seed, data_dir=data_dir, checkpoint=checkpoint)
    return policy
