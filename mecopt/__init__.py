"""How far is an edge-computing decision rule from the best possible one, provably?

What people type first: `solve` an instance to a proven bound, `verify` its certificate, `rollout` a
policy, `bench` policies over seeded instances, `audit` a market, `load` what was saved; and the
instance classes with their `scenarios`. Each name is imported when it is first used, so that
``import mecopt`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mecopt import compiled

if TYPE_CHECKING:
    from formulations import solve as solve
    from mecopt import bench as bench
    from mecopt import scenarios as scenarios
    from mecopt.accuracy_delay.instance import QuerySnapshot as QuerySnapshot
    from mecopt.caching.instance import CachingInstance as CachingInstance
    from mecopt.caching.pair import Pair as Pair
    from mecopt.certificates.verify import save as save_certificate  # noqa: F401
    from mecopt.certificates.verify import verify as verify
    from mecopt.face import audit as audit
    from mecopt.face import load as load
    from mecopt.face import rollout as rollout
    from mecopt.market.instance import Market as Market
    from mecopt.offloading.instance import OffloadingInstance as OffloadingInstance
    from mecopt.offloading.observation import Observation as Observation
    from mecopt.offloading.policies.protocol import Policy as Policy
    from mecopt.offloading.replay import replay as replay
    from mecopt.offloading.schedule import Schedule as Schedule
    from mecopt.offloading.tasks import Option as Option
    from mecopt.offloading.tasks import Resource as Resource
    from mecopt.offloading.tasks import Stage as Stage
    from mecopt.offloading.tasks import Task as Task
    from mecopt.offloading.units import DROPPED as DROPPED
    from mecopt.offloading.units import UNLIMITED as UNLIMITED
    from mecopt.result import Result as Result

    __version__: str

#: Name -> module, and what it is called there; "" for the module itself.
_HOME = {
    "solve": ("formulations", "solve"),
    "verify": ("mecopt.certificates.verify", "verify"),
    "save_certificate": ("mecopt.certificates.verify", "save"),
    "rollout": ("mecopt.face", "rollout"),
    "bench": ("mecopt.bench", ""),
    "audit": ("mecopt.face", "audit"),
    "load": ("mecopt.face", "load"),
    "scenarios": ("mecopt.scenarios", ""),
    "OffloadingInstance": ("mecopt.offloading.instance", "OffloadingInstance"),
    "CachingInstance": ("mecopt.caching.instance", "CachingInstance"),
    "QuerySnapshot": ("mecopt.accuracy_delay.instance", "QuerySnapshot"),
    "Market": ("mecopt.market.instance", "Market"),
    "Task": ("mecopt.offloading.tasks", "Task"),
    "Option": ("mecopt.offloading.tasks", "Option"),
    "Stage": ("mecopt.offloading.tasks", "Stage"),
    "Resource": ("mecopt.offloading.tasks", "Resource"),
    "Pair": ("mecopt.caching.pair", "Pair"),
    "DROPPED": ("mecopt.offloading.units", "DROPPED"),
    "UNLIMITED": ("mecopt.offloading.units", "UNLIMITED"),
    "replay": ("mecopt.offloading.replay", "replay"),
    "Schedule": ("mecopt.offloading.schedule", "Schedule"),
    "Observation": ("mecopt.offloading.observation", "Observation"),
    "Policy": ("mecopt.offloading.policies.protocol", "Policy"),
    "Result": ("mecopt.result", "Result"),
}

__all__ = [*_HOME, "__version__"]

compiled.ensure_cache()  # before any kernel is declared


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("mecopt")
    if name not in _HOME:
        raise AttributeError(f"module 'mecopt' has no attribute {name!r}")
    module, attribute = _HOME[name]
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted(__all__)
