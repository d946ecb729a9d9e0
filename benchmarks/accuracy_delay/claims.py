"""Is GOA faster and more accurate than every other rule? A statement about dominance, tested.

    python -m benchmarks.accuracy_delay.claims [--seeds 20] [--users 10,30,50]

GOA is a curve in the plane of delay and accuracy, one point per kappa; another rule is a point. On
a snapshot GOA *dominates* a rule when some kappa makes it at least as accurate and at least as
fast. A rule with a parameter (the threshold) is a curve too; each of its points counts. Beside
that stand the share of snapshots on which a rule dominates a point of GOA's curve (one that no
other kappa dominates), and how far the curve lies behind the exact front: at floors of accuracy,
the delay of GOA's fastest point that reaches the floor, against the certified least delay there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import interval, write
from formulations.accuracy_delay.accuracy import most_accurate
from formulations.accuracy_delay.front import dominates, sweep
from mecopt.accuracy_delay import replay, rollout
from mecopt.accuracy_delay.instance import QuerySnapshot
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.policies.simple import Threshold
from mecopt.accuracy_delay.scenarios import goa

#: GOA's curve: kappa from 0 over two hundred values, evenly on a logarithmic scale.
KAPPAS = np.concatenate([[0.0], np.geomspace(0.01, 200.0, 200)])
BASELINES = ("all-local", "nearest", "least-loaded", "random", "delay-greedy")
THRESHOLDS = (0.2, 0.4, 0.5, 0.6, 0.8)
#: Floors, as shares of the way from the fastest decision's accuracy to the best there is.
FLOORS = (0.25, 0.5, 0.75, 0.9)


def points(x: QuerySnapshot, seed: int) -> dict[str, tuple[float, float]]:
    """Accuracy and mean delay of every rule that GOA is compared with."""
    rules: dict[str, Any] = {name: by_name.make(name, seed=seed) for name in BASELINES}
    rules |= {f"threshold {u:g}": Threshold(u) for u in THRESHOLDS}
    found = {name: rollout(x, rule) for name, rule in rules.items()}
    found["goa-local-search"] = rollout(x, by_name.make("goa-local-search", seed=seed))
    return {name: (f.expected_accuracy, f.mean_delay_s) for name, f in found.items()}


def behind(x: QuerySnapshot, curve: pd.DataFrame, limit: float) -> list[dict[str, Any]]:
    """GOA's delay at floors of accuracy against the exact front's."""
    free = replace(x, kappa_s=0.0, least_accuracy=0.0)
    fastest = formulations.solve(free, gap=1e-6, time_limit=limit).schedule
    assert fastest is not None
    low, high = fastest.expected_accuracy, most_accurate(free).expected_accuracy
    rows = []
    for share in FLOORS:
        floor = low + share * (high - low)
        exact = formulations.solve(replace(free, least_accuracy=floor), gap=1e-3, time_limit=limit)
        reached = curve[curve["expected_accuracy"] >= floor - 1e-9]
        delay = float(reached["mean_delay_s"].min()) if len(reached) else np.inf
        rows.append(
            {
                "floor": floor,
                "share": share,
                "bound_s": exact.bound / x.n_users,
                "best_s": exact.objective / x.n_users,
                "goa_s": delay,
                "above_bound": delay / (exact.bound / x.n_users) - 1,
            }
        )
    return rows


def main() -> None:
    """Test the claim and write results/accuracy_delay/claims.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--users", default="10,30,50")
    parser.add_argument("--limit", type=float, default=5.0, help="seconds of a point of the front")
    parser.add_argument("--front-seeds", type=int, default=8, help="snapshots with a front")
    asked = parser.parse_args()
    formulations.warm_up("accuracy_delay")
    dominance, fronts = [], []
    for users in map(int, asked.users.split(",")):
        for seed in range(asked.seeds):
            x = goa.generate(users, seed)
            curve = sweep(x, KAPPAS)
            best = _efficient(curve)
            for name, (accuracy, delay) in points(x, seed).items():
                dominance.append(
                    {
                        "users": users,
                        "seed": seed,
                        "policy": name,
                        "expected_accuracy": accuracy,
                        "mean_delay_s": delay,
                        "dominated": dominates(curve, accuracy, delay),
                        "at_kappa_2": _at_default(x, accuracy, delay),
                        "dominates_goa": _beats(best, accuracy, delay),
                    }
                )
            if seed < asked.front_seeds:
                rows = behind(x, curve, asked.limit)
                fronts += [{"users": users, "seed": seed, **row} for row in rows]
        print(users, flush=True)
    summary = {
        "seeds": asked.seeds,
        "dominance": _shares(pd.DataFrame(dominance)),
        "behind_the_front": _behind(pd.DataFrame(fronts)),
    }
    for row in summary["dominance"] + summary["behind_the_front"]:
        print(row)
    print(
        write("accuracy_delay/claims", summary, pd.DataFrame(dominance), front=pd.DataFrame(fronts))
    )


def _efficient(curve: pd.DataFrame) -> pd.DataFrame:
    """The points of a curve that no other point of it dominates."""
    ordered = curve.sort_values(["mean_delay_s", "expected_accuracy"], ascending=[True, False])
    above = ordered["expected_accuracy"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["expected_accuracy"] > above + 1e-12]


def _beats(curve: pd.DataFrame, accuracy: float, delay: float) -> bool:
    """Whether a point dominates a point of the curve, and is better in one of the two."""
    more, less = accuracy - curve["expected_accuracy"], curve["mean_delay_s"] - delay
    as_good = (more >= -1e-12) & (less >= -1e-12)
    return bool((as_good & ((more > 1e-12) | (less > 1e-12))).any())


def _at_default(x: QuerySnapshot, accuracy: float, delay: float) -> bool:
    """Whether GOA at the snapshot's own kappa is as accurate and as fast."""
    found = replay(x, by_name.make("goa").act(x))
    return found.expected_accuracy >= accuracy - 1e-12 and found.mean_delay_s <= delay + 1e-12


def _shares(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Share of snapshots on which GOA dominates a rule, with its interval."""
    out = []
    for (users, policy), part in rows.groupby(["users", "policy"], sort=False):
        row: dict[str, Any] = {"users": users, "policy": policy, "instances": len(part)}
        for name in ("dominated", "at_kappa_2", "dominates_goa"):
            values = part[name].astype(float)
            row |= {name: float(values.mean()), f"{name}_interval": interval(values)}
        out.append(row)
    return out


def _behind(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """How much longer GOA's delay is than the certified least, by floor."""
    out = []
    for (users, share), part in rows.groupby(["users", "share"], sort=False):
        reached = part[np.isfinite(part["goa_s"])]
        percent = 100 * reached["above_bound"]
        best = 100 * (part["best_s"] / part["bound_s"] - 1)
        out.append(
            {
                "users": users,
                "share": share,
                "instances": len(part),
                "reached": len(reached),
                "goa_above_bound_percent": float(percent.mean()),
                "interval": interval(percent),
                "best_above_bound_percent": float(best.mean()),
            }
        )
    return out


if __name__ == "__main__":
    main()
