"""Online caching rules by name; learned ones are found through entry points.

>>> make("myopic").name
'myopic'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from mecopt.caching.instance import CachingInstance
from mecopt.caching.policies.evicting import RULES, Evicting
from mecopt.caching.policies.forecast import Given
from mecopt.caching.policies.protocol import CachingPolicy
from mecopt.caching.policies.rolling import Priced, Rolling
from mecopt.caching.policies.simple import Cloud, Myopic
from mecopt.caching.policies.tuned import priced_numbers, setting_of

#: Entry points of this group add policies: ``NAME = "package.module:function"``, called as
#: ``function(NAME, preset=..., seed=...)``.
GROUP = "mecopt.caching_policies"


def _true_rates(instance: CachingInstance) -> Any:
    from mecopt.scenarios import caching

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


def known() -> tuple[str, ...]:
    """Every name that `make` knows, installed learned policies included."""
    return NAMES + tuple(sorted(e.name for e in entry_points(group=GROUP)))


def make(name: str, *, preset: str | None = None, seed: int = 0) -> CachingPolicy:
    """A policy by its name.

    Parameters
    ----------
    name : str
        One of `known`.
    preset : str, optional
        Preset whose checkpoint a learned policy loads; without it the instance's own decides.
    seed : int
        Seed of policies that draw.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name in _MAKERS:
        return _MAKERS[name]()
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return entry.load()(name, preset=preset, seed=seed)
    raise ValueError(f"policy: unknown name {name!r}, one of {', '.join(known())}")
