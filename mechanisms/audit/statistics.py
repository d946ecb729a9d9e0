"""Statistics over instances: paired ratios, intervals, rare events, and the effect of the step.

The instance is the unit: mechanisms are compared on common instances, intervals are 95 % bootstrap
intervals of the mean over instances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mechanisms import rules
from mechanisms.audit import checks as audit_checks
from mecopt.market.instance import Market
from mecopt.statistics import bootstrap_interval

STEP_TICKS = (10, 16, 25, 40, 63, 100, 160)
#: Resamples behind every interval of this module.
RESAMPLES = 2000


def ratios(name: str, markets: Sequence[Market], **options: Any) -> NDArray[np.float64]:
    """Welfare over W* of one mechanism on each market (1 where W* is 0)."""
    rule = rules.mechanism(name, **options)
    out = []
    for market in markets:
        best = audit_checks.optimum(market, solver=False).welfare
        out.append(audit_checks.welfare(market, rule(market)) / best if best else 1.0)
    return np.array(out)


def event_upper_bound(events: int, trials: int) -> float:
    """95 % upper bound on a probability: 3 / trials without an event, Wilson's bound otherwise."""
    if events == 0:
        return 3 / trials
    p, z = events / trials, 1.96
    centre = p + z * z / (2 * trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return (centre + spread) / (1 + z * z / trials)


def compare(names: Sequence[str], markets: Sequence[Market]) -> pd.DataFrame:
    """Welfare ratio per mechanism: mean, interval, minimum, paired difference from the first.

    Intervals are NaN with fewer than two markets. Raises ValueError when there is no name or no
    market.
    """
    for name, given in (("names", names), ("markets", markets)):
        if len(given) == 0:
            raise ValueError(f"{name}: is empty")
    sample = {name: ratios(name, markets) for name in names}
    first = sample[names[0]]
    rows = []
    for name, ratio in sample.items():
        low, high = bootstrap_interval(ratio, resamples=RESAMPLES)
        gap_low, gap_high = bootstrap_interval(ratio - first, resamples=RESAMPLES)
        rows.append(
            {
                "mechanism": name,
                "instances": len(ratio),
                "mean": float(ratio.mean()),
                "low": low,
                "high": high,
                "minimum": float(ratio.min()),
                "difference": float((ratio - first).mean()),
                "difference_low": gap_low,
                "difference_high": gap_high,
            }
        )
    return pd.DataFrame(rows).set_index("mechanism")


@dataclass(frozen=True, eq=False)
class StepAblation:
    """What a coarser grid costs: welfare of one clock auction at several steps.

    Parameters
    ----------
    table : DataFrame
        Columns ticks, mean, low, high, minimum.
    slope : float
        Of log(1 - mean ratio) against log(step).
    bound_violations : int
        Instances and steps with W < W* - 2 s k (the bound of ``unit``).
    """

    table: pd.DataFrame
    slope: float
    bound_violations: int


def step_ablation(
    name: str, markets: Sequence[Market], ticks: Sequence[int] = STEP_TICKS
) -> StepAblation:
    """Run a clock auction with several steps on common markets."""
    rows, violations = [], 0
    best = [audit_checks.optimum(market, solver=False) for market in markets]
    for n in ticks:
        ratio = ratios(name, markets, ticks=n)
        for market, top, r in zip(markets, best, ratio, strict=True):
            low, high = market.price_range
            step = -((low - high) // n)
            violations += bool(r * top.welfare < top.welfare - 2 * step * top.trades - 1)
        low_mean, high_mean = bootstrap_interval(ratio, resamples=RESAMPLES)
        rows.append((n, float(ratio.mean()), low_mean, high_mean, float(ratio.min())))
    table = pd.DataFrame(rows, columns=["ticks", "mean", "low", "high", "minimum"])
    loss = np.maximum(1 - table["mean"].to_numpy(), 1e-15)
    slope = np.polyfit(-np.log(table["ticks"].to_numpy(dtype=float)), np.log(loss), 1)[0]
    return StepAblation(table, float(slope), violations)
