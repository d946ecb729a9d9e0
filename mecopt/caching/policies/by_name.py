"""Online caching rules by name; learned ones come through `mecopt.plugins`.

>>> make("myopic").name
'myopic'
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from mecopt import plugins
from mecopt.caching.instance import CachingInstance
from mecopt.caching.policies.evicting import RULES, Evicting
from mecopt.caching.policies.forecast import Given
from mecopt.caching.policies.protocol import CachingPolicy
from mecopt.caching.policies.rolling import Priced, Rolling
from mecopt.caching.policies.simple import Cloud, Myopic
from mecopt.caching.policies.tuned import priced_numbers, setting_of


def _true_rates(instance: CachingInstance) -> Any:
    from mecopt.caching.scenarios import t2drl as caching

    return caching.true_rates(instance)


def _prices(meta: Mapping[str, Any]) -> tuple[float, float]:
    return priced_numbers(setting_of(meta)).per_unit


_MAKERS: dict[str, Callable[[], CachingPolicy]] = {
    "cloud": Cloud,
    **{name: lambda name=name: Evicting(name) for name in RULES},  # type: ignore[misc]
    **{f"{name}-sensible": lambda name=name: Evicting(name, True) for name in RULES},  # type: ignore[misc]
    "myopic": Myopic,
    "rolling": Rolling,
    "rolling-rates": lambda: Rolling(Given(_true_rates), name="rolling-rates"),
    "priced": lambda: Priced(prices=_prices),
}

#: Every name that needs no learning.
NAMES = tuple(_MAKERS)


def names() -> tuple[str, ...]:
    """Every name that `make` knows, installed learned policies included."""
    return (*NAMES, *(name for name in plugins.names(plugins.CACHING) if name not in NAMES))


def make(
    name: str,
    *,
    preset: str | None = None,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> CachingPolicy:
    """A policy by its name.

    Parameters
    ----------
    name : str
        One of `names`, or any name together with a checkpoint.
    preset : str, optional
        Preset whose checkpoint a learned policy loads; without it the instance's own decides.
    seed : int
        Seed of policies that draw.
    data_dir : path, optional
        Data folder, for policies of other packages.
    checkpoint : path, optional
        Folder of a trained policy.

    Raises
    ------
    ValueError
        If the name is unknown, a rule of the core is given a checkpoint, or the checkpoint cannot
        be used.
    """
    if name in _MAKERS:
        if checkpoint is not None:
            raise ValueError(f"checkpoint: {name!r} is a rule without parameters to load")
        return _MAKERS[name]()
    if checkpoint is None and name not in plugins.names(plugins.CACHING):
        raise ValueError(f"policy: unknown name {name!r}, one of {', '.join(names())}")
    policy: CachingPolicy = plugins.make(
        plugins.CACHING,
        name,
        preset=preset,
        seed=seed,
        data_dir=data_dir,
        checkpoint=checkpoint,
    )
    return policy
