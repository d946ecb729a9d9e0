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
    from mecopt.observation import Observation as Observation
    from mecopt.offloading import DROPPED as DROPPED
    from mecopt.offloading import UNLIMITED as UNLIMITED
    from mecopt.offloading import OffloadingInstance as OffloadingInstance
    from mecopt.offloading import Option as Option
    from mecopt.offloading import Resource as Resource
    from mecopt.offloading import Stage as Stage
    from mecopt.offloading import Task as Task
    from mecopt.policies.protocol import Policy as Policy
    from mecopt.result import Result as Result
    from mecopt.schedule import Schedule as Schedule
    from mecopt.simulate import replay as replay
    from mecopt.simulate import rollout as rollout

__version__ = version("mecopt")

_HOME = {
    "Observation": "observation",
    "DROPPED": "offloading",
    "UNLIMITED": "offloading",
    "OffloadingInstance": "offloading",
    "Option": "offloading",
    "Resource": "offloading",
    "Stage": "offloading",
    "Task": "offloading",
    "Policy": "policies.protocol",
    "Result": "result",
    "Schedule": "schedule",
    "replay": "simulate",
    "rollout": "simulate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mecopt' has no attribute {name!r}")
    return getattr(import_module(f"mecopt.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
