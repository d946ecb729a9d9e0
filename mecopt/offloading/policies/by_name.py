"""Online decision rules by name: those of the core, and those of other packages (`mecopt.plugins`).

A preset or trace without tuned numbers gets the defaults of `mecopt.offloading.policies.tuned`.

>>> make("priced", preset="busy").name
'priced'
"""

from __future__ import annotations

from collections.abc import Callable

from mecopt import plugins
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.policies.priced import Priced
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.policies.simple import (
    LeastLoaded,
    Local,
    Nearest,
    OneStepOracle,
    OneStepOracleDrop,
    Random,
    RoundRobin,
)
from mecopt.offloading.policies.tuned import (
    SEEN_SEEDS,
    PricedNumbers,
    dual_numbers,
    lookahead_numbers,
    priced_numbers,
)
from mecopt.offloading.scenarios.futures import generated_futures

Factory = Callable[[plugins.Asked], Policy]


def _priced(name: str, source: Callable[[str | None], PricedNumbers]) -> Factory:
    def factory(asked: plugins.Asked) -> Policy:
        if asked.preset is None:
            return Priced(source=source, name=name, seen_seeds=SEEN_SEEDS)
        price, threshold_s = source(asked.preset)
        return Priced(price, threshold_s, source, name, SEEN_SEEDS)

    return factory


def _lookahead(asked: plugins.Asked) -> Policy:
    futures = generated_futures(asked.seed, asked.data_dir)
    if asked.preset is None:
        return Lookahead(futures=futures)
    return Lookahead(*lookahead_numbers(asked.preset), futures=futures)


POLICIES = plugins.PolicyNames[Policy](
    plugins.OFFLOADING,
    {
        "one-step-oracle": lambda _: OneStepOracle(),
        "one-step-oracle-drop": lambda _: OneStepOracleDrop(),
        "priced": _priced("priced", priced_numbers),
        "priced-duals": _priced("priced-duals", dual_numbers),
        "lookahead": _lookahead,
        "random": lambda asked: Random(asked.seed),
        "local": lambda _: Local(),
        "nearest": lambda _: Nearest(),
        "least-loaded": lambda _: LeastLoaded(),
        "round-robin": lambda _: RoundRobin(),
    },
)

#: Rules of the core.
NAMES = POLICIES.own_names
names = POLICIES.names
make = POLICIES.make
