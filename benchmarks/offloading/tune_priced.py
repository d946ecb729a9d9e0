"""Tune the priced rule on tuning seeds; prints the table of `mecopt/offloading/policies/tuned.py`.

    python -m benchmarks.offloading.tune_priced [--settings paper,busy,...,azure-conv,...]
    python -m benchmarks.offloading.tune_priced --duals [--settings paper,busy,...]

Objective: mean cost over the tuning instances. Log-uniform random points are ranked on a few
instances, the best of them on all, and the winner is improved by coordinate search. Tuning seeds
are 1000:1030 (COMLLM) and 1000:1003 (traces: other sites, users and resampled requests), disjoint
from every test seed. With ``--duals`` nothing is searched: prices are the mean duals of the plan
decomposition of tuning instances 1000:1005, solved with one owner per task.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from formulations.offloading.decomposition import solve_plans
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.priced import Priced, Solved, mean_price_by_kind, one_owner_per_task
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm, traces

TUNING_SEEDS = range(1000, 1030)
DUAL_SEEDS, DUAL_SECONDS = range(1000, 1005), 5.0
TRACE_SEEDS = range(1000, 1003)
TRACES = ("azure-conv", "azure-code", "mooncake-conversation")
TRACE_WINDOW_S = (0.0, 900.0)
KINDS = ("uplink", "device", "server")
#: Ranges of the random points: prices per second, threshold in s of drop cost.
PRICE_RANGE = (0.01, 3.0)
THRESHOLD_RANGE = (0.2, 2.0)
POINTS, SHORTLIST, RANKING_INSTANCES = 40, 4, 6

Point = NDArray[np.float64]


def instances_of(setting: str) -> list[OffloadingInstance]:
    """Tuning instances of a COMLLM preset or a trace."""
    if setting in TRACES:
        return [
            traces.generate(setting, TRACE_WINDOW_S, seed, task_seed=seed) for seed in TRACE_SEEDS
        ]
    return [comllm.generate(setting, seed) for seed in TUNING_SEEDS]


def rule(point: Point) -> Priced:
    """The priced rule at a point (prices of `KINDS`, drop threshold in s)."""
    return Priced(dict(zip(KINDS, point[:-1].tolist(), strict=True)), float(point[-1]))


def mean_cost(point: Point, instances: list[OffloadingInstance]) -> float:
    """Mean over instances of the mean cost per task, s."""
    return float(np.mean([rollout(x, rule(point)).mean_cost_s for x in instances]))


def random_points(rng: np.random.Generator, drop_cost_s: float) -> list[Point]:
    """Log-uniform prices, each zero one time in four, and a log-uniform threshold."""
    low, high = np.log(PRICE_RANGE)
    out = []
    for _ in range(POINTS):
        price = np.exp(rng.uniform(low, high, size=len(KINDS)))
        price[rng.random(len(KINDS)) < 0.25] = 0.0
        out.append(np.append(price, drop_cost_s * np.exp(rng.uniform(*np.log(THRESHOLD_RANGE)))))
    return out


def coordinate_search(
    point: Point, value: float, evaluate: Callable[[Point], float]
) -> tuple[Point, float]:
    """Improve one number at a time, with smaller and smaller steps."""
    for step in (0.5, 0.2, 0.1, 0.05):
        improved = True
        while improved:
            improved = False
            for i in range(len(point)):
                moves = [point[i] * (1 + step), point[i] / (1 + step)]
                if i < len(KINDS):
                    moves += [0.0] if point[i] > 0 else [0.02]
                for move in moves:
                    trial = point.copy()
                    trial[i] = move
                    cost = evaluate(trial)
                    if cost < value - 1e-9:
                        point, value, improved = trial, cost, True
    return point, value


def tune(setting: str) -> tuple[Point, float, float]:
    """Best point, its mean cost, and the mean cost without prices, s."""
    instances = instances_of(setting)
    drop_cost_s = float(instances[0].drop_cost_ns.max()) * 1e-9
    rng = np.random.default_rng([7, *setting.encode()])
    few = instances[:RANKING_INSTANCES]
    points = sorted(random_points(rng, drop_cost_s), key=lambda p: mean_cost(p, few))[:SHORTLIST]
    value, _, best = min((mean_cost(p, instances), i, p) for i, p in enumerate(points))
    best, value = coordinate_search(best, value, lambda p: mean_cost(p, instances))
    best = np.array([float(f"{v:.3g}") for v in best])
    unpriced = mean_cost(np.array([0.0] * len(KINDS) + [np.inf]), instances)
    return best, mean_cost(best, instances), unpriced


def duals(preset: str) -> dict[str, float]:
    """Mean duals per kind over the tuning instances of a preset."""
    solved = []
    for seed in DUAL_SEEDS:
        x = one_owner_per_task(comllm.generate(preset, seed))
        prices = solve_plans(x, gap=1e-3, time_limit=DUAL_SECONDS).prices
        assert prices is not None
        solved.append(Solved(x, prices))
    return mean_price_by_kind(solved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings")
    parser.add_argument("--duals", action="store_true")
    arguments = parser.parse_args()
    everything = [*comllm.PRESETS, *(() if arguments.duals else TRACES)]
    for setting in arguments.settings.split(",") if arguments.settings else everything:
        if arguments.duals:
            found = duals(setting)
            price = ", ".join(f'"{k}": {found[k]:.3g}' for k in KINDS)
            print(f'    "{setting}": {{{price}}},', flush=True)
            continue
        best, value, unpriced = tune(setting)
        price = ", ".join(f'"{k}": {v:g}' for k, v in zip(KINDS, best[:-1], strict=True))
        print(
            f'    "{setting}": PricedNumbers({{{price}}}, {best[-1]:g}),'
            f"  # {value:.6g} s, without prices {unpriced:.6g} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
