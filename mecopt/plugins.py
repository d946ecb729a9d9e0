"""Policies that other packages bring, found through Python entry points.

A package declares a factory under the group of a family, ``mecopt.offloading.policies.by_name``
(offloading) or ``mecopt.caching_policies``::

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

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

#: Groups of entry points, one a family.
OFFLOADING, CACHING = "mecopt.policies", "mecopt.caching_policies"
#: The factory for checkpoints under a name of the user's own.
ANY_CHECKPOINT = "checkpoint"


@cache
def declared(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by policy name.

    Raises
    ------
    ValueError
        If two packages declare the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ValueError(
                f"policy: {point.name!r} is declared twice, by {other.value} and {point.value}"
            )
    return found


def names(group: str) -> tuple[str, ...]:
    """Names that other packages declare, in order of the alphabet."""
    return tuple(sorted(set(declared(group)) - {ANY_CHECKPOINT}))


def make(group: str, name: str, **arguments: Any) -> Any:
    """A declared policy; `arguments` are those of the module docstring.

    Raises
    ------
    ValueError
        If nobody declares it, or its package cannot be imported; whatever the factory refuses.
    """
    points = declared(group)
    if name not in points and ANY_CHECKPOINT not in points:
        raise ValueError(f"policy: no installed package makes {name!r}")
    try:
        factory = points[name if name in points else ANY_CHECKPOINT].load()
    except ImportError as error:
        raise ValueError(f"policy: {name!r} cannot be imported ({error})") from None
    return factory(**arguments)
