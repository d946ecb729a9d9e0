"""Tune the priced caching rule on tuning seeds; prints what `policies/tuned.py` of it holds.

    python -m benchmarks.caching.tune [--presets base,ten,...] [--duals]

Objective: mean cost over the tuning instances, seeds 1000:1012, disjoint from every test seed.
A grid of prices is ranked on a few instances, the best points on all, and the winner is improved
along each price. With ``--duals`` nothing is searched: prices are the mean dual prices of memory
and energy of tuning instances 1000:1003, as the decomposition finds them.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np

from mecopt.caching import CachingInstance, CachingPrices
from mecopt.caching.policies.rolling import Priced
from mecopt.caching.policies.tuned import PriceNumbers
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl as caching

TUNING_SEEDS = range(1000, 1012)
DUAL_SEEDS, DUAL_SECONDS = range(1000, 1003), 60.0
MEMORY_PER_GB = (0.0, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1)
ENERGY_PER_KJ = (0.0, 0.2, 1.0)
RANKING_INSTANCES, SHORTLIST = 3, 3
#: Factors tried on each price of the winner.
FACTORS = (0.6, 0.8, 1.25, 1.6)


def mean_cost(point: PriceNumbers, instances: list[CachingInstance]) -> float:
    """Mean objective over instances."""
    rule = Priced(prices=lambda meta: point.per_unit)
    return float(np.mean([rollout(x, rule).objective for x in instances]))


def tune(preset: str) -> tuple[PriceNumbers, float]:
    """The best prices found, and their mean cost."""
    instances = [caching.generate(preset, seed) for seed in TUNING_SEEDS]
    grid = [PriceNumbers(m, e) for m, e in product(MEMORY_PER_GB, ENERGY_PER_KJ)]
    ranked = sorted(grid, key=lambda point: mean_cost(point, instances[:RANKING_INSTANCES]))
    found = {point: mean_cost(point, instances) for point in ranked[:SHORTLIST]}
    best = min(found, key=lambda point: found[point])
    for name in PriceNumbers._fields:
        for factor in FACTORS:
            point = best._replace(**{name: float(f"{getattr(best, name) * factor:.3g}")})
            if point not in found:
                found[point] = mean_cost(point, instances)
        best = min(found, key=lambda point: found[point])
    return best, found[best]


def duals(preset: str) -> tuple[PriceNumbers, float]:
    """Mean dual prices of the tuning instances, and the rule's mean cost with them."""
    import formulations

    memory, energy = [], []
    for seed in DUAL_SEEDS:
        prices = formulations.solve(caching.generate(preset, seed), time_limit=DUAL_SECONDS).prices
        assert isinstance(prices, CachingPrices)
        memory.append(1e3 * prices.memory.mean())
        energy.append(1e2 * prices.energy.mean())
    point = PriceNumbers(float(f"{np.mean(memory):.3g}"), float(f"{np.mean(energy):.3g}"))
    return point, mean_cost(point, [caching.generate(preset, seed) for seed in TUNING_SEEDS])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default=",".join(caching.PRESETS))
    parser.add_argument("--duals", action="store_true")
    arguments = parser.parse_args()
    for preset in arguments.presets.split(","):
        point, cost = (duals if arguments.duals else tune)(preset)
        numbers = f"PriceNumbers({point.memory_per_gb:g}, {point.energy_per_kj:g})"
        print(f'    "{preset}": {numbers},  # mean cost {cost:.1f}', flush=True)


if __name__ == "__main__":
    main()
