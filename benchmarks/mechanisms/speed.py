"""Time to clear a double Dutch auction against np.sort of the same two arrays (one core).

    python -m benchmarks.mechanisms.speed

Times are medians of alternating repetitions in one process. Writes
benchmarks/results/mechanisms_speed.json.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from benchmarks.common import write
from mechanisms.double_dutch import clocks
from mechanisms.double_dutch import rule as double_dutch
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS


def seconds(task) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def measure(n: int, ticks: int, pricing: str, repetitions: int) -> dict[str, object]:
    """Median times at n traders a side."""
    rng = np.random.default_rng(n)
    values, costs = (2 * rng.integers(0, HALF_UNITS // 2 + 1, n) for _ in range(2))
    market = Market(values, costs, price_range=(0, HALF_UNITS))
    grid = clocks.make_grid(market, ticks=ticks)
    style = {"alternation": "unit", "pricing": pricing, "ticks": ticks}
    floats = values / HALF_UNITS, costs / HALF_UNITS
    tasks = {
        "sort_int64": lambda: (np.sort(values), np.sort(costs)),
        "sort_float64": lambda: (np.sort(floats[0]), np.sort(floats[1])),
        "clear": lambda: double_dutch.clear(values, costs, grid, clocks.UNIT, pricing),
        "run": lambda: double_dutch.run(market, **style),
    }
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(repetitions):
        for name, task in tasks.items():
            taken[name].append(seconds(task))
    row: dict[str, object] = {"n": n, "ticks": ticks, "pricing": pricing}
    row |= {f"{name}_ms": 1e3 * statistics.median(times) for name, times in taken.items()}
    for name in ("clear", "run"):
        ratios = [a / b for a, b in zip(taken[name], taken["sort_int64"], strict=True)]
        row[f"{name}_over_sort"] = statistics.median(ratios)
    return row


def main() -> None:
    quick = "--quick" in sys.argv
    rows = [
        measure(n, ticks, pricing, repetitions // (5 if quick else 1))
        for n, repetitions in ((10_000, 200), (1_000_000, 15))
        for ticks in (100, 1000)
        for pricing in ("clamped", "mcafee", "trade-reduction-critical")
    ]
    write("mechanisms_speed", {"rows": rows})
    for row in rows:
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
