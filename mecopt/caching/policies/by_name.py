"""Online caching rules by name; learned ones come through `mecopt.plugins`.

>>> make("myopic").name
'myopic'
"""

from __future__ import annotations

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


def _evicting(name: str, sensible: bool) -> Callable[[plugins.Asked], Evicting]:
    return lambda _: Evicting(name, sensible)


POLICIES = plugins.PolicyNames[CachingPolicy](
    plugins.CACHING,
    {
        "cloud": lambda _: Cloud(),
        **{name: _evicting(name, False) for name in RULES},
        **{f"{name}-sensible": _evicting(name, True) for name in RULES},
        "myopic": lambda _: Myopic(),
        "rolling": lambda _: Rolling(),
        "rolling-rates": lambda _: Rolling(Given(_true_rates), name="rolling-rates"),
        "priced": lambda _: Priced(prices=_prices),
    },
)

#: Every name that needs no learning.
NAMES = POLICIES.own_names
names = POLICIES.names
make = POLICIES.make
