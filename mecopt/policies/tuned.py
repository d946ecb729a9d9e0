"""Tuned numbers of the priced rule and the look-ahead rollout, per COMLLM preset and trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class PricedNumbers(NamedTuple):
    """Prices in s per second of service by resource kind, and the drop threshold in s."""

    price: Mapping[str, float]
    drop_threshold_s: float


class LookaheadNumbers(NamedTuple):
    """Sampled futures per decision, and how far they are played, s."""

    samples: int
    horizon_s: float


# From `python -m benchmarks.tune_priced`: COMLLM seeds 1000:1030, traces seeds 1000:1003 with
# resampled requests, objective mean cost per task.
PRICED = {
    "paper": PricedNumbers({"uplink": 0.369, "device": 0, "server": 0.0365}, 1.95),
    "busy": PricedNumbers({"uplink": 0.561, "device": 0, "server": 0}, 1.03),
    "large": PricedNumbers({"uplink": 0.495, "device": 0, "server": 0.0944}, 3.3),
    "slow-servers": PricedNumbers({"uplink": 0.342, "device": 0.15, "server": 0}, 2.59),
    "very-slow-servers": PricedNumbers({"uplink": 0.0426, "device": 0.00939, "server": 0}, 3),
    "uneven-links": PricedNumbers({"uplink": 0.548, "device": 0.0167, "server": 0.02}, 2.85),
}

#: For instances without tuned numbers: the prices of `paper`, and no drop before it is hopeless.
DEFAULT = PricedNumbers(PRICED["paper"].price, float("inf"))

# From `python -m benchmarks.tune_priced --duals`: COMLLM seeds 1000:1005; nothing is searched.
DUALS: dict[str, Mapping[str, float]] = {
}

LOOKAHEAD_DEFAULT = LookaheadNumbers(samples=30, horizon_s=0.8)
LOOKAHEAD = {
    "very-slow-servers": LookaheadNumbers(samples=60, horizon_s=0.5),
}


def setting_of(meta: Mapping[str, Any]) -> str | None:
    """Preset or trace that an instance says it was generated from."""
    name = {"comllm": "preset", "traces": "trace"}.get(meta.get("scenario", ""))
    return None if name is None else meta.get(name)


def priced_numbers(setting: str | None) -> PricedNumbers:
    """Tuned prices of a preset or trace; `DEFAULT` without."""
    return PRICED.get(setting or "", DEFAULT)


def dual_numbers(setting: str | None) -> PricedNumbers:
    """Mean duals of a preset as prices; `DEFAULT` without. Dropped only when hopeless."""
    return PricedNumbers(DUALS.get(setting or "", DEFAULT.price), DEFAULT.drop_threshold_s)


def lookahead_numbers(setting: str | None) -> LookaheadNumbers:
    """Samples and horizon of a preset or trace; `LOOKAHEAD_DEFAULT` without."""
    return LOOKAHEAD.get(setting or "", LOOKAHEAD_DEFAULT)
