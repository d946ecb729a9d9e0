"""Tuned prices of the priced rule, per preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class PriceNumbers(NamedTuple):
    """Prices of residency and of energy, per slot."""

    memory_per_gb: float
    energy_per_kj: float

    @property
    def per_unit(self) -> tuple[float, float]:
        """Per MB and per 10 J, the units of an instance."""
        return self.memory_per_gb * 1e-3, self.energy_per_kj * 1e-2


# From `python -m benchmarks.caching.tune`: seeds 1000:1012 of each preset, least mean cost.
PRICED = {
    "base": PriceNumbers(0.04, 0.6),
    "ten": PriceNumbers(0.0, 1.6),
    "sticky": PriceNumbers(0.04, 0.16),
    "fast": PriceNumbers(0.07, 0.0),
    "big": PriceNumbers(0.1, 0.16),
    "backhaul": PriceNumbers(0.0, 1.6),
    "forwarding": PriceNumbers(0.01, 0.6),
    "base-backhaul": PriceNumbers(0.16, 0.2),
    "base-forwarding": PriceNumbers(0.05, 1.0),
}

#: For instances without tuned numbers.
DEFAULT = PRICED["base"]


def setting_of(meta: Mapping[str, Any]) -> str | None:
    """Preset that an instance says it was generated from."""
    return meta.get("preset") if meta.get("scenario") == "caching" else None


def priced_numbers(setting: str | None) -> PriceNumbers:
    """Tuned prices of a preset; `DEFAULT` without."""
    return PRICED.get(setting or "", DEFAULT)
