"""Price updates for caching compared: Polyak subgradient, volume, and the diagonal ascent.

    python -m benchmarks.caching.ascent

One server of `base` and of `ten`. Prices of the rows (memory and energy) from zero, then prices of
the links from there; every method makes the same number of evaluations from the same start. Also
the time of one pass of each block over 25 pairs and 100 slots, on one core.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import write
from formulations.caching.blocks import build
from formulations.caching.coupling import Coupling
from formulations.caching.oracle import LinkOracle, Pricer, RowOracle
from formulations.dual.ascent import ascend
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl as caching

Array = NDArray[np.float64]


def polyak(oracle: Any, start: Array, lower: Any, target: float, iterations: int) -> float:
    """Projected subgradient with Polyak steps, halved after twenty failures."""
    prices, best, best_prices, relax, fails = start.copy(), -np.inf, start, 1.0, 0
    for _ in range(iterations):
        priced = oracle.price(prices)
        value = oracle.dual_value(prices, priced)
        if value > best:
            best, best_prices, fails = value, prices.copy(), 0
        else:
            fails += 1
        if fails == 20:
            relax, fails, prices = relax / 2, 0, best_prices.copy()
            continue
        excess = priced.usage - oracle.capacity
        excess[(prices <= lower) & (excess < 0)] = 0.0
        move = relax * (target - value) / max(excess @ excess, 1e-12)
        prices = np.maximum(lower, prices + move * excess)
    return best


def volume(oracle: Any, start: Array, lower: Any, target: float, iterations: int) -> float:
    """The volume algorithm (Barahona and Anbil 2000): steps along averaged usage."""
    best_prices = start.copy()
    priced = oracle.price(best_prices)
    best = oracle.dual_value(best_prices, priced)
    mean, relax, fails = priced.usage.copy(), 0.1, 0
    for _ in range(iterations - 1):
        excess = mean - oracle.capacity
        excess[(best_prices <= lower) & (excess < 0)] = 0.0
        move = relax * (target - best) / max(excess @ excess, 1e-12)
        prices = np.maximum(lower, best_prices + move * excess)
        priced = oracle.price(prices)
        value = oracle.dual_value(prices, priced)
        mean = 0.9 * mean + 0.1 * priced.usage
        if value > best:
            agree = excess @ (priced.usage - oracle.capacity) >= 0
            relax *= 1.1 if agree else 1.0
            best, best_prices, fails = value, prices, 0
        else:
            fails += 1
            if fails == 20:
                relax, fails = 0.66 * relax, 0
    return best


def compare(preset: str, iterations: int) -> list[dict[str, Any]]:
    """Values reached on rows and links."""
    x = caching.generate(preset, 0)
    blocks = build(x, [0])
    pricer, coupling = Pricer(blocks), Coupling(blocks)
    rows, links = RowOracle(blocks, pricer, coupling), LinkOracle(blocks, pricer, coupling)
    target = float(rollout(x, Myopic()).cost[:, 0].sum())
    first = ascend(rows, np.zeros(len(rows.capacity)), iterations=250, step=rows.step)
    starts = {
        "rows": (rows, np.zeros(len(rows.capacity)), 0.0),
        "links": (links, rows.charge(first.prices), links.lower),
    }
    out: list[dict[str, Any]] = []
    for name, (oracle, start, lower) in starts.items():
        settings: dict[str, Any] = {"iterations": iterations, "lower": lower, "patience": 60.0}
        size = oracle.step if name == "rows" else 0.5 * oracle.step
        methods = {
            "polyak": lambda o=oracle, s=start, lo=lower: polyak(o, s, lo, target, iterations),
            "volume": lambda o=oracle, s=start, lo=lower: volume(o, s, lo, target, iterations),
            "ascent": lambda o=oracle, s=start, k=settings, z=size: ascend(o, s, step=z, **k).value,
        }
        for method, run in methods.items():
            begin = time.process_time()
            value = float(run())
            seconds = time.process_time() - begin
            row = {"preset": preset, "prices": name, "method": method, "value": value}
            out.append({**row, "iterations": iterations, "cpu_seconds": seconds})
            print(out[-1], flush=True)
    return out


def pass_times() -> dict[str, float]:
    """CPU milliseconds of one pass over 25 pairs and 100 slots, the least of five batches."""
    x = caching.generate("base", 0)
    blocks = build(x, [0])
    pricer, coupling = Pricer(blocks), Coupling(blocks)
    rows, links = RowOracle(blocks, pricer, coupling), LinkOracle(blocks, pricer, coupling)
    prices = ascend(rows, np.zeros(len(rows.capacity)), iterations=250, step=rows.step).prices
    linked = rows.charge(prices)
    near = ascend(links, linked, iterations=200, step=0.5 * links.step, lower=links.lower).prices
    weight = links.weights(near)
    times: dict[str, list[float]] = {"pairs": [], "slots": []}
    for _ in range(5):
        for name, run in (
            ("pairs", lambda: pricer.pairs(weight)),
            ("slots", lambda: pricer.slots(-near)),
        ):
            begin = time.process_time()
            for _ in range(50):
                run()
            times[name].append((time.process_time() - begin) / 50 * 1e3)
    return {f"{name}_ms": min(values) for name, values in times.items()}


def main() -> None:
    """Measure and write results/caching_ascent.json."""
    times = pass_times()
    print(times, flush=True)
    rows = compare("ten", 600) + compare("base", 600)
    write("caching_ascent", {"passes": times, "rows": rows})


if __name__ == "__main__":
    main()
