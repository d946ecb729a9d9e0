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


#: Seeds of the episodes that prices are tuned on, first and last; those of duals are among them.
SEEN_SEEDS = {"tune": (1000, 1029)}

# From `python -m benchmarks.offloading.tune_priced`: COMLLM seeds 1000:1030, traces seeds 1000:1003
# with resampled requests, objective mean cost per task.
PRICED = {
    "paper": PricedNumbers({"uplink": 0.369, "device": 0, "server": 0.0365}, 1.95),
    "busy": PricedNumbers({"uplink": 0.561, "device": 0, "server": 0}, 1.03),
    "large": PricedNumbers({"uplink": 0.495, "device": 0, "server": 0.0944}, 3.3),
    "slow-servers": PricedNumbers({"uplink": 0.342, "device": 0.15, "server": 0}, 2.59),
    "very-slow-servers": PricedNumbers({"uplink": 0.0426, "device": 0.00939, "server": 0}, 3),
    "uneven-links": PricedNumbers({"uplink": 0.548, "device": 0.0167, "server": 0.02}, 2.85),
    "azure-conv": PricedNumbers({"uplink": 0, "device": 0, "server": 0.122}, 22.2),
    "azure-code": PricedNumbers({"uplink": 0, "device": 0, "server": 0.0301}, 55.6),
    "mooncake-conversation": PricedNumbers({"uplink": 0, "device": 0.0374, "server": 0}, 25.4),
}

#: For instances without tuned numbers: the prices of `paper`, and no drop before it is hopeless.
DEFAULT = PricedNumbers(PRICED["paper"].price, float("inf"))

# From `python -m benchmarks.offloading.tune_priced --duals`: COMLLM seeds 1000:1005; nothing is
# searched.
DUALS: dict[str, Mapping[str, float]] = {
    "paper": {"uplink": 0.165, "device": 0.0176, "server": 0.00183},
    "busy": {"uplink": 0.743, "device": 0.18, "server": 0.00731},
    "large": {"uplink": 0.777, "device": 0.204, "server": 0.00753},
    "slow-servers": {"uplink": 0.116, "device": 0.045, "server": 0.0326},
    "very-slow-servers": {"uplink": 0.0707, "device": 0.168, "server": 0.0522},
    "uneven-links": {"uplink": 0.18, "device": 0.00471, "server": 0.00502},
}

# From a sweep over 10, 30, 60 samples and horizons of 0.3 to 1.0 s on COMLLM seeds 1000:1010; for
# `paper` and `large` nothing was better than the default by more than 0.1 % of cost.
LOOKAHEAD_DEFAULT = LookaheadNumbers(samples=30, horizon_s=0.8)
LOOKAHEAD = {
    "busy": LookaheadNumbers(samples=60, horizon_s=0.5),
    "slow-servers": LookaheadNumbers(samples=60, horizon_s=0.5),
    "very-slow-servers": LookaheadNumbers(samples=60, horizon_s=0.5),
    "uneven-links": LookaheadNumbers(samples=60, horizon_s=0.5),
    # Thousands of requests, dozens in the system: few futures, or a decision takes too long.
    "azure-conv": LookaheadNumbers(samples=4, horizon_s=2.0),
    "azure-code": LookaheadNumbers(samples=4, horizon_s=2.0),
    "mooncake-conversation": LookaheadNumbers(samples=4, horizon_s=2.0),
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
