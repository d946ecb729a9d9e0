"""Price updates compared: plain Polyak subgradient, the diagonal ascent, and column generation.

    python -m benchmarks.offloading.ascent

Same oracle, same start, paired by instance; the best dual value after equal time.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from benchmarks.common import write
from formulations.dual.ascent import ascend
from formulations.dual.column_generation import polish
from formulations.offloading.pricing.blocks import choose_shift
from formulations.offloading.pricing.oracle import Oracle, root_branch
from formulations.offloading.tree import BranchOracle
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


def polyak(view: BranchOracle, target: float, iterations: int) -> float:
    """Plain projected subgradient with Polyak steps, halved after ten failures."""
    prices = np.zeros(len(view.capacity))
    best, best_prices, relax, fails = -np.inf, prices, 1.0, 0
    for _ in range(iterations):
        priced = view.price(prices)
        value = view.dual_value(prices, priced)
        if value > best:
            best, best_prices, fails = value, prices.copy(), 0
        else:
            fails += 1
            if fails == 10:
                relax, fails, prices = relax / 2, 0, best_prices.copy()
                continue
        excess = priced.usage - view.capacity
        excess[(prices <= 0) & (excess < 0)] = 0.0
        prices = np.maximum(0, prices + relax * (target - value) / (excess @ excess) * excess)
    return best


def main() -> None:
    """Measure and write results/ascent.json with its records."""
    rows = []
    for preset in comllm.PRESETS:
        for seed in range(5):
            x = comllm.generate(preset, seed)
            oracle = Oracle(x, choose_shift(x))
            view = BranchOracle(oracle, root_branch(x))
            target = rollout(x, OneStepOracleDrop()).objective * 1e9
            row: dict[str, object] = {"preset": preset, "seed": seed, "rows": oracle.n_rows}
            begin = time.perf_counter()
            plain = polyak(view, target, 400)
            row["polyak_400_seconds"] = time.perf_counter() - begin
            begin = time.perf_counter()
            rise = ascend(view, np.zeros(oracle.n_rows), iterations=400)
            row["ascent_400_seconds"] = time.perf_counter() - begin
            begin = time.perf_counter()
            short = ascend(view, np.zeros(oracle.n_rows), iterations=120)
            until = time.perf_counter() + 5
            best = polish(view, short.prices, deadline=until)
            row["ascent_120_and_columns_seconds"] = time.perf_counter() - begin
            top = max(best.value, rise.value, plain)
            for name, value in (
                ("polyak_400", plain),
                ("ascent_400", rise.value),
                ("ascent_120_and_columns", best.value),
            ):
                row[f"{name}_below_best_percent"] = 100 * (top - value) / top
            row["columns_proven_optimal"] = best.master - best.value <= 1e-7 * abs(best.value)
            rows.append(row)
            print(row, flush=True)
    write("ascent", {}, records=pd.DataFrame(rows))


if __name__ == "__main__":
    main()
