"""How far is an edge-computing decision rule from the best possible one, provably?

The core: instances, replay, policies, metrics, certificates and the command line. Optima and bounds
live in `formulations`, auctions in `mechanisms`, training in `learning`. Names below are imported
when first used, so that ``import mecopt`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mecopt.offloading.instance import OffloadingInstance as OffloadingInstance
    from mecopt.offloading.instance import Option as Option
    from mecopt.offloading.instance import Resource as Resource
    from mecopt.offloading.instance import Stage as Stage
    from mecopt.offloading.instance import Task as Task
    from mecopt.offloading.observation import Observation as Observation
    from mecopt.offloading.policies.protocol import Policy as Policy
    from mecopt.offloading.replay import replay as replay
    from mecopt.offloading.replay import rollout as rollout
    from mecopt.offloading.schedule import Schedule as Schedule
    from mecopt.offloading.units import DROPPED as DROPPED
    from mecopt.offloading.units import UNLIMITED as UNLIMITED
    from mecopt.result import Result as Result

__version__ = version("mecopt")

_HOME = {
    "Observation": "offloading.observation",
    "DROPPED": "offloading.units",
    "UNLIMITED": "offloading.units",
    "OffloadingInstance": "offloading.instance",
    "Option": "offloading.tasks",
    "Resource": "offloading.tasks",
    "Stage": "offloading.tasks",
    "Task": "offloading.tasks",
    "Policy": "offloading.policies.protocol",
    "Result": "result",
    "Schedule": "offloading.schedule",
    "replay": "offloading.replay",
    "rollout": "offloading.replay",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mecopt' has no attribute {name!r}")
    return getattr(import_module(f"mecopt.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
