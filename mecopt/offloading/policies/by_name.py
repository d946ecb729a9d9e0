"""Online decision rules by name: those of the core, and those of other packages (`mecopt.plugins`).

>>> make("priced", preset="busy").name
'priced'
"""

from __future__ import annotations

import os
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
from mecopt.offloading.policies.tuned import dual_numbers, lookahead_numbers, priced_numbers
from mecopt.offloading.scenarios.futures import generated_futures

_SIMPLE: dict[str, Callable[[], Policy]] = {
    "local": Local,
    "nearest": Nearest,
    "least-loaded": LeastLoaded,
    "round-robin": RoundRobin,
}

#: Rules of the core.
NAMES = (
    "one-step-oracle",
    "one-step-oracle-drop",
    "priced",
    "priced-duals",
    "lookahead",
    "random",
    *_SIMPLE,
)


def names() -> tuple[str, ...]:
    """Every name that `make` knows: the core's, then those of installed packages."""
    return (*NAMES, *(name for name in plugins.names(plugins.OFFLOADING) if name not in NAMES))


def make(
    name: str,
    *,
    preset: str | None = None,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Policy:
    """A policy by its name.

    Parameters
    ----------
    name : str
        One of `names`, or any name together with a checkpoint.
    preset : str, optional
        COMLLM preset or trace whose tuned numbers the priced rules and `lookahead` use; a name
        without tuned numbers gets `mecopt.offloading.policies.tuned.DEFAULT` (`LOOKAHEAD_DEFAULT`).
        Without it the instance's own preset or trace decides at `reset`.
    seed : int
        Seed of `random` and of the futures that `lookahead` samples.
    data_dir : path, optional
        Data folder from which `lookahead` samples requests of a trace.
    checkpoint : path, optional
        Folder of a trained policy.

    Raises
    ------
    ValueError
        If the name is unknown, a rule of the core is given a checkpoint, or the checkpoint cannot
        be used.
    """
    if checkpoint is not None and name in NAMES:
        raise ValueError(f"checkpoint: {name!r} is a rule without parameters to load")
    if name == "one-step-oracle":
        return OneStepOracle()
    if name == "one-step-oracle-drop":
        return OneStepOracleDrop()
    if name in ("priced", "priced-duals"):
        source = priced_numbers if name == "priced" else dual_numbers
        price, threshold_s = (None, float("inf")) if preset is None else source(preset)
        return Priced(price, threshold_s, source, name)
    if name == "lookahead":
        samples, horizon_s = (None, None) if preset is None else lookahead_numbers(preset)
        return Lookahead(samples, horizon_s, futures=generated_futures(seed, data_dir))
    if name == "random":
        return Random(seed)
    if name in _SIMPLE:
        return _SIMPLE[name]()
    if checkpoint is None and name not in plugins.names(plugins.OFFLOADING):
        raise ValueError(f"policy: unknown name {name!r}, one of {', '.join(names())}")
    policy: Policy = plugins.make(
        plugins.OFFLOADING,
        name,
        preset=preset,
        seed=seed,
        data_dir=data_dir,
        checkpoint=checkpoint,
    )
    return policy
