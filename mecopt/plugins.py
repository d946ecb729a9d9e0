"""Policies by name: a family's own, and those that other packages bring through entry points.

A package declares a factory under the group of a family, ``mecopt.policies`` (offloading) or
``mecopt.caching_policies``::

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from mecopt.checks import check_seed
from mecopt.checks import path as check_path

#: Groups of entry points, one a family.
OFFLOADING, CACHING = "mecopt.policies", "mecopt.caching_policies"
ACCURACY_DELAY = "mecopt.accuracy_delay_policies"
#: Steps of a double Dutch auction that were learned (`mechanisms.double_dutch.learned`).
AUCTIONEERS = "mecopt.auctioneers"
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


def module_of(group: str, name: str) -> str:
    """The module that makes a declared policy, or the one for checkpoints under any name.

    Raises
    ------
    ValueError
        If nobody declares it.
    """
    return _point(group, name).module


def _point(group: str, name: str) -> EntryPoint:
    points = declared(group)
    if name not in points and ANY_CHECKPOINT not in points:
        raise ValueError(f"policy: no installed package makes {name!r}")
    return points[name if name in points else ANY_CHECKPOINT]


def make(group: str, name: str, **arguments: Any) -> Any:
    """A declared policy; `arguments` are those of the module docstring.

    Raises
    ------
    ValueError
        If nobody declares it, or its package cannot be imported; whatever the factory refuses.
    """
    point = _point(group, name)
    try:
        factory = point.load()
    except ImportError as error:
        raise ValueError(f"policy: {name!r} cannot be imported ({error})") from None
    return factory(**arguments)


PolicyT = TypeVar("PolicyT")


class Asked(NamedTuple):
    """What a family's own factory may use of the arguments of `PolicyNames.make`."""

    preset: str | None
    seed: int
    data_dir: str | os.PathLike[str] | None


def rule_entry(name: str, make: Callable[[Asked], PolicyT]) -> Callable[..., PolicyT]:
    """A factory as entry points have it, of a rule without parameters to load."""

    def entry(
        preset: str | None = None,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> PolicyT:
        if checkpoint is not None:
            raise ValueError(f"checkpoint: {name!r} is a rule without parameters to load")
        return make(Asked(preset, seed, data_dir))

    return entry


@dataclass(frozen=True)
class PolicyNames(Generic[PolicyT]):
    """The policies of one family by name.

    Parameters
    ----------
    group : str
        Entry point group of the family, for policies of other packages.
    own : mapping from name to factory
        Rules of the family that need no learning.
    """

    group: str
    own: Mapping[str, Callable[[Asked], Any]]

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the rules that need no learning."""
        return tuple(self.own)

    def names(self) -> tuple[str, ...]:
        """Every name that `make` knows: the family's own, then those of installed packages."""
        return (*self.own, *(name for name in names(self.group) if name not in self.own))

    def make(
        self,
        name: str,
        *,
        preset: str | None = None,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> PolicyT:
        """A policy by its name.

        Parameters
        ----------
        name : str
            One of `names`, or any name together with a checkpoint.
        preset : str, optional
            Preset or trace whose tuned numbers or checkpoint a policy uses; without it the
            instance's own preset or trace decides at `reset`.
        seed : int
            Seed of policies that draw or sample.
        data_dir : path, optional
            Data folder of policies that sample requests of a trace.
        checkpoint : path, optional
            Folder of a trained policy.

        Raises
        ------
        ValueError
            If the name is no string or unknown, the seed is negative, a rule of the family is
            given a checkpoint, or the checkpoint cannot be used.
        """
        if not isinstance(name, str):
            raise ValueError(f"policy: {name!r} is no name, one of {', '.join(self.names())}")
        check_seed(seed)
        for argument, folder in (("checkpoint", checkpoint), ("data_dir", data_dir)):
            if folder is not None:
                check_path(argument, folder)
        if name in self.own:
            own: PolicyT = rule_entry(name, self.own[name])(preset, seed, data_dir, checkpoint)
            return own
        if checkpoint is None and name not in names(self.group):
            raise ValueError(f"policy: unknown name {name!r}, one of {', '.join(self.names())}")
        policy: PolicyT = make(
            self.group, name, preset=preset, seed=seed, data_dir=data_dir, checkpoint=checkpoint
        )
        return policy
