"""Rules for snapshots by name; rules of other packages come through `mecopt.plugins`.

>>> make("goa").name
'goa'
"""

from __future__ import annotations

from mecopt import plugins
from mecopt.accuracy_delay.policies.greedy import DelayGreedy, Goa
from mecopt.accuracy_delay.policies.local_search import GoaLocalSearch
from mecopt.accuracy_delay.policies.protocol import SnapshotPolicy
from mecopt.accuracy_delay.policies.simple import (
    AllLocal,
    LeastLoaded,
    Nearest,
    Random,
    Threshold,
)

POLICIES = plugins.PolicyNames[SnapshotPolicy](
    plugins.ACCURACY_DELAY,
    {
        "goa": lambda _: Goa(),
        "goa-local-search": lambda asked: GoaLocalSearch(seed=asked.seed),
        "delay-greedy": lambda _: DelayGreedy(),
        "threshold": lambda _: Threshold(),
        "nearest": lambda _: Nearest(),
        "least-loaded": lambda _: LeastLoaded(),
        "random": lambda asked: Random(asked.seed),
        "all-local": lambda _: AllLocal(),
    },
)

#: Every name that needs no learning.
NAMES = POLICIES.own_names
names = POLICIES.names
make = POLICIES.make
